//! Instances of an Auto Scaling group, which replaces whatever stops.

use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;

use super::refusals::says;
use super::{LIMIT, settles_on_v2, with_clients};
use crate::cluster::Rig;
use crate::consul::CLUSTER;
use crate::ec2::PERSON;
use crate::{Harness, until, xml};

const GROUP: &str = "consul-group";
/// A process that a person suspended before the rollout, and that must stay suspended.
const SUSPENDED: &str = "AZRebalance";

/// A group launches instances by itself, so their slots have no fixed addresses.
pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.without_addresses("groups::an_adopted_group_is_rolled", 3, an_adopted_group),
        harness.without_addresses("groups::a_cluster_in_one_is_destroyed", 3, a_cluster_in_one_is_destroyed),
        harness.without_addresses("groups::a_group_that_was_not_adopted_is_left_alone", 3, a_group_not_adopted),
    ]
}

async fn a_group_not_adopted(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    in_a_group(&rig).await;
    rig.desire(&rig.v2, &[]);
    says(&rig, &["owned-by-autoscaling", "adopt consul-group with `capacity`"]).await;
}

async fn an_adopted_group(rig: Rc<Rig>) {
    rig.proxy.record_calls();
    rig.settled_on(&rig.v1).await;
    in_a_group(&rig).await;
    let (before, clients) = with_clients(&rig);
    let adopted = format!("  capacity:\n    autoScalingGroup: {GROUP}\n  volumes:\n");
    rig.desire(&rig.v2, &[("  volumes:\n", &adopted)]);
    settles_on_v2(&rig, &rig.controller("rig", &[]), &before, &clients).await;
    // The group's template bears no tag of ours, so it is named.
    let template = rig.person.make("DescribeLaunchTemplates", &[], "launchTemplateId").await;
    rig.the_printed_policy_allows_what_was_called("rig", &["--launch-template", &template]);

    let group = seen(&rig).await;
    assert_eq!(group.texts("DesiredCapacity"), ["3"]);
    assert_eq!(group.texts("SuspendedProcesses/ProcessName"), [SUSPENDED]);
    let mut members = group.texts("Instances/InstanceId");
    members.sort();
    let mut seated: Vec<String> = rig.seats().into_values().map(|seat| seat.instance).collect();
    seated.sort();
    assert_eq!(members, seated);
    let version = &group.texts("LaunchTemplate/Version")[0];
    let version = [("LaunchTemplateName", GROUP), ("LaunchTemplateVersion.1", version)];
    let launches = rig.person.make("DescribeLaunchTemplateVersions", &version, "imageId").await;
    assert_eq!(launches, rig.v2, "what the group would launch");
}

async fn a_cluster_in_one_is_destroyed(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    in_a_group(&rig).await;
    call(&rig, "UpdateAutoScalingGroup", &[("AutoScalingGroupName", GROUP), ("MinSize", "3")]).await;
    let adopted = format!("  deletionProtection: false\n  capacity:\n    autoScalingGroup: {GROUP}\n  volumes:\n");
    rig.desire(&rig.v1, &[("  volumes:\n", &adopted)]);
    let destroy = || rig.command(PERSON, "destroy", "desired-state/consul.yaml", &["--confirm", CLUSTER]);

    let killed = destroy();
    let leaves = async || killed.said().contains(" detach i-").then_some(());
    until("the first instance to leave the group", LIMIT, leaves).await;
    killed.kill();
    killed.ended(Duration::from_secs(10)).await;
    assert!(killed.said().contains("(desired capacity 3 → 0, minimum 3 → 0, maximum 4)"), "{}", killed.said());
    assert_eq!(seen(&rig).await.texts("MinSize"), ["0"]);
    let daemon = rig.controller("rig", &[]).ended(LIMIT).await;
    assert!(daemon.code == Some(3) && daemon.said.contains("ordered its destruction"), "{}", daemon.said);

    let ended = destroy().ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("Auto Scaling group consul-group is kept, empty"), "{}", ended.said);
    assert_eq!(rig.what_is_there().await, (0, 3), "nothing is launched back, and the volumes stay");
    assert_eq!(rig.snapshots().await, 3);
    let group = seen(&rig).await;
    assert_eq!((group.texts("MinSize"), group.texts("DesiredCapacity")), (vec!["0".into()], vec!["0".into()]));
    assert_eq!(group.texts("Instances/InstanceId"), [""; 0]);
    assert_eq!(group.texts("SuspendedProcesses/ProcessName"), [SUSPENDED]);
    assert_eq!(group.texts("Tags/Key"), [""; 0], "what was to be resumed is forgotten");
}

/// The one group, as moto has it.
struct Seen(String);

impl Seen {
    /// Every text of that name, below the first element of the name before it.
    fn texts(&self, path: &str) -> Vec<String> {
        let document = xml::parse(&self.0).unwrap();
        let (list, name) = path.split_once('/').unwrap_or(("DescribeAutoScalingGroupsResult", path));
        let within = document.descendants().find(|node| node.has_tag_name(list));
        let named = within.into_iter().flat_map(|node| node.descendants()).filter(|node| node.has_tag_name(name));
        named.filter_map(|node| node.text().map(str::to_owned)).collect()
    }
}

async fn seen(rig: &Rig) -> Seen {
    Seen(call(rig, "DescribeAutoScalingGroups", &[]).await)
}

/// Puts all instances into a group of their number.
async fn in_a_group(rig: &Rig) {
    let subnets: Vec<&str> = rig.slots.iter().map(|slot| slot.subnet.as_str()).collect();
    let template = [
        ("LaunchTemplateName", GROUP),
        ("LaunchTemplateData.ImageId", &*rig.v1),
        ("LaunchTemplateData.InstanceType", "m7i.large"),
    ];
    rig.person.make("CreateLaunchTemplate", &template, "launchTemplateId").await;
    let group = [
        ("AutoScalingGroupName", GROUP),
        ("LaunchTemplate.LaunchTemplateName", GROUP),
        ("LaunchTemplate.Version", "1"),
        ("MinSize", "0"),
        ("MaxSize", "4"),
        ("DesiredCapacity", "0"),
        ("VPCZoneIdentifier", &subnets.join(",")),
    ];
    call(rig, "CreateAutoScalingGroup", &group).await;
    for seat in rig.seats().values() {
        let member = [("AutoScalingGroupName", GROUP), ("InstanceIds.member.1", &*seat.instance)];
        call(rig, "AttachInstances", &member).await;
    }
    let suspended = [("AutoScalingGroupName", GROUP), ("ScalingProcesses.member.1", SUSPENDED)];
    call(rig, "SuspendProcesses", &suspended).await;
}

async fn call(rig: &Rig, action: &str, params: &[(&str, &str)]) -> String {
    let answer = rig.person.call_service("autoscaling", "2011-01-01", action, params).await;
    answer.unwrap_or_else(|refused| panic!("{action}: {refused}"))
}
