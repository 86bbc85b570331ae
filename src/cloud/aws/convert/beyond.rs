//! Settings of an instance, or of a launch template, that no file can declare: what is launched in their place has none of
//! them.

use aws_sdk_ec2::types::{
    self, HttpTokensState, InstanceLifecycleType, LaunchTemplateHttpTokensState, MonitoringState,
};

use super::group::root_volume;
use crate::input::text;

/// Names the settings of an instance, e.g. `Elastic IP 192.0.2.1`, `host h-0a1b2c3d`.
pub(in super::super) fn beyond(seen: &types::Instance) -> Vec<String> {
    let mut beyond: Vec<String> = seen.network_interfaces().iter().flat_map(interface).collect();
    beyond.extend(seen.placement().and_then(types::Placement::host_id).and_then(host));
    let is_monitored = seen.monitoring().and_then(types::Monitoring::state) == Some(&MonitoringState::Enabled);
    let is_spot = seen.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
    let takes_any_token = seen.metadata_options().and_then(types::InstanceMetadataOptionsResponse::http_tokens)
        == Some(&HttpTokensState::Optional);
    let switches = [
        (is_monitored, "detailed monitoring"),
        (is_spot, "the price of a spot instance"),
        (takes_any_token, "a metadata service that asks for no token"),
        (seen.source_dest_check() == Some(false), "no check of source and destination"),
    ];
    beyond.extend(switches.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name.to_owned()));
    beyond.iter().map(|name| text::clean(name).into_owned()).collect()
}

/// Names what is beyond a plain primary interface: a further interface, an address that stays when its instance goes.
fn interface(seen: &types::InstanceNetworkInterface) -> Vec<String> {
    let index = seen.attachment().and_then(types::InstanceNetworkInterfaceAttachment::device_index);
    let further = index.is_some_and(|index| index != 0);
    let mut named: Vec<_> = further
        .then(|| format!("network interface {}", seen.network_interface_id().unwrap_or("without an id")))
        .into_iter()
        .collect();
    for address in seen.private_ip_addresses() {
        let public = address.association().filter(|public| public.ip_owner_id().is_some_and(|owner| owner != "amazon"));
        let public = public.and_then(types::InstanceNetworkInterfaceAssociation::public_ip);
        named.extend(public.map(|public| format!("Elastic IP {public}")));
    }
    named
}

fn host(id: &str) -> Option<String> {
    (!id.is_empty()).then(|| format!("host {id}"))
}

/// Names the settings of a launch template, e.g. `/dev/xvda of 50 GiB`, `detailed monitoring`.
pub(in super::super) fn beyond_template(seen: &types::ResponseLaunchTemplateData) -> Vec<String> {
    // A version of ours has a mapping only for the root volume, as the file wants it.
    let is_ours = root_volume(seen).is_some();
    let mappings = seen.block_device_mappings().iter().filter(|_| !is_ours);
    let mut beyond: Vec<String> = mappings.filter_map(mapping).collect();
    beyond.extend(seen.network_interfaces().iter().map(|interface| {
        let is_public = interface.associate_public_ip_address() == Some(true);
        if is_public { "a network interface with a public address" } else { "a network interface of its own" }
            .to_owned()
    }));
    beyond.extend(seen.placement().and_then(types::LaunchTemplatePlacement::host_id).and_then(host));
    let takes_any_token = seen.metadata_options().and_then(types::LaunchTemplateInstanceMetadataOptions::http_tokens)
        == Some(&LaunchTemplateHttpTokensState::Optional);
    let tags_volumes = seen.tag_specifications().iter().any(|tagged| {
        tagged.resource_type().is_some_and(|kind| *kind != types::ResourceType::Instance) && !tagged.tags().is_empty()
    });
    let switches = [
        (seen.monitoring().and_then(types::LaunchTemplatesMonitoring::enabled) == Some(true), "detailed monitoring"),
        (seen.instance_market_options().is_some(), "the price of a spot instance"),
        (seen.credit_specification().is_some(), "a credit specification"),
        (seen.cpu_options().is_some(), "CPU options"),
        (seen.ebs_optimized() == Some(true), "EBS optimisation"),
        (seen.disable_api_termination() == Some(true), "protection from termination"),
        (seen.disable_api_stop() == Some(true), "protection from stopping"),
        (takes_any_token, "a metadata service that asks for no token"),
        (tags_volumes, "tags on volumes"),
    ];
    beyond.extend(switches.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name.to_owned()));
    beyond
}

/// Names a mapping by what it changes of the image's own, e.g. `/dev/xvda of 50 GiB, gp3, encrypted`.
fn mapping(seen: &types::LaunchTemplateBlockDeviceMapping) -> Option<String> {
    let ebs = seen.ebs()?;
    let size = ebs.volume_size().map(|size| format!("{size} GiB"));
    let kind = ebs.volume_type().map(|kind| kind.as_str().to_owned());
    let encrypted = (ebs.encrypted() == Some(true)).then(|| "encrypted".to_owned());
    let parts: Vec<_> = [size, kind, encrypted].into_iter().flatten().collect();
    let of = if parts.is_empty() { String::new() } else { format!(" of {}", parts.join(", ")) };
    Some(format!("{}{of}", seen.device_name().unwrap_or("a device")))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        InstanceNetworkInterface, InstanceNetworkInterfaceAssociation, InstanceNetworkInterfaceAttachment,
        InstancePrivateIpAddress, LaunchTemplateBlockDeviceMapping, LaunchTemplateEbsBlockDevice, Placement,
    };

    use super::*;

    fn interface(index: i32, id: &str, owner: &str) -> InstanceNetworkInterface {
        let public = InstanceNetworkInterfaceAssociation::builder().public_ip("192.0.2.1").ip_owner_id(owner).build();
        let address = InstancePrivateIpAddress::builder().private_ip_address("10.0.0.1").primary(true);
        InstanceNetworkInterface::builder()
            .network_interface_id(id)
            .attachment(InstanceNetworkInterfaceAttachment::builder().device_index(index).build())
            .private_ip_addresses(address.association(public).build())
            .build()
    }

    #[test]
    fn a_plain_instance_has_nothing_beyond_the_file() {
        let plain = types::Instance::builder()
            .network_interfaces(interface(0, "eni-1", "amazon"))
            .placement(Placement::builder().host_id("").build())
            .build();
        assert_eq!(beyond(&plain), [""; 0]);
    }

    #[test]
    fn addresses_interfaces_and_hosts_are_named() {
        let special = types::Instance::builder()
            .network_interfaces(interface(0, "eni-1", "123456789012"))
            .network_interfaces(interface(1, "eni-2", "amazon"))
            .placement(Placement::builder().host_id("h-1").build())
            .build();
        let expected = ["Elastic IP 192.0.2.1", "network interface eni-2", "host h-1"];
        assert_eq!(beyond(&special), expected);
    }

    #[test]
    fn what_a_template_changes_of_the_image_is_named() {
        let ebs = LaunchTemplateEbsBlockDevice::builder().volume_size(50).volume_type(types::VolumeType::Gp3).build();
        let root = LaunchTemplateBlockDeviceMapping::builder().device_name("/dev/xvda").ebs(ebs).build();
        let data = types::ResponseLaunchTemplateData::builder().block_device_mappings(root).ebs_optimized(true).build();
        assert_eq!(beyond_template(&data), ["/dev/xvda of 50 GiB, gp3", "EBS optimisation"]);
        assert_eq!(beyond_template(&types::ResponseLaunchTemplateData::builder().build()), [""; 0]);
    }
}
