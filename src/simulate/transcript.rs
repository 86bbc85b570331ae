//! The transcript of a simulation: everything that happens in the world, and the controller's answers when they change.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::event::Pass;
use crate::ids::{ClusterName, SlotName};
use crate::plan::Plan;
use crate::plan::steps::Step;
use crate::sim::World;
use crate::sim::event::{Event, What};
use crate::time::Timestamp;

use super::{Ending, Summary};

/// One line of the transcript.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Line {
    /// Something that happened in the world.
    World {
        /// The cluster it is about, where the event does not say so itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        cluster: Option<ClusterName>,
        #[serde(flatten)]
        event: Event,
        /// The controller's reason, for an action.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// An answer of the controller.
    Answer(Answer),
    /// The last line.
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
    /// The step at which the replacement under way stands, e.g. `attach`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The answer in words.
    pub answer: String,
    /// The gates that refuse, or the reasons for being stalled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<&'static str>,
    /// The moment since which it has been the answer.
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

/// The next action of the controller, and its reason.
struct Intention {
    action: &'static str,
    slot: Option<SlotName>,
    why: String,
}

/// The transcript so far.
#[derive(Default)]
pub(super) struct Transcript {
    lines: Vec<Line>,
    /// The latest answer, once it is not an action.
    pub(super) latest: Option<Answer>,
    /// The moment since which nothing has been done.
    pub(super) idle_since: Timestamp,
    /// The latest refusal since then.
    refusal: Option<Answer>,
    pub(super) passes: u64,
    pub(super) faults: u64,
    /// The cluster of all lines that name none themselves.
    cluster: Option<ClusterName>,
    /// The clusters of which nothing is told but broken rules.
    untold: BTreeSet<ClusterName>,
    intention: Option<Intention>,
}

impl Transcript {
    /// Begins the transcript of one cluster, of several that there are.
    pub(super) fn about(cluster: &ClusterName, untold: BTreeSet<ClusterName>) -> Self {
        let cluster = (!untold.is_empty()).then(|| cluster.clone());
        Self { cluster, untold, ..Self::default() }
    }

    /// Takes over everything that the world has told since the last time.
    pub(super) fn take_events(&mut self, world: &World) {
        for mut event in world.drain_events() {
            self.faults += u64::from(matches!(event.what, What::Fault { .. }));
            if event.what.cluster().is_some_and(|cluster| self.untold.contains(cluster)) {
                continue;
            }
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

    /// Takes over the answer of a pass, at a time of the world's.
    pub(super) fn take_pass(&mut self, pass: &Pass, t: f64, now: Timestamp) {
        match Answer::of(pass, t, now) {
            None => {
                self.begin_anew(now);
                self.intention = Intention::of(&pass.plan);
            }
            Some(answer) => {
                if matches!(answer.kind, AnswerKind::Blocked | AnswerKind::Stalled) {
                    self.refusal = Some(answer.clone());
                }
                if self.latest.as_ref().is_none_or(|before| before.answer != answer.answer) {
                    self.lines.push(Line::Answer(answer.clone()));
                    self.latest = Some(answer);
                }
            }
        }
    }

    /// The answer that the run ends with, if this is the end. A wait that never ends is no end; a refusal is one, even if it
    /// comes and goes with something that never stays healthy.
    pub(super) fn ending_answer(&self) -> Option<&Answer> {
        match &self.latest {
            Some(answer) if answer.kind == AnswerKind::Wait => self.refusal.as_ref(),
            latest => latest.as_ref(),
        }
    }

    /// Forgets the answers before `now`, which are no end.
    pub(super) fn begin_anew(&mut self, now: Timestamp) {
        self.latest = None;
        self.refusal = None;
        self.idle_since = now;
    }

    /// Hands over the lines that are complete.
    pub(super) fn hand_over(&mut self, tell: &mut dyn FnMut(&Line)) {
        for line in self.lines.drain(..) {
            tell(&line);
        }
    }
}

impl Intention {
    fn of(plan: &Plan) -> Option<Self> {
        match plan {
            Plan::Act(action, why) => {
                let (action, slot) = (action.effect.name(), action.slot.clone());
                Some(Self { action, slot, why: why.to_string() })
            }
            Plan::Settled | Plan::Wait(_) | Plan::Blocked(_) | Plan::Stalled(_) => None,
        }
    }
}

impl Answer {
    /// The answer of a pass, unless it is an action.
    fn of(pass: &Pass, t: f64, since: Timestamp) -> Option<Self> {
        let (kind, slot, reasons) = match &pass.plan {
            Plan::Act(..) => return None,
            Plan::Settled => (AnswerKind::Settled, None, Vec::new()),
            Plan::Wait(waiting) => (AnswerKind::Wait, waiting.slot.clone(), Vec::new()),
            Plan::Blocked(blocked) => (AnswerKind::Blocked, blocked.slot.clone(), blocked.reasons()),
            Plan::Stalled(stalls) => (AnswerKind::Stalled, None, stalls.reasons()),
        };
        let (cluster, answer) = (pass.spec.name.clone(), pass.status.answer.clone());
        let step = pass.status.step();
        Some(Self { t, kind, cluster, slot, step, answer, reasons, since })
    }

    /// The ending of a run whose last answer this is.
    pub(super) fn ending(&self) -> Ending {
        match self.kind {
            AnswerKind::Settled => Ending::Settled,
            AnswerKind::Blocked => Ending::Blocked(self.reasons.clone()),
            AnswerKind::Stalled => Ending::Stalled(self.reasons.clone()),
            AnswerKind::Wait => Ending::Unsettled,
        }
    }
}
