//! A controller's answers as the judge wants them: for how long each has been the same, and what could be done about it.

use std::time::Duration;

use crate::event::Pass;
use crate::limits::Limits;
use crate::observed::{GroupMember, Instance, InstanceState, Lifecycle, Observation};
use crate::plan::{Awaited, Hazard, Plan};
use crate::sim::AnswerFacts;
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, elapsed};

/// The answer that a controller gives, and since when it has given it. One that has just been started gives none.
#[derive(Default)]
pub(super) struct Lasting {
    latest: Option<(String, Timestamp)>,
}

impl Lasting {
    /// Takes note of a pass at a time of the world's. Gives the facts of its answer, where that is one that must not last. A
    /// look at which nothing could be decided ends no answer.
    pub(super) fn facts(&mut self, pass: &Pass, now: Timestamp) -> Option<AnswerFacts> {
        let (key, patience, mendable) = match &pass.plan {
            Plan::Wait(waiting) => {
                let patience = elapsed(waiting.worry_at, waiting.since) + Limits::DEFAULT.overdue;
                (waiting.key(), Some(patience), Vec::new())
            }
            Plan::Blocked(blocked) => {
                let mendable = blocked.hazards.iter().filter(|hazard| may_be_mended(hazard, pass));
                let gates: Vec<_> = mendable.map(|hazard| hazard.gate().as_str()).collect();
                if gates.is_empty() {
                    let (answer, lasts) = (pass.plan.to_string(), Duration::ZERO);
                    let facts = |left| AnswerFacts { answer, lasts, patience: None, left: Some(left), mendable: gates };
                    return left(pass).map(facts);
                }
                (gates.join(", "), None, gates)
            }
            Plan::Settled | Plan::Act(..) | Plan::Stalled(_) => {
                self.latest = None;
                return None;
            }
        };
        let since = self.latest.take().filter(|(before, _)| *before == key).map_or(now, |(_, since)| since);
        self.latest = Some((key, since));
        let (answer, lasts) = (pass.plan.to_string(), elapsed(now, since));
        Some(AnswerFacts { answer, lasts, patience, left: left(pass), mendable })
    }
}

/// Tells for how long an answer goes on waiting, where it names the moment, and the longest that this could be if the wait had only just
/// begun: whoever counts from the date of another machine may wait for longer.
fn left(pass: &Pass) -> Option<(Duration, Duration)> {
    let (limits, now) = (Limits::DEFAULT, pass.seen.now);
    let (until, longest) = match &pass.plan {
        Plan::Wait(waiting) => match &waiting.what {
            Awaited::Bake { until } | Awaited::Steady { until } => {
                (*until, pass.spec.rollout.bake_time.max(pass.spec.application.rules().stabilization))
            }
            Awaited::NothingElse { until } => (*until, limits.call),
            Awaited::NoLateStop { until, .. } | Awaited::NoLateLaunch { until } | Awaited::NothingLate { until } => {
                (*until, limits.late)
            }
            _ => return None,
        },
        Plan::Blocked(blocked) => {
            let until = blocked.hazards.iter().find_map(|hazard| match hazard {
                Hazard::RollbackCooldown { until } => Some(*until),
                _ => None,
            });
            (until?, limits.late)
        }
        Plan::Settled | Plan::Act(..) | Plan::Stalled(_) => return None,
    };
    Some((elapsed(until, now), longest))
}

/// Says whether the controller could end what a gate refuses for, and nothing of the kind was refused to it.
fn may_be_mended(hazard: &Hazard, pass: &Pass) -> bool {
    let mends = match hazard {
        Hazard::WouldBePruned { .. } => prunes_by_our_leave(&pass.spec) && is_led(&pass.seen),
        Hazard::GroupChanging { .. } => takes_a_running_member_for_unhealthy(&pass.seen),
        _ => false,
    };
    mends && pass.seen.setbacks.is_empty() && pass.seen.refused.is_none()
}

fn prunes_by_our_leave(spec: &ClusterSpec) -> bool {
    spec.application.rules().pruning.is_some_and(|guard| guard.managed)
}

fn is_led(seen: &Observation) -> bool {
    seen.membership.seen().is_some_and(|membership| membership.leader.is_some())
}

fn takes_a_running_member_for_unhealthy(seen: &Observation) -> bool {
    let Some((view, group)) = seen.cloud.seen().and_then(|view| Some((view, view.group.as_ref()?))) else {
        return false;
    };
    let runs = |it: &Instance| it.state == InstanceState::Running && !it.retired;
    let is_marked = |member: &GroupMember| member.lifecycle == Lifecycle::InService && !member.healthy;
    let is_claimed = seen.claim.seen().is_some_and(|record| record.held.is_some());
    is_claimed && group.members.iter().any(|(id, member)| is_marked(member) && view.instance(id).is_some_and(runs))
}
