//! Permissions, and instances and groups that somebody else made, in moto.

use std::time::Duration;

use hermitcrab::action::{CloudEffect, GroupEffect};
use hermitcrab::cloud::permissions::{Allowed, needed_for};
use hermitcrab::ids::{InstanceId, VolumeId};
use hermitcrab::observed::{Group, Origin};
use hermitcrab::ports::{Cloud, ErrorKind, Outcome};
use hermitcrab::spec::{Capacity, ClusterSpec};

use crate::fixture::wanted;
use crate::moto::{Stage, is_changed};

/// Asks for every permission, and changes nothing.
pub async fn ask(stage: &Stage) {
    let mut spec = stage.spec.clone();
    (spec.instance.iam_instance_profile, spec.instance.security_groups) = (None, [].into());
    let before = stage.view().await;
    stage.clock.pass(Duration::from_secs(600));
    let asked = stage.aws.allowed(&spec).await;
    let denied: Vec<_> = asked.iter().filter(|asked| asked.answer != Allowed::Yes).collect();
    assert!(denied.is_empty(), "{denied:#?}");
    assert_eq!(asked.len(), needed_for(&[spec]).count());
    assert_eq!(stage.view().await, before);
    let identity = stage.aws.identity("us-east-1").await.unwrap();
    assert_eq!(identity.account, "123456789012");
}

/// Somebody's instance becomes a slot's, and its root volume does not.
pub async fn adopt(stage: &Stage) {
    let slot = &stage.spec.slots[1];
    let run = stage.ec2.run_instances().image_id(&*stage.spec.image).min_count(1).max_count(1);
    let run = run.subnet_id(&slot.subnet).instance_type("m7i.large".into()).send().await.unwrap();
    let id = InstanceId::from(run.instances()[0].instance_id().unwrap());
    let made = stage.ec2.create_volume().availability_zone(&*slot.zone).size(20).send().await.unwrap();
    let volume = VolumeId::from(made.volume_id().unwrap());
    let attach = stage.ec2.attach_volume().volume_id(&*volume).instance_id(&*id).device("/dev/sdf");
    attach.send().await.unwrap();

    let ids = [id.clone()].into();
    let seen = stage.aws.candidates("us-east-1", &ids).await.unwrap().remove(0);
    assert_eq!((&seen.id, &seen.zone, &seen.subnet), (&id, &slot.zone, &slot.subnet));
    let data: Vec<_> = seen.volumes.iter().filter(|one| !one.is_root).map(|one| (&one.id, one.size_gib)).collect();
    assert_eq!(data, [(&volume, 20)]);
    let root = seen.volumes.iter().find(|volume| volume.is_root).unwrap();

    stage.aws.keep_volume("us-east-1", &id, "/dev/sdf").await.unwrap();
    let slots = [slot.name.clone()].into();
    let wrong = [("data".into(), root.id.clone())].into();
    let refused = stage.aws.tag_adopted(&stage.spec, &slot.name, &id, &wrong, &slots).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    let volumes = [("data".into(), volume.clone())].into();
    for _ in 0..2 {
        stage.aws.tag_adopted(&stage.spec, &slot.name, &id, &volumes, &slots).await.unwrap();
    }
    let refused = stage.aws.tag_adopted(&stage.spec, &stage.slot, &id, &volumes, &slots).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid, "it is another slot's");
    let view = stage.view().await;
    let adopted = view.instance(&id).unwrap();
    assert_eq!((&adopted.slot, &adopted.origin), (&slot.name, &Origin::Adopted));
    assert!(view.volumes.iter().any(|seen| seen.id == volume && seen.slot == slot.name));
}

/// The name of the group.
pub const GROUP: &str = "consul-servers";

/// A group of one instance, which it has launched by itself, is left with none, as at the end of its cluster.
pub async fn empty_a_group(stage: &Stage) {
    make_a_group(stage).await;
    let seen = the_group(stage).await;
    assert_eq!((seen.min, seen.desired, seen.max, seen.members.len()), (1, 1, 4, 1));
    let instance = seen.recruits[0].id.clone();
    let change =
        async |effect: GroupEffect| stage.change(&CloudEffect::Group { group: GROUP.to_owned(), effect }).await;
    let lower = |from| GroupEffect::LowerMinimum { from };
    assert!(is_changed(&change(lower(1)).await), "it may still launch");
    let processes = seen.running();
    let steps = [
        GroupEffect::RecordResume { processes: processes.clone() },
        GroupEffect::Suspend { processes: processes.clone() },
        lower(1),
        GroupEffect::Leave { instance },
    ];
    for effect in &steps {
        if let GroupEffect::LowerMinimum { .. } = effect {
            assert!(is_changed(&change(lower(2)).await), "it is another minimum");
        }
        assert_eq!(change(effect.clone()).await, Outcome::Done, "{effect:?}");
        assert_eq!(change(effect.clone()).await, Outcome::AlreadySo, "{effect:?}");
    }
    assert_eq!(change(GroupEffect::Resize { from: 1, to: 0 }).await, Outcome::AlreadySo);
    assert_eq!(change(GroupEffect::Resume { processes: processes.clone() }).await, Outcome::Done);
    assert_eq!(change(GroupEffect::ForgetResume { processes: processes.clone() }).await, Outcome::Done);
    let left = the_group(stage).await;
    assert_eq!((left.min, left.desired, left.max, left.members.len()), (0, 0, 4, 0));
    assert_eq!((left.running(), left.resume, left.launches), (processes, None, seen.launches));
}

async fn make_a_group(stage: &Stage) {
    let data = aws_sdk_ec2::types::RequestLaunchTemplateData::builder().image_id(&*stage.spec.image);
    let data = data.instance_type("m7i.large".into()).build();
    stage.ec2.create_launch_template().launch_template_name(GROUP).launch_template_data(data).send().await.unwrap();
    let template = aws_sdk_autoscaling::types::LaunchTemplateSpecification::builder().launch_template_name(GROUP);
    let group = stage.autoscaling.create_auto_scaling_group().auto_scaling_group_name(GROUP);
    let group = group.launch_template(template.version("1").build()).min_size(1).max_size(4).desired_capacity(1);
    group.vpc_zone_identifier(&stage.spec.slots[0].subnet).send().await.unwrap();
}

async fn the_group(stage: &Stage) -> Group {
    let spec = ClusterSpec { capacity: Capacity::AutoScalingGroup(GROUP.to_owned()), ..stage.spec.clone() };
    stage.clock.pass(Duration::from_secs(60));
    let mut wanted = wanted(&spec);
    wanted.groups.insert(spec.name.clone(), GROUP.to_owned());
    let sweep = stage.aws.sweep(&wanted).await.unwrap_or_else(|error| panic!("{}", error.source));
    sweep.cluster(&spec.name).group.clone().unwrap()
}
