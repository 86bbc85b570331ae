//! The metrics: their names, units and labels are an interface, which `tests/program/face/metrics.txt` holds.
//!
//! Gauges are made from the state at each scrape, so that a cluster or a reason that is gone leaves no series behind. No label
//! has an id, an image or a text of an error, but for `desired_ami` of the one series that is there to be joined with.

use std::collections::BTreeSet;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::action::{ClaimEffect, CloudEffect, Effect};
use crate::event::{Acted, Event, EventKind, Pass};
use crate::notifications::post::Counts;
use crate::plan::Plan;
use crate::ports::Outcome;
use crate::time::elapsed;

use super::About;
use super::report::Report;
use super::state::{Cluster, State};

pub mod calls;
mod gauges;

/// The content type of the text that is written.
pub const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// Counts and spans of time since the daemon began.
pub struct Metrics {
    reconciles: Family<Labels, Counter>,
    durations: Family<Labels, Histogram>,
    steps: Family<Labels, Histogram>,
    replacements: Family<Labels, Counter>,
    moves: Family<Labels, Counter>,
    actions: Family<Labels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            reconciles: Family::default(),
            durations: of_calls(),
            // A second to an hour and more.
            steps: Family::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 2.0, 13))),
            replacements: Family::default(),
            moves: Family::default(),
            actions: Family::default(),
        }
    }
}

/// Spans of what a call takes: 10 ms to 40 s.
fn of_calls() -> Family<Labels, Histogram> {
    Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.01, 2.0, 13)))
}

impl Metrics {
    /// Counts an event. `state` is what was known before it.
    pub fn note(&self, event: &Event, state: &State) {
        let cluster = event.cluster.as_ref().and_then(|name| state.clusters.get(name));
        match &event.kind {
            EventKind::Planned(pass) => self.planned(pass, cluster),
            EventKind::Acted(acted) => self.acted(acted),
            _ => {}
        }
    }

    fn planned(&self, pass: &Pass, before: Option<&Cluster>) {
        let name = || ("cluster", pass.spec.name.to_string());
        self.reconciles.get_or_create(&vec![name(), ("result", result(&pass.plan).to_owned())]).inc();
        if let crate::observed::Reading::Seen { begun, .. } = &pass.seen.membership {
            let took = elapsed(pass.seen.now, *begun).as_secs_f64();
            self.durations.get_or_create(&vec![name()]).observe(took);
        }
        let Some((slot, steps)) = before.and_then(|before| before.steps.as_ref()) else { return };
        let claimed = pass.status.slots.iter().find(|status| status.claimed);
        // A claim without a step is one that is blocked: the step goes on afterwards.
        let goes_on = |step| claimed.is_some_and(|now| now.slot == *slot && now.step.is_none_or(|now| now == step));
        if let Some((step, since)) = steps.last().filter(|(step, _)| !goes_on(*step))
            && pass.seen.claim.seen().is_some()
        {
            let took = elapsed(pass.seen.now, *since).as_secs_f64();
            self.steps.get_or_create(&vec![("action", step.to_string())]).observe(took);
        }
    }

    fn acted(&self, acted: &Acted) {
        let (cluster, effect) = (("cluster", acted.action.cluster.to_string()), &acted.action.effect);
        let outcome = match &acted.outcome {
            Ok(Outcome::Changed { .. }) => "changed",
            Ok(_) => "done",
            Err(_) => "failed",
        };
        let label = |outcome: &str| ("outcome", outcome.to_owned());
        self.actions.get_or_create(&vec![("action", effect.name().to_owned()), label(outcome)]).inc();
        match effect {
            Effect::Cloud(CloudEffect::Attach { .. }) => drop(self.moves.get_or_create(&vec![label(outcome)]).inc()),
            Effect::Claim(ClaimEffect::Release { taken_back, .. }) if outcome == "done" => {
                let outcome = if *taken_back { "taken-back" } else { "settled" };
                self.replacements.get_or_create(&vec![cluster, label(outcome)]).inc();
            }
            Effect::Claim(ClaimEffect::Move { .. }) if outcome == "done" => {
                self.replacements.get_or_create(&vec![cluster, label("settled")]).inc();
            }
            _ => {}
        }
    }

    /// Writes everything in Prometheus's text format.
    pub fn write(&self, report: &Report<'_>, about: &About) -> String {
        let mut registry = Registry::with_prefix("hermitcrab");
        gauges::register(&mut registry, report);
        registry.register("reconcile", "Passes by their answer", self.reconciles.clone());
        let help = "The time of a pass from asking the members to its decision";
        registry.register("reconcile_duration_seconds", help, self.durations.clone());
        registry.register("step_duration_seconds", "The time that a step of a replacement took", self.steps.clone());
        registry.register("replacements", "Replacements that came to an end", self.replacements.clone());
        registry.register(
            "volume_moves",
            "Attachments of volumes to the instance that is to have them",
            self.moves.clone(),
        );
        registry.register("actions", "Actions that were carried out, or failed", self.actions.clone());
        if let Some(calls) = &about.calls {
            calls.register(&mut registry);
        }
        if let Some(counts) = &about.notifications {
            registry.register("notifications", "News for receivers elsewhere, by what became of them", told(counts));
        }
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &registry) {
            Ok(()) => as_prometheus_has_it(&text),
            Err(error) => format!("# {error}\n"),
        }
    }
}

fn told(counts: &Counts) -> Family<Labels, Counter> {
    let told = Family::<Labels, Counter>::default();
    for (receiver, outcome, count) in counts.all() {
        told.get_or_create(&vec![("sink", receiver), ("outcome", outcome.word().to_owned())]).inc_by(count);
    }
    told
}

/// Turns OpenMetrics into Prometheus's own text format, in which a counter is called in its heading as in its samples.
fn as_prometheus_has_it(text: &str) -> String {
    let counter = |line: &str| line.strip_prefix("# TYPE ")?.strip_suffix(" counter").map(str::to_owned);
    let counters: BTreeSet<String> = text.lines().filter_map(counter).collect();
    let line = |line: &str| {
        let heading = ["# HELP ", "# TYPE "].iter().find_map(|mark| Some((mark, line.strip_prefix(*mark)?)));
        match heading.and_then(|(mark, rest)| Some((mark, rest.split_once(' ')?))) {
            Some((mark, (name, rest))) if counters.contains(name) => format!("{mark}{name}_total {rest}\n"),
            _ => format!("{line}\n"),
        }
    };
    text.lines().filter(|line| *line != "# EOF").map(line).collect()
}

/// The word for an answer.
fn result(plan: &Plan) -> &'static str {
    match plan {
        Plan::Settled => "settled",
        Plan::Act(..) => "acting",
        Plan::Wait(_) => "waiting",
        Plan::Blocked(_) => "blocked",
        Plan::Stalled(_) => "stalled",
    }
}
