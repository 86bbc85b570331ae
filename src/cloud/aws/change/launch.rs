//! Making instances and volumes: by a token, so that the same call sent twice makes one.

use std::collections::BTreeMap;

use aws_sdk_ec2::operation::create_volume::builders::CreateVolumeFluentBuilder;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    self, BlockDeviceMapping, CapacityReservationPreference, CapacityReservationSpecification,
    CapacityReservationTarget, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceMetadataTagsState, InstanceType, Placement,
    ResourceType, ShutdownBehavior, TagSpecification, Tenancy, VolumeType,
};
use aws_smithy_types::base64;

use super::super::convert;
use super::super::describe::filter;
use super::super::error::Failure;
use super::super::operation::{CREATE_VOLUME, DESCRIBE_INSTANCES, RUN_INSTANCES};
use super::super::tags::{self, Tags};
use super::{Change, Halt};
use crate::action::{CreateVolume, Launch, RootVolume};
use crate::ids::{ClusterName, SnapshotId};
use crate::make::{CapacityReservation, Make, differences};
use crate::observed::InstanceState;
use crate::ports::{Clock, ErrorKind, Outcome};
use crate::spec::EbsSettings;

/// Network hops that answers of the instance's metadata service live. One more than the host, because members often
/// run in a container on a bridge, and fetch their role's credentials from there.
pub(super) const METADATA_HOPS: i32 = 2;
/// The tag that the console shows as a resource's name.
pub(super) const NAME: &str = "Name";

impl<C: Clock> Change<'_, C> {
    /// Launches an instance, and makes sure that the one in the answer is what was asked for.
    pub(super) async fn launch(&self, launch: &Launch) -> Result<Outcome, Halt> {
        let call = run_instances(&self.region.ec2, &self.spec.name, launch);
        let answer = match self.send(RUN_INSTANCES, call.send()).await {
            Err(Halt::Failed(failure)) if failure.is(ErrorKind::TokenSpent) => {
                return self.launched_before(launch, failure).await;
            }
            answer => answer?,
        };
        let hold = |text: String| Failure::ours(RUN_INSTANCES, ErrorKind::Unknown, "unexpected-answer", text);
        let [instance] = answer.instances() else {
            return Err(hold(format!("EC2 answered with {} instances", answer.instances().len())).into());
        };
        let id = instance.instance_id().ok_or_else(|| hold("EC2 launched an instance without an id".to_owned()))?;
        // A token that was used with other parameters may be answered with what those made.
        match unlike(instance, &self.spec.name, launch) {
            None => Ok(Outcome::Launched(id.into())),
            Some((what, is, wanted)) => {
                let token = &launch.token;
                Err(hold(format!("for {token} EC2 answered with {id}, whose {what} is {is} and not {wanted}")).into())
            }
        }
    }

    /// Looks for the instance of a token that EC2 does not take again. A further launch is for when that one is gone: where
    /// nothing is found, EC2 may only not show it yet.
    async fn launched_before(&self, launch: &Launch, refusal: Failure) -> Result<Outcome, Halt> {
        let call = self.region.ec2.describe_instances().filters(filter("client-token", [&*launch.token]));
        let found = self.look(DESCRIBE_INSTANCES, call.send()).await?;
        let instances: Vec<_> = found.reservations().iter().flat_map(types::Reservation::instances).collect();
        let is_live = |instance: &&&types::Instance| convert::life_cycle(instance).is_ok_and(InstanceState::is_live);
        if let Some(id) = instances.iter().find(is_live).and_then(|instance| instance.instance_id()) {
            return Ok(Outcome::Launched(id.into()));
        }
        if !instances.is_empty() || refusal.code == "IdempotentInstanceTerminated" {
            return Err(refusal.into());
        }
        let text = format!("{} was used before, and EC2 shows no instance of it", launch.token);
        Err(Failure::ours(RUN_INSTANCES, ErrorKind::NotFound, "token-used", text).into())
    }

    /// Creates a volume. The look before it found none of that name: EC2 forgets tokens after half a day or so, and a second
    /// volume would be a blank one.
    pub(super) async fn create_volume(&self, wanted: &CreateVolume) -> Result<Outcome, Halt> {
        let slot = &wanted.slot;
        let mut all: BTreeMap<String, String> = [(NAME.to_owned(), format!("{slot} {}", wanted.name))].into();
        all.extend(wanted.tags.clone());
        all.extend(tags::place(&self.spec.name, slot));
        all.insert(tags::VOLUME.to_owned(), wanted.name.to_string());
        all.insert(tags::OWNER.to_owned(), wanted.owner.to_string());
        all.extend(tags::slots(&wanted.slots));
        let ebs = &wanted.ebs;
        let call = volume_of(&self.region.ec2, &wanted.token, wanted.size_gib, ebs);
        let call = call.availability_zone(&*wanted.zone);
        let call = call.set_snapshot_id(wanted.snapshot.as_ref().map(SnapshotId::to_string));
        // A volume from an encrypted snapshot is encrypted, and EC2 refuses a call that says it is not.
        let call = call.set_encrypted((ebs.encrypted || wanted.snapshot.is_none()).then_some(ebs.encrypted));
        let call = call.tag_specifications(specification(ResourceType::Volume, &all));
        let answer = self.send(CREATE_VOLUME, call.send()).await?;
        let nameless =
            || Failure::ours(CREATE_VOLUME, ErrorKind::Unknown, "unexpected-answer", "a volume without an id");
        Ok(Outcome::Created(answer.volume_id().ok_or_else(nameless)?.into()))
    }
}

/// A volume of a size with its settings as EC2 wants them. A snapshot may decide whether it is encrypted, so that is left open.
pub(in super::super) fn volume_of(
    ec2: &aws_sdk_ec2::Client,
    token: &str,
    size_gib: u32,
    ebs: &EbsSettings,
) -> CreateVolumeFluentBuilder {
    let call = ec2.create_volume().client_token(token).size(size_gib.try_into().unwrap_or(i32::MAX));
    let call = call.volume_type(VolumeType::from(ebs.volume_type.as_str()));
    let call = call.set_iops(whole(ebs.iops)).set_throughput(whole(ebs.throughput));
    call.set_kms_key_id(ebs.kms_key.clone())
}

/// A launch as EC2 wants it. Everything that could differ from one sending to the next is frozen in `launch`.
pub(in super::super) fn run_instances(
    ec2: &aws_sdk_ec2::Client,
    cluster: &ClusterName,
    launch: &Launch,
) -> RunInstancesFluentBuilder {
    let metadata = InstanceMetadataOptionsRequest::builder()
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .http_tokens(HttpTokensState::Required)
        .http_put_response_hop_limit(METADATA_HOPS)
        .instance_metadata_tags(InstanceMetadataTagsState::Enabled) // the guest reads there which volumes are its own
        .build();
    let make = &launch.make;
    let profile = make.iam_instance_profile.as_ref();
    let groups = make.security_groups.iter().cloned().collect::<Vec<_>>();
    let user_data = launch.user_data_text.as_ref().map(base64::encode);
    let mortal = launch.goes_with_it.iter().map(|(device, size)| goes_with_it(device, *size));
    let mortal: Vec<_> = mortal.chain(launch.root_volume.as_ref().map(root_volume)).collect();
    // The role may move an address only to an interface that bears our tag.
    let is_tagged = launch.address.is_some() || !launch.interface_tags.is_empty();
    let interface = is_tagged.then(|| specification(ResourceType::NetworkInterface, &interface_tags(cluster, launch)));
    let call = ec2
        .run_instances()
        .client_token(&*launch.token)
        .min_count(1)
        .max_count(1)
        .image_id(&*make.image)
        .instance_type(InstanceType::from(make.instance_type.as_str()))
        .placement(placement(launch))
        .set_capacity_reservation_specification(make.capacity_reservation.as_ref().map(reservation))
        .subnet_id(&launch.subnet)
        .set_security_group_ids((!groups.is_empty()).then_some(groups))
        .set_iam_instance_profile(profile.map(|name| IamInstanceProfileSpecification::builder().name(name).build()))
        .set_key_name(make.key_name.clone())
        .set_user_data(user_data)
        .metadata_options(metadata)
        .set_block_device_mappings((!mortal.is_empty()).then_some(mortal))
        // A member that shuts its host down must not so terminate it.
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Stop)
        .tag_specifications(specification(ResourceType::Instance, &instance_tags(cluster, launch)))
        .tag_specifications(specification(ResourceType::Volume, &root_tags(launch)));
    match interface {
        Some(tagged) => call.tag_specifications(tagged),
        None => call,
    }
}

fn placement(launch: &Launch) -> Placement {
    let chosen = &launch.make.placement;
    Placement::builder()
        .availability_zone(&*launch.zone)
        .set_tenancy(chosen.tenancy.as_deref().map(Tenancy::from))
        .set_group_name(chosen.group.clone())
        .build()
}

fn reservation(chosen: &CapacityReservation) -> CapacityReservationSpecification {
    let (preference, target) = preferred(chosen);
    CapacityReservationSpecification::builder()
        .set_capacity_reservation_preference(preference)
        .set_capacity_reservation_target(target)
        .build()
}

/// Gives the two fields in which EC2 takes a choice of capacity reservations, of which one is ever set.
pub(super) fn preferred(
    chosen: &CapacityReservation,
) -> (Option<CapacityReservationPreference>, Option<CapacityReservationTarget>) {
    match chosen {
        CapacityReservation::Avoided => (Some(CapacityReservationPreference::None), None),
        CapacityReservation::Open => (Some(CapacityReservationPreference::Open), None),
        CapacityReservation::Named(id) => {
            (None, Some(CapacityReservationTarget::builder().capacity_reservation_id(id).build()))
        }
    }
}

/// Gives a number as the SDK takes it.
pub(super) fn whole(number: Option<u32>) -> Option<i32> {
    number?.try_into().ok()
}

/// Changes nothing of what the image has at a device but that it is deleted with the instance. The size is the image's own:
/// endpoints other than AWS's refuse a mapping that says none.
fn goes_with_it(device: &str, size_gib: Option<u32>) -> BlockDeviceMapping {
    let ebs = EbsBlockDevice::builder().delete_on_termination(true).set_volume_size(whole(size_gib)).build();
    BlockDeviceMapping::builder().device_name(device).ebs(ebs).build()
}

/// A root volume as it is asked for. Where it need not be encrypted, that is left to the image and the account.
fn root_volume(root: &RootVolume) -> BlockDeviceMapping {
    let ebs = EbsBlockDevice::builder()
        .delete_on_termination(true)
        .set_volume_size(whole(root.size_gib))
        .volume_type(VolumeType::from(root.ebs.volume_type.as_str()))
        .set_iops(whole(root.ebs.iops))
        .set_throughput(whole(root.ebs.throughput))
        .set_encrypted(root.ebs.encrypted.then_some(true))
        .set_kms_key_id(root.ebs.kms_key.clone())
        .build();
    BlockDeviceMapping::builder().device_name(&root.device).ebs(ebs).build()
}

fn instance_tags(cluster: &ClusterName, launch: &Launch) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = [(NAME.to_owned(), launch.slot.to_string())].into();
    all.extend(launch.tags.clone());
    all.extend(tags::place(cluster, &launch.slot));
    all.insert(tags::OWNER.to_owned(), launch.owner.to_string());
    all.insert(tags::GENERATION.to_owned(), launch.generation.to_string());
    all.insert(tags::ATTEMPT.to_owned(), launch.attempt.to_string());
    all.extend(launch.make.root_volume.as_ref().map(|root| (tags::ROOT_VOLUME.to_owned(), root.clone())));
    all.extend(launch.make.user_data.digest().map(|digest| (tags::USER_DATA.to_owned(), digest.clone())));
    all.extend(launch.volumes.iter().map(|(name, id)| (tags::volume_of_guest(name), id.to_string())));
    all.extend(launch.address.map(|address| (tags::ADDRESS.to_owned(), address.to_string())));
    all
}

fn interface_tags(cluster: &ClusterName, launch: &Launch) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = [(NAME.to_owned(), launch.slot.to_string())].into();
    all.extend(launch.interface_tags.clone());
    all.extend(tags::place(cluster, &launch.slot));
    all.insert(tags::OWNER.to_owned(), launch.owner.to_string());
    all
}

/// The root volume dies with its instance. It bears no cluster's tag, so that it is never taken for a data volume.
fn root_tags(launch: &Launch) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = launch.tags.clone();
    all.insert(NAME.to_owned(), format!("{} root", launch.slot));
    all.insert(tags::OWNER.to_owned(), launch.owner.to_string());
    all
}

pub(in super::super) fn specification(kind: ResourceType, all: &BTreeMap<String, String>) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(tags::written(all))).build()
}

/// Finds the first difference between an instance and its launch: the setting, its value, and the wanted value.
fn unlike(instance: &types::Instance, cluster: &ClusterName, launch: &Launch) -> Option<(String, String, String)> {
    let facts = [
        ("image", instance.image_id(), &*launch.make.image),
        ("subnet", instance.subnet_id(), &launch.subnet),
        ("type", instance.instance_type().map(InstanceType::as_str), &launch.make.instance_type),
        ("zone", instance.placement().and_then(Placement::availability_zone), &launch.zone),
    ];
    let none = || "none".to_owned();
    let differs = facts.into_iter().find(|(_, is, wanted)| *is != Some(*wanted));
    if let Some((what, is, wanted)) = differs {
        return Some((what.to_owned(), is.map_or_else(none, str::to_owned), wanted.to_owned()));
    }
    let placed = Make { placement: convert::placement(instance), ..launch.make.clone() };
    if let Some(drift) = differences(&placed, &launch.make).into_iter().next() {
        return Some((drift.field.to_string(), drift.is, drift.wanted));
    }
    let seen = Tags::of(instance.tags());
    let wanted = instance_tags(cluster, launch);
    let (key, value) = wanted.iter().find(|(key, value)| seen.get(key) != Some(value))?;
    Some((format!("tag {key}"), seen.get(key).map_or_else(none, str::to_owned), value.clone()))
}
