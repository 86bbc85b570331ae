//! Volumes and snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_ec2::types::{self, VolumeAttachmentState, VolumeModificationState, VolumeState as Word};

use super::super::tags::{self, Tags};
use super::{Unreadable, given, timestamp, unknown_word};
use crate::ids::{ClusterName, VolumeId};
use crate::observed::{
    Attachment, AttachmentPhase, Settled, Snapshot, SnapshotPurpose, SnapshotState, Volume, VolumeState,
};
use crate::spec::EbsSettings;

/// Trouble and modifications of volumes, which EBS does not tell in the volume view.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct VolumeWarnings {
    pub(in super::super) impaired: BTreeMap<VolumeId, String>,
    pub(in super::super) modifying: BTreeSet<VolumeId>,
    pub(in super::super) optimizing: BTreeSet<VolumeId>,
}

/// Says whether EBS is still busy with a modification.
pub(in super::super) fn is_in_hand(seen: &types::VolumeModification) -> bool {
    matches!(seen.modification_state(), Some(VolumeModificationState::Modifying | VolumeModificationState::Optimizing))
}

/// A volume, and the cluster whose tag it bears.
pub(in super::super) fn volume(
    seen: &types::Volume,
    warnings: &VolumeWarnings,
) -> Result<(ClusterName, Volume), Unreadable> {
    let tags = Tags::of(seen.tags());
    let cluster = tags.required(tags::CLUSTER)?;
    let id = VolumeId::from(given(seen.volume_id(), "id")?);
    let volume = Volume {
        slot: tags.required(tags::SLOT)?,
        name: tags.required(tags::VOLUME)?,
        owner: tags.name(tags::OWNER),
        slots: Arc::new(tags.slots()),
        settled: tags.name(tags::GENERATION).map(|generation| Settled { generation, image: tags.name(tags::IMAGE) }),
        attempt: tags.attempt()?,
        rejected: tags.name(tags::REJECTED),
        state: volume_state(seen)?,
        zone: given(seen.availability_zone(), "zone")?.into(),
        size_gib: size(seen.size()),
        ebs: settings(seen),
        tags: tags.others(),
        impaired: warnings.impaired.get(&id).cloned(),
        modifying: warnings.modifying.contains(&id),
        optimizing: warnings.optimizing.contains(&id),
        id,
    };
    Ok((cluster, volume))
}

/// The settings of a volume beside its size.
pub(in super::super) fn settings(seen: &types::Volume) -> Option<EbsSettings> {
    let number = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    Some(EbsSettings {
        volume_type: seen.volume_type()?.as_str().to_owned(),
        iops: number(seen.iops()),
        throughput: number(seen.throughput()),
        encrypted: seen.encrypted().unwrap_or(false),
        kms_key: seen.kms_key_id().map(str::to_owned),
    })
}

pub(super) fn size(gib: Option<i32>) -> u32 {
    gib.and_then(|gib| u32::try_from(gib).ok()).unwrap_or_default()
}

/// Reads the state of a volume. One that may be attached to several instances counts as shared, whether or not it is.
pub(in super::super) fn volume_state(seen: &types::Volume) -> Result<VolumeState, Unreadable> {
    let word = seen.state().ok_or_else(|| Unreadable::UnknownWord("it has no state".to_owned()))?;
    let several = |attachments: &[Attachment]| {
        let holders: BTreeSet<_> = attachments.iter().map(|attachment| attachment.instance.clone()).collect();
        (holders.len() > 1 || seen.multi_attach_enabled() == Some(true)).then_some(VolumeState::Shared(holders))
    };
    Ok(match word {
        Word::Creating => VolumeState::Creating,
        Word::Deleting | Word::Deleted => VolumeState::Deleted,
        Word::Error => VolumeState::Error,
        Word::Available | Word::InUse => {
            let mut attachments = attachments(seen)?;
            match (several(&attachments), attachments.pop()) {
                (Some(shared), _) => shared,
                (None, Some(attachment)) => VolumeState::InUse(attachment),
                (None, None) if *word == Word::Available => VolumeState::Available,
                (None, None) => {
                    return Err(Unreadable::UnknownWord("it is in use, and attached to nothing".to_owned()));
                }
            }
        }
        other => return Err(unknown_word("state", other.as_str())),
    })
}

/// Everything that it is attached to. What is `detached` already counts as `detaching` for as long as the volume is in use.
fn attachments(seen: &types::Volume) -> Result<Vec<Attachment>, Unreadable> {
    let in_use = seen.state() == Some(&Word::InUse);
    let mut found = Vec::new();
    for attachment in seen.attachments() {
        let phase = match attachment.state() {
            Some(VolumeAttachmentState::Attaching) => AttachmentPhase::Attaching,
            Some(VolumeAttachmentState::Attached) => AttachmentPhase::Attached,
            Some(VolumeAttachmentState::Detaching) => AttachmentPhase::Detaching,
            Some(VolumeAttachmentState::Busy) => AttachmentPhase::Busy,
            Some(VolumeAttachmentState::Detached) if in_use => AttachmentPhase::Detaching,
            Some(VolumeAttachmentState::Detached) => continue,
            Some(other) => return Err(unknown_word("attachment state", other.as_str())),
            None => return Err(Unreadable::UnknownWord("it has an attachment without a state".to_owned())),
        };
        // Attached to something of AWS's own, such as a Fargate task, it has a resource and no instance.
        let holder = attachment.instance_id().or(attachment.associated_resource());
        found.push(Attachment {
            instance: given(holder, "instance in an attachment")?.into(),
            device: attachment.device().unwrap_or_default().to_owned(),
            phase,
            since: attachment
                .attach_time()
                .and_then(timestamp)
                .ok_or_else(|| Unreadable::UnknownWord("it has an attachment without a time".to_owned()))?,
        });
    }
    Ok(found)
}

/// A snapshot, and the cluster whose tag it bears.
pub(in super::super) fn snapshot(seen: &types::Snapshot) -> Result<(ClusterName, Snapshot), Unreadable> {
    let tags = Tags::of(seen.tags());
    let snapshot = Snapshot {
        id: given(seen.snapshot_id(), "id")?.into(),
        volume: given(seen.volume_id(), "volume")?.into(),
        purpose: SnapshotPurpose::of(tags.name(tags::COPY_OF), tags.attempt()?, tags.taken()),
        owner: tags.name(tags::OWNER),
        begun: seen.start_time().and_then(timestamp),
        size_gib: size(seen.volume_size()),
        state: match seen.state() {
            Some(types::SnapshotState::Error) => SnapshotState::Failed,
            Some(types::SnapshotState::Completed) => SnapshotState::Completed,
            Some(_) | None => SnapshotState::Pending,
        },
    };
    Ok((tags.required(tags::CLUSTER)?, snapshot))
}
