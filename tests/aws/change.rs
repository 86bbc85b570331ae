//! The calls that are sent for an effect, and those that are not, against an endpoint with scripted answers.

use std::fmt::Write;
use std::slice::from_ref;
use std::time::Duration;

use expect_test::expect_file;
use hermitcrab::action::{CloudEffect, Launch};
use hermitcrab::cloud::aws::{Aws, Options};
use hermitcrab::ids::{Attempt, InstanceId, Owner, SlotName, Token, VolumeId};
use hermitcrab::make::{Make, UserData};
use hermitcrab::ports::{Cloud, Decision, ErrorKind, Outcome, PortError};
use hermitcrab::spec::ClusterSpec;
use libtest_mimic::Trial;

use crate::endpoint::Endpoint;
use crate::fixture::{AT_ANY_TIME, OWNER, TestClock, open, spec};

pub fn trials() -> Vec<Trial> {
    vec![
        crate::trial("a_launch_is_sent_the_same_twice", a_launch_is_sent_the_same_twice),
        crate::trial("a_refusal_is_of_its_kind_and_never_repeated", a_refusal_is_of_its_kind),
        crate::trial(
            "a_token_that_was_used_before_leads_to_its_instance",
            a_token_that_was_used_before_leads_to_its_instance,
        ),
        crate::trial("a_launch_that_brings_something_else_holds", a_launch_that_brings_something_else_holds),
        crate::trial("launches_beyond_the_limit_are_not_sent", launches_beyond_the_limit_are_not_sent),
        crate::trial("what_was_decided_too_long_ago_is_not_sent", what_was_decided_too_long_ago_is_not_sent),
        crate::trial("nothing_is_detached_from_what_may_use_it", nothing_is_detached_from_what_may_use_it),
        crate::trial("a_race_that_ec2_settles_is_no_failure", a_race_that_ec2_settles_is_no_failure),
        crate::trial("a_revision_goes_with_the_call_that_settles", a_revision_goes_with_the_call_that_settles),
        crate::trial("a_volume_meets_only_its_own_slot", a_volume_meets_only_its_own_slot),
        crate::trial("what_is_not_ours_is_not_touched", what_is_not_ours_is_not_touched),
        crate::trial("what_cannot_be_terminated_is_not_stopped", what_cannot_be_terminated_is_not_stopped),
        crate::trial("nothing_is_terminated_with_a_volume_in_either_view", nothing_is_terminated_with_a_volume),
        crate::trial("somebodys_volume_is_not_deleted_with_an_adopted_instance", somebodys_volume_is_not_deleted),
    ]
}

const SHELL: &str = "i-0aaaaaaaaaaaaaaaa";
const DATA: &str = "vol-0aaaaaaaaaaaaaaaa";

/// An endpoint, the adapter, and the cluster.
struct Stage {
    endpoint: Endpoint,
    aws: Aws<TestClock>,
    spec: ClusterSpec,
    slot: SlotName,
}

impl Stage {
    async fn new() -> Self {
        let endpoint = Endpoint::start().await;
        let aws = open(&TestClock::at("2026-11-23T00:00:00Z"), Some(&endpoint.url)).await;
        let spec = spec();
        endpoint.answers("DescribeInstanceAttribute", protected_from_termination(false));
        Self { endpoint, aws, slot: spec.slots[0].name.clone(), spec }
    }

    async fn change(&self, effect: &CloudEffect) -> Result<Outcome, PortError> {
        self.aws.change(&self.spec, Some(&self.slot), effect, &AT_ANY_TIME).await
    }

    /// Sets the answers of the instance view and the volume view.
    fn shows(&self, instance: &str, volumes: &[String]) {
        let instance =
            format!("<item><reservationId>r-1</reservationId><instancesSet>{instance}</instancesSet></item>");
        let instances = format!("<reservationSet>{instance}</reservationSet>");
        self.endpoint.instead("DescribeInstances", response("DescribeInstances", &instances));
        let volumes = format!("<volumeSet>{}</volumeSet>", volumes.concat());
        self.endpoint.instead("DescribeVolumes", response("DescribeVolumes", &volumes));
    }

    /// Whether a call of that name was never sent.
    fn never_sent(&self, action: &str) -> bool {
        self.endpoint.asked_for(action).is_empty()
    }

    fn launch(&self) -> Launch {
        let (spec, slot) = (&self.spec, self.spec.slot(&self.slot).unwrap());
        Launch {
            token: Token::from("hermitcrab-0011223344556677"),
            slot: slot.name.clone(),
            make: Make { key_name: None, user_data: UserData::Digest("fedcba9876543210".to_owned()), ..spec.make() },
            user_data_text: Some("#!/bin/sh\n".to_owned()),
            zone: slot.zone.clone(),
            subnet: slot.subnet.clone(),
            address: None,
            tags: spec.instance.tags.clone(),
            interface_tags: spec.tags.clone(),
            owner: Owner::from(OWNER),
            generation: spec.generation(),
            attempt: Attempt(4),
            volumes: [("data".into(), VolumeId::from(DATA))].into(),
            goes_with_it: std::collections::BTreeMap::new(),
            root_volume: None,
        }
    }
}

fn protected_from_termination(is_on: bool) -> String {
    let value = format!("<disableApiTermination><value>{is_on}</value></disableApiTermination>");
    response("DescribeInstanceAttribute", &format!("<instanceId>{SHELL}</instanceId>{value}"))
}

fn response(action: &str, inside: &str) -> String {
    format!("<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{inside}</{action}Response>")
}

fn tags(all: &[(&str, &str)]) -> String {
    let mut text = String::from("<tagSet>");
    for (key, value) in all {
        let _ = write!(text, "<item><key>{key}</key><value>{value}</value></item>");
    }
    text + "</tagSet>"
}

const OURS: [(&str, &str); 3] =
    [("hermitcrab:cluster", "consul-prod"), ("hermitcrab:owner", OWNER), ("hermitcrab:slot", "consul-a")];

fn ours_and(more: &[(&'static str, &'static str)]) -> String {
    tags(&[&OURS[..], more].concat())
}

/// An instance with a root volume, and with other devices as `(device, volume, delete on termination)`.
fn instance(state: &str, tags: &str, devices: &[(&str, &str, bool)]) -> String {
    let device = |(device, volume, deleted): &(&str, &str, bool)| {
        format!(
            "<item><deviceName>{device}</deviceName><ebs><volumeId>{volume}</volumeId><status>attached</status>\
             <deleteOnTermination>{deleted}</deleteOnTermination></ebs></item>"
        )
    };
    let root = device(&("/dev/xvda", "vol-0root", true));
    let others: String = devices.iter().map(device).collect();
    format!(
        "<item><instanceId>{SHELL}</instanceId><instanceState><name>{state}</name></instanceState>\
         <placement><availabilityZone>us-east-1a</availabilityZone></placement>\
         <rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>{root}{others}</blockDeviceMapping>{tags}</item>"
    )
}

fn volume(id: &str, attached: Option<&str>, tags: &str) -> String {
    let at = attached.map_or_else(String::new, |state| {
        format!(
            "<item><volumeId>{id}</volumeId><instanceId>{SHELL}</instanceId><device>/dev/sdf</device>\
             <status>{state}</status><attachTime>2026-11-20T09:33:40.000Z</attachTime></item>"
        )
    });
    let state = if attached.is_some() { "in-use" } else { "available" };
    format!(
        "<item><volumeId>{id}</volumeId><status>{state}</status><availabilityZone>us-east-1a</availabilityZone>\
         <attachmentSet>{at}</attachmentSet>{tags}</item>"
    )
}

fn detach() -> CloudEffect {
    CloudEffect::Detach { volume: DATA.into(), instance: SHELL.into(), device: "/dev/sdf".to_owned() }
}

fn attach() -> CloudEffect {
    CloudEffect::Attach { volume: DATA.into(), instance: SHELL.into(), device: "/dev/sdf".to_owned() }
}

fn stop() -> CloudEffect {
    CloudEffect::Stop { instance: SHELL.into() }
}

fn terminate() -> CloudEffect {
    CloudEffect::Terminate { instance: SHELL.into() }
}

fn is_changed(outcome: &Result<Outcome, PortError>) -> bool {
    matches!(outcome, Ok(Outcome::Changed { .. }))
}

/// Writes EC2's answer to a launch.
fn launched(stage: &Stage, image: &str) -> String {
    let launch = stage.launch();
    let attempt = launch.attempt.to_string();
    let all = [
        ("Name", "consul-a"),
        ("team", "platform"),
        ("consul-servers", "3"),
        ("hermitcrab:generation", &*launch.generation),
        ("hermitcrab:attempt", &attempt),
        ("hermitcrab:user-data", "fedcba9876543210"),
        ("hermitcrab:volume:data", DATA),
    ];
    let tags = tags(&[&OURS[..], &all[..]].concat());
    let item = format!(
        "<item><instanceId>{SHELL}</instanceId><imageId>{image}</imageId><instanceType>m7i.large</instanceType>\
         <subnetId>{}</subnetId><placement><availabilityZone>us-east-1a</availabilityZone></placement>{tags}</item>",
        launch.subnet
    );
    response("RunInstances", &format!("<instancesSet>{item}</instancesSet>"))
}

async fn a_launch_is_sent_the_same_twice() {
    let stage = Stage::new().await;
    stage.endpoint.answers("RunInstances", launched(&stage, &stage.spec.image));
    let effect = CloudEffect::Launch(Box::new(stage.launch()));
    for _ in 0..2 {
        assert_eq!(stage.change(&effect).await.unwrap(), Outcome::Launched(InstanceId::from(SHELL)));
    }
    let asked = stage.endpoint.asked();
    assert_eq!(asked[0], asked[1]);
    let mut told = String::new();
    for (key, value) in &asked[0].0 {
        let _ = writeln!(told, "{key}={value}");
    }
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/recorded/launch.txt");
    expect_file![file].assert_eq(&told);
}

async fn a_refusal_is_of_its_kind() {
    for (status, code, kind) in [
        (500, "InsufficientInstanceCapacity", ErrorKind::NoCapacity),
        (400, "VcpuLimitExceeded", ErrorKind::NoCapacity),
        (503, "RequestLimitExceeded", ErrorKind::Throttled),
        (403, "UnauthorizedOperation", ErrorKind::Denied),
        (400, "InvalidAMIID.NotFound", ErrorKind::Invalid),
        (400, "InvalidSubnetID.NotFound", ErrorKind::Invalid),
        (500, "InternalError", ErrorKind::Unreachable),
        (503, "SomethingNew", ErrorKind::Unreachable),
        (400, "SomethingNew", ErrorKind::Unknown),
    ] {
        let stage = Stage::new().await;
        stage.endpoint.refuses("RunInstances", status, code);
        let error = stage.change(&CloudEffect::Launch(Box::new(stage.launch()))).await.unwrap_err();
        assert_eq!(error.kind, kind, "{code}");
        assert_eq!(error.to_string(), "launch for consul-a");
        let text = error.source.to_string();
        assert!(text.starts_with(&format!("RunInstances: {code}: Said in many words (request req-1)")), "{text}");
        let names_the_quota = text.contains("Service Quotas (L-1216C47A");
        assert_eq!(names_the_quota, code == "VcpuLimitExceeded", "{text}");
        assert_eq!(stage.endpoint.asked().len(), 1, "{code}: the SDK repeats nothing");
    }
}

async fn a_launch_that_brings_something_else_holds() {
    let stage = Stage::new().await;
    stage.endpoint.answers("RunInstances", launched(&stage, "ami-0other"));
    let error = stage.change(&CloudEffect::Launch(Box::new(stage.launch()))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown);
    let text = error.source.to_string();
    assert!(text.contains(SHELL) && text.contains("whose image is ami-0other and not ami-0aaaaaaaaaaaaaaaa"), "{text}");
}

async fn a_token_that_was_used_before_leads_to_its_instance() {
    let (live, dead) = (instance("pending", &ours_and(&[]), &[]), instance("terminated", &ours_and(&[]), &[]));
    for (code, shown, expected) in [
        ("IdempotentParameterMismatch", live.as_str(), Ok(Outcome::Launched(InstanceId::from(SHELL)))),
        ("IdempotentParameterMismatch", dead.as_str(), Err(ErrorKind::TokenSpent)),
        ("IdempotentInstanceTerminated", "", Err(ErrorKind::TokenSpent)),
        ("IdempotentParameterMismatch", "", Err(ErrorKind::NotFound)),
    ] {
        let stage = Stage::new().await;
        stage.endpoint.refuses("RunInstances", 400, code);
        stage.shows(shown, &[]);
        let outcome = stage.change(&CloudEffect::Launch(Box::new(stage.launch()))).await;
        assert_eq!(outcome.map_err(|error| error.kind), expected, "{code}, and EC2 shows {shown}");
    }
}

/// With a hundredth of what EC2 allows, the next launch would have to wait for most of a minute.
async fn launches_beyond_the_limit_are_not_sent() {
    let stage = Stage::new().await;
    stage.endpoint.answers("RunInstances", launched(&stage, &stage.spec.image));
    let effect = CloudEffect::Launch(Box::new(stage.launch()));
    let endpoint = Some(stage.endpoint.url.clone());
    let options = Options { endpoint, share: 1, ..Options::new(Owner::from(OWNER), "us-east-1") };
    let aws = Aws::open(TestClock::at("2026-11-23T00:00:00Z"), options).await;
    aws.change(&stage.spec, Some(&stage.slot), &effect, &AT_ANY_TIME).await.unwrap();
    let error = aws.change(&stage.spec, Some(&stage.slot), &effect, &AT_ANY_TIME).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled, "{}", error.source);
    assert_eq!(stage.endpoint.asked().len(), 1);
}

async fn what_was_decided_too_long_ago_is_not_sent() {
    let stage = Stage::new().await;
    stage.endpoint.answers("RunInstances", launched(&stage, &stage.spec.image));
    let effect = CloudEffect::Launch(Box::new(stage.launch()));
    let old = Decision { life: Duration::from_secs(5), ..AT_ANY_TIME };
    let outcome = stage.aws.change(&stage.spec, Some(&stage.slot), &effect, &old).await;
    assert!(is_changed(&outcome), "{outcome:?}");
    assert_eq!(stage.endpoint.asked().len(), 0);
}

async fn nothing_is_detached_from_what_may_use_it() {
    let stage = Stage::new().await;
    let there = [volume(DATA, Some("attached"), &ours_and(&[]))];
    for state in ["pending", "running", "stopping", "shutting-down"] {
        stage.shows(&instance(state, &ours_and(&[]), &[("/dev/sdf", DATA, false)]), &there);
        assert!(is_changed(&stage.change(&detach()).await), "{state}");
    }
    assert!(stage.never_sent("DetachVolume"));
    stage.shows(&instance("stopped", &ours_and(&[]), &[("/dev/sdf", DATA, false)]), &there);
    stage.endpoint.answers("DetachVolume", response("DetachVolume", "<status>detaching</status>"));
    assert_eq!(stage.change(&detach()).await.unwrap(), Outcome::Done);
    let sent = &stage.endpoint.asked_for("DetachVolume")[0];
    assert_eq!(
        (sent.get("VolumeId"), sent.get("InstanceId"), sent.get("Device"), sent.get("Force")),
        (DATA, SHELL, "", "")
    );
}

async fn a_race_that_ec2_settles_is_no_failure() {
    let stage = Stage::new().await;
    stage.shows(&instance("stopped", &ours_and(&[]), &[]), &[volume(DATA, Some("attached"), &ours_and(&[]))]);
    stage.endpoint.refuses("DetachVolume", 400, "IncorrectState");
    assert!(is_changed(&stage.change(&detach()).await));
    stage.shows(&instance("running", &ours_and(&[]), &[]), &[volume(DATA, None, &ours_and(&[]))]);
    stage.endpoint.refuses("AttachVolume", 400, "VolumeInUse");
    assert!(is_changed(&stage.change(&attach()).await));
}

/// One call, whether there is a revision or not; the instance is named only for the sake of one.
async fn a_revision_goes_with_the_call_that_settles() {
    for (revision, resources) in [(None, vec![DATA]), (Some("1a2b3c4d5e6f".to_owned()), vec![DATA, SHELL])] {
        let stage = Stage::new().await;
        let there = [volume(DATA, Some("attached"), &ours_and(&[]))];
        stage.shows(&instance("running", &ours_and(&[]), &[("/dev/sdf", DATA, false)]), &there);
        stage.endpoint.answers("CreateTags", response("CreateTags", "<return>true</return>"));
        let settle = CloudEffect::Settle {
            volumes: [DATA.into()].into(),
            generation: "v1-new".into(),
            image: stage.spec.image.clone(),
            attempt: Attempt(2),
            instance: Some(SHELL.into()),
        };
        let decision = Decision { revision: revision.clone(), ..AT_ANY_TIME };
        let outcome = stage.aws.change(&stage.spec, Some(&stage.slot), &settle, &decision).await;
        assert_eq!(outcome.unwrap(), Outcome::Done);
        let sent = &stage.endpoint.asked_for("CreateTags")[..];
        let [sent] = sent else { panic!("{} calls", sent.len()) };
        let named: Vec<_> = (1..=2).map(|number| sent.get(&format!("ResourceId.{number}"))).collect();
        assert_eq!(named.into_iter().filter(|id| !id.is_empty()).collect::<Vec<_>>(), resources);
        let tag = |number: u32| (sent.get(&format!("Tag.{number}.Key")), sent.get(&format!("Tag.{number}.Value")));
        let told = (1..=4).map(tag).find(|(key, _)| *key == "hermitcrab:revision");
        assert_eq!(told.map(|(_, value)| value.to_owned()), revision);
    }
}

async fn a_volume_meets_only_its_own_slot() {
    let stage = Stage::new().await;
    let other = tags(&[OURS[0], OURS[1], ("hermitcrab:slot", "consul-b")]);
    stage.shows(&instance("running", &other, &[]), &[volume(DATA, None, &other)]);
    assert!(is_changed(&stage.change(&attach()).await), "both are another slot's");
    stage.shows(&instance("running", &other, &[]), &[volume(DATA, None, &ours_and(&[]))]);
    assert!(is_changed(&stage.aws.change(&stage.spec, None, &attach(), &AT_ANY_TIME).await), "one is another slot's");
    let elsewhere = volume(DATA, None, &ours_and(&[])).replace("us-east-1a", "us-east-1b");
    stage.shows(&instance("running", &ours_and(&[]), &[]), &[elsewhere]);
    assert_eq!(stage.change(&attach()).await.unwrap_err().kind, ErrorKind::Invalid, "another zone");
    let still_listed = instance("running", &ours_and(&[]), &[("/dev/sdf", DATA, false)]);
    stage.shows(&still_listed, &[volume(DATA, None, &ours_and(&[]))]);
    assert!(is_changed(&stage.change(&attach()).await), "the instance view still shows it");
    stage.shows(
        &instance("running", &ours_and(&[]), &[("/dev/sdf", "vol-0b", false)]),
        &[volume(DATA, None, &ours_and(&[]))],
    );
    assert_eq!(stage.change(&attach()).await.unwrap_err().kind, ErrorKind::Invalid, "the device is taken");
    assert!(stage.never_sent("AttachVolume"));
}

async fn what_is_not_ours_is_not_touched() {
    let stage = Stage::new().await;
    for strange in [
        tags(&[]),
        tags(&[OURS[0], OURS[2]]),
        tags(&[OURS[0], OURS[2], ("hermitcrab:owner", "somebody")]),
        tags(&[OURS[1], OURS[2], ("hermitcrab:cluster", "other")]),
    ] {
        stage.shows(&instance("running", &strange, &[]), &[volume(DATA, Some("attached"), &strange)]);
        for effect in [stop(), terminate(), detach(), attach(), CloudEffect::Retire { instance: SHELL.into() }] {
            assert!(is_changed(&stage.change(&effect).await), "{} {strange}", effect.name());
        }
    }
    let looks = stage.endpoint.asked().iter().all(|asked| asked.action().starts_with("Describe"));
    assert!(looks, "nothing but looks was sent");
}

async fn what_cannot_be_terminated_is_not_stopped() {
    let stage = Stage::new().await;
    stage.shows(&instance("running", &ours_and(&[]), &[]), &[]);
    stage.endpoint.instead("DescribeInstanceAttribute", protected_from_termination(true));
    let error = stage.change(&stop()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.source.to_string().contains("DisableApiTermination"), "{}", error.source);
    assert!(stage.never_sent("StopInstances"));
}

async fn nothing_is_terminated_with_a_volume() {
    let stage = Stage::new().await;
    let retired = ours_and(&[("hermitcrab:retired", "2026-11-22T23:50:00Z"), ("hermitcrab:generation", "v1-0")]);
    let root = volume("vol-0root", Some("attached"), &tags(&[]));
    let data = volume(DATA, Some("attached"), &ours_and(&[]));
    stage.endpoint.answers("TerminateInstances", response("TerminateInstances", "<instancesSet/>"));
    let with_data = [("/dev/sdf", DATA, false)];

    stage.shows(&instance("stopped", &ours_and(&[]), &[]), from_ref(&root));
    assert!(is_changed(&stage.change(&terminate()).await), "not retired");
    stage.shows(&instance("stopped", &retired, &with_data), &[root.clone(), data.clone()]);
    assert!(is_changed(&stage.change(&terminate()).await), "in both views");
    stage.shows(&instance("stopped", &retired, &with_data), from_ref(&root));
    assert!(is_changed(&stage.change(&terminate()).await), "in the instance view");
    stage.shows(&instance("stopped", &retired, &[]), &[root.clone(), data]);
    assert!(is_changed(&stage.change(&terminate()).await), "in the volume view");
    assert!(stage.never_sent("TerminateInstances"));

    stage.shows(&instance("stopped", &retired, &[]), &[root]);
    assert_eq!(stage.change(&terminate()).await.unwrap(), Outcome::Done);
    assert_eq!(stage.endpoint.asked_for("TerminateInstances")[0].get("InstanceId.1"), SHELL);
}

async fn somebodys_volume_is_not_deleted() {
    let stage = Stage::new().await;
    let adopted = ours_and(&[("hermitcrab:retired", "2026-11-22T23:50:00Z")]);
    let strange =
        [volume("vol-0root", Some("attached"), &tags(&[])), volume("vol-0someones", Some("attached"), &tags(&[]))];
    stage.shows(&instance("stopped", &adopted, &[("/dev/sdg", "vol-0someones", true)]), &strange);
    let error = stage.change(&terminate()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.source.to_string().contains("vol-0someones"), "{}", error.source);
    stage.endpoint.answers("TerminateInstances", response("TerminateInstances", "<instancesSet/>"));
    stage.shows(&instance("stopped", &adopted, &[("/dev/sdg", "vol-0someones", false)]), &strange);
    assert_eq!(stage.change(&terminate()).await.unwrap(), Outcome::Done);
}
