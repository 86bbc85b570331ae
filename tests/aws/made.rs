//! Requests that make volumes and instances: they have every setting and tag that the file has, and no tag that could pass for ours.

use std::collections::BTreeMap;

use hermitcrab::action::{CloudEffect, CreateVolume, Launch};
use hermitcrab::ids::{Owner, Token, VolumeName};
use hermitcrab::ports::{Cloud, Outcome};
use hermitcrab::spec::EbsSettings;
use libtest_mimic::Trial;

use crate::endpoint::{Asked, Endpoint};
use crate::fixture::{AT_ANY_TIME, OWNER, TestClock, open, spec};

pub fn trials() -> Vec<Trial> {
    vec![
        crate::trial("a_volume_is_asked_for_with_all_that_the_file_says", a_volume),
        crate::trial("a_network_interface_bears_the_tags_of_the_cluster", an_interface),
    ]
}

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn response(action: &str, inside: &str) -> String {
    format!("<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{inside}</{action}Response>")
}

/// The tags that a request gives to a resource of some kind.
fn tags(asked: &Asked, kind: &str) -> BTreeMap<String, String> {
    let number = (1..9).find(|number| asked.get(&format!("TagSpecification.{number}.ResourceType")) == kind).unwrap();
    let tag = |index, part| asked.get(&format!("TagSpecification.{number}.Tag.{index}.{part}")).to_owned();
    (1..60).map(|index| (tag(index, "Key"), tag(index, "Value"))).filter(|(key, _)| !key.is_empty()).collect()
}

/// Tags as a file may have them, and one that no file may have.
fn declared() -> BTreeMap<String, String> {
    [("cost", "storage"), ("Name", "ledger"), ("hermitcrab:slot", "consul-z")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

async fn a_volume() {
    let endpoint = Endpoint::start().await;
    endpoint.answers("DescribeVolumes", response("DescribeVolumes", "<volumeSet/>"));
    endpoint.answers("CreateVolume", response("CreateVolume", "<volumeId>vol-1</volumeId>"));
    let aws = open(&TestClock::at("2026-11-23T00:00:00Z"), Some(&endpoint.url)).await;
    let (spec, plain) = (spec(), EbsSettings::plain("gp3"));
    let slot = spec.slots[0].name.clone();
    let full = EbsSettings { iops: Some(4_000), throughput: Some(500), kms_key: Some(KEY.to_owned()), ..plain.clone() };
    for ebs in [full, plain] {
        let create = CloudEffect::CreateVolume(CreateVolume {
            token: Token::from("hermitcrab-volume"),
            slot: slot.clone(),
            name: VolumeName::from("data"),
            zone: spec.slots[0].zone.clone(),
            size_gib: 20,
            ebs,
            tags: declared(),
            snapshot: None,
            owner: Owner::from(OWNER),
            slots: [slot.clone()].into(),
            number: 0,
        });
        let outcome = aws.change(&spec, Some(&slot), &create, &AT_ANY_TIME).await.unwrap();
        assert_eq!(outcome, Outcome::Created("vol-1".into()));
    }
    let asked = endpoint.asked_for("CreateVolume");
    let settings = ["VolumeType", "Size", "Iops", "Throughput", "Encrypted", "KmsKeyId"];
    assert_eq!(settings.map(|name| asked[0].get(name)), ["gp3", "20", "4000", "500", "true", KEY]);
    assert_eq!(settings.map(|name| asked[1].get(name)), ["gp3", "20", "", "", "true", ""]);
    let given = tags(&asked[0], "volume");
    assert_eq!((&*given["cost"], &*given["Name"], &*given["hermitcrab:slot"]), ("storage", "ledger", "consul-a"));
}

async fn an_interface() {
    let endpoint = Endpoint::start().await;
    endpoint.answers("RunInstances", response("RunInstances", "<instancesSet/>"));
    let aws = open(&TestClock::at("2026-11-23T00:00:00Z"), Some(&endpoint.url)).await;
    let mut spec = spec();
    for shared in [declared(), BTreeMap::new()] {
        spec.tags = shared;
        let launch = Launch::declared(&spec, &spec.slots[0], Owner::from(OWNER), Token::from("hermitcrab-launch"));
        let effect = CloudEffect::Launch(Box::new(launch));
        aws.change(&spec, Some(&spec.slots[0].name), &effect, &AT_ANY_TIME).await.unwrap_err();
    }
    let asked = endpoint.asked_for("RunInstances");
    let given = tags(&asked[0], "network-interface");
    assert_eq!((&*given["cost"], &*given["Name"], &*given["hermitcrab:slot"]), ("storage", "ledger", "consul-a"));
    assert!(!asked[1].0.values().any(|value| value == "network-interface"), "nothing is to be said of it");
}
