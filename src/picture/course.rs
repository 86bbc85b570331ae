//! The course of a rollout as data: for each slot what was done to it when, and for how long its member was down.

use crate::history::record::{Action, ActionResult, Members, Record, What};
use crate::history::rollout::Rollout;
use crate::time::{Timestamp, elapsed};

/// A thing that happens to a slot for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The slot is claimed, and its new instance starts.
    Starting,
    /// The old instance stops.
    Stopping,
    /// The volumes and the address move.
    Moving,
    /// The member starts on the new instance, and joins the others.
    Joining,
    /// The new member has to stay healthy.
    Baking,
    /// The old instance is let go of.
    TidyingUp,
    /// The old instance is given everything back.
    TakingBack,
}

impl Phase {
    /// All of them, in the order in which a picture explains them.
    pub const ALL: [Self; 7] =
        [Self::Starting, Self::Stopping, Self::Moving, Self::Joining, Self::Baking, Self::TidyingUp, Self::TakingBack];

    /// The name of the phase in a picture.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "new instance starts",
            Self::Stopping => "old instance stops",
            Self::Moving => "volumes move",
            Self::Joining => "member rejoins",
            Self::Baking => "bake time",
            Self::TidyingUp => "old instance ends",
            Self::TakingBack => "taken back",
        }
    }
}

/// A span on the axis, in seconds since the rollout began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span<T> {
    pub what: T,
    pub from: f64,
    pub to: f64,
}

impl<T> Span<T> {
    /// The length in seconds.
    pub fn length(&self) -> f64 {
        self.to - self.from
    }
}

/// The course of one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub slot: String,
    pub phases: Vec<Span<Phase>>,
    /// The spans for which its member was seen down.
    pub down: Vec<Span<()>>,
    /// The moments at which leadership was moved away from it, or to be moved.
    pub transfers: Vec<f64>,
}

/// The course of a whole rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The length of the axis in seconds.
    pub length: f64,
    /// In the order in which the slots were claimed.
    pub rows: Vec<Row>,
    /// The number of further members that might fail, as it changed.
    pub margin: Vec<Span<i64>>,
}

impl Course {
    /// Reads the course of a rollout off the records of its cluster.
    pub fn of(rollout: &Rollout, records: &[Record]) -> Self {
        let of_cluster = records.iter().filter(|record| record.cluster.as_deref() == Some(&*rollout.cluster));
        let records: Vec<_> = of_cluster.collect();
        let latest = records.iter().map(|record| record.latest()).max().unwrap_or(rollout.started);
        let end = rollout.ended.unwrap_or(latest).max(rollout.started);
        let axis = Axis { start: rollout.started, end };
        let rows = rollout.slots.iter().map(|slot| row(&slot.slot, &records, &axis)).collect();
        Self { length: axis.at(end), rows, margin: margin(&records, &axis) }
    }
}

/// The time of a rollout.
struct Axis {
    start: Timestamp,
    end: Timestamp,
}

impl Axis {
    /// A moment in seconds since the start. What lies outside is at the nearer end.
    fn at(&self, moment: Timestamp) -> f64 {
        elapsed(moment.min(self.end), self.start).as_secs_f64()
    }

    fn has(&self, moment: Timestamp) -> bool {
        (self.start..=self.end).contains(&moment)
    }

    fn span<T>(&self, what: T, from: Timestamp, to: Timestamp) -> Option<Span<T>> {
        let span = Span { what, from: self.at(from), to: self.at(to) };
        (span.length() > 0.0).then_some(span)
    }
}

fn row(slot: &str, records: &[&Record], axis: &Axis) -> Row {
    let mut row = Row { slot: slot.to_owned(), phases: Vec::new(), down: Vec::new(), transfers: Vec::new() };
    let mut open: Option<(Phase, Timestamp)> = None;
    let mut down: Option<Timestamp> = None;
    for record in records.iter().filter(|record| record.at <= axis.end) {
        let next = match &record.what {
            What::Members(members) => {
                let was_down = down;
                down = is_down(members, slot).then(|| was_down.unwrap_or(record.at));
                row.down.extend(was_down.filter(|_| down.is_none()).and_then(|since| axis.span((), since, record.at)));
                let is_back = was_down.is_some() && down.is_none();
                open.filter(|(phase, _)| is_back && *phase == Phase::Joining).map(|_| Some(Phase::Baking))
            }
            What::Action(action) if action.action == "move-claim" && !is_done_to(action, slot) => Some(None),
            What::Action(action) if is_done_to(action, slot) && axis.has(record.at) => {
                if action.action == "transfer-leadership" {
                    row.transfers.push(axis.at(record.at));
                }
                phase_after(&action.action, open.map(|(phase, _)| phase))
            }
            _ => None,
        };
        if let Some(next) = next {
            row.phases.extend(open.and_then(|(phase, since)| axis.span(phase, since, record.at)));
            open = next.map(|phase| (phase, record.at));
        }
    }
    row.phases.extend(open.and_then(|(phase, since)| axis.span(phase, since, axis.end)));
    row.down.extend(down.and_then(|since| axis.span((), since, axis.end)));
    row
}

fn is_down(members: &Members, slot: &str) -> bool {
    members.down.iter().any(|down| down == slot)
}

fn is_done_to(action: &Action, slot: &str) -> bool {
    action.result == ActionResult::Done && action.slot.as_deref() == Some(slot)
}

/// The phase that begins with an action, or ends with it; none where the phase before goes on.
fn phase_after(action: &str, before: Option<Phase>) -> Option<Option<Phase>> {
    if before == Some(Phase::TakingBack) && action != "release" {
        return None;
    }
    let next = match action {
        "claim" | "move-claim" => Phase::Starting,
        "launch" if before != Some(Phase::Starting) => Phase::Starting,
        "stop" => Phase::Stopping,
        "snapshot" | "detach" | "assign-address" => Phase::Moving,
        "attach" => Phase::Joining,
        "retire" => Phase::TidyingUp,
        "reject" => Phase::TakingBack,
        "terminate" | "release" | "forget-launch" => return Some(None),
        _ => return None,
    };
    (before != Some(next)).then_some(Some(next))
}

fn margin(records: &[&Record], axis: &Axis) -> Vec<Span<i64>> {
    let mut spans: Vec<Span<i64>> = Vec::new();
    let mut known: Option<(i64, Timestamp)> = None;
    for record in records.iter().filter(|record| record.at <= axis.end) {
        let What::Members(members) = &record.what else { continue };
        let now = i64::try_from(members.healthy).unwrap_or(0) - i64::try_from(members.needed).unwrap_or(0);
        spans.extend(known.and_then(|(margin, since)| axis.span(margin, since.max(axis.start), record.at)));
        known = Some((now, record.at));
    }
    spans.extend(known.and_then(|(margin, since)| axis.span(margin, since.max(axis.start), axis.end)));
    spans
}
