//! Auto Scaling groups, what they launch, and what they have launched by themselves.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance, LifecycleState};
use aws_sdk_ec2::types::{self, LaunchTemplateVersion};
use aws_smithy_types::base64;

use super::super::tags::{self, Tags};
use super::beyond::beyond_template;
use super::{Unreadable, given, instance, life_cycle, timestamp, unknown_word};
use crate::ids::InstanceId;
use crate::make::{CapacityReservation, Make, Placement, UserData};
use crate::observed::{Group, GroupMember, Launches, Lifecycle, Process, Recruit, Template, TemplateVersion};

/// The tag on a group that says which processes to resume, separated by commas.
pub(in super::super) const RESUME: &str = "hermitcrab:resume";

/// A group, with those of its members that bear no tag of ours, and the versions of its launch template that were read.
pub(in super::super) fn adopted_group(
    seen: &AutoScalingGroup,
    strangers: &[types::Instance],
    versions: &[LaunchTemplateVersion],
) -> Result<Group, Unreadable> {
    let resume = seen.tags().iter().find(|tag| tag.key() == Some(RESUME));
    let members = seen.instances().iter().map(member).collect::<Result<_, _>>()?;
    let suspended = seen.suspended_processes().iter().filter_map(|process| process.process_name());
    let recruit = |instance: &types::Instance| {
        let read = recruit(seen, instance, versions);
        read.map_err(|odd| odd.of(instance.instance_id().unwrap_or("a member")))
    };
    Ok(Group {
        name: given(seen.auto_scaling_group_name(), "name")?.to_owned(),
        min: number(seen.min_size(), "minimum")?,
        max: number(seen.max_size(), "maximum")?,
        desired: number(seen.desired_capacity(), "desired capacity")?,
        zones: seen.availability_zones().iter().map(|zone| zone.as_str().into()).collect(),
        suspended: suspended.filter_map(Process::named).collect(),
        resume: resume.map(|tag| processes(tag.value().unwrap_or_default())),
        members,
        launches: launches(seen, versions)?,
        recruits: strangers.iter().map(recruit).collect::<Result<_, _>>()?,
    })
}

/// As the tag on the group has them.
pub(in super::super) fn joined(processes: &BTreeSet<Process>) -> String {
    processes.iter().map(|process| process.name()).collect::<Vec<_>>().join(",")
}

fn processes(value: &str) -> BTreeSet<Process> {
    value.split(',').map(str::trim).filter_map(Process::named).collect()
}

fn number(value: Option<i32>, field: &str) -> Result<u32, Unreadable> {
    value
        .and_then(|value| u32::try_from(value).ok())
        .ok_or_else(|| Unreadable::UnknownWord(format!("it has no {field}")))
}

fn member(seen: &Instance) -> Result<(InstanceId, GroupMember), Unreadable> {
    let id: InstanceId = given(seen.instance_id(), "instance id of a member")?.into();
    let member = GroupMember {
        lifecycle: lifecycle(seen.lifecycle_state()).map_err(|odd| odd.of(&id))?,
        healthy: seen.health_status().is_none_or(|word| word.eq_ignore_ascii_case("healthy")),
        protected: seen.protected_from_scale_in().unwrap_or(false),
    };
    Ok((id, member))
}

/// Reads a member's state in its group. One whose root volume is being replaced is on its way in, as after a launch. Instances of a
/// warm pool do not count, and are not among a group's members.
pub(super) fn lifecycle(state: Option<&LifecycleState>) -> Result<Lifecycle, Unreadable> {
    use LifecycleState as Word;
    Ok(match state.ok_or_else(|| Unreadable::UnknownWord("it has no state in its group".to_owned()))? {
        Word::Pending
        | Word::PendingWait
        | Word::PendingProceed
        | Word::ReplacingRootVolume
        | Word::ReplacingRootVolumeWait
        | Word::ReplacingRootVolumeProceed
        | Word::RootVolumeReplaced => Lifecycle::Joining,
        Word::InService => Lifecycle::InService,
        Word::EnteringStandby | Word::Standby => Lifecycle::Standby,
        Word::Terminating
        | Word::TerminatingWait
        | Word::TerminatingProceed
        | Word::TerminatingRetained
        | Word::Terminated
        | Word::Quarantined
        | Word::Detaching
        | Word::Detached => Lifecycle::Leaving,
        other => return Err(unknown_word("state in its group", other.as_str())),
    })
}

fn launches(seen: &AutoScalingGroup, versions: &[LaunchTemplateVersion]) -> Result<Launches, Unreadable> {
    let otherwise = |what: &str| Ok(Launches::Otherwise(what.to_owned()));
    if seen.mixed_instances_policy().is_some() {
        return otherwise("a mixed instances policy");
    }
    let Some(used) = seen.launch_template() else { return otherwise("a launch configuration") };
    let named = used.version().unwrap_or("$Default");
    let newest = versions.iter().max_by_key(|version| version.version_number());
    let version = match named {
        "$Latest" => newest,
        "$Default" => versions.iter().find(|version| version.default_version() == Some(true)),
        number => versions.iter().find(|version| number.parse().ok() == version.version_number()),
    };
    let (Some(version), Some(newest)) = (version, newest) else {
        return otherwise("a launch template that is not there");
    };
    Ok(Launches::Template(Box::new(Template {
        id: given(used.launch_template_id(), "launch template's id")?.to_owned(),
        version: template_version(version)?,
        pinned: named.parse::<i64>().is_ok(),
        latest: template_version(newest)?,
        beyond: version.launch_template_data().map(beyond_template).unwrap_or_default(),
    })))
}

fn template_version(seen: &LaunchTemplateVersion) -> Result<TemplateVersion, Unreadable> {
    let nameless = || Unreadable::UnknownWord("it has a template version without a number".to_owned());
    let number = seen.version_number().and_then(|number| u64::try_from(number).ok()).ok_or_else(nameless)?;
    Ok(TemplateVersion { number, make: make(seen), tells_tags: tells_tags(seen) })
}

/// Says whether what is launched can read its own tags. EC2 keeps them from an instance unless it is told otherwise.
fn tells_tags(seen: &LaunchTemplateVersion) -> bool {
    let metadata = seen.launch_template_data().and_then(|data| data.metadata_options());
    metadata.and_then(|options| options.instance_metadata_tags())
        == Some(&types::LaunchTemplateInstanceMetadataTagsState::Enabled)
}

/// Reads the make from a template. A setting that is not in it is empty, and so differs from whatever the spec wants.
fn make(seen: &LaunchTemplateVersion) -> Make {
    let Some(data) = seen.launch_template_data() else {
        return Make {
            image: "".into(),
            instance_type: String::new(),
            iam_instance_profile: None,
            security_groups: BTreeSet::new(),
            key_name: None,
            placement: Placement::default(),
            capacity_reservation: None,
            root_volume: None,
            user_data: UserData::Absent,
        };
    };
    let profile = data.iam_instance_profile();
    let by_arn = || profile.and_then(|profile| profile.arn()?.rsplit('/').next());
    Make {
        image: data.image_id().unwrap_or_default().into(),
        instance_type: data.instance_type().map(types::InstanceType::as_str).unwrap_or_default().to_owned(),
        iam_instance_profile: profile.and_then(|profile| profile.name()).or_else(by_arn).map(str::to_owned),
        security_groups: data.security_group_ids().iter().cloned().collect(),
        key_name: data.key_name().map(str::to_owned),
        placement: placement(data),
        capacity_reservation: data.capacity_reservation_specification().and_then(capacity_reservation),
        root_volume: root_volume(data),
        user_data: user_data(seen),
    }
}

fn placement(data: &types::ResponseLaunchTemplateData) -> Placement {
    let Some(placement) = data.placement() else { return Placement::default() };
    Placement {
        tenancy: instance::tenancy(placement.tenancy()),
        group: placement.group_name().filter(|name| !name.is_empty()).map(str::to_owned),
    }
}

fn capacity_reservation(
    seen: &types::LaunchTemplateCapacityReservationSpecificationResponse,
) -> Option<CapacityReservation> {
    let target = seen.capacity_reservation_target();
    instance::reservation(
        seen.capacity_reservation_preference(),
        target.and_then(types::CapacityReservationTargetResponse::capacity_reservation_id),
    )
}

/// Reads the root volume off the tag that an instance of the template bears.
pub(super) fn root_volume(data: &types::ResponseLaunchTemplateData) -> Option<String> {
    let of_instances = data.tag_specifications().iter();
    let mut of_instances = of_instances.filter(|one| one.resource_type() == Some(&types::ResourceType::Instance));
    of_instances.find_map(|one| Tags::of(one.tags()).name(tags::ROOT_VOLUME))
}

fn user_data(seen: &LaunchTemplateVersion) -> UserData {
    let text = seen.launch_template_data().and_then(|data| data.user_data()).filter(|text| !text.is_empty());
    let decoded = |text: &str| base64::decode(text).unwrap_or_else(|_| text.as_bytes().to_vec());
    text.map_or(UserData::Absent, |text| UserData::Digest(crate::ids::digest(&decoded(text))))
}

/// Reads a recruit. EC2 does not list user data, so that of the version counts from which the group launched it.
fn recruit(
    group: &AutoScalingGroup,
    seen: &types::Instance,
    versions: &[LaunchTemplateVersion],
) -> Result<Recruit, Unreadable> {
    let member = group.instances().iter().find(|member| member.instance_id() == seen.instance_id());
    let number = member.and_then(|member| member.launch_template()?.version()?.parse::<i64>().ok());
    let from = versions.iter().find(|version| number.is_some() && version.version_number() == number);
    let nameless = || Unreadable::UnknownWord("it has no launch time".to_owned());
    Ok(Recruit {
        id: given(seen.instance_id(), "id")?.into(),
        state: life_cycle(seen)?,
        launched_at: seen.launch_time().and_then(timestamp).ok_or_else(nameless)?,
        zone: given(seen.placement().and_then(types::Placement::availability_zone), "zone")?.into(),
        subnet: seen.subnet_id().unwrap_or_default().to_owned(),
        make: instance::make(seen, from.map_or(UserData::Absent, user_data))?,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::types::{LaunchTemplateSpecification, SuspendedProcess, TagDescription};
    use aws_sdk_ec2::types::ResponseLaunchTemplateData;

    use super::*;

    fn version(number: i64, image: &str, default: bool) -> LaunchTemplateVersion {
        let data = ResponseLaunchTemplateData::builder().image_id(image).user_data("aGVsbG8=").build();
        LaunchTemplateVersion::builder()
            .version_number(number)
            .default_version(default)
            .launch_template_data(data)
            .build()
    }

    fn seen(version: &str) -> AutoScalingGroup {
        let template = LaunchTemplateSpecification::builder().launch_template_id("lt-1").version(version).build();
        let member = |id: &str, state| {
            Instance::builder().instance_id(id).lifecycle_state(state).health_status("Healthy").build()
        };
        AutoScalingGroup::builder()
            .auto_scaling_group_name("servers")
            .min_size(0)
            .max_size(4)
            .desired_capacity(3)
            .launch_template(template)
            .instances(member("i-1", LifecycleState::InService))
            .instances(member("i-2", LifecycleState::PendingWait))
            .suspended_processes(SuspendedProcess::builder().process_name("Launch").build())
            .suspended_processes(SuspendedProcess::builder().process_name("AddToLoadBalancer").build())
            .tags(TagDescription::builder().key(RESUME).value("Launch,Terminate").build())
            .build()
    }

    #[test]
    fn a_group_is_read_with_what_it_launches_now_and_what_is_newest() {
        let versions = [version(3, "ami-3", true), version(5, "ami-5", false)];
        for (named, number, pinned) in [("3", 3, true), ("$Latest", 5, false), ("$Default", 3, false)] {
            let group = adopted_group(&seen(named), &[], &versions).unwrap();
            let Launches::Template(template) = group.launches else { panic!("{:?}", group.launches) };
            assert_eq!((template.version.number, template.latest.number, template.pinned), (number, 5, pinned));
            assert_eq!(template.latest.make.user_data, UserData::Digest(crate::ids::digest(b"hello")));
        }
    }

    #[test]
    fn only_processes_that_matter_are_told_and_those_to_resume_are_read_off_the_tag() {
        let group = adopted_group(&seen("3"), &[], &[version(3, "ami-3", true)]).unwrap();
        assert_eq!(joined(&group.suspended), "Launch");
        assert_eq!(group.resume.map(|resume| joined(&resume)), Some("Launch,Terminate".to_owned()));
        assert_eq!(group.members[&InstanceId::from("i-2")].lifecycle, Lifecycle::Joining);
        assert!(group.members[&InstanceId::from("i-1")].healthy);
    }

    #[test]
    fn a_group_without_its_launch_template_says_so() {
        let group = adopted_group(&seen("3"), &[], &[]).unwrap();
        assert_eq!(group.launches, Launches::Otherwise("a launch template that is not there".to_owned()));
    }
}
