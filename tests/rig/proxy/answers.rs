//! moto's answers, with what is on its way shown as EC2 shows it.

use std::time::Instant;

use roxmltree::Node;

use crate::ec2::Refused;
use crate::query::Request;
use crate::world::{Due, Life, Machine, Standing, World};
use crate::xml::{self, Edits};

/// moto's answer, as EC2 would give it now.
pub fn patched(request: &Request, body: String, world: &World, now: Instant) -> String {
    let Some(document) = xml::parse(&body) else { return body };
    let mut edits = Edits::default();
    let root = document.root_element();
    match request.action.as_str() {
        "DescribeInstances" | "RunInstances" => {
            let lists = root.descendants().filter(|node| node.has_tag_name("instancesSet"));
            lists.flat_map(|list| list.children()).for_each(|item| instance(item, world, &mut edits));
        }
        "DescribeVolumes" => xml::items(root, &["volumeSet"]).iter().for_each(|item| volume(*item, world, &mut edits)),
        "DescribeInstanceStatus" => {
            let all = request.param("IncludeAllInstances") == "true";
            let items = xml::items(root, &["instanceStatusSet"]);
            items.iter().for_each(|item| status(*item, all, world, now, &mut edits));
        }
        // moto's RegisterImage and CreateImage both drop the architecture that they are told.
        "DescribeImages" => xml::items(root, &["imagesSet"]).iter().for_each(|item| {
            if xml::find(*item, &["architecture"]).is_none() {
                edits.insert_after(xml::find(*item, &["imageId"]), "<architecture>x86_64</architecture>");
            }
        }),
        _ => {}
    }
    edits.apply(&body)
}

fn instance(item: Node<'_, '_>, world: &World, edits: &mut Edits) {
    let Some(machine) = world.machines.get(xml::text(item, &["instanceId"])) else { return };
    let (name, code) = machine.life.shown();
    edits.set(xml::find(item, &["instanceState", "name"]), name);
    edits.set(xml::find(item, &["instanceState", "code"]), code);
    for device in xml::items(item, &["blockDeviceMapping"]) {
        if let Some(disk) = world.disks.get(xml::text(device, &["ebs", "volumeId"])) {
            edits.set(xml::find(device, &["ebs", "status"]), attachment(disk.standing));
        }
    }
    reason(item, machine, edits);
    if let Some(time) = &machine.started_again {
        edits.set(xml::find(item, &["launchTime"]), time);
    }
    if machine.life == Life::Terminated {
        for gone in ["subnetId", "vpcId", "privateIpAddress", "blockDeviceMapping", "networkInterfaceSet"] {
            edits.remove(xml::find(item, &[gone]));
        }
    }
}

fn reason(item: Node<'_, '_>, machine: &Machine, edits: &mut Edits) {
    match (machine.life, machine.doomed) {
        (Life::Pending | Life::Running, _) => edits.remove(xml::find(item, &["stateReason"])),
        (Life::ShuttingDown | Life::Terminated, Some(code)) => {
            edits.set(xml::find(item, &["stateReason", "code"]), code);
            edits.set(xml::find(item, &["stateReason", "message"]), &format!("{code}: the launch failed"));
        }
        _ => {}
    }
}

fn volume(item: Node<'_, '_>, world: &World, edits: &mut Edits) {
    let Some(disk) = world.disks.get(xml::text(item, &["volumeId"])) else { return };
    let status = match disk.standing {
        Standing::Creating => "creating",
        Standing::Available => "available",
        Standing::Attaching | Standing::Attached | Standing::Detaching => "in-use",
    };
    edits.set(xml::find(item, &["status"]), status);
    for held in xml::items(item, &["attachmentSet"]) {
        edits.set(xml::find(held, &["status"]), attachment(disk.standing));
    }
}

fn attachment(standing: Standing) -> &'static str {
    match standing {
        Standing::Attaching => "attaching",
        Standing::Detaching => "detaching",
        Standing::Creating | Standing::Available | Standing::Attached => "attached",
    }
}

fn status(item: Node<'_, '_>, all: bool, world: &World, now: Instant, edits: &mut Edits) {
    let id = xml::text(item, &["instanceId"]);
    let Some(machine) = world.machines.get(id) else { return };
    if machine.life != Life::Running && !all {
        return edits.remove(Some(item));
    }
    let (name, code) = machine.life.shown();
    edits.set(xml::find(item, &["instanceState", "name"]), name);
    edits.set(xml::find(item, &["instanceState", "code"]), code);
    let check = match (machine.life, world.checks_passed(id, now)) {
        (Life::Running, true) => "ok",
        (Life::Running, false) => "initializing",
        _ => "not-applicable",
    };
    for kind in ["instanceStatus", "systemStatus"] {
        edits.set(xml::find(item, &[kind, "status"]), check);
    }
}

/// The answer to what moto will be told of only later.
pub fn begun(due: &Due, world: &World) -> String {
    match due {
        Due::Terminate(id) => {
            let before = world.machines.get(id).map_or(Life::Running, |machine| machine.life);
            let after = if before == Life::Terminated { before } else { Life::ShuttingDown };
            let state = |name: &str, life: Life| {
                format!("<{name}><code>{}</code><name>{}</name></{name}>", life.shown().1, life.shown().0)
            };
            let states = state("currentState", after) + &state("previousState", before);
            let item = format!("<instancesSet><item><instanceId>{id}</instanceId>{states}</item></instancesSet>");
            response("TerminateInstances", &item)
        }
        Due::Detach { volume, instance, device } => response(
            "DetachVolume",
            &format!(
                "<volumeId>{volume}</volumeId><instanceId>{instance}</instanceId><device>{device}</device>\
                 <status>detaching</status><attachTime>2026-01-01T00:00:00.000Z</attachTime>"
            ),
        ),
    }
}

/// `DescribeVolumeStatus`, which moto does not have: all is well, so there is nothing where only trouble is asked for.
pub fn volume_status(request: &Request, world: &World) -> String {
    let asked: Vec<_> = request.list("VolumeId").collect();
    let is_asked = |id: &str| asked.is_empty() || asked.contains(&id);
    let only_trouble = request.list("Filter").any(|value| value == "impaired");
    let wanted = world.disks.iter().filter(|(id, _)| !only_trouble && is_asked(id));
    let items = wanted.map(|(id, disk)| {
        format!(
            "<item><volumeId>{id}</volumeId><availabilityZone>{}</availabilityZone><volumeStatus><status>ok</status>\
             <details/></volumeStatus><eventsSet/><actionsSet/></item>",
            disk.zone
        )
    });
    response("DescribeVolumeStatus", &format!("<volumeStatusSet>{}</volumeStatusSet>", items.collect::<String>()))
}

/// `DescribeNetworkInterfaces` by a private address. moto finds an interface by its primary address alone, and shows those of
/// terminated instances.
pub fn interfaces(request: &Request, world: &World) -> String {
    let wanted: Vec<_> = request.list("Filter").collect();
    let holders = world.machines.iter().flat_map(|(id, machine)| {
        let secondary = machine.interface.secondary.iter().map(|address| (address, false));
        let primary = [(&machine.address, true)].into_iter().filter(move |_| !machine.interface.id.is_empty());
        primary.chain(secondary).map(move |(address, is_primary)| (id, &machine.interface, address, is_primary))
    });
    let found = holders.filter(|(_, _, address, _)| wanted.contains(&address.as_str()));
    let items = found.map(|(instance, interface, address, is_primary)| {
        format!(
            "<item><networkInterfaceId>{}</networkInterfaceId><subnetId>{}</subnetId>\
             <attachment><instanceId>{instance}</instanceId><status>attached</status></attachment>\
             <privateIpAddressesSet><item><privateIpAddress>{address}</privateIpAddress>\
             <primary>{is_primary}</primary></item></privateIpAddressesSet></item>",
            interface.id, interface.subnet
        )
    });
    let items: String = items.collect();
    response("DescribeNetworkInterfaces", &format!("<networkInterfaceSet>{items}</networkInterfaceSet>"))
}

fn response(action: &str, inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response \
         xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>rig</requestId>{inner}</{action}Response>"
    )
}

/// A refusal as the service words it.
pub fn error(service: &str, refused: &Refused) -> String {
    let (code, message) = (xml::escape(&refused.code), xml::escape(&refused.message));
    match service {
        "ec2" => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
             <Message>{message}</Message></Error></Errors><RequestID>rig</RequestID></Response>"
        ),
        _ => format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>rig</RequestId></ErrorResponse>"
        ),
    }
}

/// An answer in which one instance or volume is missing.
pub fn partial(body: &str, chance: &mut fastrand::Rng) -> String {
    let Some(document) = xml::parse(body) else { return body.to_owned() };
    let root = document.root_element();
    let mut lists = ["reservationSet", "volumeSet", "instanceStatusSet"].iter().map(|list| xml::items(root, &[list]));
    let items = lists.find(|items| !items.is_empty()).unwrap_or_default();
    let mut edits = Edits::default();
    edits.remove(chance.choice(items));
    edits.apply(body)
}
