//! Instances.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use aws_sdk_ec2::types::{self, AttachmentStatus, InstanceStateName};
use jiff::civil;
use jiff::tz::TimeZone;

use super::super::tags::{self, Tags};
use super::{Status, Unreadable, address, beyond, given, timestamp, unknown_word};
use crate::ids::{ClusterName, Generation, InstanceId};
use crate::input::text;
use crate::make::{CapacityReservation, Make, Placement, SHARED, UserData};
use crate::observed::{Device, Instance, InstanceState, Interface, Origin};
use crate::time::Timestamp;

/// An instance, and the cluster whose tag it bears. Where EC2 does not tell when it came to its state, `first_seen` says
/// since when it has been seen in it.
pub(in super::super) fn instance(
    seen: &types::Instance,
    status: Option<&Status>,
    first_seen: impl FnOnce(&InstanceId, InstanceState) -> Timestamp,
) -> Result<(ClusterName, Instance), Unreadable> {
    let tags = Tags::of(seen.tags());
    let cluster = tags.required(tags::CLUSTER)?;
    let id = InstanceId::from(given(seen.instance_id(), "id")?);
    let state = life_cycle(seen)?;
    let launched_at = seen
        .launch_time()
        .and_then(timestamp)
        .ok_or_else(|| Unreadable::UnknownWord("it has no launch time".to_owned()))?;
    let state_since = match state {
        InstanceState::Pending | InstanceState::Running => launched_at,
        _ => transition(seen.state_transition_reason()).unwrap_or_else(|| first_seen(&id, state)),
    };
    let status = status.cloned().unwrap_or_default();
    let generation: Option<Generation> = tags.name(tags::GENERATION);
    // The digest is set at a launch, together with the generation; an adopted instance has neither.
    let user_data = generation.as_ref().map_or(UserData::Unknown, |_| UserData::tagged(tags.name(tags::USER_DATA)));
    let instance = Instance {
        slot: tags.required(tags::SLOT)?,
        owner: tags.name(tags::OWNER),
        origin: Origin::of(generation.clone(), tags.attempt()?),
        retired: tags.get(tags::RETIRED).is_some(),
        state,
        state_reason: seen.state_reason().and_then(reason),
        state_since,
        launched_at,
        checks: status.checks,
        make: Arc::new(make(seen, user_data)?),
        zone: given(seen.placement().and_then(types::Placement::availability_zone), "zone")?.into(),
        subnet: seen.subnet_id().unwrap_or_default().to_owned(),
        address: seen.private_ip_address().filter(|text| !text.is_empty()).map(address).transpose()?,
        interface: interface(seen)?,
        fixed_address: tags.address()?,
        awaits: tags.volumes_of_guest(),
        tags: tags.others(),
        devices: devices(seen)?,
        auto_scaling_group: group(seen),
        scheduled_events: status.events,
        beyond: beyond(seen),
        id,
    };
    Ok((cluster, instance))
}

/// The make of an instance, with user data that is told by something else than EC2's description of it.
pub(in super::super) fn make(seen: &types::Instance, user_data: UserData) -> Result<Make, Unreadable> {
    Ok(Make {
        image: given(seen.image_id(), "image")?.into(),
        instance_type: given(seen.instance_type().map(types::InstanceType::as_str), "type")?.to_owned(),
        iam_instance_profile: profile_name(seen),
        security_groups: security_groups(seen),
        key_name: seen.key_name().filter(|name| !name.is_empty()).map(str::to_owned),
        placement: placement(seen),
        capacity_reservation: seen.capacity_reservation_specification().and_then(capacity_reservation),
        root_volume: Tags::of(seen.tags()).name(tags::ROOT_VOLUME),
        user_data,
    })
}

/// Reads the place of an instance.
pub(in super::super) fn placement(seen: &types::Instance) -> Placement {
    let Some(placement) = seen.placement() else { return Placement::default() };
    Placement {
        tenancy: tenancy(placement.tenancy()),
        group: placement.group_name().filter(|name| !name.is_empty()).map(str::to_owned),
    }
}

/// Reads a tenancy. A host that is shared is nothing special.
pub(super) fn tenancy(seen: Option<&types::Tenancy>) -> Option<String> {
    seen.map(types::Tenancy::as_str).filter(|word| !word.is_empty() && *word != SHARED).map(str::to_owned)
}

/// Reads the reservations that an instance was launched to use: any open one, if EC2 says nothing of them.
fn capacity_reservation(seen: &types::CapacityReservationSpecificationResponse) -> Option<CapacityReservation> {
    let target = seen.capacity_reservation_target();
    reservation(
        seen.capacity_reservation_preference(),
        target.and_then(types::CapacityReservationTargetResponse::capacity_reservation_id),
    )
}

/// Reads a reservation from a preference and the id of one.
pub(super) fn reservation(
    preference: Option<&types::CapacityReservationPreference>,
    id: Option<&str>,
) -> Option<CapacityReservation> {
    let named = id.filter(|id| !id.is_empty()).map(|id| CapacityReservation::Named(id.to_owned()));
    let is_avoided = preference == Some(&types::CapacityReservationPreference::None);
    named.or(is_avoided.then_some(CapacityReservation::Avoided))
}

/// Reads the state of an instance.
pub(in super::super) fn life_cycle(seen: &types::Instance) -> Result<InstanceState, Unreadable> {
    let name = seen.state().and_then(types::InstanceState::name);
    Ok(match name.ok_or_else(|| Unreadable::UnknownWord("it has no state".to_owned()))? {
        InstanceStateName::Pending => InstanceState::Pending,
        InstanceStateName::Running => InstanceState::Running,
        InstanceStateName::Stopping => InstanceState::Stopping,
        InstanceStateName::Stopped => InstanceState::Stopped,
        InstanceStateName::ShuttingDown => InstanceState::ShuttingDown,
        InstanceStateName::Terminated => InstanceState::Terminated,
        other => return Err(unknown_word("state", other.as_str())),
    })
}

/// The name at the end of the profile's ARN, `arn:aws:iam::123456789012:instance-profile/path/name`.
fn profile_name(seen: &types::Instance) -> Option<String> {
    let arn = seen.iam_instance_profile()?.arn()?;
    arn.rsplit('/').next().map(str::to_owned)
}

/// Reads the groups of the primary network interface, which are the instance's own. Further interfaces may have others.
fn security_groups(seen: &types::Instance) -> BTreeSet<String> {
    let groups = primary(seen).map_or_else(|| seen.security_groups(), types::InstanceNetworkInterface::groups);
    groups.iter().filter_map(|group| group.group_id().map(str::to_owned)).collect()
}

/// Finds the interface that the instance cannot be without.
fn primary(seen: &types::Instance) -> Option<&types::InstanceNetworkInterface> {
    seen.network_interfaces().iter().find(|interface| {
        interface.attachment().and_then(types::InstanceNetworkInterfaceAttachment::device_index) == Some(0)
    })
}

/// Reads the primary interface. A terminated instance has none.
pub(in super::super) fn interface(seen: &types::Instance) -> Result<Option<Interface>, Unreadable> {
    let Some(interface) = primary(seen) else { return Ok(None) };
    let secondary = interface.private_ip_addresses().iter().filter(|address| address.primary() == Some(false));
    let secondary = secondary.filter_map(types::InstancePrivateIpAddress::private_ip_address);
    let address = |text: &str| text.parse::<Ipv4Addr>().map_err(|_| unknown_word("secondary private address", text));
    let id = given(interface.network_interface_id(), "id on its network interface")?.into();
    Ok(Some(Interface { id, secondary: secondary.map(address).collect::<Result<_, _>>()? }))
}

/// The Auto Scaling group that it belongs to.
pub(in super::super) fn group(seen: &types::Instance) -> Option<String> {
    Tags::of(seen.tags()).name(tags::GROUP)
}

/// Whether that is where its root volume is. EC2 does not say which *volume* that is, only the device's name.
pub(in super::super) fn root_device(seen: &types::Instance, device: Option<&str>) -> bool {
    device.is_some() && device == seen.root_device_name()
}

/// Every attached volume but the root. One that is still `attaching` is not listed, as it is no use yet; one that is
/// `detaching` is.
fn devices(seen: &types::Instance) -> Result<Vec<Device>, Unreadable> {
    let mut devices = Vec::new();
    for mapping in seen.block_device_mappings() {
        let Some(ebs) = mapping.ebs().filter(|_| !root_device(seen, mapping.device_name())) else { continue };
        let attached = match ebs.status() {
            Some(AttachmentStatus::Attached | AttachmentStatus::Detaching) => true,
            Some(AttachmentStatus::Attaching | AttachmentStatus::Detached) => false,
            Some(other) if other.as_str() == "busy" => true, // a word of the volume view
            Some(other) => return Err(unknown_word("attachment status", other.as_str())),
            None => return Err(Unreadable::UnknownWord("it has an attachment without a status".to_owned())),
        };
        if attached {
            devices.push(Device {
                volume: given(ebs.volume_id(), "volume id on a device")?.into(),
                device: given(mapping.device_name(), "device name")?.to_owned(),
                delete_on_termination: ebs.delete_on_termination().unwrap_or(false),
            });
        }
    }
    Ok(devices)
}

/// EC2's code, and its message where that says more, such as `Client.VolumeLimitExceeded: Volume limit exceeded`.
fn reason(reason: &types::StateReason) -> Option<String> {
    let code = reason.code().filter(|code| !code.is_empty())?;
    let said = match reason.message().filter(|message| !message.is_empty()) {
        Some(message) if message.starts_with(code) => message.to_owned(),
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    };
    Some(text::clean(&said).into_owned())
}

/// The time in a text like `User initiated (2026-11-22 23:00:00 GMT)`.
fn transition(reason: Option<&str>) -> Option<Timestamp> {
    let (_, rest) = reason?.rsplit_once('(')?;
    let time = rest.strip_suffix(" GMT)").or_else(|| rest.strip_suffix(" UTC)"))?;
    let time: civil::DateTime = time.parse().ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::transition;

    #[test]
    fn the_time_of_a_transition_is_read_off_its_reason() {
        let read = |text| transition(Some(text)).map(|time| time.to_string());
        let then = Some("2026-11-22T23:00:00Z".to_owned());
        assert_eq!(read("User initiated (2026-11-22 23:00:00 GMT)"), then);
        assert_eq!(read("User initiated (2026-11-22 23:00:00 UTC)"), then);
        assert_eq!(read("User initiated"), None);
        assert_eq!(read("Server.ScheduledStop: Stopped (soon GMT)"), None);
        assert_eq!(transition(None), None);
    }
}
