//! Adoption: instances that are nobody's yet, as they are, and the tags that make them a cluster's.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    self, EbsInstanceBlockDeviceSpecification, InstanceBlockDeviceMappingSpecification, Placement,
};

use super::convert;
use super::describe::filter;
use super::error::Failure;
use super::operation::{CREATE_TAGS, DESCRIBE_INSTANCES, DESCRIBE_VOLUMES, MODIFY_INSTANCE_ATTRIBUTE};
use super::{Aws, Region, tags};
use crate::cloud::candidates::{Candidate, CandidateVolume};
use crate::ids::{InstanceId, SlotName, VolumeId, VolumeName};
use crate::make::UserData;
use crate::ports::{Clock, ErrorKind, PortError};
use crate::spec::ClusterSpec;

impl<C: Clock> Aws<C> {
    /// Instances as they are, whatever their tags.
    pub async fn candidates(&self, region: &str, ids: &BTreeSet<InstanceId>) -> Result<Vec<Candidate>, PortError> {
        let region = self.region(region);
        let found = self.describe_candidates(&region, ids).await;
        found.map_err(|failure| failure.while_doing("look at the instances that are to be adopted"))
    }

    async fn describe_candidates(
        &self,
        region: &Region,
        ids: &BTreeSet<InstanceId>,
    ) -> Result<Vec<Candidate>, Failure> {
        if ids.is_empty() {
            return Ok(Vec::new()); // EC2 would take that for all there are
        }
        let names: Vec<String> = ids.iter().map(InstanceId::to_string).collect();
        let call = region.ec2.describe_instances().set_instance_ids(Some(names.clone()));
        let instances = self.ask(region, DESCRIBE_INSTANCES, || call.clone().send()).await?;
        let call = region.ec2.describe_volumes().filters(filter("attachment.instance-id", names));
        let volumes = self.ask(region, DESCRIBE_VOLUMES, || call.clone().send()).await?;
        let instances = instances.reservations().iter().flat_map(types::Reservation::instances);
        let mut candidates = instances
            .map(|instance| candidate(instance, volumes.volumes()))
            .collect::<Result<Vec<Candidate>, Failure>>()?;
        for candidate in &mut candidates {
            candidate.protected_from = self.protected_from(region, &candidate.id).await;
        }
        Ok(candidates)
    }

    /// Tags an instance and its data volumes as a slot's. `slots` are all that are initialised, this one included. What is
    /// somebody else's already is refused, and so is a root volume.
    pub async fn tag_adopted(
        &self,
        spec: &ClusterSpec,
        slot: &SlotName,
        instance: &InstanceId,
        volumes: &BTreeMap<VolumeName, VolumeId>,
        slots: &BTreeSet<SlotName>,
    ) -> Result<(), PortError> {
        let region = self.region(&spec.region);
        let tagged = self.adopt(&region, spec, slot, instance, volumes, slots).await;
        tagged.map_err(|failure| failure.while_doing(format!("adopt {instance} as {slot} of {}", spec.name)))
    }

    async fn adopt(
        &self,
        region: &Region,
        spec: &ClusterSpec,
        slot: &SlotName,
        instance: &InstanceId,
        volumes: &BTreeMap<VolumeName, VolumeId>,
        slots: &BTreeSet<SlotName>,
    ) -> Result<(), Failure> {
        let candidates = self.describe_candidates(region, &[instance.clone()].into()).await?;
        let mut ours = tags::place(&spec.name, slot);
        ours.insert(tags::OWNER.to_owned(), self.owner.to_string());
        for candidate in &candidates {
            may_adopt(candidate, volumes, &ours)?;
        }
        // Volumes first: an instance that bears our tags without its volumes would look as if it had lost them.
        for (name, id) in volumes {
            let mut all = ours.clone();
            all.insert(tags::VOLUME.to_owned(), name.to_string());
            all.extend(tags::slots(slots));
            self.write_tags(region, id, &all).await?;
        }
        let fixed = spec.slot(slot).and_then(|slot| slot.address);
        for interface in candidates.iter().filter_map(|candidate| candidate.interface.as_ref()) {
            // The role may move an address only to an interface that bears our tag: back to this one, should that be needed.
            if fixed.is_some() {
                self.write_tags(region, &interface.id, &ours).await?;
            }
            let has = fixed.filter(|address| interface.secondary.contains(address));
            ours.extend(has.map(|address| (tags::ADDRESS.to_owned(), address.to_string())));
        }
        self.write_tags(region, instance, &ours).await
    }

    async fn write_tags(&self, region: &Region, id: &str, all: &BTreeMap<String, String>) -> Result<(), Failure> {
        let call = region.ec2.create_tags().resources(id).set_tags(Some(tags::written(all)));
        self.once(region, CREATE_TAGS, call.send()).await.map(drop)
    }

    /// Lets the volume at that device outlive its instance.
    pub async fn keep_volume(&self, region: &str, instance: &InstanceId, device: &str) -> Result<(), PortError> {
        let region = self.region(region);
        let kept = EbsInstanceBlockDeviceSpecification::builder().delete_on_termination(false).build();
        let mapping = InstanceBlockDeviceMappingSpecification::builder().device_name(device).ebs(kept).build();
        let call = region.ec2.modify_instance_attribute().instance_id(&**instance).block_device_mappings(mapping);
        let done = self.once(&region, MODIFY_INSTANCE_ATTRIBUTE, call.send()).await;
        done.map(drop).map_err(|failure| failure.while_doing(format!("keep what {instance} has at {device}")))
    }
}

fn may_adopt(
    candidate: &Candidate,
    volumes: &BTreeMap<VolumeName, VolumeId>,
    ours: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let refused = |text: String| Failure::ours(CREATE_TAGS, ErrorKind::Invalid, "not-to-be-adopted", text);
    let taken = |tags: &BTreeMap<String, String>| {
        ours.iter().find_map(|(key, wanted)| tags.get(key).filter(|is| *is != wanted).map(|is| format!("{key}={is}")))
    };
    if let Some(tag) = taken(&candidate.tags) {
        return Err(refused(format!("{} bears {tag} already", candidate.id)));
    }
    for id in volumes.values() {
        let Some(volume) = candidate.volumes.iter().find(|volume| volume.id == *id) else {
            return Err(refused(format!("{id} is not attached to {}", candidate.id)));
        };
        if volume.is_root {
            return Err(refused(format!("{id} is what {} boots from", candidate.id)));
        }
        if let Some(tag) = taken(&volume.tags) {
            return Err(refused(format!("{id} bears {tag} already")));
        }
    }
    Ok(())
}

fn candidate(seen: &types::Instance, volumes: &[types::Volume]) -> Result<Candidate, Failure> {
    let inconsistent = |unknown: convert::Unreadable| {
        let id = seen.instance_id().unwrap_or("an instance");
        Failure::ours(DESCRIBE_INSTANCES, ErrorKind::Unknown, "unknown-word", format!("{id}: {unknown}"))
    };
    let mapped = seen.block_device_mappings().iter().filter_map(|mapping| {
        let ebs = mapping.ebs()?;
        let volume = volumes.iter().find(|volume| volume.volume_id() == ebs.volume_id());
        Some(CandidateVolume {
            id: ebs.volume_id()?.into(),
            device: mapping.device_name()?.to_owned(),
            is_root: convert::root_device(seen, mapping.device_name()),
            delete_on_termination: ebs.delete_on_termination().unwrap_or(false),
            size_gib: volume.and_then(types::Volume::size).and_then(|size| size.try_into().ok()).unwrap_or_default(),
            ebs: volume.and_then(convert::settings),
            tags: volume.map(|volume| tags::Tags::of(volume.tags()).all()).unwrap_or_default(),
        })
    });
    Ok(Candidate {
        id: seen.instance_id().unwrap_or_default().into(),
        state: convert::life_cycle(seen).map_err(inconsistent)?,
        zone: seen.placement().and_then(Placement::availability_zone).unwrap_or_default().into(),
        subnet: seen.subnet_id().unwrap_or_default().to_owned(),
        make: convert::make(seen, UserData::Unknown).map_err(inconsistent)?,
        tags: tags::Tags::of(seen.tags()).all(),
        volumes: mapped.collect(),
        auto_scaling_group: convert::group(seen),
        address: seen.private_ip_address().and_then(|text| text.parse().ok()),
        interface: convert::interface(seen).map_err(inconsistent)?,
        beyond: convert::beyond(seen),
        protected_from: Vec::new(),
    })
}
