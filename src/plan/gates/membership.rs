//! Gates about the members: the cluster as it would be after the slot's own member has been taken down.
//!
//! Of the slot's own member only one thing is asked, that its health is known: an outdated member that is unhealthy, or
//! that its peers have already dropped, is the first to be replaced.

use crate::ids::{MemberId, SlotName};
use crate::observed::{Health, Member, Pruning, Reading};
use crate::plan::answer::Hazard;
use crate::time::{Human, after, elapsed};

use super::question::{Finding, Question, finding, listed, not_asked};

/// The other slots, each with its member if it has one.
fn others<'q, 'a>(q: &'q Question<'_, 'a>) -> impl Iterator<Item = (&'q SlotName, Option<&'a Member>)> {
    q.look.others(q.slot).map(|slot| (&slot.spec.name, slot.member))
}

/// Says whether the slot's own member already counts for nothing, so that replacing it cannot make things worse.
fn is_repair(q: &Question<'_, '_>) -> bool {
    q.slot.member.is_none_or(|member| matches!(member.health, Health::Unhealthy(_)))
}

pub(super) fn unknown_health(q: &Question<'_, '_>) -> Finding {
    let why = match &q.look.seen.membership {
        Reading::Unknown { why } => Some(format!("the members could not be asked: {why}")),
        Reading::Seen { .. } => {
            let own = [(&q.slot.spec.name, q.slot.member)].into_iter();
            let unknown = own.chain(others(q)).find_map(|(slot, member)| match member.map(|member| &member.health) {
                Some(Health::Unknown(why)) => Some(format!("{slot}: {why}")),
                _ => None,
            });
            let silent = |member: &Member| member.health == Health::Healthy && member.lag.is_none();
            let behind = || others(q).find(|(_, member)| member.is_some_and(silent));
            unknown.or_else(|| Some(format!("{}: how far it is behind is not known", behind()?.0)))
        }
    };
    let value = why.clone().unwrap_or_else(|| "known of all".to_owned());
    finding(value, "known of all members", why.map(|why| Hazard::UnknownHealth { why }))
}

pub(super) fn no_leader(q: &Question<'_, '_>) -> Finding {
    if q.look.rules.leader.is_none() {
        return not_asked();
    }
    let leader = q.look.membership.and_then(|membership| membership.leader.clone());
    let hazard = leader.is_none().then_some(Hazard::NoLeader);
    finding(listed(leader), "a leader", hazard)
}

/// Refuses unless the members are the declared ones: not fewer, and nobody else.
pub(super) fn members_missing(q: &Question<'_, '_>) -> Finding {
    let missing: Vec<_> = others(q).filter(|(_, member)| member.is_none()).map(|(slot, _)| slot.clone()).collect();
    let members = q.look.membership.map(|membership| membership.members.as_slice()).unwrap_or_default();
    let stranger = |member: &&Member| {
        let first = |slot| members.iter().find(|other| other.slot.as_ref() == Some(slot));
        match &member.slot {
            None => true,
            // Two members that bear one slot's name: the second is a stranger.
            Some(slot) => first(slot).is_some_and(|first| first.id != member.id),
        }
    };
    let strangers: Vec<MemberId> = members.iter().filter(stranger).map(|member| member.id.clone()).collect();
    let value = format!("{} members; missing: {}; strangers: {}", members.len(), listed(&missing), listed(&strangers));
    let hazard =
        (!missing.is_empty() || !strangers.is_empty()).then_some(Hazard::MembersMissing { missing, strangers });
    finding(value, format!("the {} declared ones", q.look.spec.slots.len()), hazard)
}

pub(super) fn member_not_voter(q: &Question<'_, '_>) -> Finding {
    let without = others(q).filter(|(_, member)| member.is_some_and(|member| !member.counts));
    let slots: Vec<_> = without.map(|(slot, _)| slot.clone()).collect();
    let value = format!("without a vote: {}", listed(&slots));
    finding(value, "none of the others", (!slots.is_empty()).then_some(Hazard::MemberNotVoter { slots }))
}

/// Refuses while another member is unhealthy: reason enough not to take down a healthy one, and no reason against
/// replacing an unhealthy one.
pub(super) fn member_unhealthy(q: &Question<'_, '_>) -> Finding {
    let ill = others(q).filter_map(|(slot, member)| match member.map(|member| &member.health) {
        Some(Health::Unhealthy(why)) => Some((slot.clone(), why.clone())),
        _ => None,
    });
    let members: Vec<_> = ill.collect();
    let value = format!("unhealthy: {}", listed(members.iter().map(|(slot, why)| format!("{slot} ({why})"))));
    let refuses = !members.is_empty() && !is_repair(q);
    finding(value, "none of the others", refuses.then_some(Hazard::MemberUnhealthy { members }))
}

/// Refuses unless the healthy voters among the others are still a quorum of the *declared* number: of 3 two, of 4
/// three, of 5 three. Of 1 or 2 members none can be missed, so such a cluster is created and healed, and never
/// upgraded.
pub(super) fn quorum_would_be_lost(q: &Question<'_, '_>) -> Finding {
    quorum_of(q, |_| true)
}

/// Refuses the same where a member that has not caught up counts for nothing: how far the others lag is no gate of its own on the way back.
pub(super) fn quorum_caught_up_would_be_lost(q: &Question<'_, '_>) -> Finding {
    let limit = q.look.rules.lag_limit;
    quorum_of(q, |member| member.lag.is_none_or(|lag| !lag.exceeds(&limit)))
}

fn quorum_of(q: &Question<'_, '_>, is_enough: impl Fn(&Member) -> bool) -> Finding {
    let healthy = |member: &&Member| member.counts && member.health == Health::Healthy && is_enough(member);
    let healthy_after = others(q).filter_map(|(_, member)| member).filter(healthy).count();
    let quorum = q.look.needed();
    let refuses = healthy_after < quorum;
    let voters = if healthy_after == 1 { "voter" } else { "voters" };
    let value = format!("{healthy_after} healthy {voters} would remain");
    let wants = format!("at least {quorum} of {}", q.look.spec.slots.len());
    finding(value, wants, refuses.then_some(Hazard::QuorumWouldBeLost { healthy_after, quorum }))
}

pub(super) fn lagging(q: &Question<'_, '_>) -> Finding {
    let limit = q.look.rules.lag_limit;
    let behind = others(q).filter_map(|(slot, member)| Some((slot.clone(), member?.lag?)));
    let members: Vec<_> = behind.filter(|(_, lag)| lag.exceeds(&limit)).collect();
    let value = format!("behind: {}", listed(members.iter().map(|(slot, lag)| format!("{slot} by {lag}"))));
    let wants = format!("the others at most {limit} behind");
    finding(value, wants, (!members.is_empty()).then_some(Hazard::Lagging { members }))
}

/// Refuses until every other member has been healthy for a while, by our own timer: the application's starts over with
/// every new leader.
pub(super) fn unstable(q: &Question<'_, '_>) -> Finding {
    let (now, span) = (q.look.now, q.look.rules.stabilization);
    // Others that are ill have a gate of their own, which lets a member that is ill itself be replaced.
    let counts = |member: Option<&Member>| !is_repair(q) || member.is_some_and(|m| m.health == Health::Healthy);
    let ready_at = |slot| q.look.seen.steady.get(slot).map(|since| after(*since, span));
    let young: Vec<_> = others(q)
        .filter(|(_, member)| counts(*member))
        .map(|(slot, _)| (slot, ready_at(slot)))
        .filter(|(_, ready_at)| ready_at.is_none_or(|at| now < at))
        .collect();
    let slots: Vec<_> = young.iter().map(|(slot, _)| (*slot).clone()).collect();
    // Of a member that is not healthy now, nobody can say when it will have been for long enough.
    let until =
        young.iter().map(|(_, ready_at)| *ready_at).collect::<Option<Vec<_>>>().and_then(|at| at.into_iter().max());
    let left = until.map_or_else(String::new, |until| format!(", for another {}", Human(elapsed(until, now))));
    let value = format!("not yet steady: {}{left}", listed(&slots));
    let wants = format!("every other member healthy for {}", Human(span));
    finding(value, wants, (!slots.is_empty()).then_some(Hazard::Unstable { slots, until }))
}

/// Refuses while the application would drop a stopped member: it shrinks its quorum, and then looks healthy with too
/// few.
pub(super) fn would_be_pruned(q: &Question<'_, '_>) -> Finding {
    let Some(guard) = &q.look.rules.pruning else { return not_asked() };
    let declared = q.look.spec.slots.len();
    let pruning = q.look.membership.map(|membership| membership.pruning);
    let (value, hazard) = match pruning {
        None => ("not known".to_owned(), None),
        Some(Pruning::Never) => ("never prunes".to_owned(), None),
        Some(Pruning::DownTo(down_to)) => (
            format!("prunes down to {down_to}"),
            (down_to < declared).then_some(Hazard::WouldBePruned { down_to, declared, remedy: guard.remedy }),
        ),
    };
    finding(value, format!("never, or down to {declared}"), hazard)
}
