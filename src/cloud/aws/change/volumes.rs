//! Moving, copying and deleting one data volume.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ec2::types::ResourceType;

use super::super::error::Failure;
use super::super::operation::{
    ATTACH_VOLUME, CREATE_SNAPSHOT, DELETE_SNAPSHOT, DELETE_VOLUME, DETACH_VOLUME, MODIFY_VOLUME,
};
use super::super::tags;
use super::launch::{NAME, specification};
use super::{Change, Halt, halt};
use crate::action::facts::Facts;
use crate::ids::{Attempt, ClusterName, InstanceId, SlotName, SnapshotId, VolumeId, VolumeName};
use crate::observed::Taken;
use crate::ports::{Clock, ErrorKind, Outcome};
use crate::time::Human;

/// The greatest age of what is known of modifications when another one is asked for.
const KNOWN_MODIFICATIONS: Duration = Duration::from_secs(5);

impl<C: Clock> Change<'_, C> {
    /// Asks for the detachment, never by force. Volume and instance are enough: a device could only be a reason to refuse.
    pub(super) async fn detach(&self, id: &VolumeId, from: &InstanceId) -> Result<Outcome, Halt> {
        let call = self.region.ec2.detach_volume().volume_id(&**id).instance_id(&**from);
        self.send(DETACH_VOLUME, call.send()).await?;
        Ok(Outcome::Done)
    }

    pub(super) async fn attach(&self, id: &VolumeId, to: &InstanceId, device: &str) -> Result<Outcome, Halt> {
        let call = self.region.ec2.attach_volume().volume_id(&**id).instance_id(&**to).device(device);
        self.send(ATTACH_VOLUME, call.send()).await?;
        Ok(Outcome::Done)
    }

    /// Asks for a larger size, and for nothing else. Another controller may have had another volume modified meanwhile: so nothing
    /// is sent on what was known of modifications a while ago. It is asked for anew afterwards, whatever came of this.
    pub(super) async fn grow(&self, id: &VolumeId, to_gib: u32) -> Result<Outcome, Halt> {
        let age = self.region.facts.age_of_warnings(self.aws.clock.now()).unwrap_or_default();
        if age > KNOWN_MODIFICATIONS {
            let expected = format!("to know of modifications that are at most {} old", Human(KNOWN_MODIFICATIONS));
            return halt(expected, format!("those of {} ago", Human(age)));
        }
        let call = self.region.ec2.modify_volume().volume_id(&**id).size(to_gib.try_into().unwrap_or(i32::MAX));
        self.send(MODIFY_VOLUME, call.send()).await?;
        Ok(Outcome::Done)
    }

    /// Deletes a volume, and its data with it.
    pub(super) async fn delete(&self, id: &VolumeId) -> Result<Outcome, Halt> {
        self.send(DELETE_VOLUME, self.region.ec2.delete_volume().volume_id(&**id).send()).await?;
        Ok(Outcome::Done)
    }

    /// Begins a snapshot that bears the name of its volume.
    pub(super) async fn snapshot(
        &self,
        id: &VolumeId,
        slot: &SlotName,
        (attempt, taken): (Attempt, Taken),
        facts: &Facts,
    ) -> Result<Outcome, Halt> {
        let volume = facts.volumes.get(id);
        let name = volume.and_then(|volume| volume.name.clone());
        let shown = volume.and_then(|volume| volume.tags.get(NAME));
        let mut all: BTreeMap<_, _> = shown.map(|shown| (NAME.to_owned(), shown.clone())).into_iter().collect();
        all.extend(self.declared_tags(name.as_ref()));
        all.extend(tags::place(&self.spec.name, slot));
        all.insert(tags::ATTEMPT.to_owned(), attempt.to_string());
        all.extend((taken == Taken::Running).then(|| (tags::TAKEN.to_owned(), tags::RUNNING.to_owned())));
        all.extend(name.map(|name| (tags::VOLUME.to_owned(), name.to_string())));
        self.begin_snapshot(id, format!("{id} of {slot} at attempt {attempt}"), all).await
    }

    /// Begins a snapshot of another cluster's volume, to which nothing is done. The volume may be in use: what is in the
    /// snapshot is then as after a crash.
    pub(super) async fn copy_volume(
        &self,
        id: &VolumeId,
        of: &ClusterName,
        slot: &SlotName,
        name: &VolumeName,
    ) -> Result<Outcome, Halt> {
        let mut all: BTreeMap<_, _> = [(NAME.to_owned(), format!("{slot} {name}"))].into();
        all.extend(self.declared_tags(Some(name)));
        all.extend(tags::place(&self.spec.name, slot));
        all.insert(tags::COPY_OF.to_owned(), of.to_string());
        all.insert(tags::VOLUME.to_owned(), name.to_string());
        self.begin_snapshot(id, format!("{id} of {of}, for {}", self.spec.name), all).await
    }

    /// Gives the declared tags of a volume of that name, which its snapshots bear as well; the cluster's where none is declared.
    fn declared_tags(&self, name: Option<&VolumeName>) -> BTreeMap<String, String> {
        let declared = self.spec.volumes.iter().find(|volume| Some(&volume.name) == name);
        declared.map_or(&self.spec.tags, |volume| &volume.tags).clone()
    }

    async fn begin_snapshot(
        &self,
        id: &VolumeId,
        description: String,
        mut all: BTreeMap<String, String>,
    ) -> Result<Outcome, Halt> {
        all.insert(tags::OWNER.to_owned(), self.aws.owner.to_string());
        let call = self.region.ec2.create_snapshot().volume_id(&**id).description(description);
        let call = call.tag_specifications(specification(ResourceType::Snapshot, &all));
        let answer = self.send(CREATE_SNAPSHOT, call.send()).await?;
        let nameless =
            || Failure::ours(CREATE_SNAPSHOT, ErrorKind::Unknown, "unexpected-answer", "a snapshot without an id");
        Ok(Outcome::Snapshotted(answer.snapshot_id().ok_or_else(nameless)?.into()))
    }

    pub(super) async fn delete_snapshot(&self, id: &SnapshotId) -> Result<Outcome, Halt> {
        self.send(DELETE_SNAPSHOT, self.region.ec2.delete_snapshot().snapshot_id(&**id).send()).await?;
        Ok(Outcome::Done)
    }
}
