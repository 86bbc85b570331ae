//! The gate about clusters that stand on each other: never are both disrupted at once.
//!
//! Each writes its own claim before it reads the other's again, so of two that begin at the same moment at least one sees the
//! other. Then the one that stands on the other gives its claim up, and the other one goes on when it sees that.

use crate::ids::SlotName;
use crate::observed::{Claim, ClaimRecord, Health, Membership, Reading, Related, Relation};
use crate::plan::answer::Hazard;
use crate::plan::look::{Look, SlotLook};

use super::question::{Finding, Question, finding, listed};

/// Refuses while a cluster on which this one stands, or that stands on this one, is in motion, or not healthy, or not known.
pub(super) fn dependency_unsettled(q: &Question<'_, '_>) -> Finding {
    let is_stopping = is_stopping(q.look, q.slot);
    let related = &q.look.seen.related;
    let unrest = |related: &Related| unsettled(related, is_stopping);
    let clusters: Vec<_> =
        related.iter().filter_map(|(name, related)| Some((name.clone(), related.relation, unrest(related)?))).collect();
    let value = match (related.is_empty(), clusters.is_empty()) {
        (true, _) => "stands alone".to_owned(),
        (false, true) => format!("at rest: {}", listed(related.keys())),
        (false, false) => listed(clusters.iter().map(|(name, _, why)| format!("{name}: {why}"))),
    };
    let hazard = (!clusters.is_empty()).then_some(Hazard::DependencyUnsettled { clusters });
    finding(value, "all clusters that it stands on, or that stand on it, at rest and healthy", hazard)
}

/// Says whether the claim has it already that the slot's member is about to be stopped: whoever claims after that waits.
fn is_stopping(look: &Look<'_>, slot: &SlotLook<'_>) -> bool {
    let claim = look.record.held.as_ref().filter(|claim| claim.slot == slot.spec.name);
    claim.is_some_and(|claim| claim.old().is_some_and(|old| claim.stops.contains(old)))
}

/// Says why a related cluster is no company for a disruption, if that is so.
fn unsettled(related: &Related, is_stopping: bool) -> Option<String> {
    let view = match &related.cloud {
        Reading::Unknown { why } => return Some(format!("not known: {why}")),
        Reading::Seen { value, .. } => value,
    };
    if view.live_instances().next().is_none() && view.present_volumes().next().is_none() {
        return None; // nothing is there that could be disrupted
    }
    let (record, members) = match (&related.claim, &related.membership) {
        (Reading::Seen { value: record, .. }, Reading::Seen { value: members, .. }) => (record, members),
        (Reading::Unknown { why }, _) | (_, Reading::Unknown { why }) => return Some(format!("not known: {why}")),
    };
    in_motion(record, is_stopping).or_else(|| unhealthy(related, members))
}

fn in_motion(record: &ClaimRecord, is_stopping: bool) -> Option<String> {
    let waits_for_us = |claim: &&Claim| is_stopping && claim.stops.is_empty() && claim.old().is_some();
    match (&record.ending, record.held.as_ref().filter(|claim| !waits_for_us(claim))) {
        (Some(_), _) => Some("it is being destroyed".to_owned()),
        (None, Some(claim)) => Some(format!("{} is claimed there", claim.slot)),
        (None, None) => None,
    }
}

fn unhealthy(related: &Related, members: &Membership) -> Option<String> {
    let is_well = |slot: &&SlotName| {
        let mut own = members.members.iter().filter(|member| member.slot.as_ref() == Some(slot));
        own.any(|member| member.counts && member.health == Health::Healthy)
    };
    let ill: Vec<_> = related.slots.iter().filter(|slot| !is_well(slot)).collect();
    match (related.is_led && members.leader.is_none(), ill.is_empty()) {
        (true, _) => Some("nobody leads there".to_owned()),
        (false, false) => Some(format!("not healthy there: {}", listed(ill))),
        (false, true) => None,
    }
}

/// Says whether a claim under which nothing was stopped yet is given up, because a cluster on which this one stands waits for
/// it: it claimed at the same moment, and waits until it sees no claim here.
pub fn is_waited_for(look: &Look<'_>) -> bool {
    let waits = |related: &Related| {
        let claim = related.claim.seen().and_then(|record| record.held.as_ref());
        related.relation == Relation::Below
            && claim.is_some_and(|claim| claim.old().is_some() && claim.stops.is_empty())
    };
    look.seen.related.values().any(waits)
}
