//! The obstacles before the rest of a rollout, whatever small thing is done next: who reads a plan agrees to all of it.

use crate::ids::{PlanId, SlotName};
use crate::spec::Approval;

use super::answer::{Hazard, Hazards, Plan, Stall};
use super::approval;
use super::gates::{self, GateName};
use super::growth;
use super::look::{Look, SlotLook};
use super::select;
use super::slot_state::{SlotState, slot_state};

/// The approvals that the rest of a rollout takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    /// The plan that has to be approved before the next slot, whether or not it is.
    pub next: Option<PlanId>,
    /// The slots that wait for an approval whose id is not known yet.
    pub later: Vec<SlotName>,
}

/// Says which approvals the rest of the rollout takes.
pub fn approvals(look: &Look<'_>) -> Approvals {
    let claim = look.record.held.as_ref();
    let order = select::order(look);
    let outdated = order.iter().map(|next| next.slot);
    let mut outdated = outdated.filter(|slot| claim.is_none_or(|claim| claim.slot != slot.spec.name));
    let Some(first) = outdated.next() else { return Approvals::default() };
    let rest = || outdated.map(|slot| slot.spec.name.clone());
    let next = approval::needed(look, first);
    let later = match look.spec.rollout.approval {
        Approval::Never => Vec::new(),
        Approval::EverySlot => rest().collect(),
        Approval::Canary
            if next.is_some() || look.spec.rollout.approved == Some(approval::plan_id(look, approval::REST)) =>
        {
            Vec::new()
        }
        // The claimed slot is the canary.
        Approval::Canary if claim.is_some_and(|claim| claim.generation == look.generation) => {
            std::iter::once(first.spec.name.clone()).chain(rest()).collect()
        }
        Approval::Canary => rest().collect(),
    };
    Approvals { next, later }
}

/// The gates whose refusals last while something else is under way. What the others find is about members and volumes at this
/// moment, and is found anew when it is a slot's turn.
#[rustfmt::skip]
pub const LASTING: [GateName; 20] = [
    GateName::Suspended, GateName::OutsideWindow, GateName::ApprovalRequired, GateName::NotRehearsed,
    GateName::GenerationRejected, GateName::ClaimInCluster, GateName::ImageUnavailable, GateName::TypeUnsuitable,
    GateName::DeviceTaken, GateName::AddressTaken, GateName::NotOwned, GateName::OwnedByAutoscaling,
    GateName::GroupUnusable, GateName::UndeclaredVolume, GateName::VolumeImpaired, GateName::DeleteOnTermination,
    GateName::ApplicationForbids, GateName::MemberElsewhere, GateName::VersionUnprovable, GateName::VersionSkew,
];

/// Lists every refusal that stands before the next slot: those of a plan that is blocked, and those that it would come to once
/// what it does now is done.
pub fn refusals(look: &Look<'_>, plan: &Plan) -> Option<Hazards> {
    match plan {
        Plan::Blocked(hazards) => return Some(hazards.clone()),
        Plan::Stalled(stalls) if matches!(stalls.stall, Stall::Ended { .. }) => return None,
        Plan::Settled | Plan::Act(..) | Plan::Wait(_) | Plan::Stalled(_) => {}
    }
    let claimed = look.record.held.as_ref().map(|claim| &claim.slot);
    let order = select::order(look);
    let next = order.iter().find(|next| claimed != Some(&next.slot.spec.name));
    let (slot, hazards) = match next {
        Some(next) => (next.slot, gates::upgrade_refusals(look, next.slot)),
        None => {
            let growth = growth::outstanding(look).into_iter().next()?;
            (growth.slot, gates::growth_refusals(look, growth.slot))
        }
    };
    let lasts = |hazard: &Hazard| LASTING.contains(&hazard.gate()) || never_enough(look, hazard);
    let hazards: Vec<_> = match is_at_rest(look) {
        true => hazards.into_iter().filter(|hazard| !is_mended(look, hazard)).collect(),
        false => hazards.into_iter().filter(lasts).collect(),
    };
    (!hazards.is_empty()).then(|| Hazards { slot: Some(slot.spec.name.clone()), hazards, beside: Vec::new() })
}

/// Says whether no slot is being replaced, and each is served by one instance.
fn is_at_rest(look: &Look<'_>) -> bool {
    let serves = |slot: &SlotLook<'_>| matches!(slot_state(look, slot), SlotState::Serving(_));
    look.record.held.is_none() && look.slots.iter().all(serves)
}

/// Says whether a cluster has too few slots for any of them to be replaced.
fn never_enough(look: &Look<'_>, hazard: &Hazard) -> bool {
    matches!(hazard, Hazard::QuorumWouldBeLost { .. }) && look.slots.len() - 1 < look.needed()
}

/// Says whether the controller mends by itself what is refused, before it is the slot's turn.
fn is_mended(look: &Look<'_>, hazard: &Hazard) -> bool {
    let is_managed = look.rules.pruning.as_ref().is_some_and(|guard| guard.managed);
    matches!(hazard, Hazard::WouldBePruned { .. }) && is_managed
}
