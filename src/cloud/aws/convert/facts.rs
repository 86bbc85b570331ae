//! Facts about a region: images, instance types, zones, and volumes in trouble.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{self, AvailabilityZoneState, VolumeStatusInfoStatus};

use super::super::tags::{self, Tags};
use crate::ids::{ImageId, VolumeId, Zone};
use crate::observed::{Image, ImageDevice, ImageState};

/// An image. What EC2 does not say of it is empty, and so fits nothing.
pub(in super::super) fn image(seen: &types::Image) -> Option<(ImageId, Image)> {
    let state = image_state(seen.state());
    let architecture = seen.architecture().map_or("", types::ArchitectureValues::as_str).to_owned();
    let isolates_copies = Tags::of(seen.tags()).get(tags::GUEST) == Some(tags::ISOLATES_COPIES);
    let devices = seen.block_device_mappings().iter().filter_map(image_device).collect();
    let root_device = seen.root_device_name().filter(|name| !name.is_empty()).map(str::to_owned);
    Some((seen.image_id()?.into(), Image { state, architecture, isolates_copies, root_device, devices }))
}

/// Reads a device that an image fills: with a volume, or with a disk of the host. EC2 deletes volumes with their instance
/// unless it says that it does not.
fn image_device(mapping: &types::BlockDeviceMapping) -> Option<(String, ImageDevice)> {
    let is_filled = mapping.no_device().is_none() && (mapping.ebs().is_some() || mapping.virtual_name().is_some());
    is_filled.then_some(())?;
    let ebs = mapping.ebs();
    let delete_on_termination = ebs.and_then(types::EbsBlockDevice::delete_on_termination).unwrap_or(true);
    let size_gib = ebs.and_then(types::EbsBlockDevice::volume_size).and_then(|size| size.try_into().ok());
    Some((mapping.device_name()?.to_owned(), ImageDevice { delete_on_termination, size_gib }))
}

pub(super) fn image_state(word: Option<&types::ImageState>) -> ImageState {
    use types::ImageState as Word;
    match word {
        Some(Word::Pending) => ImageState::Pending,
        Some(Word::Available) => ImageState::Available,
        Some(Word::Invalid) => ImageState::Invalid,
        Some(Word::Deregistered) => ImageState::Deregistered,
        Some(Word::Transient) => ImageState::Transient,
        Some(Word::Failed) => ImageState::Failed,
        Some(Word::Error) => ImageState::Error,
        Some(Word::Disabled) => ImageState::Disabled,
        Some(_) | None => ImageState::Unknown,
    }
}

/// An instance type, and the architectures that it runs.
pub(in super::super) fn architectures(seen: &types::InstanceTypeInfo) -> Option<(String, BTreeSet<String>)> {
    let known = seen.processor_info().map(types::ProcessorInfo::supported_architectures).unwrap_or_default();
    let known = known.iter().map(|architecture| architecture.as_str().to_owned()).collect();
    Some((seen.instance_type()?.as_str().to_owned(), known))
}

/// Says whether an instance type runs on Xen.
pub(in super::super) fn is_xen(seen: &types::InstanceTypeInfo) -> bool {
    seen.hypervisor() == Some(&types::InstanceTypeHypervisor::Xen)
}

/// A zone that AWS has something to say of, or that is neither available nor constrained. A constrained one has little room: that shows
/// at a launch, while nothing is down.
pub(in super::super) fn impaired_zone(seen: &types::AvailabilityZone) -> Option<(Zone, String)> {
    let state = seen.state().map_or("unknown", AvailabilityZoneState::as_str);
    let messages: Vec<_> = seen.messages().iter().filter_map(types::AvailabilityZoneMessage::message).collect();
    let runs = [AvailabilityZoneState::Available, AvailabilityZoneState::Constrained];
    let well = seen.state().is_some_and(|state| runs.contains(state)) && messages.is_empty();
    let why = if messages.is_empty() { state.to_owned() } else { messages.join("; ") };
    (!well).then_some(())?;
    Some((seen.zone_name()?.into(), why))
}

/// A volume whose I/O is in trouble, and what EBS says of it.
pub(in super::super) fn impaired_volume(seen: &types::VolumeStatusItem) -> Option<(VolumeId, String)> {
    let info = seen.volume_status()?;
    (info.status() == Some(&VolumeStatusInfoStatus::Impaired)).then_some(())?;
    let well = |status: &str| matches!(status, "passed" | "normal" | "not-applicable");
    let details = info.details().iter().filter(|detail| !detail.status().is_some_and(well));
    let details = details.filter_map(|detail| {
        Some(format!("{} {}", detail.name()?.as_str(), detail.status()?)) // e.g. `io-enabled failed`
    });
    let events = seen.events().iter().filter_map(|event| event.description().map(str::to_owned));
    let said: Vec<String> = details.chain(events).collect();
    let why = if said.is_empty() { "impaired".to_owned() } else { said.join("; ") };
    Some((seen.volume_id()?.into(), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_with_little_room_is_not_impaired_and_one_that_aws_speaks_of_is() {
        let zone = |state: AvailabilityZoneState, said: Option<&str>| {
            let message = said.map(|said| vec![types::AvailabilityZoneMessage::builder().message(said).build()]);
            let zone = types::AvailabilityZone::builder().zone_name("us-east-1a").state(state).set_messages(message);
            impaired_zone(&zone.build()).map(|(_, why)| why)
        };
        assert_eq!(zone(AvailabilityZoneState::Available, None), None);
        assert_eq!(zone(AvailabilityZoneState::Constrained, None), None);
        assert_eq!(zone(AvailabilityZoneState::Constrained, Some("power")).as_deref(), Some("power"));
        assert_eq!(zone(AvailabilityZoneState::Impaired, None).as_deref(), Some("impaired"));
        assert_eq!(zone(AvailabilityZoneState::from("elsewhere"), None).as_deref(), Some("elsewhere"));
        assert_eq!(
            impaired_zone(&types::AvailabilityZone::builder().zone_name("us-east-1a").build()).unwrap().1,
            "unknown"
        );
    }
}
