//! Keeps the transcript: what the world tells, and what the controller answers when its answer changes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;

use crate::controller::{Audience, Report};
use crate::ids::{ClusterName, SlotName};
use crate::plan::Plan;
use crate::ports::{Outcome, PortError};
use crate::sim::event::{Event, Violation, What};
use crate::sim::{FaultLevel, World};
use crate::time::Timestamp;

use super::{Ending, Scenario, Stage};

/// One line of the transcript.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Line {
    /// What happened in the world.
    World {
        /// The cluster it is about, where the event does not say so itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        cluster: Option<ClusterName>,
        #[serde(flatten)]
        event: Event,
        /// Why the controller did it, for an action.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// What the controller answered.
    Answer(Answer),
    /// What it came to.
    Summary(Summary),
}

/// An answer of the planner that is not an action.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// Simulated seconds since the world began.
    pub t: f64,
    pub kind: AnswerKind,
    pub cluster: ClusterName,
    /// The slot that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotName>,
    /// The answer in words.
    pub answer: String,
    /// The gates that refuse, or the reason for being stalled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<&'static str>,
    /// Since when it has been the answer.
    #[serde(skip)]
    pub since: Timestamp,
}

/// The kind of an answer; the `kind` of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerKind {
    Wait,
    Blocked,
    Stalled,
    Settled,
}

/// The last line of a transcript.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// When the last answer was given, in simulated seconds since the world began.
    pub t: f64,
    pub kind: &'static str,
    pub cluster: ClusterName,
    /// `settled`, `blocked: GATES`, `stalled: REASON`, `unsettled` or `violated`.
    pub outcome: String,
    /// Seconds until the last answer.
    pub seconds: f64,
    pub member_down_seconds: BTreeMap<SlotName, f64>,
    /// Mutating calls that reached the world, by name.
    pub mutating_calls: BTreeMap<String, u64>,
    pub passes: u64,
    pub invariant_violations: Vec<Violation>,
    pub seed: u64,
    /// How many faults the world came up with.
    pub faults: u64,
    #[serde(skip)]
    pub ending: Ending,
    #[serde(skip)]
    pub fault_level: FaultLevel,
}

/// What the controller is about to do, and why.
struct Intention {
    action: &'static str,
    slot: Option<SlotName>,
    why: String,
}

/// The transcript so far.
#[derive(Default)]
pub(super) struct Tape {
    lines: Vec<Line>,
    /// The latest answer, once it is not an action.
    pub(super) latest: Option<Answer>,
    /// Since when nothing has been done.
    pub(super) idle_since: Timestamp,
    /// The latest refusal since then.
    refusal: Option<Answer>,
    pub(super) passes: u64,
    faults: u64,
    /// The cluster that lines are about which name none.
    cluster: Option<ClusterName>,
    intention: Option<Intention>,
}

impl Tape {
    /// Takes over what the world has told since the last time.
    pub(super) fn take_events(&mut self, world: &World) {
        for mut event in world.drain_events() {
            self.faults += u64::from(matches!(event.what, What::Fault { .. }));
            let unnamed = matches!(event.what, What::Crash { .. } | What::Fault { cluster: None, .. });
            if let What::World { cluster, .. } = &event.what {
                self.cluster.get_or_insert_with(|| cluster.clone());
            }
            let why = match (&mut event.what, &self.intention) {
                (What::Action { action, controller: 0, slot, .. }, Some(intended)) if action == intended.action => {
                    *slot = slot.take().or_else(|| intended.slot.clone());
                    Some(intended.why.clone())
                }
                _ => None,
            };
            let cluster = self.cluster.clone().filter(|_| unnamed);
            self.lines.push(Line::World { cluster, event, why });
        }
    }

    /// The answer that the run ends with, if this is the end: a wait that never ends is none, but a refusal is that
    /// comes and goes with something that never stays healthy.
    pub(super) fn ending_answer(&self) -> Option<&Answer> {
        match &self.latest {
            Some(answer) if answer.kind == AnswerKind::Wait => self.refusal.as_ref(),
            latest => latest.as_ref(),
        }
    }

    /// What was answered before now is no end.
    pub(super) fn begin_anew(&mut self, now: Timestamp) {
        (self.latest, self.refusal, self.idle_since) = (None, None, now);
    }

    /// Hands over the lines that are complete.
    pub(super) fn hand_over(&mut self, tell: &mut dyn FnMut(&Line)) {
        for line in self.lines.drain(..) {
            tell(&line);
        }
    }
}

/// One controller's ear. Only the first controller's answers are told; what the others do is told by the world.
pub(super) struct Recorder {
    world: World,
    tape: Rc<RefCell<Tape>>,
    index: u8,
}

impl Recorder {
    pub(super) fn new(world: World, tape: Rc<RefCell<Tape>>, index: u8) -> Self {
        Self { world, tape, index }
    }
}

impl Audience for Recorder {
    fn planned(&self, report: &Report<'_>) {
        let mut tape = self.tape.borrow_mut();
        tape.passes += 1;
        tape.take_events(&self.world);
        if self.index != 0 {
            return;
        }
        match answer(report, self.world.seconds()) {
            None => {
                (tape.latest, tape.refusal, tape.idle_since) = (None, None, report.seen.now);
                tape.intention = intention(report.plan);
            }
            Some(answer) => {
                let told = tape.latest.as_ref().filter(|before| before.answer == answer.answer).is_some();
                if matches!(answer.kind, AnswerKind::Blocked | AnswerKind::Stalled) {
                    tape.refusal = Some(answer.clone());
                }
                if !told {
                    tape.lines.push(Line::Answer(answer.clone()));
                    tape.latest = Some(answer);
                }
            }
        }
    }

    fn acted(&self, _report: &Report<'_>, _outcome: &Result<Outcome, PortError>) {
        self.tape.borrow_mut().take_events(&self.world);
    }
}

fn intention(plan: &Plan) -> Option<Intention> {
    match plan {
        Plan::Act(action, why) => {
            let (action, slot) = (action.effect.name(), action.slot.clone());
            Some(Intention { action, slot, why: why.to_string() })
        }
        Plan::Settled | Plan::Wait(_) | Plan::Blocked(_) | Plan::Stalled(_) => None,
    }
}

fn answer(report: &Report<'_>, t: f64) -> Option<Answer> {
    let (kind, slot, reasons) = match report.plan {
        Plan::Act(..) => return None,
        Plan::Settled => (AnswerKind::Settled, None, Vec::new()),
        Plan::Wait(waiting) => (AnswerKind::Wait, waiting.slot.clone(), Vec::new()),
        Plan::Blocked(blocked) => {
            let gates = blocked.hazards.iter().map(|hazard| hazard.gate().as_str()).collect();
            (AnswerKind::Blocked, blocked.slot.clone(), gates)
        }
        Plan::Stalled(stall) => (AnswerKind::Stalled, None, vec![stall.reason()]),
    };
    let (cluster, answer) = (report.spec.name.clone(), report.status.answer.clone());
    Some(Answer { t, kind, cluster, slot, answer, reasons, since: report.seen.now })
}

impl Answer {
    /// How a run ends whose last answer this is.
    pub(super) fn ending(&self) -> Ending {
        match self.kind {
            AnswerKind::Settled => Ending::Settled,
            AnswerKind::Blocked => Ending::Blocked(self.reasons.clone()),
            AnswerKind::Stalled => Ending::Stalled(self.reasons.first().copied().unwrap_or("Stalled")),
            AnswerKind::Wait => Ending::Unsettled,
        }
    }
}

impl Summary {
    pub(super) fn new(scenario: &Scenario, world: &World, stage: &Stage) -> Self {
        let (ending, tape, cluster) = (stage.ending(), stage.tape(), &scenario.from.name);
        let t = tape.latest.as_ref().map_or_else(|| world.seconds(), |answer| answer.t);
        Self {
            t,
            kind: "summary",
            cluster: cluster.clone(),
            outcome: ending.to_string(),
            seconds: t,
            member_down_seconds: world.member_down_seconds(cluster),
            mutating_calls: world.calls(),
            passes: tape.passes,
            invariant_violations: world.violations(),
            seed: scenario.seed,
            faults: tape.faults,
            ending,
            fault_level: scenario.faults,
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settled => f.write_str("settled"),
            Self::Blocked(gates) => write!(f, "blocked: {}", gates.join(", ")),
            Self::Stalled(reason) => write!(f, "stalled: {reason}"),
            Self::Unsettled => f.write_str("unsettled"),
            Self::Violated => f.write_str("violated"),
        }
    }
}
