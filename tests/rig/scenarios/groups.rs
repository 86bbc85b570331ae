//! Instances of an Auto Scaling group, which replaces whatever stops.

use std::rc::Rc;

use libtest_mimic::Trial;

use super::refusals::says;
use crate::Stage;
use crate::cluster::Rig;

const GROUP: &str = "consul-group";

pub fn all(stage: &Stage) -> Vec<Trial> {
    vec![stage.scenario("groups::a_group_that_was_not_adopted_is_left_alone", 3, a_group_not_adopted)]
}

async fn a_group_not_adopted(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    in_a_group(&rig).await;
    rig.desire(&rig.v2, &[]);
    says(&rig, Some("owned-by-autoscaling"), &[GROUP, "the group would replace it when it stops"]).await;
}

/// Puts all instances into a group of their number.
async fn in_a_group(rig: &Rig) {
    let subnets: Vec<&str> = rig.slots.iter().map(|slot| slot.subnet.as_str()).collect();
    let subnets = subnets.join(",");
    let call = async |action: &str, params: &[(&str, &str)]| {
        let answer = rig.person.call_service("autoscaling", "2011-01-01", action, params).await;
        answer.unwrap_or_else(|refused| panic!("{action}: {refused}"));
    };
    let launch = [("LaunchConfigurationName", "consul"), ("ImageId", &*rig.v1), ("InstanceType", "m7i.large")];
    call("CreateLaunchConfiguration", &launch).await;
    let group = [
        ("AutoScalingGroupName", GROUP),
        ("LaunchConfigurationName", "consul"),
        ("MinSize", "0"),
        ("MaxSize", "4"),
        ("DesiredCapacity", "0"),
        ("VPCZoneIdentifier", &subnets),
    ];
    call("CreateAutoScalingGroup", &group).await;
    for seat in rig.seats().values() {
        let member = [("AutoScalingGroupName", GROUP), ("InstanceIds.member.1", &*seat.instance)];
        call("AttachInstances", &member).await;
    }
}
