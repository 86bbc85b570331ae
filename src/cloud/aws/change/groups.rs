//! Changes of an adopted Auto Scaling group, and of its launch template.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::{LaunchTemplateSpecification, Tag};
use aws_sdk_ec2::types::{
    HttpTokensState, InstanceType, LaunchTemplateBlockDeviceMappingRequest,
    LaunchTemplateCapacityReservationSpecificationRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateIamInstanceProfileSpecificationRequest as Profile, LaunchTemplateInstanceMetadataEndpointState,
    LaunchTemplateInstanceMetadataOptionsRequest as Metadata, LaunchTemplateInstanceMetadataTagsState,
    LaunchTemplatePlacementRequest, LaunchTemplateTagSpecificationRequest, RequestLaunchTemplateData, ResourceType,
    ShutdownBehavior, Tenancy, VolumeType,
};
use aws_smithy_types::base64;

use super::super::convert;
use super::super::operation::{self, Operation};
use super::super::tags;
use super::launch::{METADATA_HOPS, preferred, whole};
use super::{Change, Halt};
use crate::action::{GroupEffect, NewTemplateVersion, RootVolume};
use crate::ids::InstanceId;
use crate::make::{CapacityReservation, Placement};
use crate::observed::Process;
use crate::ports::{Clock, Outcome};

/// Names the call that an effect comes to.
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
        match effect {
            GroupEffect::RecordResume { processes } => self.record_resume(name, processes).await,
            GroupEffect::ForgetResume { .. } => self.forget_resume(name).await,
            GroupEffect::Suspend { processes } => self.suspend_processes(name, processes).await,
            GroupEffect::Resume { processes } => self.resume_processes(name, processes).await,
            GroupEffect::Join { instance } => self.attach_instance(name, instance).await,
            GroupEffect::Leave { instance } => self.detach_instance(name, instance).await,
            GroupEffect::Protect { instance } => self.protect_instance(name, instance).await,
            GroupEffect::Vouch { instance } => self.mark_healthy(instance).await,
            GroupEffect::Resize { to, .. } => self.set_desired_capacity(name, *to).await,
            GroupEffect::LowerMinimum { .. } => self.lower_minimum(name).await,
            GroupEffect::CreateTemplateVersion(version) => self.create_version(version).await,
            GroupEffect::UseTemplateVersion { template, to, .. } => self.use_version(name, template, *to).await,
        }
    }

    async fn record_resume(&self, name: &str, processes: &BTreeSet<Process>) -> Result<Outcome, Halt> {
        let tag = resume_tag(name).value(convert::joined(processes)).propagate_at_launch(false).build();
        let call = self.region.autoscaling.create_or_update_tags().tags(tag);
        self.send(operation::CREATE_OR_UPDATE_TAGS, call.send()).await?;
        Ok(Outcome::Done)
    }

    async fn forget_resume(&self, name: &str) -> Result<Outcome, Halt> {
        let call = self.region.autoscaling.delete_tags().tags(resume_tag(name).build());
        self.send(operation::DELETE_GROUP_TAGS, call.send()).await?;
        Ok(Outcome::Done)
    }

    async fn suspend_processes(&self, name: &str, processes: &BTreeSet<Process>) -> Result<Outcome, Halt> {
        let call = self.region.autoscaling.suspend_processes().auto_scaling_group_name(name);
        let call = call.set_scaling_processes(Some(sorted(processes)));
        self.send(operation::SUSPEND_PROCESSES, call.send()).await?;
        Ok(Outcome::Done)
    }

    async fn resume_processes(&self, name: &str, processes: &BTreeSet<Process>) -> Result<Outcome, Halt> {
        let call = self.region.autoscaling.resume_processes().auto_scaling_group_name(name);
        let call = call.set_scaling_processes(Some(sorted(processes)));
        self.send(operation::RESUME_PROCESSES, call.send()).await?;
        Ok(Outcome::Done)
    }

    async fn attach_instance(&self, name: &str, instance: &InstanceId) -> Result<Outcome, Halt> {
        let call = self.region.autoscaling.attach_instances().auto_scaling_group_name(name).instance_ids(&**instance);
        self.send(operation::ATTACH_INSTANCES, call.send()).await?;
        Ok(Outcome::Done)
    }

    /// Takes an instance out of the group, which then wants one fewer and does not replace it.
    async fn detach_instance(&self, name: &str, instance: &InstanceId) -> Result<Outcome, Halt> {
        let call = self.region.autoscaling.detach_instances().auto_scaling_group_name(name).instance_ids(&**instance);
        self.send(operation::DETACH_INSTANCES, call.should_decrement_desired_capacity(true).send()).await?;
        Ok(Outcome::Done)
    }

    async fn protect_instance(&self, name: &str, instance: &InstanceId) -> Result<Outcome, Halt> {
        let call = self.region.autoscaling.set_instance_protection().auto_scaling_group_name(name);
        let call = call.instance_ids(&**instance).protected_from_scale_in(true);
        self.send(operation::SET_INSTANCE_PROTECTION, call.send()).await?;
        Ok(Outcome::Done)
    }

    async fn mark_healthy(&self, instance: &InstanceId) -> Result<Outcome, Halt> {
        let call = self.region.autoscaling.set_instance_health().instance_id(&**instance).health_status("Healthy");
        self.send(operation::SET_INSTANCE_HEALTH, call.send()).await?;
        Ok(Outcome::Done)
    }

    async fn set_desired_capacity(&self, name: &str, to: u32) -> Result<Outcome, Halt> {
        let call = self.region.autoscaling.set_desired_capacity().auto_scaling_group_name(name).honor_cooldown(false);
        let call = call.desired_capacity(to.try_into().unwrap_or(i32::MAX));
        self.send(operation::SET_DESIRED_CAPACITY, call.send()).await?;
        Ok(Outcome::Done)
    }

    async fn lower_minimum(&self, name: &str) -> Result<Outcome, Halt> {
        let call = self.region.autoscaling.update_auto_scaling_group().auto_scaling_group_name(name).min_size(0);
        self.send(operation::UPDATE_AUTO_SCALING_GROUP, call.send()).await?;
        Ok(Outcome::Done)
    }

    async fn create_version(&self, version: &NewTemplateVersion) -> Result<Outcome, Halt> {
        let call = self.region.ec2.create_launch_template_version().client_token(&*version.token);
        let call = call.launch_template_id(&version.template).launch_template_data(template_data(version));
        self.send(operation::CREATE_LAUNCH_TEMPLATE_VERSION, call.send()).await?;
        Ok(Outcome::Done)
    }

    async fn use_version(&self, name: &str, template: &str, number: u64) -> Result<Outcome, Halt> {
        let version = LaunchTemplateSpecification::builder().launch_template_id(template).version(number.to_string());
        let call = self.region.autoscaling.update_auto_scaling_group().auto_scaling_group_name(name);
        self.send(operation::UPDATE_AUTO_SCALING_GROUP, call.launch_template(version.build()).send()).await?;
        Ok(Outcome::Done)
    }
}

fn sorted(processes: &BTreeSet<Process>) -> Vec<String> {
    processes.iter().map(ToString::to_string).collect()
}

fn resume_tag(group: &str) -> aws_sdk_autoscaling::types::builders::TagBuilder {
    Tag::builder().resource_type("auto-scaling-group").resource_id(group).key(convert::RESUME)
}

/// Writes a version whole, like a launch: nothing is taken from an earlier version. The owner tag is in it, because the
/// policy allows us to launch only what bears it, and asks the same of what a group is given.
fn template_data(version: &NewTemplateVersion) -> RequestLaunchTemplateData {
    let metadata = Metadata::builder()
        .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
        .http_tokens(aws_sdk_ec2::types::LaunchTemplateHttpTokensState::from(HttpTokensState::Required.as_str()))
        .http_put_response_hop_limit(METADATA_HOPS)
        .instance_metadata_tags(LaunchTemplateInstanceMetadataTagsState::Enabled)
        .build();
    let mut all = version.tags.clone();
    all.insert(tags::OWNER.to_owned(), version.owner.to_string());
    all.extend(version.make.root_volume.as_ref().map(|root| (tags::ROOT_VOLUME.to_owned(), root.clone())));
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
        .set_block_device_mappings(version.root_volume.as_ref().map(|root| vec![root_volume(root)]))
        .set_placement((!make.placement.is_left_open()).then(|| placement(&make.placement)))
        .set_capacity_reservation_specification(make.capacity_reservation.as_ref().map(reservation))
        .set_user_data(version.user_data_text.as_ref().map(base64::encode))
        .metadata_options(metadata)
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Stop)
        .tag_specifications(tags)
        .build()
}

fn placement(chosen: &Placement) -> LaunchTemplatePlacementRequest {
    LaunchTemplatePlacementRequest::builder()
        .set_tenancy(chosen.tenancy.as_deref().map(Tenancy::from))
        .set_group_name(chosen.group.clone())
        .build()
}

fn reservation(chosen: &CapacityReservation) -> LaunchTemplateCapacityReservationSpecificationRequest {
    let (preference, target) = preferred(chosen);
    LaunchTemplateCapacityReservationSpecificationRequest::builder()
        .set_capacity_reservation_preference(preference)
        .set_capacity_reservation_target(target)
        .build()
}

fn root_volume(root: &RootVolume) -> LaunchTemplateBlockDeviceMappingRequest {
    let ebs = LaunchTemplateEbsBlockDeviceRequest::builder()
        .delete_on_termination(true)
        .set_volume_size(whole(root.size_gib))
        .volume_type(VolumeType::from(root.ebs.volume_type.as_str()))
        .set_iops(whole(root.ebs.iops))
        .set_throughput(whole(root.ebs.throughput))
        .set_encrypted(root.ebs.encrypted.then_some(true))
        .set_kms_key_id(root.ebs.kms_key.clone())
        .build();
    LaunchTemplateBlockDeviceMappingRequest::builder().device_name(&root.device).ebs(ebs).build()
}
