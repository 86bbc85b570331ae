//! Facts for the look before a call. A resource whose tags make no sense has facts as well: somebody may have changed them.

use aws_sdk_ec2::types::{self, AttachmentStatus, SnapshotState};

use super::super::tags::{self, Tags};
use super::volume::size;
use super::{Unreadable, group, interface, life_cycle, root_device, volume_state};
use crate::action::facts::{DeviceFacts, InstanceFacts, SnapshotFacts, VolumeFacts};

/// Reads the facts about an instance.
pub(in super::super) fn instance_facts(seen: &types::Instance) -> Result<InstanceFacts, Unreadable> {
    let tags = Tags::of(seen.tags());
    let zone = seen.placement().and_then(types::Placement::availability_zone);
    Ok(InstanceFacts {
        state: life_cycle(seen)?,
        cluster: tags.name(tags::CLUSTER),
        slot: tags.name(tags::SLOT),
        owner: tags.name(tags::OWNER),
        generation: tags.name(tags::GENERATION),
        attempt: tags.attempt().ok(),
        retired: tags.get(tags::RETIRED).is_some(),
        tags: tags.others(),
        zone: zone.map(Into::into),
        devices: seen.block_device_mappings().iter().filter_map(|mapping| device(seen, mapping)).collect(),
        group: group(seen),
        interface: interface(seen)?.map(|interface| interface.id),
        is_protected: false, // asked for only where it matters
    })
}

fn device(seen: &types::Instance, mapping: &types::InstanceBlockDeviceMapping) -> Option<DeviceFacts> {
    let ebs = mapping.ebs().filter(|ebs| ebs.status() != Some(&AttachmentStatus::Detached))?;
    Some(DeviceFacts {
        device: mapping.device_name().unwrap_or_default().to_owned(),
        volume: ebs.volume_id().unwrap_or_default().into(),
        is_root: root_device(seen, mapping.device_name()),
        delete_on_termination: ebs.delete_on_termination().unwrap_or(false),
    })
}

/// Reads the facts about a volume, whoever made it.
pub(in super::super) fn volume_facts(seen: &types::Volume) -> Result<VolumeFacts, Unreadable> {
    let tags = Tags::of(seen.tags());
    Ok(VolumeFacts {
        state: volume_state(seen)?,
        cluster: tags.name(tags::CLUSTER),
        slot: tags.name(tags::SLOT),
        owner: tags.name(tags::OWNER),
        name: tags.name(tags::VOLUME),
        zone: seen.availability_zone().map(Into::into),
        size_gib: size(seen.size()),
        is_being_modified: false, // asked for only where it matters
        generation: tags.name(tags::GENERATION),
        image: tags.name(tags::IMAGE),
        attempt: tags.attempt().ok(),
        rejected: tags.name(tags::REJECTED),
        slots: tags.slots(),
        tags: tags.others(),
    })
}

/// Reads the facts about a snapshot.
pub(in super::super) fn snapshot_facts(seen: &types::Snapshot) -> SnapshotFacts {
    let tags = Tags::of(seen.tags());
    SnapshotFacts {
        volume: seen.volume_id().unwrap_or_default().into(),
        cluster: tags.name(tags::CLUSTER),
        owner: tags.name(tags::OWNER),
        attempt: tags.get(tags::ATTEMPT).and_then(|_| tags.attempt().ok()),
        taken: tags.taken(),
        copy_of: tags.name(tags::COPY_OF),
        failed: seen.state() == Some(&SnapshotState::Error),
    }
}
