//! Moving and copying one data volume.

use aws_sdk_ec2::types::{self, ResourceType, SnapshotState};

use super::super::convert::volume_state;
use super::super::describe::filter;
use super::super::error::Failure;
use super::super::operation::{
    ATTACH_VOLUME, CREATE_SNAPSHOT, DELETE_SNAPSHOT, DELETE_VOLUME, DESCRIBE_SNAPSHOTS, DESCRIBE_VOLUMES, DETACH_VOLUME,
};
use super::super::tags::{self, Tags};
use super::instances::state;
use super::launch::specification;
use super::{ALREADY_SO, Change, Halt, halt, not_shown, puzzling};
use crate::ids::{Attempt, ClusterName, InstanceId, SnapshotId, VolumeId, VolumeName};
use crate::observed::{AttachmentPhase, InstanceState, VolumeState};
use crate::ports::{Clock, ErrorKind, Outcome};

impl<C: Clock> Change<'_, C> {
    /// Never by force, and only from an instance that cannot be using it.
    pub(super) async fn detach(&self, id: &VolumeId, from: &InstanceId, device: &str) -> Result<Outcome, Halt> {
        let volume = self.volume(id).await?;
        match where_is(&volume, id)? {
            VolumeState::Available => return Err(ALREADY_SO),
            VolumeState::InUse(at) if at.instance == *from => {
                if at.phase == AttachmentPhase::Detaching {
                    return Err(ALREADY_SO);
                }
                if at.device != device {
                    return halt(format!("{id} at {device}"), format!("at {}", at.device));
                }
            }
            other => return halt(format!("{id} attached to {from}"), other.to_string()),
        }
        match state(&self.instance(from).await?, from)? {
            InstanceState::Stopped | InstanceState::Terminated => {}
            other => return halt(format!("{from} stopped or terminated"), other.to_string()),
        }
        let call = self.region.ec2.detach_volume().volume_id(&**id).instance_id(&**from).device(device);
        self.send(DETACH_VOLUME, call.send()).await?;
        Ok(Outcome::Done)
    }

    pub(super) async fn attach(&self, id: &VolumeId, to: &InstanceId, device: &str) -> Result<Outcome, Halt> {
        let volume = self.volume(id).await?;
        match where_is(&volume, id)? {
            VolumeState::Available => {}
            VolumeState::InUse(at) if at.instance == *to && at.phase != AttachmentPhase::Detaching => {
                return Err(ALREADY_SO);
            }
            other => return halt(format!("{id} available"), other.to_string()),
        }
        let instance = self.instance(to).await?;
        match state(&instance, to)? {
            InstanceState::Running | InstanceState::Stopped => {}
            other => return halt(format!("{to} running or stopped"), other.to_string()),
        }
        self.fits(id, &volume, to, &instance, device)?;
        let call = self.region.ec2.attach_volume().volume_id(&**id).instance_id(&**to).device(device);
        self.send(ATTACH_VOLUME, call.send()).await?;
        Ok(Outcome::Done)
    }

    /// What EC2 would refuse, and what must never be: a volume meets only instances of its own slot.
    fn fits(
        &self,
        id: &VolumeId,
        volume: &types::Volume,
        to: &InstanceId,
        instance: &types::Instance,
        device: &str,
    ) -> Result<(), Halt> {
        let [slot_of_volume, slot_of_instance] =
            [volume.tags(), instance.tags()].map(|tags| Tags::of(tags).get(tags::SLOT).map(str::to_owned));
        if slot_of_volume.is_none() || slot_of_volume != slot_of_instance {
            let slot = |slot: Option<String>| slot.unwrap_or_else(|| "no slot".to_owned());
            return halt(format!("{to} in the slot of {id}, {}", slot(slot_of_volume)), slot(slot_of_instance));
        }
        let refused = |code, text| Err(Failure::ours(ATTACH_VOLUME, ErrorKind::Invalid, code, text).into());
        let zone = instance.placement().and_then(types::Placement::availability_zone);
        if zone != volume.availability_zone() {
            let [of_volume, of_instance] = [volume.availability_zone(), zone].map(Option::unwrap_or_default);
            return refused("InvalidVolume.ZoneMismatch", format!("{id} is in {of_volume}, {to} in {of_instance}"));
        }
        let mut devices = instance.block_device_mappings().iter();
        if devices.any(|mapping| mapping.device_name() == Some(device)) {
            return refused("device-taken", format!("{to} has something at {device} already"));
        }
        Ok(())
    }

    /// Its data with it.
    pub(super) async fn delete(&self, id: &VolumeId) -> Result<Outcome, Halt> {
        match where_is(&self.volume(id).await?, id)? {
            VolumeState::Available => {}
            VolumeState::Deleted => return Err(ALREADY_SO),
            other => return halt(format!("{id} available"), other.to_string()),
        }
        self.send(DELETE_VOLUME, self.region.ec2.delete_volume().volume_id(&**id).send()).await?;
        Ok(Outcome::Done)
    }

    /// A snapshot is consistent only if nothing writes meanwhile.
    pub(super) async fn snapshot(&self, id: &VolumeId, attempt: Attempt) -> Result<Outcome, Halt> {
        let volume = self.volume(id).await?;
        match where_is(&volume, id)? {
            VolumeState::Available => {}
            VolumeState::InUse(at) => match state(&self.instance(&at.instance).await?, &at.instance)? {
                InstanceState::Stopped | InstanceState::Terminated => {}
                other => return halt(format!("{} stopped or terminated", at.instance), other.to_string()),
            },
            other => return halt(format!("{id} available or attached"), other.to_string()),
        }
        let number = attempt.to_string();
        let call = self.region.ec2.describe_snapshots().owner_ids("self").filters(filter("volume-id", [&**id]));
        let call = call.filters(filter(&format!("tag:{}", tags::ATTEMPT), [&number]));
        let taken = self.look(DESCRIBE_SNAPSHOTS, call.send()).await?;
        if taken.snapshots().iter().any(|snapshot| snapshot.state() != Some(&SnapshotState::Error)) {
            return Err(ALREADY_SO);
        }
        let (of_volume, slot) = (Tags::of(volume.tags()), self.the_slot(CREATE_SNAPSHOT)?);
        let mut all = tags::place(&self.spec.name, slot);
        all.insert(tags::OWNER.to_owned(), self.aws.owner.to_string());
        all.insert(tags::ATTEMPT.to_owned(), number);
        all.extend(of_volume.get(tags::VOLUME).map(|name| (tags::VOLUME.to_owned(), name.to_owned())));
        all.extend(of_volume.get("Name").map(|name| ("Name".to_owned(), name.to_owned())));
        let call = self.region.ec2.create_snapshot().volume_id(&**id);
        let call = call.description(format!("{id} of {slot} at attempt {attempt}"));
        let call = call.tag_specifications(specification(ResourceType::Snapshot, &all));
        let answer = self.send(CREATE_SNAPSHOT, call.send()).await?;
        began(answer.snapshot_id())
    }

    /// Of a volume of another cluster, which nothing is done to. It may be in use: what is on it is then as after a crash.
    pub(super) async fn copy_volume(
        &self,
        id: &VolumeId,
        of: &ClusterName,
        name: &VolumeName,
    ) -> Result<Outcome, Halt> {
        let slot = self.the_slot(CREATE_SNAPSHOT)?;
        let answer = self.look(DESCRIBE_VOLUMES, self.region.ec2.describe_volumes().volume_ids(&**id).send()).await?;
        let volume = answer.volumes().first().ok_or_else(|| not_shown(DESCRIBE_VOLUMES, id))?;
        let theirs = Tags::of(volume.tags());
        for (key, value) in [(tags::CLUSTER, &**of), (tags::VOLUME, &**name)] {
            if theirs.get(key) != Some(value) {
                return halt(format!("{id} to bear {key}={value}"), theirs.get(key).unwrap_or("no such tag"));
            }
        }
        let mut all = tags::place(&self.spec.name, slot);
        all.insert(tags::COPY_OF.to_owned(), of.to_string());
        let mut wanted = vec![filter("volume-id", [&**id])];
        wanted.extend(all.iter().map(|(key, value)| filter(&format!("tag:{key}"), [value])));
        let call = self.region.ec2.describe_snapshots().owner_ids("self").set_filters(Some(wanted));
        if !self.look(DESCRIBE_SNAPSHOTS, call.send()).await?.snapshots().is_empty() {
            return Err(ALREADY_SO);
        }
        all.insert(tags::OWNER.to_owned(), self.aws.owner.to_string());
        all.insert(tags::VOLUME.to_owned(), name.to_string());
        all.insert("Name".to_owned(), format!("{slot} {name}"));
        let call = self.region.ec2.create_snapshot().volume_id(&**id);
        let call = call.description(format!("{id} of {of}, for {}", self.spec.name));
        let call = call.tag_specifications(specification(ResourceType::Snapshot, &all));
        began(self.send(CREATE_SNAPSHOT, call.send()).await?.snapshot_id())
    }

    /// One that this copy of a cluster began with, and no other.
    pub(super) async fn delete_snapshot(&self, id: &SnapshotId) -> Result<Outcome, Halt> {
        let call = self.region.ec2.describe_snapshots().owner_ids("self").filters(filter("snapshot-id", [&**id]));
        let answer = self.look(DESCRIBE_SNAPSHOTS, call.send()).await?;
        let Some(snapshot) = answer.snapshots().first() else { return Err(ALREADY_SO) };
        let seen = Tags::of(snapshot.tags());
        self.is_ours(id, &seen, None)?;
        if seen.get(tags::COPY_OF).is_none() {
            return halt(format!("{id} to bear {}", tags::COPY_OF), "no such tag");
        }
        self.send(DELETE_SNAPSHOT, self.region.ec2.delete_snapshot().snapshot_id(&**id).send()).await?;
        Ok(Outcome::Done)
    }
}

fn began(snapshot: Option<&str>) -> Result<Outcome, Halt> {
    let nameless =
        || Failure::ours(CREATE_SNAPSHOT, ErrorKind::Unknown, "unexpected-answer", "a snapshot without an id");
    Ok(Outcome::Snapshotted(snapshot.ok_or_else(nameless)?.into()))
}

fn where_is(volume: &types::Volume, id: &VolumeId) -> Result<VolumeState, Failure> {
    volume_state(volume).map_err(|unknown| puzzling(DESCRIBE_VOLUMES, id, &unknown))
}
