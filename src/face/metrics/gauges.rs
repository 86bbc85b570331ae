//! The gauges, made anew from what is known.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::face::document::{Lease, Summary};
use crate::face::report::Report;
use crate::face::state::{Cluster, File};
use crate::input::text;
use crate::plan::Plan;
use crate::status::{Condition, ConditionStatus, SlotStatus};
use crate::time::Timestamp;

use super::Labels;

type Series = Family<Labels, Gauge<f64, AtomicU64>>;

/// Registers every gauge with its present values.
pub(super) fn register(registry: &mut Registry, report: &Report<'_>) {
    about_the_daemon(registry, report);
    let clusters: Vec<_> = report.state.clusters.values().map(|known| (known, report.summary(known))).collect();
    let mut each = |name: &str, help: &str, fill: &dyn Fn(&Series, &Cluster, &Summary)| {
        let series = Series::default();
        registry.register(name, help, series.clone());
        clusters.iter().for_each(|(known, summary)| fill(&series, known, summary));
    };
    let seen_at = "The moment of the latest pass that saw the cloud and the claim";
    each("last_reconcile_success_timestamp_seconds", seen_at, &|series, known, _| {
        if let Some(at) = known.good_at {
            set(series, &[cluster(known)], seconds(at));
        }
    });
    each("cluster_info", "A cluster, to be joined with: always 1", &|series, known, summary| {
        let phase = ("phase", summary.phase.clone());
        let (environment, image) =
            (("env", text::clean(&summary.environment).into_owned()), ("desired_ami", summary.wanted.clone()));
        set(series, &[cluster(known), environment, image, phase], 1.0);
    });
    each("cluster_condition", "A condition: 1 at its status, and 0 at the two others", &conditions);
    each("cluster_orphaned", "Whether no file declares the cluster any more", &|series, known, _| {
        set(series, &[cluster(known)], truth(known.file == File::Orphaned));
    });
    each("slots", "Slots by what is in them", &slots);
    each(
        "quorum_margin",
        "Members that may fail now before too few are left; negative if they are",
        &|series, known, all| {
            if let Some(may_fail) = all.quorum.may_fail {
                set(series, &[cluster(known)], may_fail as f64);
            }
        },
    );
    each(
        "rollout_step",
        "The number of the step that the replacement under way stands at",
        &|series, known, summary| {
            if let Some(step) = &summary.step {
                set(series, &[cluster(known)], step.number as f64);
            }
        },
    );
    each("rollout_steps", "The number of steps of the replacement under way", &|series, known, summary| {
        if let Some(step) = &summary.step {
            set(series, &[cluster(known)], step.of as f64);
        }
    });
    let began = "The moment at which the first slot of the rollout under way was seen to be claimed";
    each("rollout_started_timestamp_seconds", began, &|series, known, _| {
        if let Some(at) = known.rollout_since {
            set(series, &[cluster(known)], seconds(at));
        }
    });
    each("blocked", "A gate that is closed: always 1", &|series, known, _| {
        let plan = known.pass.as_ref().map(|pass| &pass.plan);
        let Some(Plan::Blocked(blocked)) = plan else { return };
        for hazard in &blocked.hazards {
            set(series, &[cluster(known), ("reason", hazard.gate().to_string())], 1.0);
        }
    });
}

fn about_the_daemon(registry: &mut Registry, report: &Report<'_>) {
    let (state, daemon) = (report.state, report.daemon());
    let build = Series::default();
    registry.register("build_info", "The program: always 1", build.clone());
    set(&build, &[("version", daemon.version.to_owned())], 1.0);
    let mut one = |name: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let gauge = Gauge::<f64, AtomicU64>::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        }
    };
    let read = state.read.as_ref();
    let is_good = read.map(|_| truth(state.broken.is_empty()));
    one("config_last_reload_successful", "Whether every file of desired state can be used", is_good);
    let good_at = read.and_then(|read| read.good_at).map(seconds);
    let when = "The moment at which every file of desired state could last be used";
    one("config_last_reload_success_timestamp_seconds", when, good_at);
    let source = state.source.as_ref();
    let is_ready = source.map(|source| truth(source.standing.trouble.is_none()));
    one("source_ready", "Whether the latest look at the repository of desired state went well", is_ready);
    let fetched_at = source.and_then(|source| source.good_at).map(seconds);
    let when = "The moment of the latest look at the repository of desired state that went well";
    one("source_last_fetch_success_timestamp_seconds", when, fetched_at);
    let stopped = "Whether the latest pass found every change stopped, by the kill switch or for want of the lease";
    one("kill_switch_active", stopped, Some(truth(state.stopped.is_some())));
    let held = (daemon.lease != Lease::NotUsed).then(|| truth(daemon.lease == Lease::Held));
    one("lease_held", "Whether the lease is held; no series without --lease", held);
    if let Some(revision) = source.and_then(|source| source.standing.revision.as_ref()) {
        let info = Series::default();
        registry.register("source_revision_info", "The revision in force: always 1", info.clone());
        set(&info, &[("revision", revision.id.clone())], 1.0);
    }
    let dropped = Counter::<u64>::default();
    dropped.inc_by(report.state.past.forgotten());
    registry.register("events_dropped", "Events that were forgotten because only so many are kept", dropped);
}

fn conditions(series: &Series, known: &Cluster, _: &Summary) {
    let told = known.pass.iter().flat_map(|pass| &pass.status.conditions);
    for Condition { kind, status, .. } in told {
        for one in [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown] {
            let labels = [cluster(known), ("type", format!("{kind:?}")), ("status", format!("{one:?}"))];
            set(series, &labels, truth(one == *status));
        }
    }
}

fn slots(series: &Series, known: &Cluster, _: &Summary) {
    let Some(pass) = &known.pass else { return };
    let of = |slot: &SlotStatus| match (slot.claimed, slot.current, &slot.instance) {
        (true, ..) => "replacing",
        (_, true, _) => "current",
        (_, _, Some(_)) => "outdated",
        (_, _, None) => "missing",
    };
    for state in ["current", "outdated", "replacing", "missing"] {
        let count = pass.status.slots.iter().filter(|slot| of(slot) == state).count();
        set(series, &[cluster(known), ("state", state.to_owned())], count as f64);
    }
}

fn cluster(known: &Cluster) -> (&'static str, String) {
    ("cluster", known.spec.name.to_string())
}

fn set(series: &Series, labels: &[(&'static str, String)], value: f64) {
    series.get_or_create(&labels.to_vec()).set(value);
}

fn truth(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}
