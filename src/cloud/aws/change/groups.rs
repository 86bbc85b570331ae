//! Changes of an adopted Auto Scaling group, and of its launch template.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{LaunchTemplateSpecification, Tag};
use aws_sdk_ec2::types::{
    HttpTokensState, InstanceType, LaunchTemplateIamInstanceProfileSpecificationRequest as Profile,
    LaunchTemplateInstanceMetadataEndpointState, LaunchTemplateInstanceMetadataOptionsRequest as Metadata,
    LaunchTemplateInstanceMetadataTagsState, LaunchTemplateTagSpecificationRequest, RequestLaunchTemplateData,
    ResourceType, ShutdownBehavior,
};
use aws_smithy_types::base64;

use super::super::convert;
use super::super::operation::{self, DESCRIBE_AUTO_SCALING_GROUPS, DESCRIBE_INSTANCES, Operation};
use super::super::tags::{self, Tags};
use super::launch::METADATA_HOPS;
use super::{ALREADY_SO, Change, Halt, halt, not_shown, puzzling};
use crate::action::{Found, GroupEffect, NewTemplateVersion, Recruitment};
use crate::ids::InstanceId;
use crate::observed::{InstanceState, Process};
use crate::ports::{Clock, Outcome};

/// The call that an effect comes to.
pub(super) fn operation(effect: &GroupEffect) -> Operation {
    match effect {
        GroupEffect::RecordResume { .. } => operation::CREATE_OR_UPDATE_TAGS,
        GroupEffect::Suspend { .. } => operation::SUSPEND_PROCESSES,
        GroupEffect::Join { .. } => operation::ATTACH_INSTANCES,
        GroupEffect::Protect { .. } => operation::SET_INSTANCE_PROTECTION,
        GroupEffect::Vouch { .. } => operation::SET_INSTANCE_HEALTH,
        GroupEffect::Leave { .. } => operation::DETACH_INSTANCES,
        GroupEffect::Resize { .. } => operation::SET_DESIRED_CAPACITY,
        GroupEffect::Resume { .. } => operation::RESUME_PROCESSES,
        GroupEffect::ForgetResume { .. } => operation::DELETE_GROUP_TAGS,
        GroupEffect::CreateTemplateVersion(_) => operation::CREATE_LAUNCH_TEMPLATE_VERSION,
        GroupEffect::LowerMinimum { .. } | GroupEffect::UseTemplateVersion { .. } => {
            operation::UPDATE_AUTO_SCALING_GROUP
        }
    }
}

impl<C: Clock> Change<'_, C> {
    pub(super) async fn change_group(&self, name: &str, effect: &GroupEffect) -> Result<Outcome, Halt> {
        self.is_as_expected(name, effect).await?;
        let (groups, operation) = (&self.region.autoscaling, operation(effect));
        let (ids, processes) = (|id: &InstanceId| vec![id.to_string()], |names: &BTreeSet<Process>| sorted(names));
        match effect {
            GroupEffect::RecordResume { processes } => {
                let tag = resume_tag(name).value(convert::joined(processes)).propagate_at_launch(false).build();
                self.send(operation, groups.create_or_update_tags().tags(tag).send()).await?;
            }
            GroupEffect::ForgetResume { .. } => {
                self.send(operation, groups.delete_tags().tags(resume_tag(name).build()).send()).await?;
            }
            GroupEffect::Suspend { processes: names } => {
                let call = groups.suspend_processes().auto_scaling_group_name(name);
                self.send(operation, call.set_scaling_processes(Some(processes(names))).send()).await?;
            }
            GroupEffect::Resume { processes: names } => {
                let call = groups.resume_processes().auto_scaling_group_name(name);
                self.send(operation, call.set_scaling_processes(Some(processes(names))).send()).await?;
            }
            GroupEffect::Join { instance } => {
                self.may_join(instance).await?;
                let call = groups.attach_instances().auto_scaling_group_name(name);
                self.send(operation, call.set_instance_ids(Some(ids(instance))).send()).await?;
            }
            GroupEffect::Leave { instance } => {
                let call = groups.detach_instances().auto_scaling_group_name(name);
                let call = call.set_instance_ids(Some(ids(instance))).should_decrement_desired_capacity(true);
                self.send(operation, call.send()).await?;
            }
            GroupEffect::Protect { instance } => {
                let call = groups.set_instance_protection().auto_scaling_group_name(name);
                let call = call.set_instance_ids(Some(ids(instance))).protected_from_scale_in(true);
                self.send(operation, call.send()).await?;
            }
            GroupEffect::Vouch { instance } => {
                let call = groups.set_instance_health().instance_id(&**instance).health_status("Healthy");
                self.send(operation, call.send()).await?;
            }
            GroupEffect::Resize { to, .. } => {
                let call = groups.set_desired_capacity().auto_scaling_group_name(name).honor_cooldown(false);
                let call = call.desired_capacity((*to).try_into().unwrap_or(i32::MAX));
                self.send(operation, call.send()).await?;
            }
            GroupEffect::LowerMinimum { .. } => {
                let call = groups.update_auto_scaling_group().auto_scaling_group_name(name).min_size(0);
                self.send(operation, call.send()).await?;
            }
            GroupEffect::CreateTemplateVersion(version) => {
                let call = self.region.ec2.create_launch_template_version().client_token(&*version.token);
                let call = call.launch_template_id(&version.template).launch_template_data(template_data(version));
                self.send(operation, call.send()).await?;
            }
            GroupEffect::UseTemplateVersion { template, to, .. } => {
                let version = LaunchTemplateSpecification::builder().launch_template_id(template);
                let call = groups.update_auto_scaling_group().auto_scaling_group_name(name);
                let call = call.launch_template(version.version(to.to_string()).build());
                self.send(operation, call.send()).await?;
            }
        }
        Ok(Outcome::Done)
    }

    /// Looks at the group. Its template is looked at only where the change is about which version is used.
    async fn is_as_expected(&self, name: &str, effect: &GroupEffect) -> Result<(), Halt> {
        let call = self.region.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(name);
        let answer = self.look(DESCRIBE_AUTO_SCALING_GROUPS, call.send()).await?;
        let seen = answer.auto_scaling_groups.unwrap_or_default().into_iter().next();
        let seen = seen.ok_or_else(|| not_shown(DESCRIBE_AUTO_SCALING_GROUPS, name))?;
        let versions = match effect {
            GroupEffect::UseTemplateVersion { .. } => self.aws.versions_of(&self.region, &seen).await?,
            _ => Vec::new(),
        };
        let group = convert::adopted_group(&seen, &[], &versions)
            .map_err(|unknown| puzzling(DESCRIBE_AUTO_SCALING_GROUPS, name, &unknown))?;
        match effect.expects(&group) {
            Found::AsExpected => Ok(()),
            Found::AlreadySo => Err(ALREADY_SO),
            Found::Otherwise { expected, found } => halt(expected, found),
        }
    }

    async fn may_join(&self, id: &InstanceId) -> Result<(), Halt> {
        let instance = self.instance(id).await?;
        let state = convert::life_cycle(&instance).map_err(|unknown| puzzling(DESCRIBE_INSTANCES, id, &unknown))?;
        match (state, convert::group(&instance)) {
            (InstanceState::Running, None) => Ok(()),
            (InstanceState::Running, Some(group)) => halt(format!("{id} in no group"), group),
            (other, _) => halt(format!("{id} running"), other.to_string()),
        }
    }

    /// The tags that a launch would have given it. One that bears another slot's is not taken.
    pub(super) async fn recruit(&self, wanted: &Recruitment) -> Result<Outcome, Halt> {
        let slot = self.the_slot(operation::CREATE_TAGS)?;
        let id = &wanted.instance;
        let call = self.region.ec2.describe_instances().instance_ids(&**id);
        let answer = self.look(DESCRIBE_INSTANCES, call.send()).await?;
        let mut found = answer.reservations().iter().flat_map(|one| one.instances());
        let instance = found.find(|instance| instance.instance_id() == Some(id));
        let instance = instance.ok_or_else(|| not_shown(DESCRIBE_INSTANCES, id))?;
        let seen = Tags::of(instance.tags());
        let all = recruit_tags(wanted, tags::place(&self.spec.name, slot), &self.spec.instance.tags);
        if seen.include(&all) {
            return Err(ALREADY_SO);
        }
        if let Some(other) = seen.get(tags::CLUSTER) {
            return halt(format!("{id} without a tag of ours"), format!("{}={other}", tags::CLUSTER));
        }
        if self.spec.capacity.group() != convert::group(instance).as_deref() {
            return halt(format!("{id} launched by the adopted group"), format!("{:?}", convert::group(instance)));
        }
        let call = self.region.ec2.create_tags().resources(&**id).set_tags(Some(tags::written(&all)));
        self.send(operation::CREATE_TAGS, call.send()).await?;
        Ok(Outcome::Done)
    }
}

fn sorted(processes: &BTreeSet<Process>) -> Vec<String> {
    processes.iter().map(ToString::to_string).collect()
}

fn resume_tag(group: &str) -> aws_sdk_autoscaling::types::builders::TagBuilder {
    Tag::builder().resource_type("auto-scaling-group").resource_id(group).key(convert::RESUME)
}

fn recruit_tags(
    wanted: &Recruitment,
    place: BTreeMap<String, String>,
    declared: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut all = declared.clone();
    all.extend(place);
    all.insert(tags::OWNER.to_owned(), wanted.owner.to_string());
    all.insert(tags::GENERATION.to_owned(), wanted.generation.to_string());
    all.insert(tags::ATTEMPT.to_owned(), wanted.attempt.to_string());
    all.extend(wanted.user_data.digest().map(|digest| (tags::USER_DATA.to_owned(), digest.clone())));
    all.extend(wanted.volumes.iter().map(|(name, id)| (tags::volume_of_guest(name), id.to_string())));
    all
}

/// Whole, like a launch: nothing is taken from an earlier version. The owner tag is in it, so that the policy which allows
/// us to launch only what is ours allows the group to be given this.
fn template_data(version: &NewTemplateVersion) -> RequestLaunchTemplateData {
    let metadata = Metadata::builder()
        .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
        .http_tokens(aws_sdk_ec2::types::LaunchTemplateHttpTokensState::from(HttpTokensState::Required.as_str()))
        .http_put_response_hop_limit(METADATA_HOPS)
        .instance_metadata_tags(LaunchTemplateInstanceMetadataTagsState::Enabled)
        .build();
    let mut all = version.tags.clone();
    all.insert(tags::OWNER.to_owned(), version.owner.to_string());
    let tags = LaunchTemplateTagSpecificationRequest::builder()
        .resource_type(ResourceType::Instance)
        .set_tags(Some(tags::written(&all)))
        .build();
    let make = &version.make;
    let groups: Vec<_> = make.security_groups.iter().cloned().collect();
    RequestLaunchTemplateData::builder()
        .image_id(&*make.image)
        .instance_type(InstanceType::from(make.instance_type.as_str()))
        .set_iam_instance_profile(make.iam_instance_profile.as_ref().map(|name| Profile::builder().name(name).build()))
        .set_security_group_ids((!groups.is_empty()).then_some(groups))
        .set_key_name(make.key_name.clone())
        .set_user_data(version.user_data_text.as_ref().map(base64::encode))
        .metadata_options(metadata)
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Stop)
        .tag_specifications(tags)
        .build()
}
