//! `DescribeInstances`, `DescribeInstanceStatus` and `DescribeInstanceAttribute`.

use super::asked::Asked;
use super::listing::{Filters, Ids, Listed, Page};
use super::placement;
use super::problem::Problem;
use super::tags;
use super::xml::Xml;
use crate::ids::{ClusterName, InstanceId};
use crate::observed::tags::CLUSTER;
use crate::observed::{AttachmentPhase, Checks, Device, Instance, InstanceState, Shared, VolumeState};
use crate::sim::ec2::{Bucket, Machine, architecture};

/// The device that every image boots from.
pub const ROOT_DEVICE: &str = "/dev/xvda";
/// The filters of `DescribeInstances`.
const FILTERS: [&str; 12] = [
    "instance-id",
    "instance-state-name",
    "instance-state-code",
    "instance-type",
    "image-id",
    "availability-zone",
    "subnet-id",
    "private-ip-address",
    "client-token",
    "key-name",
    "block-device-mapping.volume-id",
    "instance.group-id",
];
/// The filters of `DescribeInstanceStatus`.
const STATUS_FILTERS: [&str; 4] =
    ["availability-zone", "instance-state-name", "instance-status.status", "system-status.status"];
/// EC2's limits of a page.
const PAGES: [usize; 2] = [5, 1_000];

/// `DescribeInstances`.
pub fn describe(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "InstanceId", "i", "InvalidInstanceID.Malformed")?;
    let filters = Filters::read(&params, &FILTERS)?;
    let page = Page::read(&params, &ids, &filters, PAGES)?;
    asked.begin(Bucket::Describe, "look", false)?;
    let is_look = filters.name("tag-key") || filters.name(&format!("tag:{CLUSTER}"));
    if let Some(sender) = asked.sender.filter(|_| is_look) {
        let swept = &mut asked.state.controllers.entry(sender.controller).or_default().swept;
        *swept = (*swept).max(Some(sender.sent));
    }
    let all = all(asked).into_iter().map(|shown| listed(asked, &shown)).collect();
    let found = ids.pick(all, "InvalidInstanceID.NotFound")?.into_iter().filter(|listed| filters.find(listed));
    let owner = asked.face.account.clone();
    Ok(page.cut("reservationSet", found.collect(), |listed| reservation(&owner, listed)))
}

/// An instance as it is shown, which may be a while ago.
pub struct Shown {
    pub cluster: ClusterName,
    pub seen: Shared<Instance>,
    /// The instance as it is now; none if it is gone.
    pub machine: Option<Machine>,
    /// EC2 describes it in words that nobody knows.
    pub is_odd: bool,
}

/// Lists all instances as they are shown now.
pub fn all(asked: &mut Asked) -> Vec<Shown> {
    let names: Vec<ClusterName> = asked.state.region.clusters.keys().cloned().collect();
    let mut all = Vec::new();
    for name in names {
        let view = asked.state.view_shown(&name);
        let machines = &asked.state.region.instances;
        all.extend(view.instances.iter().map(|seen| Shown {
            cluster: name.clone(),
            seen: seen.clone(),
            machine: machines.get(&seen.id).cloned(),
            is_odd: view.not_understood.contains_key(&*seen.id),
        }));
    }
    let region = &asked.state.region;
    let stray = |id| !region.clusters.values().any(|holdings| holdings.instances.contains(id));
    all.extend(region.instances.values().filter(|machine| stray(&machine.seen.id)).map(Shown::as_it_is));
    all.sort_by(|a, b| a.seen.id.cmp(&b.seen.id));
    all
}

impl Shown {
    /// Shows an instance as it is.
    pub fn as_it_is(machine: &Machine) -> Self {
        let (cluster, seen) = (machine.cluster.clone(), machine.seen.clone());
        Self { cluster, seen, machine: Some(machine.clone()), is_odd: false }
    }
}

fn listed(asked: &Asked, shown: &Shown) -> Listed {
    let seen = &shown.seen;
    let tags = tags::of_instance(&shown.cluster, seen, shown.machine.as_ref(), asked.notes);
    let mut facts = vec![
        ("instance-id", seen.id.to_string()),
        ("instance-state-name", seen.state.to_string()),
        ("instance-state-code", code(seen.state).to_string()),
        ("instance-type", seen.make.instance_type.clone()),
        ("image-id", seen.make.image.to_string()),
        ("availability-zone", seen.zone.to_string()),
        ("subnet-id", seen.subnet.clone()),
    ];
    facts.extend(seen.address.map(|address| ("private-ip-address", address.to_string())));
    facts.extend(asked.notes.launched_by.get(&seen.id).map(|token| ("client-token", token.clone())));
    facts.extend(seen.make.key_name.clone().map(|name| ("key-name", name)));
    facts.extend(seen.devices.iter().map(|device| ("block-device-mapping.volume-id", device.volume.to_string())));
    facts.extend(seen.make.security_groups.iter().map(|group| ("instance.group-id", group.clone())));
    Listed { id: seen.id.to_string(), xml: described(asked, shown, &tags), facts, tags }
}

/// Puts an instance into a reservation of its own, as one launch at a time has it.
pub fn reservation(owner: &str, listed: Listed) -> Vec<Xml> {
    vec![
        Xml::text("reservationId", format!("r-0{}", crate::ids::digest(listed.id.as_bytes()))),
        Xml::text("ownerId", owner),
        Xml::group("groupSet", []),
        Xml::set("instancesSet", [listed.xml]),
    ]
}

/// Describes the instance of a launch that was just made.
pub fn described_now(asked: &Asked, machine: &Machine) -> Listed {
    listed(asked, &Shown::as_it_is(machine))
}

/// EC2's number of a state.
fn code(state: InstanceState) -> u32 {
    match state {
        InstanceState::Pending => 0,
        InstanceState::Running => 16,
        InstanceState::ShuttingDown => 32,
        InstanceState::Terminated => 48,
        InstanceState::Stopping => 64,
        InstanceState::Stopped => 80,
    }
}

/// Writes a state.
pub fn state(name: &'static str, state: InstanceState) -> Xml {
    Xml::group(name, [Xml::text("code", code(state)), Xml::text("name", state)])
}

fn described(asked: &Asked, shown: &Shown, tags: &tags::Tags) -> Vec<Xml> {
    let seen = &shown.seen;
    let zone = Xml::text("availabilityZone", &seen.zone);
    let odd = Xml::group("instanceState", [Xml::text("code", 272), Xml::text("name", "unheard-of")]);
    let mut xml = vec![
        Xml::text("instanceId", &seen.id),
        Xml::text("imageId", &seen.make.image),
        if shown.is_odd { odd } else { state("instanceState", seen.state) },
        Xml::text("reason", transition(asked, seen)),
        Xml::text("amiLaunchIndex", 0),
        Xml::text("instanceType", &seen.make.instance_type),
        Xml::text("launchTime", asked.face.written(seen.launched_at)),
        Xml::group("placement", placement::written(&seen.make.placement).chain([zone])),
        Xml::group("monitoring", [Xml::text("state", "disabled")]),
        Xml::text("architecture", architecture(&seen.make.instance_type)),
        Xml::text("rootDeviceType", "ebs"),
        Xml::text("rootDeviceName", ROOT_DEVICE),
        Xml::text("virtualizationType", "hvm"),
        Xml::text("hypervisor", "xen"),
        Xml::text("clientToken", asked.notes.launched_by.get(&seen.id).map_or("", String::as_str)),
        tags::set(tags),
    ];
    xml.extend(seen.make.key_name.as_ref().map(|name| Xml::text("keyName", name)));
    xml.push(placement::reservation_written(seen.make.capacity_reservation.as_ref()));
    xml.extend(reason(seen));
    if seen.state == InstanceState::Terminated {
        return xml; // place, groups and devices are gone from the answer
    }
    xml.extend(network(seen));
    xml.push(profile(asked, seen));
    xml.push(Xml::set("blockDeviceMapping", devices(asked, seen)));
    let metadata = [
        ("state", "applied"),
        ("httpTokens", "required"),
        ("httpEndpoint", "enabled"),
        ("httpPutResponseHopLimit", "2"),
        ("instanceMetadataTags", "enabled"),
    ];
    xml.push(Xml::group("metadataOptions", metadata.map(|(name, text)| Xml::text(name, text))));
    xml
}

/// Says who brought the instance to its state, and when, as EC2 says it of stops and ends.
fn transition(asked: &Asked, seen: &Instance) -> String {
    if seen.state.is_up() {
        return String::new();
    }
    let server = seen.state_reason.as_deref().filter(|reason| reason.starts_with("Server."));
    let who = server.and_then(|reason| reason.split(':').next()).unwrap_or("User initiated");
    format!("{who} ({})", asked.face.in_words(seen.state_since))
}

/// Gives the reason of a state. A person's stop has one as well.
fn reason(seen: &Instance) -> Option<Xml> {
    if seen.state.is_up() {
        return None;
    }
    let said = seen.state_reason.clone();
    let said = said.unwrap_or_else(|| "Client.UserInitiatedShutdown: User initiated shutdown".to_owned());
    let code = said.split(':').next().unwrap_or_default().to_owned();
    Some(Xml::group("stateReason", [Xml::text("code", code), Xml::text("message", said)]))
}

/// The interface of an instance: as itself, which names the instance as its holder, or within the instance.
fn interface(seen: &Instance, holder: Option<&InstanceId>) -> Vec<Xml> {
    let address = address_of(seen);
    let attachment = [Xml::text("deviceIndex", 0), Xml::text("status", "attached")].into_iter();
    let attachment = attachment.chain(holder.map(|id| Xml::text("instanceId", id)));
    let written =
        |address: String, primary: bool| vec![Xml::text("privateIpAddress", address), Xml::text("primary", primary)];
    let secondary = seen.interface.iter().flat_map(|own| &own.secondary).map(|other| written(other.to_string(), false));
    let addresses: Vec<_> = std::iter::once(written(address.clone(), true)).chain(secondary).collect();
    vec![
        Xml::text("networkInterfaceId", interface_id(seen)),
        Xml::text("subnetId", &seen.subnet),
        Xml::text("vpcId", VPC),
        Xml::text("status", "in-use"),
        Xml::text("privateIpAddress", &address),
        Xml::text("sourceDestCheck", true),
        groups(seen),
        Xml::group("attachment", attachment),
        Xml::set("privateIpAddressesSet", addresses),
    ]
}

fn interface_id(seen: &Instance) -> String {
    seen.interface.as_ref().map(|own| own.id.to_string()).unwrap_or_default()
}

fn address_of(seen: &Instance) -> String {
    seen.address.map(|address| address.to_string()).unwrap_or_default()
}

fn groups(seen: &Instance) -> Xml {
    let groups = seen.make.security_groups.iter();
    Xml::set("groupSet", groups.map(|id| vec![Xml::text("groupId", id), Xml::text("groupName", id)]))
}

const INTERFACE_FILTERS: [&str; 4] =
    ["addresses.private-ip-address", "attachment.instance-id", "network-interface-id", "subnet-id"];

/// `DescribeNetworkInterfaces`: those of instances that are not terminated. The world has no others.
pub fn interfaces(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "NetworkInterfaceId", "eni", "InvalidNetworkInterfaceId.Malformed")?;
    let filters = Filters::read(&params, &INTERFACE_FILTERS)?;
    let page = Page::read(&params, &ids, &filters, PAGES)?;
    asked.begin(Bucket::Describe, "look", false)?;
    let live = asked.state.region.instances.values().filter(|machine| machine.seen.state.is_live());
    let all = live.map(|machine| listed_interface(asked, &machine.seen)).collect();
    let found = ids.pick(all, "InvalidNetworkInterfaceID.NotFound")?.into_iter();
    let found = found.filter(|listed| filters.find(listed)).collect();
    Ok(page.cut("networkInterfaceSet", found, |listed| listed.xml))
}

fn listed_interface(asked: &Asked, seen: &Instance) -> Listed {
    let secondary = seen.interface.iter().flat_map(|own| &own.secondary).map(ToString::to_string);
    let addresses = seen.address.map(|address| address.to_string()).into_iter().chain(secondary);
    let mut facts: Vec<_> = addresses.map(|address| ("addresses.private-ip-address", address)).collect();
    facts.push(("attachment.instance-id", seen.id.to_string()));
    facts.push(("network-interface-id", interface_id(seen)));
    facts.push(("subnet-id", seen.subnet.clone()));
    let tags = asked.notes.tags_of(&interface_id(seen));
    let xml = interface(seen, Some(&seen.id)).into_iter().chain([tags::set(&tags)]).collect();
    Listed { id: interface_id(seen), xml, facts, tags }
}

fn network(seen: &Instance) -> Vec<Xml> {
    vec![
        Xml::text("subnetId", &seen.subnet),
        Xml::text("vpcId", VPC),
        Xml::text("privateIpAddress", address_of(seen)),
        Xml::text("sourceDestCheck", true),
        groups(seen),
        Xml::set("networkInterfaceSet", [interface(seen, None)]),
    ]
}

/// The one VPC of the world.
pub const VPC: &str = "vpc-00000000";

fn profile(asked: &Asked, seen: &Instance) -> Xml {
    let arn = |name: &String| format!("arn:aws:iam::{}:instance-profile/{name}", asked.face.account);
    Xml::group("iamInstanceProfile", seen.make.iam_instance_profile.iter().map(|name| Xml::text("arn", arn(name))))
}

/// Lists what is attached: the root volume, each data volume that is there, and each that is on its way.
fn devices(asked: &Asked, seen: &Instance) -> Vec<Vec<Xml>> {
    let launched = asked.face.written(seen.launched_at);
    let root = mapping(ROOT_DEVICE, &tags::root_of(&seen.id), "attached", &launched, true);
    let volumes = &asked.state.region.volumes;
    let there = seen.devices.iter().map(|device| {
        let at = volumes.get(&device.volume).and_then(|disk| match &disk.seen.state {
            VolumeState::InUse(at) if at.instance == seen.id => Some(at),
            _ => None,
        });
        let status = at.map_or("attached".to_owned(), |at| at.phase.to_string());
        let since = asked.face.written(at.map_or(seen.launched_at, |at| at.since));
        mapping(&device.device, &device.volume, &status, &since, device.delete_on_termination)
    });
    let is_new = |id| !seen.devices.iter().any(|Device { volume, .. }| volume == id);
    let coming = volumes.values().filter(|disk| is_new(&disk.seen.id)).filter_map(|disk| match &disk.seen.state {
        VolumeState::InUse(at) if at.instance == seen.id && at.phase == AttachmentPhase::Attaching => {
            let since = asked.face.written(at.since);
            Some(mapping(&at.device, &disk.seen.id, "attaching", &since, disk.delete_on_termination))
        }
        _ => None,
    });
    std::iter::once(root).chain(there).chain(coming).collect()
}

fn mapping(device: &str, volume: &str, status: &str, since: &str, ends_with_it: bool) -> Vec<Xml> {
    let ebs = [
        Xml::text("volumeId", volume),
        Xml::text("status", status),
        Xml::text("attachTime", since),
        Xml::text("deleteOnTermination", ends_with_it),
    ];
    vec![Xml::text("deviceName", device), Xml::group("ebs", ebs)]
}

/// `DescribeInstanceStatus`. Only running instances have one, unless all are asked for.
pub fn statuses(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "InstanceId", "i", "InvalidInstanceID.Malformed")?;
    let filters = Filters::read(&params, &STATUS_FILTERS)?;
    let page = Page::read(&params, &ids, &filters, PAGES)?;
    let includes_all = params.flag("IncludeAllInstances")?.unwrap_or(false);
    asked.begin(Bucket::Describe, "look", false)?;
    let all = all(asked);
    let listed =
        ids.pick(all.iter().map(|shown| status(asked, &shown.seen)).collect(), "InvalidInstanceID.NotFound")?;
    let runs = |id: &str| all.iter().any(|shown| *shown.seen.id == *id && shown.seen.state == InstanceState::Running);
    let found = listed.into_iter().filter(|listed| (includes_all || runs(&listed.id)) && filters.find(listed));
    Ok(page.cut("instanceStatusSet", found.collect(), |listed| listed.xml))
}

fn status(asked: &Asked, seen: &Instance) -> Listed {
    let word = match &seen.checks {
        _ if seen.state != InstanceState::Running => "not-applicable",
        Checks::Ok => "ok",
        Checks::Initializing => "initializing",
        Checks::Impaired(_) => "impaired",
        Checks::Unknown => "insufficient-data",
    };
    let system = if word == "impaired" { "ok" } else { word };
    let events = seen.scheduled_events.iter().map(|event| {
        let code = &event.code;
        let description = "The instance is running on degraded hardware";
        vec![
            Xml::text("instanceEventId", format!("instance-event-0{}", crate::ids::digest(seen.id.as_bytes()))),
            Xml::text("code", code),
            Xml::text("description", description),
            Xml::text("notBefore", asked.face.written(event.not_before)),
        ]
    });
    let xml = vec![
        Xml::text("instanceId", &seen.id),
        Xml::text("availabilityZone", &seen.zone),
        Xml::set("eventsSet", events),
        state("instanceState", seen.state),
        Xml::group("systemStatus", [Xml::text("status", system)]),
        Xml::group("instanceStatus", [Xml::text("status", word)]),
    ];
    let facts = vec![
        ("availability-zone", seen.zone.to_string()),
        ("instance-state-name", seen.state.to_string()),
        ("instance-status.status", word.to_owned()),
        ("system-status.status", system.to_owned()),
    ];
    Listed { id: seen.id.to_string(), xml, facts, tags: tags::Tags::new() }
}

/// `DescribeInstanceAttribute`, of an attribute of protection.
pub fn attribute(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (id, name) = (params.required("InstanceId")?, params.required("Attribute")?);
    asked.begin(Bucket::Describe, "look", false)?;
    let machine = asked.state.region.machine(&id.as_str().into())?;
    let value = |name, value: bool| Xml::group(name, [Xml::text("value", value)]);
    let shown = match name.as_str() {
        "disableApiTermination" => value("disableApiTermination", machine.protection.termination),
        "disableApiStop" => value("disableApiStop", machine.protection.stop),
        "instanceInitiatedShutdownBehavior" => {
            Xml::group("instanceInitiatedShutdownBehavior", [Xml::text("value", "stop")])
        }
        other => return Err(Problem::value(format!("Value ({other}) for parameter attribute is invalid."))),
    };
    Ok(vec![Xml::text("instanceId", id), shown])
}
