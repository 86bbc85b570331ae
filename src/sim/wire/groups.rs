//! Auto Scaling groups and launch templates: what they are, and the calls about them.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::asked::Asked;
use super::launch;
use super::params::Params;
use super::placement;
use super::problem::Problem;
use super::tags;
use super::xml::Xml;
use crate::action::{CloudEffect, GroupEffect, NewTemplateVersion};
use crate::ids::{ClusterName, ImageId, InstanceId, Owner, Token};
use crate::make::{Make, UserData};
use crate::observed::tags::{OWNER, ROOT_VOLUME};
use crate::observed::{Group, Launches, Lifecycle, Process};
use crate::sim::ec2::Bucket;
use crate::sim::time::instant;

/// The tag that says which processes to resume.
const RESUME: &str = "hermitcrab:resume";

/// `DescribeAutoScalingGroups`.
pub fn describe(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let names: BTreeSet<String> = below(&params, "AutoScalingGroupNames").into_iter().collect();
    params.parsed::<u32>("MaxRecords")?;
    if params.take("NextToken").is_some() {
        return Err(Problem::new("InvalidNextToken", "The token is not valid"));
    }
    asked.begin(Bucket::AutoScaling, "look", false)?;
    let wanted = |group: &&Group| names.is_empty() || names.contains(&group.name);
    let groups: Vec<Group> = asked.state.region.groups.values().map(|group| group.seen.clone()).collect();
    let shown: Vec<_> = groups.iter().filter(wanted).map(|group| described(asked, group)).collect();
    Ok(vec![Xml::group("DescribeAutoScalingGroupsResult", [Xml::members("AutoScalingGroups", shown)])])
}

/// Reads a list as this service has it: `AutoScalingGroupNames.member.1`.
fn below(params: &Params, name: &str) -> Vec<String> {
    params.below(name).list("member")
}

fn described(asked: &Asked, group: &Group) -> Vec<Xml> {
    let suspended = group
        .suspended
        .iter()
        .map(|process| vec![Xml::text("ProcessName", process), Xml::text("SuspensionReason", "User suspended")]);
    let resume = group.resume.iter().map(|processes| {
        let names: Vec<_> = processes.iter().map(|process| process.name()).collect();
        vec![
            Xml::text("Key", RESUME),
            Xml::text("Value", names.join(",")),
            Xml::text("ResourceId", &group.name),
            Xml::text("ResourceType", "auto-scaling-group"),
            Xml::text("PropagateAtLaunch", false),
        ]
    });
    let mut xml = vec![
        Xml::text("AutoScalingGroupName", &group.name),
        Xml::text("MinSize", group.min),
        Xml::text("MaxSize", group.max),
        Xml::text("DesiredCapacity", group.desired),
        Xml::group("AvailabilityZones", group.zones.iter().map(|zone| Xml::text("member", zone))),
        Xml::members("SuspendedProcesses", suspended),
        Xml::members("Tags", resume),
        Xml::members("Instances", group.members.keys().map(|id| member(asked, group, id))),
    ];
    if let Launches::Template(template) = &group.launches {
        let version = if template.pinned { template.version.number.to_string() } else { "$Latest".to_owned() };
        let spec = [Xml::text("LaunchTemplateId", &template.id), Xml::text("Version", version)];
        xml.push(Xml::group("LaunchTemplate", spec));
    }
    xml
}

fn member(asked: &Asked, group: &Group, id: &InstanceId) -> Vec<Xml> {
    let zone = asked.state.region.machine(id).map(|machine| machine.seen.zone.to_string()).unwrap_or_default();
    let Some(member) = group.members.get(id) else { return Vec::new() };
    let state = match member.lifecycle {
        Lifecycle::Joining => "Pending",
        Lifecycle::InService => "InService",
        Lifecycle::Standby => "Standby",
        Lifecycle::Leaving => "Terminating",
    };
    let mut xml = vec![
        Xml::text("InstanceId", id),
        Xml::text("AvailabilityZone", zone),
        Xml::text("LifecycleState", state),
        Xml::text("HealthStatus", if member.healthy { "Healthy" } else { "Unhealthy" }),
        Xml::text("ProtectedFromScaleIn", member.protected),
    ];
    if let Launches::Template(template) = &group.launches {
        let spec = [Xml::text("LaunchTemplateId", &template.id), Xml::text("Version", template.version.number)];
        xml.push(Xml::group("LaunchTemplate", spec));
    }
    xml
}

/// Sends a call about the group that the request names.
fn send(asked: &mut Asked, group: &str, effect: GroupEffect) -> Result<Vec<Xml>, Problem> {
    asked.begin(Bucket::AutoScaling, effect.name(), true)?;
    let cluster = asked.state.region.groups.get(group).map(|group| group.cluster.clone());
    let cluster = cluster.unwrap_or_else(|| ClusterName::from(""));
    asked.change(&cluster, None, &CloudEffect::Group { group: group.to_owned(), effect })?;
    Ok(Vec::new())
}

fn processes(params: &Params) -> BTreeSet<Process> {
    let named = below(params, "ScalingProcesses");
    if named.is_empty() { Process::ALL.into() } else { named.iter().filter_map(|name| Process::named(name)).collect() }
}

/// `SuspendProcesses`.
pub fn suspend(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (name, processes) = (params.required("AutoScalingGroupName")?, processes(&params));
    send(asked, &name, GroupEffect::Suspend { processes })
}

/// `ResumeProcesses`.
pub fn resume(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (name, processes) = (params.required("AutoScalingGroupName")?, processes(&params));
    send(asked, &name, GroupEffect::Resume { processes })
}

fn one_instance(params: &Params) -> Result<InstanceId, Problem> {
    let ids = below(params, "InstanceIds");
    match &ids[..] {
        [id] => Ok(InstanceId::from(id.as_str())),
        _ => Err(Problem::new("ValidationError", "The simulated world takes one instance a call")),
    }
}

/// `AttachInstances`.
pub fn attach(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (name, instance) = (params.required("AutoScalingGroupName")?, one_instance(&params)?);
    send(asked, &name, GroupEffect::Join { instance })
}

/// `DetachInstances`, after which the group wants one fewer.
pub fn detach(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (name, instance) = (params.required("AutoScalingGroupName")?, one_instance(&params)?);
    if params.flag("ShouldDecrementDesiredCapacity")? != Some(true) {
        let text = "In the simulated world a group that lets an instance go wants one fewer";
        return Err(Problem::new("ValidationError", text));
    }
    send(asked, &name, GroupEffect::Leave { instance: instance.clone() })?;
    let activity = vec![
        Xml::text("ActivityId", format!("detach-{instance}")),
        Xml::text("AutoScalingGroupName", &name),
        Xml::text("Description", format!("Detaching EC2 instance: {instance}")),
        Xml::text("Cause", "The instance was detached in response to a user request."),
        Xml::text("StartTime", asked.face.written(instant(asked.state.now))),
        Xml::text("StatusCode", "InProgress"),
        Xml::text("Progress", 50),
    ];
    Ok(vec![Xml::group("DetachInstancesResult", [Xml::members("Activities", [activity])])])
}

/// `SetInstanceProtection`.
pub fn protect(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (name, instance) = (params.required("AutoScalingGroupName")?, one_instance(&params)?);
    if params.flag("ProtectedFromScaleIn")? != Some(true) {
        return Err(Problem::new("ValidationError", "The simulated world takes no protection off"));
    }
    send(asked, &name, GroupEffect::Protect { instance })
}

/// `SetInstanceHealth`.
pub fn vouch(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (instance, health) = (InstanceId::from(params.required("InstanceId")?), params.required("HealthStatus")?);
    params.flag("ShouldRespectGracePeriod")?;
    if health != "Healthy" {
        return Err(Problem::new("ValidationError", "In the simulated world health comes back only"));
    }
    let group = asked.state.region.group_with(&instance).map(|group| group.seen.name.clone());
    send(asked, &group.unwrap_or_default(), GroupEffect::Vouch { instance })
}

/// `SetDesiredCapacity`.
pub fn resize(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (name, to) = (params.required("AutoScalingGroupName")?, params.parsed("DesiredCapacity")?.unwrap_or_default());
    params.flag("HonorCooldown")?;
    let from = asked.state.region.groups.get(&name).map_or(0, |group| group.seen.desired);
    send(asked, &name, GroupEffect::Resize { from, to })
}

/// `UpdateAutoScalingGroup`: no minimum, or another version of the template.
pub fn update(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let name = params.required("AutoScalingGroupName")?;
    let template = params.below("LaunchTemplate");
    let effect = match (params.parsed::<u32>("MinSize")?, template.take("LaunchTemplateId")) {
        (Some(0), None) => {
            GroupEffect::LowerMinimum { from: asked.state.region.groups.get(&name).map_or(0, |group| group.seen.min) }
        }
        (None, Some(id)) => GroupEffect::UseTemplateVersion {
            template: id,
            from: 0,
            to: template.parsed("Version")?.unwrap_or_default(),
        },
        _ => return Err(Problem::new("ValidationError", "The simulated world changes nothing else of a group")),
    };
    send(asked, &name, effect)
}

/// `CreateOrUpdateTags`, of the one tag that a group has.
pub fn tag(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (group, value) = resume_tag(&params)?;
    let processes = value.split(',').filter_map(Process::named).collect();
    send(asked, &group, GroupEffect::RecordResume { processes })
}

/// `DeleteTags` of Auto Scaling.
pub fn untag(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (group, _) = resume_tag(&params)?;
    send(asked, &group, GroupEffect::ForgetResume { processes: BTreeSet::new() })
}

fn resume_tag(params: &Params) -> Result<(String, String), Problem> {
    let tag = params.below("Tags").below("member").below("1");
    let (key, group) = (tag.required("Key")?, tag.required("ResourceId")?);
    tag.take("ResourceType");
    tag.flag("PropagateAtLaunch")?;
    let value = tag.text("Value");
    if key == RESUME {
        Ok((group, value))
    } else {
        Err(Problem::new("ValidationError", "Groups of the simulated world have one tag"))
    }
}

/// `DescribeLaunchTemplateVersions`.
pub fn versions(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (id, wanted) = (params.required("LaunchTemplateId")?, params.list("LaunchTemplateVersion"));
    asked.begin(Bucket::Describe, "look", false)?;
    let has = |group: &&crate::sim::ec2::ScalingGroup| matches!(&group.seen.launches, Launches::Template(template) if template.id == id);
    let Some(group) = asked.state.region.groups.values().find(has) else {
        let text = format!("The specified launch template, with template ID {id}, does not exist.");
        return Err(Problem::new("InvalidLaunchTemplateId.NotFound", text));
    };
    let newest = group.versions().len() as u64;
    let number = |version: &String| match version.as_str() {
        "$Latest" => Some(newest),
        "$Default" => Some(1),
        number => number.parse().ok().filter(|number| (1..=newest).contains(number)),
    };
    let mut shown = Vec::new();
    for version in &wanted {
        let unknown =
            || Problem::new("InvalidLaunchTemplateId.VersionNotFound", format!("Could not find version {version}"));
        let number = number(version).ok_or_else(unknown)?;
        shown.extend(
            group
                .versions()
                .get(number as usize - 1)
                .map(|make| template_version(&id, number, make, &asked.face.account)),
        );
    }
    Ok(vec![Xml::set("launchTemplateVersionSet", shown)])
}

fn template_version(id: &str, number: u64, make: &Make, account: &str) -> Vec<Xml> {
    let mut data = vec![
        Xml::text("imageId", &make.image),
        Xml::text("instanceType", &make.instance_type),
        Xml::group("securityGroupIdSet", make.security_groups.iter().map(|id| Xml::text("item", id))),
        Xml::group(
            "metadataOptions",
            [Xml::text("httpTokens", "required"), Xml::text("instanceMetadataTags", "enabled")],
        ),
    ];
    let arn = |name: &String| Xml::text("arn", format!("arn:aws:iam::{account}:instance-profile/{name}"));
    data.extend(make.iam_instance_profile.iter().map(|name| Xml::group("iamInstanceProfile", [arn(name)])));
    data.extend(make.key_name.iter().map(|name| Xml::text("keyName", name)));
    data.push(Xml::group("placement", placement::written(&make.placement)));
    let root = make.root_volume.iter().map(|root| (ROOT_VOLUME.to_owned(), root.clone())).collect();
    let tagged = vec![Xml::text("resourceType", "instance"), tags::set(&root)];
    data.push(Xml::set("tagSpecificationSet", (!root.is_empty()).then_some(tagged)));
    data.push(placement::reservation_written(make.capacity_reservation.as_ref()));
    vec![
        Xml::text("launchTemplateId", id),
        Xml::text("versionNumber", number),
        Xml::text("defaultVersion", number == 1),
        Xml::group("launchTemplateData", data),
    ]
}

/// `CreateLaunchTemplateVersion`.
pub fn create_version(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let version = new_version(&params)?;
    let template = version.template.clone();
    let has = |group: &&crate::sim::ec2::ScalingGroup| matches!(&group.seen.launches, Launches::Template(found) if found.id == template);
    let group = asked.state.region.groups.values().find(has).map(|group| group.seen.name.clone());
    asked.begin(Bucket::Change, "create-template", true)?;
    let unknown = || Problem::new("InvalidLaunchTemplateId.NotFound", format!("{template} does not exist."));
    let group = group.ok_or_else(unknown)?;
    let cluster = asked.state.region.groups.get(&group).map(|group| group.cluster.clone());
    let cluster = cluster.unwrap_or_else(|| ClusterName::from(""));
    let effect = GroupEffect::CreateTemplateVersion(Box::new(version));
    asked.change(&cluster, None, &CloudEffect::Group { group, effect })?;
    Ok(vec![Xml::group("launchTemplateVersion", [Xml::text("launchTemplateId", template)])])
}

fn new_version(params: &Params) -> Result<NewTemplateVersion, Problem> {
    let data = params.below("LaunchTemplateData");
    let metadata = data.below("MetadataOptions");
    for option in ["HttpEndpoint", "HttpTokens", "HttpPutResponseHopLimit", "InstanceMetadataTags"] {
        metadata.take(option);
    }
    data.take("InstanceInitiatedShutdownBehavior");
    let tags = tags::specified(&data, "instance")?;
    let text = data.take("UserData").and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
    let make = Make {
        image: ImageId::from(data.required("ImageId")?),
        instance_type: data.required("InstanceType")?,
        iam_instance_profile: data.below("IamInstanceProfile").take("Name"),
        security_groups: data.list("SecurityGroupId").into_iter().collect(),
        key_name: data.take("KeyName"),
        placement: placement::read(&data)?,
        capacity_reservation: placement::reservation(&data)?,
        root_volume: tags::name(&tags, ROOT_VOLUME),
        user_data: UserData::of(text.as_deref()),
    };
    let root_volume = match &data.entries("BlockDeviceMapping")[..] {
        [] => None,
        [root] => Some(launch::root_volume(root.required("DeviceName")?, &root.below("Ebs"))?),
        _ => return Err(Problem::new("UnsupportedOperation", "A template of the simulated world maps one volume")),
    };
    Ok(NewTemplateVersion {
        token: Token::from(params.text("ClientToken")),
        template: params.required("LaunchTemplateId")?,
        make,
        user_data_text: text,
        root_volume,
        owner: tags::name(&tags, OWNER).unwrap_or_else(|| Owner::from("")),
        tags: tags::others(&tags),
    })
}
