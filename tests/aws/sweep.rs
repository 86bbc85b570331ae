//! The readings of recorded answers of EC2, and the few requests that are needed for them.

use std::time::Duration;

use expect_test::expect_file;
use hermitcrab::cloud::aws::Aws;
use hermitcrab::ids::ClusterName;
use hermitcrab::observed::Sweep;
use hermitcrab::ports::{Clock, Cloud, ErrorKind, PortError, Wanted};
use hermitcrab::time::elapsed;
use libtest_mimic::Trial;

use crate::endpoint::{Asked, DATE, Endpoint};
use crate::fixture::{TestClock, open, spec, wanted};

pub fn trials() -> Vec<Trial> {
    vec![
        crate::trial("recorded_answers_are_read", recorded_answers_are_read),
        crate::trial("an_empty_page_is_not_the_last", an_empty_page_is_not_the_last),
        crate::trial("a_steady_look_takes_two_calls", a_steady_look_takes_two_calls),
        crate::trial("checks_are_looked_at_while_they_are_waited_for", checks_are_looked_at_while_they_are_waited_for),
        crate::trial("what_moves_slowly_is_asked_for_every_minute", what_moves_slowly_is_asked_for_every_minute),
        crate::trial("one_unknown_id_hides_no_status", one_unknown_id_hides_no_status),
        crate::trial("one_unknown_image_hides_no_other", one_unknown_image_hides_no_other),
        crate::trial("an_image_that_is_nowhere_is_missing", an_image_that_is_nowhere_is_missing),
        crate::trial(
            "a_state_that_nobody_knows_holds_its_own_cluster",
            a_state_that_nobody_knows_holds_its_own_cluster,
        ),
        crate::trial("groups_are_asked_for_by_the_hundred", groups_are_asked_for_by_the_hundred),
        crate::trial("no_account_no_look", no_account_no_look),
        crate::trial("a_page_of_a_proxy_is_no_answer", a_page_of_a_proxy_is_no_answer),
        crate::trial("one_lost_answer_loses_no_look", one_lost_answer_loses_no_look),
        crate::trial("nobody_there_is_no_answer", nobody_there_is_no_answer),
        crate::trial("a_state_of_unknown_age_is_as_old_as_it_was_seen", a_state_of_unknown_age),
        crate::trial("a_look_waits_its_turn", a_look_waits_its_turn),
        crate::trial("every_answer_says_what_time_it_is", every_answer_says_what_time_it_is),
    ]
}

const INSTANCES: &str = include_str!("recorded/instances.xml");

/// An endpoint that gives the recorded answers.
pub async fn recorded() -> Endpoint {
    let endpoint = Endpoint::start().await;
    endpoint
        .answers("DescribeVolumes", include_str!("recorded/volumes.xml"))
        .answers("DescribeInstanceStatus", include_str!("recorded/status.xml"))
        .answers("DescribeSnapshots", include_str!("recorded/snapshots.xml"))
        .answers("DescribeImages", include_str!("recorded/images.xml"))
        .answers("DescribeInstanceTypes", include_str!("recorded/types.xml"))
        .answers("DescribeAvailabilityZones", include_str!("recorded/zones.xml"))
        .answers("DescribeVolumeStatus", include_str!("recorded/volume-status.xml"))
        .answers("DescribeVolumesModifications", include_str!("recorded/modifications.xml"))
        .answers("GetCallerIdentity", include_str!("recorded/identity.xml"));
    endpoint
}

async fn look(aws: &Aws<TestClock>) -> Result<Sweep, PortError> {
    aws.sweep(&wanted(&spec())).await
}

fn now() -> TestClock {
    TestClock::at("2026-11-23T00:00:00Z")
}

fn names(endpoint: &Endpoint) -> Vec<String> {
    let mut names: Vec<_> = endpoint.asked().iter().map(|asked| asked.action().to_owned()).collect();
    names.sort();
    names
}

async fn recorded_answers_are_read() {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", INSTANCES);
    let sweep = look(&open(&now(), Some(&endpoint.url)).await).await.unwrap();
    assert_eq!(sweep.begun.to_string(), "2026-11-23T00:00:00Z");
    let clusters: std::collections::BTreeMap<_, _> =
        sweep.clusters.iter().map(|(name, view)| (name, &**view)).collect();
    let read = serde_json::to_string_pretty(&clusters).unwrap();
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/recorded/read.json");
    expect_file![file].assert_eq(&format!("{read}\n"));
}

async fn an_empty_page_is_not_the_last() {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", include_str!("recorded/instances-empty-page.xml"));
    endpoint.answers("DescribeInstances", INSTANCES);
    let sweep = look(&open(&now(), Some(&endpoint.url)).await).await.unwrap();
    assert_eq!(sweep.cluster(&spec().name).instances.len(), 3);
    let asked = endpoint.asked_for("DescribeInstances");
    assert_eq!((asked[0].get("NextToken"), asked[0].get("MaxResults")), ("", "1000"));
    assert_eq!(asked[1].get("NextToken"), "eyJ2IjoiMiIsImMiOiJ+ IiwicyI6IjEifQ==");
    assert_eq!((asked[1].get("Filter.1.Name"), asked[1].get("Filter.1.Value.1")), ("tag-key", "hermitcrab:cluster"));
}

/// Everything runs, with its checks passed and its volumes attached, so no snapshot can matter.
pub async fn at_rest() -> Endpoint {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", INSTANCES.replace("<name>stopped</name>", "<name>running</name>"));
    let there = include_str!("recorded/volumes.xml");
    let (first, _) = there.split_at(there.find("        <item>\n            <volumeId>vol-0ccc").unwrap());
    endpoint.instead("DescribeVolumes", format!("{first}    </volumeSet>\n</DescribeVolumesResponse>"));
    endpoint.instead("DescribeInstanceStatus", statuses("ok"));
    endpoint
}

/// All run; the checks of one of them say that.
fn statuses(checks: &str) -> String {
    let text = include_str!("recorded/status.xml").replace(">stopped<", ">running<");
    let (start, rest) = text.split_at(text.rfind("        <item>\n            <instanceId>").unwrap());
    let (item, end) = rest.split_at(rest.rfind("    </instanceStatusSet>").unwrap());
    let [second, third] = [("i-0bbbbbbbbbbbbbbbb", "ok"), ("i-0dddddddddddddddd", checks)]
        .map(|(id, checks)| item.replace("i-0bbbbbbbbbbbbbbbb", id).replace("not-applicable", checks));
    [start, &second, &third, end].concat()
}

async fn a_steady_look_takes_two_calls() {
    let endpoint = at_rest().await;
    let (clock, wait) = (now(), Duration::from_secs(2));
    let aws = open(&clock, Some(&endpoint.url)).await;
    look(&aws).await.unwrap();
    let first = endpoint.asked().len();
    clock.pass(wait);
    look(&aws).await.unwrap();
    let second = names(&endpoint).len() - first;
    assert_eq!((first, second), (9, 2), "{:?}", names(&endpoint));
    assert!(endpoint.asked_for("DescribeSnapshots").is_empty());
    assert_eq!(endpoint.asked_for("DescribeInstances").len(), 2);
    assert_eq!(aws.calls()[&("DescribeVolumes", "ok".to_owned())], 2);
}

async fn checks_are_looked_at_while_they_are_waited_for() {
    let endpoint = at_rest().await;
    let (clock, half) = (now(), Duration::from_millis(500));
    let aws = open(&clock, Some(&endpoint.url)).await;
    let asked_after = async |times: u32| {
        for _ in 0..times {
            clock.pass(half);
            look(&aws).await.unwrap();
        }
        endpoint.asked_for("DescribeInstanceStatus").len()
    };
    endpoint.instead("DescribeInstanceStatus", statuses("initializing"));
    assert_eq!(asked_after(1).await, 1);
    assert_eq!(asked_after(1).await, 1, "one is not through yet, which is believed for a second");
    endpoint.instead("DescribeInstanceStatus", statuses("ok"));
    clock.pass(2 * half);
    assert_eq!(asked_after(1).await, 2);
    assert_eq!(asked_after(3).await, 2, "all are");
    clock.pass(20 * half);
    assert_eq!(asked_after(1).await, 3, "that was long ago");
    let elsewhere = INSTANCES.replace("<name>stopped</name>", "<name>stopping</name>");
    endpoint.instead("DescribeInstances", elsewhere);
    assert_eq!(asked_after(1).await, 4, "another state is another status");
}

async fn what_moves_slowly_is_asked_for_every_minute() {
    let endpoint = at_rest().await;
    let clock = now();
    let aws = open(&clock, Some(&endpoint.url)).await;
    for _ in 0..3 {
        look(&aws).await.unwrap();
        clock.pass(Duration::from_secs(60));
    }
    let times = |action: &str| endpoint.asked_for(action).len();
    assert_eq!(times("DescribeVolumeStatus"), 3);
    assert_eq!(times("DescribeAvailabilityZones"), 3);
    assert_eq!(times("DescribeImages"), 3);
    assert_eq!(times("DescribeInstanceTypes"), 1, "a type does not change");
    assert_eq!(times("GetCallerIdentity"), 1, "an account seldom does");
}

async fn one_unknown_image_hides_no_other() {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", INSTANCES).first_refuses("DescribeImages", 400, "InvalidAMIID.NotFound");
    let seen = look(&open(&now(), Some(&endpoint.url)).await).await.unwrap();
    let asked = endpoint.asked_for("DescribeImages");
    let named = |asked: &Asked| (1..).take_while(|n| !asked.get(&format!("ImageId.{n}")).is_empty()).count();
    let named: Vec<_> = asked.iter().map(named).collect();
    assert_eq!((named.len(), named[0]), (3, named[1] + named[2]), "the two halves of those that were refused");
    assert!(seen.catalogue.images.contains_key(&"ami-0aaaaaaaaaaaaaaaa".into()));
}

async fn an_image_that_is_nowhere_is_missing() {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", INSTANCES);
    for _ in 0..20 {
        endpoint.first_refuses("DescribeImages", 400, "InvalidAMIID.NotFound");
    }
    let seen = look(&open(&now(), Some(&endpoint.url)).await).await.unwrap();
    assert!(seen.catalogue.images.is_empty());
}

async fn one_unknown_id_hides_no_status() {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", INSTANCES);
    endpoint.first_refuses("DescribeInstanceStatus", 400, "InvalidInstanceID.NotFound");
    look(&open(&now(), Some(&endpoint.url)).await).await.unwrap();
    let asked = endpoint.asked_for("DescribeInstanceStatus");
    assert_eq!((asked[0].get("InstanceId.1"), asked[0].get("MaxResults")), ("i-0aaaaaaaaaaaaaaaa", ""));
    assert_eq!((asked[1].get("InstanceId.1"), asked[1].get("MaxResults")), ("", "1000"));
    assert!(asked.iter().all(|asked| asked.get("IncludeAllInstances") == "true"));
}

async fn a_state_that_nobody_knows_holds_its_own_cluster() {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", INSTANCES.replace("<name>stopped</name>", "<name>hibernating</name>"));
    let sweep = look(&open(&now(), Some(&endpoint.url)).await).await.unwrap();
    let odd = &sweep.cluster(&"consul-prod".into()).not_understood;
    let why = "its state is `hibernating`, which is not known here";
    assert_eq!(odd.get("i-0bbbbbbbbbbbbbbbb").map(String::as_str), Some(why), "{odd:?}");
    let other = sweep.cluster(&"zookeeper".into());
    assert!(other.not_understood.is_empty() && !other.volumes.is_empty());
}

/// Auto Scaling takes a hundred names at a time.
async fn groups_are_asked_for_by_the_hundred() {
    let endpoint = recorded().await;
    let none = "<AutoScalingGroups/>";
    let name = "DescribeAutoScalingGroups";
    endpoint.answers("DescribeInstances", INSTANCES);
    endpoint.answers(name, format!("<{name}Response><{name}Result>{none}</{name}Result></{name}Response>"));
    let group = |number: u32| (ClusterName::from(format!("consul-{number}")), format!("group-{number}"));
    let wanted = Wanted { groups: (1..=101).map(group).collect(), ..wanted(&spec()) };
    open(&now(), Some(&endpoint.url)).await.sweep(&wanted).await.unwrap();
    let names = |asked: &Asked| asked.0.keys().filter(|key| key.starts_with("AutoScalingGroupNames.")).count();
    let counts: Vec<_> = endpoint.asked_for(name).iter().map(names).collect();
    assert_eq!(counts, [100, 1]);
}

async fn no_account_no_look() {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", INSTANCES);
    let expired = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                   <Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message>\
                   </Error><RequestId>req-2</RequestId></ErrorResponse>";
    endpoint.first_answers_with("GetCallerIdentity", 403, expired);
    let aws = open(&now(), Some(&endpoint.url)).await;
    let error = look(&aws).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    let text = error.source.to_string();
    assert!(text.starts_with("GetCallerIdentity: ExpiredToken") && text.ends_with("log in again"), "{text}");
    assert_eq!(aws.calls()[&("GetCallerIdentity", "ExpiredToken".to_owned())], 1);
}

async fn a_page_of_a_proxy_is_no_answer() {
    for (status, kind) in [(500, ErrorKind::Unreachable), (503, ErrorKind::Unreachable), (403, ErrorKind::Unknown)] {
        let endpoint = recorded().await;
        endpoint.answers_with("DescribeInstances", status, "<!doctype html>\n<html><title>Oops</title></html>");
        let aws = open(&now(), Some(&endpoint.url)).await;
        assert_eq!(look(&aws).await.unwrap_err().kind, kind, "{status}");
        let times = if kind == ErrorKind::Unreachable { 3 } else { 1 };
        assert_eq!(endpoint.asked_for("DescribeInstances").len(), times, "{status}");
    }
}

async fn one_lost_answer_loses_no_look() {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", INSTANCES).first_refuses("DescribeInstances", 500, "InternalError");
    look(&open(&now(), Some(&endpoint.url)).await).await.unwrap();
    assert_eq!(endpoint.asked_for("DescribeInstances").len(), 2);
}

async fn nobody_there_is_no_answer() {
    let clock = now();
    let aws = open(&clock, Some("http://127.0.0.1:1")).await;
    let mut begun = clock.now();
    for (nth, waits) in [true, false].into_iter().enumerate() {
        let error = look(&aws).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.source.to_string().contains("no-answer"), "{}", error.source);
        let waited = elapsed(clock.now(), begun);
        assert_eq!(
            waited >= Duration::from_secs(1),
            waits,
            "look {nth}: nobody is asked again and again after the first"
        );
        begun = clock.now();
    }
}

async fn a_state_of_unknown_age() {
    let endpoint = recorded().await;
    endpoint.answers("DescribeInstances", INSTANCES);
    let clock = now();
    let aws = open(&clock, Some(&endpoint.url)).await;
    for _ in 0..2 {
        let sweep = look(&aws).await.unwrap();
        let view = sweep.cluster(&spec().name);
        let terminated = view.instance(&"i-0cccccccccccccccc".into()).unwrap();
        assert_eq!(terminated.state_since.to_string(), "2026-11-23T00:00:00Z");
        clock.pass(Duration::from_secs(30));
    }
}

/// Of each kind ten calls at once, and then two a second.
async fn a_look_waits_its_turn() {
    let endpoint = at_rest().await;
    let clock = now();
    let aws = open(&clock, Some(&endpoint.url)).await;
    const LOOKS: usize = 30;
    for _ in 0..LOOKS {
        look(&aws).await.unwrap();
    }
    let passed = clock.now().duration_since("2026-11-23T00:00:00Z".parse().unwrap()).as_secs_f64();
    let asked = endpoint.asked();
    let times = |action: &str| asked.iter().filter(|asked| asked.action() == action).count();
    assert!(times("DescribeInstances") >= LOOKS && times("DescribeVolumes") >= LOOKS);
    for action in ["DescribeInstances", "DescribeVolumes", "DescribeInstanceStatus", "DescribeAvailabilityZones"] {
        let calls = times(action);
        assert!(passed >= (calls as f64 - 11.0) / 2.0, "{calls} times {action} in {passed} s");
    }
}

/// A clock that is far off has every request refused, and that is when somebody asks.
async fn every_answer_says_what_time_it_is() {
    let endpoint = recorded().await;
    let aws = open(&now(), Some(&endpoint.url)).await;
    let time = || async { aws.time("us-east-1").await.unwrap().to_string() };
    assert_eq!((DATE, &*time().await), ("Mon, 23 Nov 2026 00:01:30 GMT", "2026-11-23T00:01:30Z"));
    endpoint.first_refuses("GetCallerIdentity", 403, "SignatureDoesNotMatch");
    assert_eq!(time().await, "2026-11-23T00:01:30Z");
    let nowhere = open(&now(), Some("http://127.0.0.1:1")).await;
    assert_eq!(nowhere.time("us-east-1").await.unwrap_err().kind, ErrorKind::Unreachable);
}
