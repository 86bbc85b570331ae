//! Instances of an Auto Scaling group, which replaces whatever stops.

use std::rc::Rc;

use libtest_mimic::Trial;

use super::refusals::says;
use super::{settles_on_v2, with_clients};
use crate::Stage;
use crate::cluster::Rig;
use crate::xml;

const GROUP: &str = "consul-group";
/// What somebody had stopped before the rollout, and wants stopped after it.
const SUSPENDED: &str = "AZRebalance";

pub fn all(stage: &Stage) -> Vec<Trial> {
    vec![
        stage.scenario("groups::an_adopted_group_is_rolled", 3, an_adopted_group),
        stage.scenario("groups::a_group_that_was_not_adopted_is_left_alone", 3, a_group_not_adopted),
    ]
}

async fn a_group_not_adopted(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    in_a_group(&rig).await;
    rig.desire(&rig.v2, &[]);
    says(&rig, &["owned-by-autoscaling", "adopt consul-group with `capacity`"]).await;
}

async fn an_adopted_group(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    in_a_group(&rig).await;
    let (before, clients) = with_clients(&rig);
    let adopted = format!("  capacity:\n    autoScalingGroup: {GROUP}\n  volumes:\n");
    rig.desire(&rig.v2, &[("  volumes:\n", &adopted)]);
    settles_on_v2(&rig, &rig.controller("rig", &[]), &before, &clients).await;

    let body = call(&rig, "DescribeAutoScalingGroups", &[]).await;
    let document = xml::parse(&body).unwrap();
    let find = |name: &str| document.descendants().find(|node| node.has_tag_name(name)).unwrap();
    let texts = |list: &str, name: &str| {
        let named = find(list).descendants().filter(|node| node.has_tag_name(name));
        named.filter_map(|node| node.text().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(find("DesiredCapacity").text(), Some("3"));
    assert_eq!(texts("SuspendedProcesses", "ProcessName"), [SUSPENDED]);
    let mut members = texts("Instances", "InstanceId");
    members.sort();
    let mut seated: Vec<String> = rig.seats().into_values().map(|seat| seat.instance).collect();
    seated.sort();
    assert_eq!(members, seated);
    let version = find("LaunchTemplate").descendants().find(|node| node.has_tag_name("Version")).unwrap();
    let version = [("LaunchTemplateName", GROUP), ("LaunchTemplateVersion.1", version.text().unwrap())];
    let launches = rig.person.make("DescribeLaunchTemplateVersions", &version, "imageId").await;
    assert_eq!(launches, rig.v2, "what the group would launch");
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
