//! The gates: a table of small questions, each of which may refuse. Every gate is asked, and every refusal is shown.
//!
//! The cluster is judged as it would be *after* the slot's member has been taken down. A gate answers with what it
//! found and what it wants, so that `explain` can show those that pass too.

use std::ops::RangeBounds;

use crate::ids::ImageId;
use crate::observed::{Health, Instance, Membership};

use super::answer::{Hazard, Hazards};
use super::look::{Look, SlotLook};

mod cloud;
mod creation;
mod group;
mod intent;
mod membership;
pub mod name;
mod preflight;
mod proof;
pub mod question;
mod related;

pub use name::GateName;
pub use question::{Finding, Question};
pub use related::is_waited_for;

/// One row of the table.
pub struct Gate {
    /// The stable name, part of the interface.
    pub name: GateName,
    /// The question, by what it stands before.
    pub ask: Ask,
}

/// A gate's question. What stands before everything is asked of the cluster, everything else of one slot.
pub enum Ask {
    /// Asked before anything is done to the cluster.
    Everything(fn(&Look<'_>) -> Finding),
    /// Asked before a lost member is brought back too.
    Repair(fn(&Question<'_, '_>) -> Finding),
    /// Asked before a slot is made that has never been there.
    Creation(fn(&Question<'_, '_>) -> Finding),
    /// Asked before a change that somebody wants: the beginning of a replacement, and the step that takes its member
    /// down.
    Upgrade(fn(&Question<'_, '_>) -> Finding),
}

/// The changes that a gate stands before. What stands before everything stands before a repair, and what stands before a
/// repair before everything that somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guards {
    /// Only the making of a slot that has never been there.
    Creation,
    /// Only a change that somebody wants.
    Upgrade,
    /// Bringing a lost member back too.
    Repair,
    /// Everything that is done to the cluster.
    Everything,
}

impl Gate {
    /// Names the changes that the gate stands before.
    pub fn guards(&self) -> Guards {
        match self.ask {
            Ask::Everything(_) => Guards::Everything,
            Ask::Repair(_) => Guards::Repair,
            Ask::Creation(_) => Guards::Creation,
            Ask::Upgrade(_) => Guards::Upgrade,
        }
    }

    /// Asks the gate about a slot.
    fn finding(&self, question: &Question<'_, '_>) -> Finding {
        match self.ask {
            Ask::Everything(ask) => ask(question.look),
            Ask::Repair(ask) | Ask::Creation(ask) | Ask::Upgrade(ask) => ask(question),
        }
    }
}

/// Every gate.
#[rustfmt::skip]
pub const GATES: &[Gate] = &[
    Gate { name: GateName::Frozen, ask: Ask::Everything(intent::frozen) },
    Gate { name: GateName::KillSwitch, ask: Ask::Everything(intent::kill_switch) },
    Gate { name: GateName::WrongAccount, ask: Ask::Everything(intent::wrong_account) },
    Gate { name: GateName::StaleObservation, ask: Ask::Everything(intent::stale_observation) },
    Gate { name: GateName::NotUnderstood, ask: Ask::Everything(intent::not_understood) },
    Gate { name: GateName::Suspended, ask: Ask::Upgrade(intent::suspended) },
    Gate { name: GateName::OutsideWindow, ask: Ask::Upgrade(intent::outside_window) },
    Gate { name: GateName::LeftBehind, ask: Ask::Creation(creation::left_behind) },
    Gate { name: GateName::ApprovalRequired, ask: Ask::Upgrade(intent::approval_required) },
    Gate { name: GateName::NotRehearsed, ask: Ask::Upgrade(intent::not_rehearsed) },
    Gate { name: GateName::GenerationRejected, ask: Ask::Upgrade(intent::generation_rejected) },
    Gate { name: GateName::RollbackCooldown, ask: Ask::Upgrade(intent::rollback_cooldown) },
    Gate { name: GateName::ClaimInCluster, ask: Ask::Upgrade(intent::claim_in_cluster) },
    Gate { name: GateName::ClaimHeld, ask: Ask::Upgrade(intent::claim_held) },
    Gate { name: GateName::AnotherReplacement, ask: Ask::Upgrade(intent::another_replacement) },
    Gate { name: GateName::DependencyUnsettled, ask: Ask::Upgrade(related::dependency_unsettled) },
    Gate { name: GateName::ImageUnavailable, ask: Ask::Repair(cloud::image_unavailable) },
    Gate { name: GateName::TypeUnsuitable, ask: Ask::Repair(preflight::type_unsuitable) },
    Gate { name: GateName::DeviceTaken, ask: Ask::Repair(preflight::device_taken) },
    Gate { name: GateName::AddressTaken, ask: Ask::Upgrade(preflight::address_taken) },
    Gate { name: GateName::NotOwned, ask: Ask::Repair(cloud::not_owned) },
    Gate { name: GateName::OwnedByAutoscaling, ask: Ask::Repair(group::owned_by_autoscaling) },
    Gate { name: GateName::GroupUnusable, ask: Ask::Repair(group::group_unusable) },
    Gate { name: GateName::GroupHasNoRoom, ask: Ask::Repair(group::group_has_no_room) },
    Gate { name: GateName::GroupChanging, ask: Ask::Upgrade(group::group_changing) },
    Gate { name: GateName::VolumeMissing, ask: Ask::Upgrade(cloud::volume_missing) },
    Gate { name: GateName::UndeclaredVolume, ask: Ask::Upgrade(preflight::undeclared_volume) },
    Gate { name: GateName::VolumeImpaired, ask: Ask::Repair(cloud::volume_impaired) },
    Gate { name: GateName::VolumeModifying, ask: Ask::Upgrade(cloud::volume_modifying) },
    Gate { name: GateName::DeleteOnTermination, ask: Ask::Upgrade(cloud::delete_on_termination) },
    Gate { name: GateName::ZoneImpaired, ask: Ask::Upgrade(cloud::zone_impaired) },
    Gate { name: GateName::ScheduledEvent, ask: Ask::Upgrade(cloud::scheduled_event) },
    Gate { name: GateName::UnknownHealth, ask: Ask::Upgrade(membership::unknown_health) },
    Gate { name: GateName::NoLeader, ask: Ask::Upgrade(membership::no_leader) },
    Gate { name: GateName::MembersMissing, ask: Ask::Upgrade(membership::members_missing) },
    Gate { name: GateName::MemberNotVoter, ask: Ask::Upgrade(membership::member_not_voter) },
    Gate { name: GateName::MemberUnhealthy, ask: Ask::Upgrade(membership::member_unhealthy) },
    Gate { name: GateName::QuorumWouldBeLost, ask: Ask::Upgrade(membership::quorum_would_be_lost) },
    Gate { name: GateName::Lagging, ask: Ask::Upgrade(membership::lagging) },
    Gate { name: GateName::Unstable, ask: Ask::Upgrade(membership::unstable) },
    Gate { name: GateName::WouldBePruned, ask: Ask::Upgrade(membership::would_be_pruned) },
    Gate { name: GateName::ApplicationForbids, ask: Ask::Upgrade(proof::application_forbids) },
    Gate { name: GateName::MemberElsewhere, ask: Ask::Upgrade(proof::member_elsewhere) },
    Gate { name: GateName::VersionUnprovable, ask: Ask::Upgrade(proof::version_unprovable) },
    Gate { name: GateName::VersionSkew, ask: Ask::Upgrade(proof::version_skew) },
];

/// Finds why nothing at all may be done, if that is so.
pub fn standstill(look: &Look<'_>) -> Option<Hazards> {
    let refusal = |gate: &Gate| match gate.ask {
        Ask::Everything(ask) => ask(look).hazard,
        Ask::Repair(_) | Ask::Creation(_) | Ask::Upgrade(_) => None,
    };
    let hazards: Vec<_> = GATES.iter().filter_map(refusal).collect();
    (!hazards.is_empty()).then(|| Hazards { hazards, ..Hazards::default() })
}

/// Lists why a slot must not be given back what it lost.
pub fn repair_refusals(look: &Look<'_>, slot: &SlotLook<'_>, image: &ImageId) -> Vec<Hazard> {
    refusals(&Question { look, slot, image }, Guards::Repair..)
}

/// Lists why a slot that has never been there must not be made now: for the reasons that stop a repair, for those of
/// people who want no changes now, and where it may be an earlier one under another name. A new cluster whose first slot
/// was made is finished, as a replacement is.
pub fn creation_refusals(look: &Look<'_>, slot: &SlotLook<'_>, image: &ImageId) -> Vec<Hazard> {
    let question = Question { look, slot, image };
    let is_forming = look.cloud.present_volumes().next().is_some()
        && look.cloud.present_volumes().all(|volume| volume.settled.is_none());
    let withheld = [intent::suspended, intent::outside_window].into_iter().filter_map(|ask| ask(&question).hazard);
    let withheld = withheld.filter(|hazard| !is_forming && !matches!(hazard, Hazard::WindowTooShort { .. }));
    let made = refusals(&question, Guards::Creation..=Guards::Creation);
    repair_refusals(look, slot, image).into_iter().chain(withheld).chain(made).collect()
}

/// Lists why a slot's replacement must not begin, or its member not be taken down.
pub fn upgrade_refusals(look: &Look<'_>, slot: &SlotLook<'_>) -> Vec<Hazard> {
    refusals(&Question { look, slot, image: &look.spec.image }, Guards::Upgrade..)
}

/// The gates that stand before a volume that grows where it is: those of people who want no changes now, and those that a member
/// could not be done without for.
#[rustfmt::skip]
const BEFORE_GROWTH: [GateName; 17] = [
    GateName::Suspended, GateName::OutsideWindow, GateName::ClaimHeld, GateName::AnotherReplacement,
    GateName::DependencyUnsettled, GateName::NotOwned,
    GateName::VolumeMissing, GateName::VolumeImpaired, GateName::ZoneImpaired, GateName::UnknownHealth, GateName::NoLeader,
    GateName::MembersMissing, GateName::MemberNotVoter, GateName::MemberUnhealthy, GateName::QuorumWouldBeLost,
    GateName::Lagging, GateName::Unstable,
];

/// Lists why a slot's volume must not grow now.
pub fn growth_refusals(look: &Look<'_>, slot: &SlotLook<'_>) -> Vec<Hazard> {
    let question = Question { look, slot, image: &look.spec.image };
    let before = GATES.iter().filter(|gate| BEFORE_GROWTH.contains(&gate.name));
    before.filter_map(|gate| gate.finding(&question).hazard).collect()
}

/// Lists why nobody has agreed to the spec's image for a slot yet, or not now.
pub fn withheld(look: &Look<'_>, slot: &SlotLook<'_>) -> Vec<Hazard> {
    let question = Question { look, slot, image: &look.spec.image };
    let asked = [intent::suspended, intent::outside_window, intent::approval_required, intent::not_rehearsed];
    asked.into_iter().filter_map(|ask| ask(&question).hazard).collect()
}

/// Lists why an instance that was given up must not be stopped after all. Should its member have become well since, it
/// is a member like any other; and as long as nobody can say, nobody may stop it. A process that never was a member can be
/// stopped without a leader. So can any that has not helped the others to one for long, where they are enough to elect one
/// with the member that comes back in its place, and have had the time to elect one with this: where they are too few, or
/// have only just been started, it may be what they lack.
pub fn taking_back_refusals(look: &Look<'_>, slot: &SlotLook<'_>, given_up: &Instance) -> Vec<Hazard> {
    let question = Question { look, slot, image: &look.spec.image };
    let quorum = || membership::quorum_caught_up_would_be_lost(&question).hazard.into_iter().collect();
    match (look.membership, slot.member.map(|member| &member.health)) {
        (None, _) => membership::unknown_health(&question).hazard.into_iter().collect(),
        (Some(members), _) if !look.is_led() => {
            let is_in_the_way = look.cannot_elect() && look.could_elect_with(slot, look.limits.leaderless);
            let may_help = has_joined(members, given_up) && !is_in_the_way;
            if may_help { vec![Hazard::NoLeader] } else { Vec::new() }
        }
        (Some(_), Some(Health::Healthy | Health::Unknown(_))) => quorum(),
        (Some(_), Some(Health::Unhealthy(_)) | None) => Vec::new(),
    }
}

/// Says whether any member is at the address of an instance.
fn has_joined(membership: &Membership, instance: &Instance) -> bool {
    let at = instance.asked_at();
    at.is_some() && membership.members.iter().any(|member| member.address == at)
}

/// Asks every gate about replacing a slot, as `explain` shows it.
pub fn findings<'t>(
    look: &'t Look<'_>,
    slot: &'t SlotLook<'_>,
    image: &'t ImageId,
) -> impl Iterator<Item = (&'static Gate, Finding)> + 't {
    GATES.iter().map(move |gate| (gate, gate.finding(&Question { look, slot, image })))
}

fn refusals(question: &Question<'_, '_>, guards: impl RangeBounds<Guards>) -> Vec<Hazard> {
    GATES
        .iter()
        .filter(|gate| guards.contains(&gate.guards()))
        .filter_map(|gate| gate.finding(question).hazard)
        .collect()
}
