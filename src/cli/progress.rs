//! Progress on a terminal: below the log, how all clusters stand, and what is being done. Elsewhere there is only the log.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;
use super::plan::counted;
use super::stderr;
use crate::event::{Event, EventKind, Listener};
use crate::ids::ClusterName;
use crate::status::{Attention, Phase, Status};

/// The clusters that are shown at most: those that need a person first.
const MOST: usize = 6;

/// The lines, if stderr is a terminal. The log has to know of the lines, so that the two do not overwrite each other.
static LINES: OnceLock<MultiProgress> = OnceLock::new();

/// The clusters as they stand.
#[derive(Default)]
pub struct Progress {
    clusters: RefCell<BTreeMap<ClusterName, Rc<Status>>>,
    /// All lines are one bar, so that they come and go together.
    bar: RefCell<Option<ProgressBar>>,
}

impl Progress {
    /// Begins to show progress, if there is a terminal to show it on.
    pub fn start() -> Self {
        if io::stderr().is_terminal() {
            LINES.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        }
        Self::default()
    }

    /// Shows the clusters as they are known.
    fn show(&self) {
        let Some(lines) = LINES.get() else { return };
        let width = output::width_of_notes().unwrap_or(output::USUAL_WIDTH);
        let clusters = self.clusters.borrow();
        // A spinner and a space stand before the first line.
        let shown = render(&clusters.values().map(|status| &**status).collect::<Vec<_>>(), width - 2);
        // Not drawn by this thread: a terminal that was stopped with Ctrl-S would stop the controller too.
        let bar = self.bar.borrow_mut().get_or_insert_with(|| begin(lines)).clone();
        stderr::draw(move || bar.set_message(shown));
    }

    /// Takes the lines off the terminal, before anything else is written there.
    pub fn end(&self) {
        self.clusters.take();
        if let Some(bar) = self.bar.take() {
            stderr::draw(move || bar.finish_and_clear());
            stderr::finish();
        }
    }
}

impl Listener for Progress {
    fn hear(&self, event: &Event) {
        match (&event.kind, &event.cluster) {
            (EventKind::Planned(pass), Some(cluster)) => {
                self.clusters.borrow_mut().insert(cluster.clone(), pass.status.clone());
                self.show();
            }
            // Otherwise it would be shown as it was for ever.
            (EventKind::Orphaned, Some(cluster)) => {
                self.clusters.borrow_mut().remove(cluster);
                self.show();
            }
            (EventKind::Stopped, _) => self.end(),
            _ => {}
        }
    }
}

/// A bar that is shown as soon as the terminal takes it, and not before there is something to show.
fn begin(lines: &'static MultiProgress) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let begun = bar.clone();
    stderr::draw(move || lines.add(begun).enable_steady_tick(Duration::from_millis(250)));
    bar
}

/// Puts the clusters into lines no wider than that: how many of them stand how, then what each is about that is not settled.
fn render(clusters: &[&Status], width: usize) -> String {
    let mut order: Vec<_> = clusters.iter().filter(|status| status.attention != Attention::Settled).collect();
    order.sort_by_key(|status| status.attention);
    let settled = clusters.len() - order.len();
    let mut lines = vec![format!("{}, {settled} settled", counted(clusters.len(), "cluster"))];
    for status in order.iter().take(MOST) {
        let progress = status.progress;
        let image = &status.image;
        lines.push(format!(
            "  {}: {}, {} of {} on {image}",
            status.cluster, status.phase, progress.updated, progress.total
        ));
        lines.push(format!("    {}", doing(status)));
    }
    if order.len() > MOST {
        lines.push(format!("  and {} more", order.len() - MOST));
    }
    lines.iter().map(|line| output::cut(line, width)).collect::<Vec<_>>().join("\n")
}

/// Says what is done, or what keeps it from being done, with the step of a replacement.
fn doing(status: &Status) -> String {
    let answer = status.answer.replace('\n', " ");
    let gates: Vec<_> = status.refusals.iter().map(|refusal| refusal.gate).collect();
    match status.slots.iter().find_map(|slot| Some((&slot.slot, slot.step?))) {
        Some((slot, step)) => format!("{slot} at {step}: {answer}"),
        None if matches!(status.phase, Phase::Blocked | Phase::Stalled) || gates.is_empty() => answer,
        None => format!("then blocked by {}; now: {answer}", gates.join(", ")),
    }
}

/// Counts things that take long, on a terminal; elsewhere nothing is shown.
pub struct Counting(Option<ProgressBar>);

impl Counting {
    /// Begins to count up to a number of things, e.g. `worlds`.
    pub fn up_to(total: u64, things: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(&format!("{{pos}} of {{len}} {things}, {{eta}} left"));
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self(bar)
    }

    /// Counts one.
    pub fn one_more(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Writes something to stderr without tearing the progress lines apart.
pub fn suspended<T>(write: impl FnOnce() -> T) -> T {
    match LINES.get() {
        Some(lines) => lines.suspend(write),
        None => write(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::cloud::Environment;
    use crate::plan::plan;
    use crate::sim::{FaultLevel, World};
    use crate::status::status;

    /// A cluster with that image committed, and suspended or not.
    fn cluster(image: Option<&str>, suspend: bool) -> Status {
        let path = PathBuf::from("desired-state/prod/consul.yaml");
        let mut spec = crate::spec::load::load(&[path]).specs().next().unwrap().1.clone();
        let world = World::new(0, FaultLevel::None);
        world.settle(&spec);
        world.advance_to(crate::time::after(crate::ports::Clock::now(&world), Duration::from_secs(300)));
        spec.suspend = suspend;
        spec.image = image.map_or(spec.image, Into::into);
        let environment = Environment::simulated(vec![spec.clone()], world, None);
        let seen = environment.look(&spec);
        status(&spec, &seen, &plan(&spec, &seen), None)
    }

    #[test]
    fn what_keeps_a_cluster_from_going_on_is_shown_and_nothing_is_wider_than_the_terminal() {
        let blocked = cluster(Some("ami-0bbbbbbbbbbbbbbbb"), true);
        let lines = render(&[&blocked], 78);
        assert!(lines.contains("then blocked") || lines.contains("blocked: "), "{lines}");
        assert!(lines.lines().all(|line| line.chars().count() <= 78), "{lines}");
        assert!(render(&[&blocked], 40).lines().all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn of_many_clusters_those_that_are_settled_are_counted_and_the_others_shown_up_to_a_number() {
        let blocked = cluster(Some("ami-0bbbbbbbbbbbbbbbb"), true);
        let mut settled = cluster(None, false);
        settled.attention = Attention::Settled;
        let many: Vec<_> = std::iter::repeat_n(&settled, 12).chain(std::iter::repeat_n(&blocked, 8)).collect();
        let lines = render(&many, 78);
        assert!(lines.starts_with("20 clusters, 12 settled\n"), "{lines}");
        assert!(lines.ends_with("\n  and 2 more"), "{lines}");
        assert_eq!(lines.lines().count(), 1 + 2 * MOST + 1);
    }
}
