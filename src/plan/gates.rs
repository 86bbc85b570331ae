//! The gates: a table of small questions, each of which may refuse. All are asked, and all refusals are shown.
//!
//! The cluster is judged as it would be *after* the slot's member has been taken down. A gate answers with what it
//! found and what it wants, so that `explain` can show those that pass too.

use crate::ids::ImageId;
use crate::observed::Health;

use super::answer::{Hazard, Hazards};
use super::look::{Look, SlotLook};

mod cloud;
mod group;
mod intent;
mod membership;
pub mod question;

pub use question::{Finding, Question};

/// One row of the table.
pub struct Gate {
    /// Its stable name, part of the interface.
    pub name: &'static str,
    /// What it guards.
    pub guards: Guards,
    /// The question.
    pub ask: fn(&Question<'_, '_>) -> Finding,
}

/// What a gate stands before. Each includes the ones after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guards {
    /// Only a change that somebody wants: beginning a replacement, and the step that takes its member down.
    Upgrade,
    /// Bringing a lost member back too.
    Repair,
    /// Everything that is done to the cluster.
    Everything,
}

/// Every gate.
pub const GATES: &[Gate] = &[
    Gate { name: "frozen", guards: Guards::Everything, ask: intent::frozen },
    Gate { name: "kill-switch", guards: Guards::Everything, ask: intent::kill_switch },
    Gate { name: "wrong-account", guards: Guards::Everything, ask: intent::wrong_account },
    Gate { name: "stale-observation", guards: Guards::Everything, ask: intent::stale_observation },
    Gate { name: "suspended", guards: Guards::Upgrade, ask: intent::suspended },
    Gate { name: "outside-window", guards: Guards::Upgrade, ask: intent::outside_window },
    Gate { name: "approval-required", guards: Guards::Upgrade, ask: intent::approval_required },
    Gate { name: "not-rehearsed", guards: Guards::Upgrade, ask: intent::not_rehearsed },
    Gate { name: "generation-rejected", guards: Guards::Upgrade, ask: intent::generation_rejected },
    Gate { name: "rollback-cooldown", guards: Guards::Upgrade, ask: intent::rollback_cooldown },
    Gate { name: "claim-held", guards: Guards::Upgrade, ask: intent::claim_held },
    Gate { name: "another-replacement", guards: Guards::Upgrade, ask: intent::another_replacement },
    Gate { name: "image-unavailable", guards: Guards::Repair, ask: cloud::image_unavailable },
    Gate { name: "not-owned", guards: Guards::Repair, ask: cloud::not_owned },
    Gate { name: "owned-by-autoscaling", guards: Guards::Repair, ask: group::owned_by_autoscaling },
    Gate { name: "group-unusable", guards: Guards::Repair, ask: group::group_unusable },
    Gate { name: "group-has-no-room", guards: Guards::Repair, ask: group::group_has_no_room },
    Gate { name: "group-changing", guards: Guards::Upgrade, ask: group::group_changing },
    Gate { name: "volume-missing", guards: Guards::Upgrade, ask: cloud::volume_missing },
    Gate { name: "volume-impaired", guards: Guards::Repair, ask: cloud::volume_impaired },
    Gate { name: "volume-modifying", guards: Guards::Upgrade, ask: cloud::volume_modifying },
    Gate { name: "delete-on-termination", guards: Guards::Upgrade, ask: cloud::delete_on_termination },
    Gate { name: "zone-impaired", guards: Guards::Upgrade, ask: cloud::zone_impaired },
    Gate { name: "scheduled-event", guards: Guards::Upgrade, ask: cloud::scheduled_event },
    Gate { name: "unknown-health", guards: Guards::Upgrade, ask: membership::unknown_health },
    Gate { name: "no-leader", guards: Guards::Upgrade, ask: membership::no_leader },
    Gate { name: "members-missing", guards: Guards::Upgrade, ask: membership::members_missing },
    Gate { name: "member-not-voter", guards: Guards::Upgrade, ask: membership::member_not_voter },
    Gate { name: "member-unhealthy", guards: Guards::Upgrade, ask: membership::member_unhealthy },
    Gate { name: "quorum-would-be-lost", guards: Guards::Upgrade, ask: membership::quorum_would_be_lost },
    Gate { name: "lagging", guards: Guards::Upgrade, ask: membership::lagging },
    Gate { name: "unstable", guards: Guards::Upgrade, ask: membership::unstable },
    Gate { name: "autopilot-would-prune", guards: Guards::Upgrade, ask: membership::autopilot_would_prune },
];

/// Why nothing at all may be done, if that is so.
pub fn standstill(look: &Look<'_>) -> Option<Hazards> {
    let slot = look.slots.first()?;
    let hazards = refusals(&Question { look, slot, image: &look.spec.image }, Guards::Everything);
    (!hazards.is_empty()).then_some(Hazards { slot: None, hazards })
}

/// Why a slot must not be given back what it lost.
pub fn repair_refusals(look: &Look<'_>, slot: &SlotLook<'_>, image: &ImageId) -> Vec<Hazard> {
    refusals(&Question { look, slot, image }, Guards::Repair)
}

/// Why a slot's replacement must not begin, or its member not be taken down.
pub fn upgrade_refusals(look: &Look<'_>, slot: &SlotLook<'_>) -> Vec<Hazard> {
    refusals(&Question { look, slot, image: &look.spec.image }, Guards::Upgrade)
}

/// Why a replacement's new member, given up as unhealthy, must not be stopped after all. Should it have become well
/// since, it is a member like any other; and as long as nobody can say, nobody may stop it.
pub fn taking_back_refusals(look: &Look<'_>, slot: &SlotLook<'_>) -> Vec<Hazard> {
    let question = Question { look, slot, image: &look.spec.image };
    let quorum = || membership::quorum_would_be_lost(&question).hazard.into_iter().collect();
    match (look.membership, slot.member.map(|member| &member.health)) {
        (None, _) => membership::unknown_health(&question).hazard.into_iter().collect(),
        (Some(membership), _) if membership.leader.is_none() => vec![Hazard::NoLeader],
        (Some(_), Some(Health::Healthy | Health::Unknown(_))) => quorum(),
        (Some(_), Some(Health::Unhealthy(_)) | None) => Vec::new(),
    }
}

/// Every gate's answer about replacing a slot: what `explain` shows.
pub fn findings<'t>(
    look: &'t Look<'_>,
    slot: &'t SlotLook<'_>,
    image: &'t ImageId,
) -> impl Iterator<Item = (&'static Gate, Finding)> + 't {
    GATES.iter().map(move |gate| (gate, (gate.ask)(&Question { look, slot, image })))
}

fn refusals(question: &Question<'_, '_>, guards: Guards) -> Vec<Hazard> {
    GATES.iter().filter(|gate| gate.guards >= guards).filter_map(|gate| (gate.ask)(question).hazard).collect()
}
