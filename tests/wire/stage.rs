//! A settled cluster behind the endpoint, and the ways to ask it.

use std::time::Duration;

use hermitcrab::ids::SlotName;
use hermitcrab::sim::wire::{Reply, Request, Wire};
use hermitcrab::sim::{FaultLevel, World};
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;
use hermitcrab::time::after;

/// A request of every action of EC2's, with `{instance}` and the like in the place of what is there.
pub const PLAUSIBLE: &[(&str, &[(&str, &str)])] = &[
    ("DescribeInstances", &[]),
    ("DescribeInstanceStatus", &[]),
    ("DescribeInstanceAttribute", &[("InstanceId", "{instance}"), ("Attribute", "disableApiStop")]),
    ("DescribeNetworkInterfaces", &[]),
    ("DescribeSubnets", &[]),
    ("GetSubnetCidrReservations", &[("SubnetId", "subnet-0aaaaaaaaaaaaaaaa")]),
    ("GetEbsEncryptionByDefault", &[]),
    ("GetEbsDefaultKmsKeyId", &[]),
    ("DescribeVolumes", &[]),
    ("DescribeVolumeStatus", &[]),
    ("DescribeVolumesModifications", &[]),
    ("DescribeSnapshots", &[("Owner.1", "self")]),
    ("DescribeImages", &[]),
    ("DescribeInstanceTypes", &[("InstanceType.1", "m7i.large")]),
    ("DescribeAvailabilityZones", &[]),
    ("DescribeLaunchTemplateVersions", &[("LaunchTemplateId", "lt-1"), ("LaunchTemplateVersion.1", "$Latest")]),
    ("RunInstances", LAUNCH),
    ("StopInstances", &[("InstanceId.1", "{instance}")]),
    ("StartInstances", &[("InstanceId.1", "{instance}")]),
    ("TerminateInstances", &[("InstanceId.1", "{instance}")]),
    ("ModifyInstanceAttribute", &[("InstanceId", "{instance}"), ("DisableApiStop.Value", "true")]),
    ("AttachVolume", &[("VolumeId", "{volume}"), ("InstanceId", "{instance}"), ("Device", "/dev/sdp")]),
    ("DetachVolume", &[("VolumeId", "{volume}")]),
    ("CreateVolume", &[("AvailabilityZone", "us-east-1a"), ("Size", "1"), ("ClientToken", "t")]),
    ("DeleteVolume", &[("VolumeId", "{volume}")]),
    ("ModifyVolume", &[("VolumeId", "{volume}"), ("Size", "40")]),
    ("CreateSnapshot", &[("VolumeId", "{volume}")]),
    ("DeleteSnapshot", &[("SnapshotId", "snap-00000000")]),
    ("CreateTags", &[("ResourceId.1", "{volume}"), ("Tag.1.Key", "a"), ("Tag.1.Value", "b")]),
    ("DeleteTags", &[("ResourceId.1", "{volume}"), ("Tag.1.Key", "a")]),
];

/// A plain launch, in the zone of the first slot.
pub const LAUNCH: &[(&str, &str)] = &[
    ("ImageId", "ami-0aaaaaaaaaaaaaaaa"),
    ("InstanceType", "m7i.large"),
    ("MinCount", "1"),
    ("MaxCount", "1"),
    ("SubnetId", "subnet-0aaaaaaaaaaaaaaaa"),
    ("ClientToken", "once"),
];

/// A cluster that has been running for a while, and the endpoint before its world.
pub struct Stage {
    pub world: World,
    pub wire: Wire,
    pub spec: ClusterSpec,
}

impl Stage {
    pub fn new() -> Self {
        Self::of("desired-state/prod/consul.yaml")
    }

    pub fn of(path: &str) -> Self {
        let spec = load(&[path.into()]).specs().next().unwrap().1.clone();
        let world = World::new(1, FaultLevel::None);
        world.on_loopback();
        world.settle(&spec);
        Self { wire: Wire::new(&world), world, spec }
    }

    pub fn pass(&self, span: Duration) {
        self.world.advance_to(after(self.world.time(), span));
    }

    pub fn request(&self, action: &str, fields: &[(String, String)]) -> Request {
        signed("2016-11-15", action, fields)
    }

    pub fn ask(&self, action: &str, fields: &[(&str, &str)]) -> (u16, String) {
        self.ask_version("2016-11-15", action, fields)
    }

    pub fn ask_version(&self, version: &str, action: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        text(self.wire.answer(&signed(version, action, &fields)))
    }

    /// Asks what must be granted, and gives the texts of all elements of that name.
    pub fn all(&self, action: &str, fields: &[(&str, &str)], name: &str) -> Vec<String> {
        let (status, answer) = self.ask(action, fields);
        assert_eq!(status, 200, "{action}: {answer}");
        texts(&answer, name)
    }

    /// Asks what must be granted, and gives the text of the first element of that name.
    pub fn one(&self, action: &str, fields: &[(&str, &str)], name: &str) -> String {
        self.all(action, fields, name).into_iter().next().unwrap_or_default()
    }

    /// Asks what must be refused: the status and the code.
    pub fn refusal(&self, action: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let (status, answer) = self.ask(action, fields);
        (status, refused(&answer))
    }

    pub fn refusal_of(&self, action: &str, fields: &[(String, String)]) -> (u16, String) {
        let (status, answer) = text(self.wire.answer(&signed("2016-11-15", action, fields)));
        (status, refused(&answer))
    }

    pub fn filled(&self, fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let (instance, volume) = (self.instance("consul-a"), self.volume("consul-a"));
        let fill = |text: &str| text.replace("{instance}", &instance).replace("{volume}", &volume);
        fields.iter().map(|(name, value)| (name.to_string(), fill(value))).collect()
    }

    pub fn instance(&self, slot: &str) -> String {
        let view = self.world.view(&self.spec.name);
        view.live_instances().find(|seen| seen.slot == SlotName::from(slot)).unwrap().id.to_string()
    }

    pub fn volume(&self, slot: &str) -> String {
        let view = self.world.view(&self.spec.name);
        view.present_volumes().find(|seen| seen.slot == SlotName::from(slot)).unwrap().id.to_string()
    }
}

fn signed(version: &str, action: &str, fields: &[(String, String)]) -> Request {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("Action", action).append_pair("Version", version).extend_pairs(fields);
    Request {
        authorization: "AWS4-HMAC-SHA256 Credential=simulated/20260105/us-east-1/ec2/aws4_request, Signature=0"
            .to_owned(),
        agent: "aws-cli/2".to_owned(),
        body: body.finish().into_bytes(),
    }
}

pub fn text(reply: Reply) -> (u16, String) {
    match reply {
        Reply::Answer(status, text) => (status, text),
        Reply::Silence => panic!("nobody answers"),
    }
}

pub fn texts(document: &str, name: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(document).unwrap();
    let named = document.descendants().filter(|node| node.tag_name().name() == name);
    named
        .filter(|node| !node.children().any(|child| child.is_element()))
        .map(|node| node.text().unwrap_or_default().to_owned())
        .collect()
}

/// The code of a refusal; nothing where the call was granted.
pub fn refused(document: &str) -> String {
    texts(document, "Code").into_iter().next().unwrap_or_default()
}
