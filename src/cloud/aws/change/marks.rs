//! Memory in tags: on instances, and on the volumes of a slot, all of them in one call.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types;

use super::super::operation::{CREATE_TAGS, DELETE_TAGS};
use super::super::tags::{self, Tags};
use super::{ALREADY_SO, Change, Halt};
use crate::ids::{Attempt, Generation, ImageId, InstanceId, SlotName, VolumeId};
use crate::ports::{Clock, Outcome};
use crate::time::clock;

impl<C: Clock> Change<'_, C> {
    /// The tag says when. A second one is not written over the first.
    pub(super) async fn retire(&self, id: &InstanceId) -> Result<Outcome, Halt> {
        let instance = self.instance(id).await?;
        if Tags::of(instance.tags()).get(tags::RETIRED).is_some() {
            return Err(ALREADY_SO);
        }
        let now = clock(self.aws.clock.now());
        self.write(vec![id.to_string()], &[(tags::RETIRED.to_owned(), now)].into()).await
    }

    pub(super) async fn tag(&self, id: &InstanceId, wanted: &BTreeMap<String, String>) -> Result<Outcome, Halt> {
        let instance = self.instance(id).await?;
        if Tags::of(instance.tags()).include(wanted) {
            return Err(ALREADY_SO);
        }
        self.write(vec![id.to_string()], wanted).await
    }

    pub(super) async fn reject(
        &self,
        volumes: &BTreeSet<VolumeId>,
        generation: &Generation,
        attempt: Attempt,
    ) -> Result<Outcome, Halt> {
        let marks = [(tags::REJECTED, generation.to_string()), (tags::ATTEMPT, attempt.to_string())];
        self.mark(volumes, self.slot, &marks.map(|(key, value)| (key.to_owned(), value)).into()).await
    }

    /// Named with its value, the tag is deleted only where it still says this generation.
    pub(super) async fn forgive(&self, volumes: &BTreeSet<VolumeId>, generation: &Generation) -> Result<Outcome, Halt> {
        let found = self.volumes_for(volumes, self.slot).await?;
        let says = |volume: &&types::Volume| Tags::of(volume.tags()).get(tags::REJECTED) == Some(generation);
        let marked: Vec<_> =
            found.iter().filter(says).filter_map(|volume| volume.volume_id().map(str::to_owned)).collect();
        if marked.is_empty() {
            return Err(ALREADY_SO);
        }
        let mark = [(tags::REJECTED.to_owned(), generation.to_string())].into();
        let call = self.region.ec2.delete_tags().set_resources(Some(marked)).set_tags(Some(tags::written(&mark)));
        self.send(DELETE_TAGS, call.send()).await?;
        Ok(Outcome::Done)
    }

    /// What was rejected stays recorded: the planner compares, and another generation does not make that one any better.
    pub(super) async fn settle(
        &self,
        volumes: &BTreeSet<VolumeId>,
        generation: &Generation,
        image: &ImageId,
        attempt: Attempt,
    ) -> Result<Outcome, Halt> {
        let marks = [
            (tags::GENERATION, generation.to_string()),
            (tags::IMAGE, image.to_string()),
            (tags::ATTEMPT, attempt.to_string()),
        ];
        self.mark(volumes, self.slot, &marks.map(|(key, value)| (key.to_owned(), value)).into()).await
    }

    /// Of all slots: each volume remembers each slot.
    pub(super) async fn record_slots(
        &self,
        volumes: &BTreeSet<VolumeId>,
        slots: &BTreeSet<SlotName>,
    ) -> Result<Outcome, Halt> {
        self.mark(volumes, None, &tags::slots(slots)).await
    }

    async fn mark(
        &self,
        volumes: &BTreeSet<VolumeId>,
        slot: Option<&SlotName>,
        marks: &BTreeMap<String, String>,
    ) -> Result<Outcome, Halt> {
        if volumes.is_empty() {
            return Err(ALREADY_SO);
        }
        let found = self.volumes_for(volumes, slot).await?;
        if found.iter().all(|volume| Tags::of(volume.tags()).include(marks)) {
            return Err(ALREADY_SO);
        }
        self.write(volumes.iter().map(VolumeId::to_string).collect(), marks).await
    }

    async fn write(&self, ids: Vec<String>, all: &BTreeMap<String, String>) -> Result<Outcome, Halt> {
        let call = self.region.ec2.create_tags().set_resources(Some(ids)).set_tags(Some(tags::written(all)));
        self.send(CREATE_TAGS, call.send()).await?;
        Ok(Outcome::Done)
    }
}
