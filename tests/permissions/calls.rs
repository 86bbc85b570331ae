//! Every call that the program makes of AWS, on every resource that AWS authorises it on. The list is written down from the
//! adapter's code: nothing compares it with what is sent.

use serde_json::{Value, json};

use hermitcrab::cloud::permissions::{NeededBy, On, PERMISSIONS};

use crate::iam::Request;
use crate::place::{CLUSTER, Place, TEMPLATE, Tags, both};

/// The name of a copy, as `rehearse` gives it.
pub const COPY: &str = "consul-example-rehearsal-1";

/// The calls of a controller of one cluster, in an adopted group and with a key of its own.
pub fn of_a_controller(place: &Place) -> Vec<Request> {
    [looks(place), life(place, CLUSTER), vec![grow(place, &Tags::of(CLUSTER))], keys(place), groups(place)].concat()
}

/// The calls of a rehearsal: the life of a copy, which begins with data of the cluster's.
pub fn of_a_rehearsal(place: &Place) -> Vec<Request> {
    let copy = Tags::of(COPY).with("hermitcrab:copy-of", CLUSTER);
    let snapshot = place.arn("snapshot", "snap-0aaaaaaaaaaaaaaaa");
    let mut calls = [looks(place), life(place, COPY), keys(place)].concat();
    calls.extend(save(place, &Tags::of(CLUSTER), &copy));
    calls.push(place.request("ec2:CreateVolume", &snapshot, copy.there()));
    calls.push(place.request("ec2:DeleteVolume", &volume(place), Tags::of(COPY).there()));
    calls.push(place.request("ec2:DeleteSnapshot", &snapshot, copy.there()));
    calls
}

fn looks(place: &Place) -> Vec<Request> {
    let seen = PERMISSIONS.iter().filter(|one| one.on == On::Everything && one.needed_by != NeededBy::Addresses);
    let on = |action: &str| if action == "ec2:DescribeInstanceAttribute" { instance(place) } else { "*".to_owned() };
    seen.map(|one| place.request(one.action, &on(one.action), json!({}))).collect()
}

/// The calls about fixed addresses, which no cluster in a group has.
pub fn about_addresses(place: &Place) -> Vec<Request> {
    let seen = PERMISSIONS.iter().filter(|one| one.on == On::Everything && one.needed_by == NeededBy::Addresses);
    let mut calls: Vec<_> = seen.map(|one| place.request(one.action, "*", json!({}))).collect();
    calls.push(move_address(place, &Tags::of(CLUSTER)));
    calls.extend(made(place, "ec2:RunInstances", "network-interface", &Tags::of(CLUSTER)));
    calls
}

/// The move of an address to a network interface.
pub fn move_address(place: &Place, there: &Tags) -> Request {
    let interface = place.arn("network-interface", "eni-0aaaaaaaaaaaaaaaa");
    place.request("ec2:AssignPrivateIpAddresses", &interface, there.there())
}

/// Every call about one cluster's instances and volumes.
pub fn life(place: &Place, cluster: &str) -> Vec<Request> {
    let ours = Tags::of(cluster);
    let member = [("consul-example-member", "ec2")];
    let mut calls = launch(place, &ours);
    calls.extend(member.map(|(role, to)| pass(place, role, &place.service(to))));
    for action in ["ec2:StopInstances", "ec2:StartInstances", "ec2:TerminateInstances"] {
        calls.push(place.request(action, &instance(place), ours.there()));
    }
    calls.extend(made(place, "ec2:CreateVolume", "volume", &ours.clone().with("hermitcrab:volume", "data")));
    for action in ["ec2:DetachVolume", "ec2:AttachVolume"] {
        calls.push(place.request(action, &instance(place), ours.there()));
        calls.push(place.request(action, &volume(place), ours.there()));
    }
    calls.extend(save(place, &ours, &ours.clone().with("hermitcrab:attempt", "1")));
    let retired = Tags::default().with("hermitcrab:retired", "2026-11-28T00:00:00Z");
    let rejected = Tags::default().with("hermitcrab:rejected", "g1");
    calls.push(place.request("ec2:CreateTags", &instance(place), both(ours.there(), retired.requested())));
    for action in ["ec2:CreateTags", "ec2:DeleteTags"] {
        calls.push(place.request(action, &volume(place), both(ours.there(), rejected.requested())));
    }
    calls
}

/// A volume is made larger.
pub fn grow(place: &Place, there: &Tags) -> Request {
    place.request("ec2:ModifyVolume", &volume(place), there.there())
}

/// A launch: what is made, and what it is made from.
pub fn launch(place: &Place, tags: &Tags) -> Vec<Request> {
    let root = Tags::default().with("Name", "consul-1 root").with("hermitcrab:owner", "hermitcrab");
    let from = [
        ("image", "ami-0aaaaaaaaaaaaaaaa"),
        ("subnet", "subnet-0aaaaaaaaaaaaaaaa"),
        ("security-group", "sg-0c0ffee0c0ffee000"),
        ("network-interface", "*"),
        ("key-pair", "operators"),
    ];
    let from = from.map(|(kind, id)| place.request("ec2:RunInstances", &place.arn(kind, id), json!({})));
    let mut calls = made(place, "ec2:RunInstances", "instance", tags).to_vec();
    calls.extend(made(place, "ec2:RunInstances", "volume", &root));
    calls.extend(from);
    calls
}

/// Something that is made with tags, and the tags themselves.
pub fn made(place: &Place, action: &str, kind: &str, tags: &Tags) -> [Request; 2] {
    let resource = place.arn(kind, "*");
    let (_, call) = action.split_once(':').unwrap();
    let tagged = both(tags.requested(), json!({ "ec2:CreateAction": call }));
    [place.request(action, &resource, tags.requested()), place.request("ec2:CreateTags", &resource, tagged)]
}

/// A snapshot of a volume.
pub fn save(place: &Place, of: &Tags, tags: &Tags) -> Vec<Request> {
    let mut calls = made(place, "ec2:CreateSnapshot", "snapshot", tags).to_vec();
    calls.push(place.request("ec2:CreateSnapshot", &volume(place), of.there()));
    calls
}

pub fn pass(place: &Place, role: &str, to: &str) -> Request {
    place.request("iam:PassRole", &place.role(role), json!({ "iam:PassedToService": to }))
}

/// Lists the requests that EC2 sends to KMS for whoever makes a volume.
fn keys(place: &Place) -> Vec<Request> {
    let mut calls = vec![place.request("kms:DescribeKey", &place.key(), json!({}))];
    for action in ["Decrypt", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"] {
        calls.push(place.request(&format!("kms:{action}"), &place.key(), through(place, "ec2")));
    }
    let grant = both(through(place, "ec2"), json!({ "kms:GrantIsForAWSResource": "true" }));
    calls.push(place.request("kms:CreateGrant", &place.key(), grant));
    calls
}

pub fn through(place: &Place, service: &str) -> Value {
    json!({ "kms:ViaService": place.endpoint(service) })
}

/// Calls about the adopted group and its launch template, and the tags of what it launched by itself.
fn groups(place: &Place) -> Vec<Request> {
    let on_groups = PERMISSIONS.iter().filter(|one| one.on == On::AdoptedGroups);
    let mut calls: Vec<_> = on_groups.map(|one| place.request(one.action, &place.group(CLUSTER), json!({}))).collect();
    let template = Tags::default().with("hermitcrab:owner", "hermitcrab");
    calls.push(place.request(
        "ec2:CreateLaunchTemplateVersion",
        &place.arn("launch-template", TEMPLATE),
        template.there(),
    ));
    // A group that is given a template asks EC2 whether its caller may launch from it.
    calls.push(place.request("ec2:RunInstances", &place.arn("launch-template", TEMPLATE), json!({})));
    calls.push(recruit(place, &Tags::default().with("aws:autoscaling:groupName", CLUSTER)));
    calls
}

/// The tags that make what a group has launched a slot's.
pub fn recruit(place: &Place, there: &Tags) -> Request {
    let context = both(there.there(), Tags::of(CLUSTER).requested());
    place.request("ec2:CreateTags", &instance(place), context)
}

pub fn instance(place: &Place) -> String {
    place.arn("instance", "i-0aaaaaaaaaaaaaaaa")
}

pub fn volume(place: &Place) -> String {
    place.arn("volume", "vol-0aaaaaaaaaaaaaaaa")
}
