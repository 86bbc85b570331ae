//! Permissions of the credentials, asked for without changing anything: reads are made, and changes are sent with `DryRun`.

use std::error::Error;
use std::future::Future;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{self, ResourceType, Tag};

use super::change::{run_instances, specification, volume_of};
use super::describe::filter;
use super::error::{Failure, Meaning};
use super::operation::{self, Operation};
use super::{Aws, Region, tags};
use crate::action::Launch;
use crate::cloud::permissions::{Allowed, Asked, Permission, needed_for};
use crate::ids::Token;
use crate::ports::{Clock, ErrorKind, PortError};
use crate::spec::ClusterSpec;

/// The smallest page that any `Describe*` call gives.
const SMALLEST_PAGE: i32 = 5;

/// As many volumes as are looked through for one of the instance's.
const PAGE_OF_VOLUMES: i32 = 100;

/// A size that a volume may be asked to have, in GiB: nothing comes of the question.
const LARGEST_GP3: i32 = 65_536;

/// Whose the credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: String,
    pub arn: String,
}

/// Resources of the cluster to try changes on. They are its own, because what is allowed may depend on their tags.
#[derive(Default)]
struct Subjects {
    instance: Option<String>,
    /// Of the instance, where it has one: EC2 may look at the zone and the attachment before it answers.
    volume: Option<String>,
    /// The launch template of the adopted group.
    template: Option<String>,
}

impl Subjects {
    fn has(&self, volume: &types::Volume) -> bool {
        volume.attachments().iter().any(|at| at.instance_id().is_some() && at.instance_id() == self.instance.as_deref())
    }
}

/// Reasons for which nobody can ask.
const NOTHING_YET: &str = "the cluster has no instance and volume yet to ask it of";
const NO_TEMPLATE: &str = "the adopted group shows no launch template to ask it of";
const NO_DRY_RUN_OF_IT: &str = "EC2 has no way to ask without doing it";
const NO_DRY_RUN: &str = "Auto Scaling has no way to ask without doing it";

impl<C: Clock> Aws<C> {
    /// Whose the credentials are.
    pub async fn identity(&self, region: &str) -> Result<Identity, PortError> {
        let region = self.region(region);
        let call = region.sts.get_caller_identity();
        let answer = self.ask(&region, operation::GET_CALLER_IDENTITY, || call.clone().send()).await;
        let answer = answer.map_err(|failure| failure.while_doing("ask whose the credentials are"))?;
        let [account, arn] = [answer.account, answer.arn].map(Option::unwrap_or_default);
        Ok(Identity { account, arn })
    }

    /// Asks for every permission that a cluster needs, in the order of the table.
    pub async fn allowed(&self, spec: &ClusterSpec) -> Vec<Asked> {
        let region = self.region(&spec.region);
        let mut subjects = Subjects::default();
        let mut asked: Vec<Asked> = Vec::new();
        for &Permission { action, why, .. } in needed_for(std::slice::from_ref(spec)) {
            let answer = match action {
                // EC2 checks it when an instance is launched with a profile.
                "iam:PassRole" => asked.iter().find(|asked| asked.action == "ec2:RunInstances").map_or_else(
                    || Allowed::Unknown("it is asked with ec2:RunInstances".to_owned()),
                    |launch| launch.answer.clone(),
                ),
                _ => self.may(&region, spec, action, &mut subjects).await,
            };
            asked.push(Asked { action, why, answer });
        }
        asked
    }

    async fn may(&self, region: &Region, spec: &ClusterSpec, action: &str, subjects: &mut Subjects) -> Allowed {
        match action.strip_prefix("ec2:").unwrap_or(action) {
            "DescribeInstances" => {
                let call = region.ec2.describe_instances().filters(of_cluster(spec)).max_results(SMALLEST_PAGE);
                let answer = self.ask(region, operation::DESCRIBE_INSTANCES, || call.clone().send()).await;
                let found = answer.as_ref().ok().and_then(|page| {
                    page.reservations().iter().flat_map(types::Reservation::instances).find_map(|one| one.instance_id())
                });
                subjects.instance = found.map(str::to_owned);
                read(answer)
            }
            "DescribeVolumes" => {
                let call = region.ec2.describe_volumes().filters(of_cluster(spec)).max_results(PAGE_OF_VOLUMES);
                let answer = self.ask(region, operation::DESCRIBE_VOLUMES, || call.clone().send()).await;
                let volumes = answer.as_ref().map(|page| page.volumes()).unwrap_or_default();
                let found = volumes.iter().find(|volume| subjects.has(volume)).or(volumes.first());
                subjects.volume = found.and_then(types::Volume::volume_id).map(str::to_owned);
                read(answer)
            }
            "DescribeInstanceAttribute" => match &subjects.instance {
                Some(instance) => {
                    let call = region.ec2.describe_instance_attribute().instance_id(instance);
                    let call = call.attribute(types::InstanceAttributeName::DisableApiTermination);
                    read(self.ask(region, operation::DESCRIBE_INSTANCE_ATTRIBUTE, || call.clone().send()).await)
                }
                None => Allowed::CannotBeAsked(NOTHING_YET),
            },
            "autoscaling:DescribeAutoScalingGroups" => {
                let call = region.autoscaling.describe_auto_scaling_groups();
                let call = call.set_auto_scaling_group_names(spec.capacity.group().map(|group| vec![group.to_owned()]));
                let answer = self.ask(region, operation::DESCRIBE_AUTO_SCALING_GROUPS, || call.clone().send()).await;
                let group = answer.as_ref().ok().and_then(|page| page.auto_scaling_groups().first());
                let template = group.and_then(|group| group.launch_template()?.launch_template_id());
                subjects.template = template.map(str::to_owned);
                read(answer)
            }
            "AssignPrivateIpAddresses" => Allowed::CannotBeAsked(NO_DRY_RUN_OF_IT),
            name if name.starts_with("Describe") || name.starts_with("Get") => self.may_read(region, spec, name).await,
            "RunInstances" | "CreateVolume" => self.may_make(region, spec, action).await,
            "CreateLaunchTemplateVersion" => match &subjects.template {
                Some(template) => self.may_make_version(region, template).await,
                None => Allowed::CannotBeAsked(NO_TEMPLATE),
            },
            name if name.starts_with("autoscaling:") => Allowed::CannotBeAsked(NO_DRY_RUN),
            name => match (&subjects.instance, &subjects.volume) {
                (Some(instance), Some(volume)) => self.may_change(region, name, instance, volume).await,
                _ => Allowed::CannotBeAsked(NOTHING_YET),
            },
        }
    }

    async fn may_read(&self, region: &Region, spec: &ClusterSpec, name: &str) -> Allowed {
        let ec2 = &region.ec2;
        match name {
            "DescribeInstanceStatus" => {
                let call = ec2.describe_instance_status().max_results(SMALLEST_PAGE);
                read(self.ask(region, operation::DESCRIBE_INSTANCE_STATUS, || call.clone().send()).await)
            }
            "DescribeVolumeStatus" => {
                let call = ec2.describe_volume_status().max_results(SMALLEST_PAGE);
                read(self.ask(region, operation::DESCRIBE_VOLUME_STATUS, || call.clone().send()).await)
            }
            "DescribeVolumesModifications" => {
                let call = ec2.describe_volumes_modifications().max_results(SMALLEST_PAGE);
                read(self.ask(region, operation::DESCRIBE_VOLUMES_MODIFICATIONS, || call.clone().send()).await)
            }
            "DescribeSnapshots" => {
                let call =
                    ec2.describe_snapshots().owner_ids("self").filters(of_cluster(spec)).max_results(SMALLEST_PAGE);
                read(self.ask(region, operation::DESCRIBE_SNAPSHOTS, || call.clone().send()).await)
            }
            "DescribeNetworkInterfaces" => {
                let call = ec2.describe_network_interfaces().max_results(SMALLEST_PAGE);
                read(self.ask(region, operation::DESCRIBE_NETWORK_INTERFACES, || call.clone().send()).await)
            }
            "DescribeSubnets" => {
                let call = ec2.describe_subnets().max_results(SMALLEST_PAGE);
                read(self.ask(region, operation::DESCRIBE_SUBNETS, || call.clone().send()).await)
            }
            "GetSubnetCidrReservations" => {
                let subnet = spec.slots.first().map(|slot| slot.subnet.clone()).unwrap_or_default();
                let call = ec2.get_subnet_cidr_reservations().subnet_id(subnet);
                read(self.ask(region, operation::GET_SUBNET_CIDR_RESERVATIONS, || call.clone().send()).await)
            }
            "GetEbsEncryptionByDefault" => {
                let call = ec2.get_ebs_encryption_by_default();
                read(self.ask(region, operation::GET_EBS_ENCRYPTION_BY_DEFAULT, || call.clone().send()).await)
            }
            "GetEbsDefaultKmsKeyId" => {
                let call = ec2.get_ebs_default_kms_key_id();
                read(self.ask(region, operation::GET_EBS_DEFAULT_KMS_KEY_ID, || call.clone().send()).await)
            }
            "DescribeImages" => {
                let call = ec2.describe_images().owners("self").max_results(SMALLEST_PAGE);
                read(self.ask(region, operation::DESCRIBE_IMAGES, || call.clone().send()).await)
            }
            "DescribeInstanceTypes" => {
                let call = ec2.describe_instance_types();
                let call = call.filters(filter("instance-type", [&spec.instance.instance_type]));
                read(self.ask(region, operation::DESCRIBE_INSTANCE_TYPES, || call.clone().send()).await)
            }
            "DescribeAvailabilityZones" => {
                let call = ec2.describe_availability_zones();
                read(self.ask(region, operation::DESCRIBE_AVAILABILITY_ZONES, || call.clone().send()).await)
            }
            "DescribeLaunchTemplateVersions" => {
                let call = ec2.describe_launch_template_versions().versions("$Latest").dry_run(true);
                self.dry(region, operation::DESCRIBE_LAUNCH_TEMPLATE_VERSIONS, || call.clone().send()).await
            }
            _ => nobody_asks(name),
        }
    }

    async fn may_make_version(&self, region: &Region, template: &str) -> Allowed {
        let call = region.ec2.create_launch_template_version().launch_template_id(template).source_version("$Default");
        let call = call.launch_template_data(types::RequestLaunchTemplateData::builder().build());
        let call = call.client_token("hermitcrab-doctor").dry_run(true);
        self.dry(region, operation::CREATE_LAUNCH_TEMPLATE_VERSION, || call.clone().send()).await
    }

    async fn may_make(&self, region: &Region, spec: &ClusterSpec, action: &str) -> Allowed {
        let (Some(slot), Some(volume)) = (spec.slots.first(), spec.volumes.first()) else {
            return Allowed::Unknown("the cluster declares nothing to ask it of".to_owned());
        };
        let mut ours = tags::place(&spec.name, &slot.name);
        ours.insert(tags::OWNER.to_owned(), self.owner.to_string());
        if action == "ec2:RunInstances" {
            let launch = Launch::declared(spec, slot, self.owner.clone(), Token::from("hermitcrab-doctor"));
            let call = run_instances(&region.ec2, &spec.name, &launch);
            return self.dry(region, operation::RUN_INSTANCES, || call.clone().dry_run(true).send()).await;
        }
        let call = volume_of(&region.ec2, "hermitcrab-doctor", volume.size_gib, &volume.ebs);
        let call = call.availability_zone(&*slot.zone).encrypted(volume.ebs.encrypted);
        let call = call.tag_specifications(specification(ResourceType::Volume, &ours));
        self.dry(region, operation::CREATE_VOLUME, || call.clone().dry_run(true).send()).await
    }

    async fn may_change(&self, region: &Region, name: &str, instance: &str, volume: &str) -> Allowed {
        let ec2 = &region.ec2;
        match name {
            "StopInstances" => {
                let call = ec2.stop_instances().instance_ids(instance).dry_run(true);
                self.dry(region, operation::STOP_INSTANCES, || call.clone().send()).await
            }
            "StartInstances" => {
                let call = ec2.start_instances().instance_ids(instance).dry_run(true);
                self.dry(region, operation::START_INSTANCES, || call.clone().send()).await
            }
            "TerminateInstances" => {
                let call = ec2.terminate_instances().instance_ids(instance).dry_run(true);
                self.dry(region, operation::TERMINATE_INSTANCES, || call.clone().send()).await
            }
            "DetachVolume" => {
                let call = ec2.detach_volume().volume_id(volume).instance_id(instance).dry_run(true);
                self.dry(region, operation::DETACH_VOLUME, || call.clone().send()).await
            }
            "AttachVolume" => {
                let call = ec2.attach_volume().volume_id(volume).instance_id(instance).device("/dev/sdp");
                self.dry(region, operation::ATTACH_VOLUME, || call.clone().dry_run(true).send()).await
            }
            "ModifyVolume" => {
                let call = ec2.modify_volume().volume_id(volume).size(LARGEST_GP3).dry_run(true);
                self.dry(region, operation::MODIFY_VOLUME, || call.clone().send()).await
            }
            "CreateSnapshot" => {
                let call = ec2.create_snapshot().volume_id(volume).dry_run(true);
                let ours = [(tags::OWNER.to_owned(), self.owner.to_string())].into();
                let call = call.tag_specifications(specification(ResourceType::Snapshot, &ours));
                self.dry(region, operation::CREATE_SNAPSHOT, || call.clone().send()).await
            }
            "CreateTags" => {
                let call = ec2.create_tags().resources(instance).resources(volume).tags(a_mark()).dry_run(true);
                self.dry(region, operation::CREATE_TAGS, || call.clone().send()).await
            }
            "DeleteTags" => {
                let call = ec2.delete_tags().resources(volume).tags(a_mark()).dry_run(true);
                self.dry(region, operation::DELETE_TAGS, || call.clone().send()).await
            }
            _ => nobody_asks(name),
        }
    }

    /// A change that is not made. EC2 says with an error that it would have been.
    async fn dry<T, E, F>(&self, region: &Region, operation: Operation, request: impl Fn() -> F) -> Allowed
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        match self.ask(region, operation, request).await {
            Ok(_) => Allowed::Unknown("the endpoint takes no notice of DryRun".to_owned()),
            Err(failure) if failure.meaning == Meaning::Allowed => Allowed::Yes,
            Err(failure) => refused(&failure),
        }
    }
}

fn of_cluster(spec: &ClusterSpec) -> types::Filter {
    filter(&format!("tag:{}", tags::CLUSTER), [&*spec.name])
}

/// Some tag of ours, to ask about.
fn a_mark() -> Tag {
    Tag::builder().key(tags::REJECTED).value("nothing").build()
}

fn read<T>(answer: Result<T, Failure>) -> Allowed {
    answer.map_or_else(|failure| refused(&failure), |_| Allowed::Yes)
}

fn refused(failure: &Failure) -> Allowed {
    if let Some(why) = failure.about_who_asks() {
        return Allowed::Unknown(why);
    }
    if failure.is(ErrorKind::Denied) { Allowed::No(failure.to_string()) } else { Allowed::Unknown(failure.to_string()) }
}

fn nobody_asks(name: &str) -> Allowed {
    Allowed::Unknown(format!("nothing here knows how to ask about {name}"))
}
