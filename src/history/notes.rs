//! Notes of what listeners are told, as records: each pass is heard, and only what is new in it is noted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{Action, ActionResult, Answer, AnswerKind, Desired, Members, Record, What};
use crate::action::{self, ClaimEffect, CloudEffect, Effect};
use crate::event::{Acted, Asked, Event, EventKind, Pass};
use crate::ids::{ClusterName, SlotName};
use crate::input::text;
use crate::plan::Plan;
use crate::plan::steps::Step;
use crate::ports::Outcome;
use crate::revision::{Difference, Standing};
use crate::spec::ClusterSpec;
use crate::status::{MemberHealth, Status};

/// The most characters of any text in a record.
const LONGEST: usize = 2_000;

/// The memory of one listener, which tells what is new.
#[derive(Debug, Default)]
pub struct Notes {
    /// Whether the daemon only observes.
    observe_only: bool,
    clusters: BTreeMap<ClusterName, Known>,
    /// The source as it stood at the latest look.
    source: Option<Arc<Standing>>,
}

/// The latest of one cluster.
#[derive(Debug, Default)]
struct Known {
    members: Option<Members>,
    /// The reason for the action that is about to be taken.
    why: Option<String>,
}

impl Notes {
    /// Notes an event: as one record, as two, or as none where nothing is new.
    pub fn of(&mut self, event: &Event) -> Vec<Record> {
        let what = match &event.kind {
            EventKind::Started { source, observe_only } => {
                self.observe_only = *observe_only;
                self.clusters.clear();
                vec![What::Started { source: cut(&text::argument(source)), observe_only: *observe_only }]
            }
            EventKind::SourceAsked(asked) => self.asked(asked),
            EventKind::FileUsable(path) => vec![What::FileUsable { file: text::path(path) }],
            EventKind::FileBroken(path) => vec![What::FileBroken { file: text::path(path) }],
            EventKind::ProblemsFound(_) | EventKind::DesiredRead(_) => Vec::new(),
            EventKind::Orphaned => vec![What::Orphaned],
            EventKind::DesiredChanged(spec) => vec![What::Desired(self.desired(spec))],
            EventKind::Planned(pass) => self.planned(pass),
            EventKind::Acted(acted) => vec![What::Action(self.acted(event.cluster.as_ref(), acted))],
            EventKind::Broken => vec![What::AssertionBroke],
            EventKind::LeaseLost => vec![What::LeaseLost],
            EventKind::Stopped => vec![What::Stopped],
        };
        let cluster = event.cluster.as_ref().map(|name| cut(name));
        what.into_iter().map(|what| Record::new(event.at, cluster.clone(), what)).collect()
    }

    /// Notes what differs from the look at the source before.
    fn asked(&mut self, asked: &Asked) -> Vec<What> {
        let before = self.source.replace(asked.standing.clone());
        let Difference { is_usable_again, revision, rewritten_from } = asked.standing.since(before.as_deref());
        let usable = is_usable_again.then_some(What::SourceUsable);
        let revision = revision.map(|revision| What::Revision {
            revision: revision.clone(),
            rewritten_from: rewritten_from.map(str::to_owned),
        });
        let trouble = asked.standing.trouble.as_ref().filter(|_| asked.is_new);
        let failed = trouble.map(|trouble| What::SourceFailed { reason: trouble.reason, text: cut(&trouble.message) });
        [usable, revision, failed].into_iter().flatten().collect()
    }

    fn desired(&self, spec: &ClusterSpec) -> Desired {
        Desired {
            image: spec.image.to_string(),
            version: spec.application.rules().version,
            generation: spec.generation().to_string(),
            approved: spec.rollout.approved.as_ref().map(|plan| cut(plan)),
            suspend: spec.suspend,
            freeze: spec.freeze,
            reason: spec.reason.as_deref().map(cut),
            revision: self.source.as_ref().and_then(|source| source.revision.clone()),
        }
    }

    fn planned(&mut self, pass: &Pass) -> Vec<What> {
        if !self.clusters.contains_key(&pass.spec.name) {
            self.clusters.insert(pass.spec.name.clone(), Known::default());
        }
        let Some(known) = self.clusters.get_mut(&pass.spec.name) else { return Vec::new() };
        known.why = match &pass.plan {
            Plan::Act(_, why) => Some(cut(&why.to_string())),
            Plan::Settled | Plan::Wait(_) | Plan::Blocked(_) | Plan::Stalled(_) => None,
        };
        let mut what = Vec::new();
        if let Some(members) = members(&pass.status, known.members.as_ref())
            && known.members.as_ref() != Some(&members)
        {
            known.members = Some(members.clone());
            what.push(What::Members(members));
        }
        what.extend(answer(pass, self.observe_only).filter(|_| pass.is_new).map(What::Answer));
        what
    }

    fn acted(&mut self, cluster: Option<&ClusterName>, acted: &Acted) -> Action {
        let action::Action { slot, effect, .. } = &acted.action;
        let (result, made, problem) = match &acted.outcome {
            Ok(Outcome::Launched(id)) => (ActionResult::Done, Some(id.to_string()), None),
            Ok(Outcome::Created(id)) => (ActionResult::Done, Some(id.to_string()), None),
            Ok(Outcome::Snapshotted(_) | Outcome::Done | Outcome::AlreadySo) => (ActionResult::Done, None, None),
            Ok(Outcome::Changed { found, .. }) => (ActionResult::Changed, None, Some(cut(found))),
            Err(failed) => (ActionResult::Failed, None, Some(cut(&failed.why))),
        };
        let claim = match effect {
            Effect::Claim(effect) => effect.claim(),
            Effect::Cloud(_) | Effect::Member(_) => None,
        };
        let (instance, volume, image) = match effect {
            Effect::Cloud(CloudEffect::Launch(launch)) => (made, None, Some(launch.make.image.to_string())),
            Effect::Cloud(CloudEffect::CreateVolume(_)) => (None, made, None),
            Effect::Cloud(cloud) => (id(cloud.instance()), id(cloud.volume()), None),
            Effect::Claim(ClaimEffect::MarkStop { instance, .. }) => (Some(instance.to_string()), None, None),
            Effect::Claim(_) => (claim.and_then(|claim| id(claim.old())), None, id(claim.map(|claim| &claim.image))),
            Effect::Member(_) => (None, None, None),
        };
        let running = |slot: &SlotName| acted.status.slots.iter().find(|status| status.slot == *slot)?.image.clone();
        Action {
            action: effect.name().to_owned(),
            slot: slot.as_ref().map(ToString::to_string),
            instance,
            volume,
            image,
            from_image: claim.and_then(|claim| running(&claim.slot)).map(|image| image.to_string()),
            generation: id(claim.map(|claim| &claim.generation)),
            result,
            text: cut(&effect.to_string()),
            why: cluster.and_then(|cluster| self.clusters.get_mut(cluster)?.why.take()),
            problem,
        }
    }
}

fn cut(text: &str) -> String {
    text::cut(text, LONGEST)
}

fn id(id: Option<&impl ToString>) -> Option<String> {
    id.map(ToString::to_string)
}

/// The answer of a pass; none of one that is followed by its action.
fn answer(pass: &Pass, observe_only: bool) -> Option<Answer> {
    let (answer, slot, reasons) = match &pass.plan {
        Plan::Act(..) if !observe_only => return None,
        Plan::Act(action, _) => (AnswerKind::WouldAct, action.slot.as_ref(), Vec::new()),
        Plan::Settled => (AnswerKind::Settled, None, Vec::new()),
        Plan::Wait(waiting) => (AnswerKind::Waiting, waiting.slot.as_ref(), Vec::new()),
        Plan::Blocked(blocked) => (AnswerKind::Blocked, blocked.slot.as_ref(), blocked.reasons()),
        Plan::Stalled(stalls) => (AnswerKind::Stalled, None, stalls.reasons()),
    };
    let step = pass.status.step().map(|step| Step::name(step).to_owned());
    let reasons = reasons.into_iter().map(str::to_owned).collect();
    Some(Answer { answer, slot: id(slot), step, reasons, text: cut(&pass.status.answer) })
}

/// The members as a pass saw them. Those that could not be asked are as they were; none if none could.
fn members(status: &Status, before: Option<&Members>) -> Option<Members> {
    let is_known = |health: &MemberHealth| !matches!(health, MemberHealth::Unknown(_));
    if !status.slots.iter().any(|slot| is_known(&slot.health)) {
        return None;
    }
    let was_down = |slot: &SlotName| before.is_some_and(|before| before.down.iter().any(|down| **down == **slot));
    let down = status.slots.iter().filter(|slot| match slot.health {
        MemberHealth::Healthy => false,
        MemberHealth::Unhealthy(_) | MemberHealth::NoMember => true,
        MemberHealth::Unknown(_) => was_down(&slot.slot),
    });
    Some(Members {
        down: down.map(|slot| slot.slot.to_string()).collect(),
        healthy: status.slots.iter().filter(|slot| slot.counts_as_healthy()).count(),
        needed: status.needed,
    })
}
