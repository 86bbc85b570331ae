//! The simulated world behind EC2's protocol: it answers what EC2 answers, and refuses what EC2 refuses.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::time::Duration;

use hermitcrab::time::{after, before};

#[path = "wire/addresses.rs"]
mod addresses;
#[path = "wire/etcd.rs"]
mod etcd;
#[path = "wire/members.rs"]
mod members;
#[path = "wire/moves.rs"]
mod moves;
#[path = "wire/stage.rs"]
mod stage;
#[path = "wire/zookeeper.rs"]
mod zookeeper;

use stage::{Stage, refused};

#[test]
fn what_is_not_signed_is_refused() {
    let stage = Stage::new();
    let request =
        hermitcrab::sim::wire::Request { authorization: String::new(), ..stage.request("DescribeInstances", &[]) };
    let (status, text) = stage::text(stage.wire.answer(&request));
    assert_eq!((status, refused(&text)), (401, "AuthFailure".to_owned()));
}

#[test]
fn an_action_that_is_not_known_is_refused() {
    let stage = Stage::new();
    assert_eq!(stage.refusal("RebootInstances", &[]), (400, "InvalidAction".to_owned()));
    let (status, text) = stage.ask_version("2011-06-15", "AssumeRole", &[]);
    assert_eq!((status, refused(&text)), (400, "InvalidAction".to_owned()));
    assert!(text.starts_with("<?xml") && text.contains("<ErrorResponse "), "{text}");
}

#[test]
fn every_permission_has_an_action_that_is_answered() {
    let stage = Stage::new();
    for permission in hermitcrab::cloud::permissions::PERMISSIONS {
        let Some((service, action)) = permission.action.split_once(':') else { continue };
        let version = match service {
            "ec2" => "2016-11-15",
            "autoscaling" => "2011-01-01",
            _ => continue, // no interface that is called, such as iam:PassRole
        };
        let (_, text) = stage.ask_version(version, action, &[]);
        assert!(!text.contains("InvalidAction"), "{} {text}", permission.action);
    }
}

#[test]
fn a_parameter_that_is_not_known_is_refused_by_every_action() {
    for (action, fields) in stage::PLAUSIBLE {
        let stage = Stage::new();
        let fields: Vec<_> =
            stage.filled(fields).into_iter().chain([("Hasty".to_owned(), "true".to_owned())]).collect();
        assert_eq!(stage.refusal_of(action, &fields), (400, "UnknownParameter".to_owned()), "{action}");
    }
}

#[test]
fn a_dry_run_changes_nothing_and_says_that_it_would_have() {
    for (action, fields) in stage::PLAUSIBLE {
        let stage = Stage::new();
        let before = stage.world.view(&stage.spec.name);
        let fields: Vec<_> =
            stage.filled(fields).into_iter().chain([("DryRun".to_owned(), "true".to_owned())]).collect();
        assert_eq!(stage.refusal_of(action, &fields), (412, "DryRunOperation".to_owned()), "{action}");
        assert_eq!(stage.world.view(&stage.spec.name), before, "{action}");
    }
}

#[test]
fn an_interface_is_found_by_its_address_and_names_its_instance() {
    let stage = Stage::new();
    let id = stage.all("DescribeInstances", &[], "instanceId").remove(0);
    let address = stage.all("DescribeInstances", &[("InstanceId.1", &id)], "privateIpAddress").remove(0);
    let by_address = [("Filter.1.Name", "addresses.private-ip-address"), ("Filter.1.Value.1", &*address)];
    assert_eq!(stage.all("DescribeNetworkInterfaces", &by_address, "instanceId"), [&*id]);
    let unknown = [("NetworkInterfaceId.1", "eni-0123456789abcdef0")];
    let missing = (400, "InvalidNetworkInterfaceID.NotFound".to_owned());
    assert_eq!(stage.refusal("DescribeNetworkInterfaces", &unknown), missing);
}

#[test]
fn a_call_too_many_is_throttled_until_the_bucket_fills_again() {
    let stage = Stage::new();
    let statuses: Vec<u16> = (0..101).map(|_| stage.ask("DescribeVolumes", &[]).0).collect();
    assert!(statuses[..100].iter().all(|status| *status == 200));
    let (status, said) = stage.ask("DescribeVolumes", &[]);
    assert_eq!(status, 503);
    assert!(said.contains("<Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message>"), "{said}");
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.ask("DescribeVolumes", &[]).0, 200);
}

#[test]
fn resources_are_found_by_filters_as_ec2_has_them() {
    let stage = Stage::new();
    let found = |fields: &[(&str, &str)]| stage.all("DescribeInstances", fields, "instanceId").len();
    assert_eq!(found(&[("Filter.1.Name", "tag:hermitcrab:slot"), ("Filter.1.Value.1", "consul-a")]), 1);
    assert_eq!(found(&[("Filter.1.Name", "tag:hermitcrab:slot"), ("Filter.1.Value.1", "consul-?")]), 3);
    assert_eq!(found(&[("Filter.1.Name", "tag-key"), ("Filter.1.Value.1", "team")]), 3);
    let both = [
        ("Filter.1.Value.1", "running"),
        ("Filter.1.Name", "instance-state-name"),
        ("Filter.2.Name", "availability-zone"),
        ("Filter.2.Value.1", "us-east-1a"),
        ("Filter.2.Value.2", "us-east-1b"),
    ];
    assert_eq!(found(&both), 2);
    let unknown = [("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")];
    assert_eq!(stage.refusal("DescribeInstances", &unknown), (400, "InvalidParameterValue".to_owned()));
}

#[test]
fn a_list_comes_page_by_page_and_a_token_is_for_its_own_question_only() {
    let stage = Stage::new(); // three data volumes, and three that instances boot from
    let (_, first) = stage.ask("DescribeVolumes", &[("MaxResults", "5")]);
    assert_eq!(stage::texts(&first, "volumeType").len(), 5);
    let token = stage::texts(&first, "nextToken").remove(0);
    let (_, second) = stage.ask("DescribeVolumes", &[("MaxResults", "5"), ("NextToken", &token)]);
    assert_eq!((stage::texts(&second, "volumeType").len(), stage::texts(&second, "nextToken").len()), (1, 0));
    let other = [("NextToken", &*token), ("Filter.1.Name", "status"), ("Filter.1.Value.1", "in-use")];
    assert_eq!(stage.refusal("DescribeVolumes", &other), (400, "InvalidNextToken".to_owned()));
    assert_eq!(stage.refusal("DescribeVolumes", &[("MaxResults", "4")]), (400, "InvalidParameterValue".to_owned()));
    let volume = stage.volume("consul-a");
    let combined = [("MaxResults", "5"), ("VolumeId.1", &*volume)];
    assert_eq!(stage.refusal("DescribeVolumes", &combined), (400, "InvalidParameterCombination".to_owned()));
}

#[test]
fn an_id_that_is_not_there_or_is_none_fails_the_whole_call() {
    let stage = Stage::new();
    let there = stage.instance("consul-a");
    for (id, code) in
        [("i-0123456789abcdef0", "InvalidInstanceID.NotFound"), ("consul-a", "InvalidInstanceID.Malformed")]
    {
        let fields = [("InstanceId.1", &*there), ("InstanceId.2", id)];
        assert_eq!(stage.refusal("DescribeInstances", &fields), (400, code.to_owned()));
        assert_eq!(stage.refusal("StopInstances", &fields), (400, code.to_owned()));
    }
    assert_eq!(stage.all("DescribeInstances", &[("InstanceId.1", &there)], "name")[0], "running");
}

#[test]
fn times_are_shown_by_the_readers_clock() {
    let stage = Stage::new();
    let now = after(stage.world.time(), Duration::from_secs(86_400));
    let wire = hermitcrab::sim::wire::Wire::new(&stage.world).by_clock(now, 10.0);
    wire.advance(after(now, Duration::from_secs(60)));
    assert_eq!(stage.world.time(), before(after(now, Duration::from_secs(600)), Duration::from_secs(86_400)));
    let (_, text) = stage::text(wire.answer(&stage.request("DescribeInstances", &[])));
    assert_eq!(stage::texts(&text, "launchTime")[0], now.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string());
}

/// The controller writes it with what settled, and nothing of the world is different for it.
#[test]
fn a_revision_is_shown_on_the_volume_and_on_the_instance_that_it_was_written_on() {
    let stage = Stage::new();
    let (instance, volume) = (stage.instance("consul-a"), stage.volume("consul-a"));
    let said = [
        ("ResourceId.1", volume.as_str()),
        ("ResourceId.2", instance.as_str()),
        ("Tag.1.Key", "hermitcrab:attempt"),
        ("Tag.1.Value", "7"),
        ("Tag.2.Key", "hermitcrab:generation"),
        ("Tag.2.Value", "v1-other"),
        ("Tag.3.Key", "hermitcrab:image"),
        ("Tag.3.Value", &stage.spec.image),
        ("Tag.4.Key", "hermitcrab:revision"),
        ("Tag.4.Value", "1a2b3c4d5e6f"),
    ];
    let said: Vec<_> = said.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let request =
        hermitcrab::sim::wire::Request { agent: "app/hermitcrab".to_owned(), ..stage.request("CreateTags", &said) };
    let (status, text) = stage::text(stage.wire.answer(&request));
    assert_eq!(status, 200, "{text}");
    for (action, name, id) in
        [("DescribeInstances", "InstanceId.1", &instance), ("DescribeVolumes", "VolumeId.1", &volume)]
    {
        let (_, text) = stage.ask(action, &[(name, id)]);
        assert!(stage::texts(&text, "value").contains(&"1a2b3c4d5e6f".to_owned()), "{text}");
    }
    let seen = stage.world.view(&stage.spec.name);
    let seen = seen.present_volumes().find(|seen| *seen.id == volume).unwrap();
    assert!(seen.carries(&"v1-other".into()), "{seen:?}");
}
