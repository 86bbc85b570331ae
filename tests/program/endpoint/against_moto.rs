//! The same calls, to moto and to a served world: how the two answers differ, and who is right by AWS's documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use expect_test::expect_file;

/// A call, with the ids that calls before it have made in braces.
struct Step {
    call: &'static str,
    fields: &'static str,
    /// The element whose text is kept, and the name that it is kept under.
    keeps: Option<(&'static str, &'static str)>,
}

const fn step(call: &'static str, fields: &'static str) -> Step {
    Step { call, fields, keeps: None }
}

const fn make(call: &'static str, fields: &'static str, element: &'static str, name: &'static str) -> Step {
    Step { call, fields, keeps: Some((element, name)) }
}

/// Every action that both answer, in the life of an instance and its volume.
const STEPS: &[Step] = &[
    step("GetCallerIdentity", ""),
    step("DescribeAvailabilityZones", "ZoneName.1=us-east-1a"),
    step("DescribeInstanceTypes", "InstanceType.1=m5.large"),
    step("DescribeImages", "ImageId.1={image}"),
    step("GetEbsEncryptionByDefault", ""),
    make(
        "RunInstances",
        "ImageId={image}&InstanceType=m5.large&MinCount=1&MaxCount=1&SubnetId={subnet}&ClientToken=one",
        "instanceId",
        "instance",
    ),
    step("DescribeInstances", "InstanceId.1={instance}"),
    step("DescribeInstanceStatus", "InstanceId.1={instance}&IncludeAllInstances=true"),
    step("DescribeInstanceAttribute", "InstanceId={instance}&Attribute=disableApiTermination"),
    step("StopInstances", "InstanceId.1=i-00000000000000000"),
    step(
        "RunInstances",
        "ImageId={image}&InstanceType=m5.xlarge&MinCount=1&MaxCount=1&SubnetId={subnet}&ClientToken=one",
    ),
    make("CreateVolume", "AvailabilityZone=us-east-1a&Size=1&VolumeType=gp3", "volumeId", "volume"),
    step("DescribeVolumes", "VolumeId.1={volume}"),
    step("DescribeVolumes", "MaxResults=4"),
    step("DescribeVolumes", "Filter.1.Name=colour&Filter.1.Value.1=red"),
    step("CreateTags", "ResourceId.1={volume}&Tag.1.Key=team&Tag.1.Value=data"),
    step("DeleteTags", "ResourceId.1={volume}&Tag.1.Key=team"),
    step("AttachVolume", "VolumeId={volume}&InstanceId={instance}&Device=/dev/sdf"),
    step("AttachVolume", "VolumeId={volume}&InstanceId={instance}&Device=/dev/sdg"),
    step("DetachVolume", "VolumeId={volume}"),
    make("CreateSnapshot", "VolumeId={volume}", "snapshotId", "snapshot"),
    step("DescribeSnapshots", "SnapshotId.1={snapshot}"),
    step("DeleteSnapshot", "SnapshotId={snapshot}"),
    step("StopInstances", "InstanceId.1={instance}&DryRun=true"),
    step("StopInstances", "InstanceId.1={instance}"),
    step("StartInstances", "InstanceId.1={instance}"),
    step("TerminateInstances", "InstanceId.1={instance}"),
    step("DeleteVolume", "VolumeId=vol-00000000000000000"),
    step("StopInstances", ""),
    step("RebootTheWorld", ""),
];

/// The differences of status and code, each with who is right.
const JUDGED: &[(&str, &str)] = &[
    ("RunInstances 400 IdempotentParameterMismatch, moto 200", "the world is right: a token covers the whole request"),
    (
        "AttachVolume 400 IncorrectState, moto 200",
        "the world is right: a volume that is being created cannot be attached",
    ),
    (
        "DetachVolume 400 IncorrectState, moto 500",
        "the world is right: a volume that is not attached cannot be detached",
    ),
    ("DescribeVolumes 400 InvalidParameterValue, moto 200", "the world is right: five is the smallest page"),
    (
        "DescribeVolumes 400 InvalidParameterValue, moto 500",
        "the world is right: a filter that EC2 does not know is refused",
    ),
    (
        "StopInstances 400 IncorrectInstanceState, moto 200",
        "both are right: moto's instance runs at once, and a pending one cannot stop",
    ),
    ("StopInstances 400 MissingParameter, moto 200", "the world is right: an instance must be named"),
    (
        "TerminateInstances 200, moto 400 InvalidAttachment.NotFound",
        "the world is right: a volume that was detached is in nobody's way",
    ),
    ("RebootTheWorld 400 InvalidAction, moto 500", "the world is right: EC2 has a code for it"),
];
/// The lines above the list.
const HEAD: &str = "\
# The answers of moto and of the simulated world to the same calls: `tests/program/endpoint.rs` compares them, and UPDATE_EXPECT=1 writes this.
# An element that only moto has is one of EC2's that nothing here reads, so the world leaves it out; one that only the world has is
# EC2's as well. Where status or code differ, it is said who is right by AWS's documentation.
";

/// An endpoint, and the ids of what is there.
pub struct Side {
    pub url: String,
    pub ids: BTreeMap<String, String>,
}

impl Side {
    /// Asks, and gives the status and the document.
    pub async fn ask(&self, call: &str, fields: &str) -> (u16, String) {
        let mut fields = fields.to_owned();
        for (name, id) in &self.ids {
            fields = fields.replace(&format!("{{{name}}}"), id);
        }
        let (version, service) =
            if call == "GetCallerIdentity" { ("2011-06-15", "sts") } else { ("2016-11-15", "ec2") };
        let credential = format!("AWS4-HMAC-SHA256 Credential=simulated/20260105/us-east-1/{service}/aws4_request");
        let request = reqwest::Client::new()
            .post(&self.url)
            .header("authorization", format!("{credential}, SignedHeaders=host, Signature=0"))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(format!("Action={call}&Version={version}&{fields}"));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

/// Makes every call on both sides, and compares the answers with the differences that are known.
pub async fn compare(mut world: Side, mut moto: Side) {
    let mut text = HEAD.to_owned();
    for Step { call, fields, keeps } in STEPS {
        let (ours, theirs) = (world.ask(call, fields).await, moto.ask(call, fields).await);
        if let Some((element, name)) = keeps {
            for (side, (_, document)) in [(&mut world, &ours), (&mut moto, &theirs)] {
                side.ids.insert((*name).to_owned(), first(document, element).unwrap_or_default());
            }
        }
        text.push_str(&difference(&format!("{call} {fields}"), call, &ours, &theirs));
    }
    expect_file!["against-moto.txt"].assert_eq(&text);
}

fn difference(title: &str, call: &str, ours: &(u16, String), theirs: &(u16, String)) -> String {
    let mut text = format!("{}\n", title.trim());
    let said = |(status, document): &(u16, String)| match first(document, "Code") {
        Some(code) => format!("{status} {code}"),
        None => status.to_string(),
    };
    let (here, there) = (said(ours), said(theirs));
    if here != there {
        let named = format!("{call} {here}, moto {there}");
        let judged =
            JUDGED.iter().find(|(known, _)| named.starts_with(known)).map_or("not judged", |(_, judged)| *judged);
        let _ = writeln!(text, "  {here}, moto {there}: {judged}");
    }
    if ours.0 == theirs.0 {
        let (ours, theirs) = (paths(&ours.1), paths(&theirs.1));
        for (whose, paths) in [("only the world", &ours - &theirs), ("only moto", &theirs - &ours)] {
            if !paths.is_empty() {
                let paths: String = paths.iter().map(|path| format!("\n    {path}")).collect();
                let _ = writeln!(text, "  {whose}:{paths}");
            }
        }
    }
    text
}

/// The text of the first element of that name.
pub fn first(document: &str, element: &str) -> Option<String> {
    let document = roxmltree::Document::parse(document).ok()?;
    let found = document.descendants().find(|node| node.tag_name().name() == element)?;
    found.text().map(|text| text.trim().to_owned())
}

/// The paths of all elements with text in them. Elements that only hold others say nothing more.
fn paths(document: &str) -> BTreeSet<String> {
    let Ok(document) = roxmltree::Document::parse(document) else { return BTreeSet::new() };
    let filled =
        document.descendants().filter(|node| node.is_element() && !node.children().any(|child| child.is_element()));
    let filled = filled.filter(|node| node.text().is_some_and(|text| !text.trim().is_empty()));
    let path = |node: roxmltree::Node| {
        let mut names: Vec<_> =
            node.ancestors().filter(|node| node.is_element()).map(|node| node.tag_name().name().to_owned()).collect();
        names.pop();
        names.retain(|name| name != "item");
        names.reverse();
        names.join("/")
    };
    filled.map(path).filter(|path| !path.eq_ignore_ascii_case("requestId")).collect()
}
