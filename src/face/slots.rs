//! The slots of a cluster with what passes through them: instances, volumes, the address.

use crate::event::Pass;
use crate::observed::{AttachmentPhase, Claim, Instance, Volume, VolumeState};
use crate::plan::Look;
use crate::plan::look::SlotLook;
use crate::spec::VolumeSpec;
use crate::status::{MemberHealth, SlotStatus};

use super::document;

/// Reports every slot, in the order of the spec.
pub fn slots(pass: &Pass) -> Vec<document::Slot> {
    let Some(look) = Look::at(&pass.spec, &pass.seen).look() else { return Vec::new() };
    let claim = look.record.held.as_ref();
    let told = |slot: &SlotLook<'_>| pass.status.slots.iter().find(|status| status.slot == slot.spec.name);
    look.slots.iter().filter_map(|look| Some(slot(look, told(look)?, claim))).collect()
}

fn slot(look: &SlotLook<'_>, status: &SlotStatus, claim: Option<&Claim>) -> document::Slot {
    let claim = claim.filter(|claim| claim.slot == look.spec.name);
    let mut live: Vec<_> = look.live().collect();
    live.sort_by_key(|instance| (instance.launched_at, &instance.id));
    document::Slot {
        slot: look.spec.name.to_string(),
        zone: look.spec.zone.to_string(),
        address: look.spec.address.map(|address| address.to_string()),
        role: status.role.to_string(),
        health: status.health.to_string(),
        healthy: status.health == MemberHealth::Healthy,
        current: status.current,
        claimed: status.claimed,
        rejected: status.rejected,
        instances: live.into_iter().map(|one| instance(one, look, claim)).collect(),
        volumes: look.volumes.iter().map(|(declared, there)| volume(declared, *there)).collect(),
    }
}

fn instance(instance: &Instance, slot: &SlotLook<'_>, claim: Option<&Claim>) -> document::Instance {
    let part = match claim {
        Some(claim) if claim.launched(instance) => "new",
        Some(claim) if claim.old() == Some(&instance.id) => "old",
        _ => "only",
    };
    document::Instance {
        id: instance.id.to_string(),
        image: instance.make.image.to_string(),
        state: instance.state.to_string(),
        part,
        retired: instance.retired,
        has_address: slot.spec.address.is_some_and(|address| instance.has(address)),
    }
}

fn volume(declared: &VolumeSpec, there: Option<&Volume>) -> document::Volume {
    let attachment = there.and_then(|volume| match &volume.state {
        VolumeState::InUse(attachment) => Some(attachment),
        _ => None,
    });
    document::Volume {
        name: declared.name.to_string(),
        id: there.map(|volume| volume.id.to_string()),
        place: there.map_or_else(|| "not there".to_owned(), |volume| volume.state.to_string()),
        instance: attachment.map(|attachment| attachment.instance.to_string()),
        phase: attachment.map(|attachment| AttachmentPhase::to_string(&attachment.phase)),
    }
}
