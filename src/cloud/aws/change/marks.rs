//! Memory in tags: on instances, and on the volumes of a slot, all of them in one call.

use std::collections::{BTreeMap, BTreeSet};

use super::super::operation::{CREATE_TAGS, DELETE_TAGS};
use super::super::tags;
use super::{Change, Halt};
use crate::action::Recruitment;
use crate::action::facts::Facts;
use crate::ids::{Attempt, Generation, InstanceId, SlotName, VolumeId};
use crate::ports::{Clock, Outcome};
use crate::time::clock;

impl<C: Clock> Change<'_, C> {
    /// Writes when an instance was retired.
    pub(super) async fn retire(&self, id: &InstanceId) -> Result<Outcome, Halt> {
        let now = clock(self.aws.clock.now());
        self.write(vec![id.to_string()], &[(tags::RETIRED.to_owned(), now)].into()).await
    }

    /// Sets the declared tags. Tags beyond them are left alone.
    pub(super) async fn tag(&self, id: &InstanceId, wanted: &BTreeMap<String, String>) -> Result<Outcome, Halt> {
        self.write(vec![id.to_string()], wanted).await
    }

    /// Gives an instance the tags that a launch would have given it.
    pub(super) async fn recruit(&self, wanted: &Recruitment) -> Result<Outcome, Halt> {
        let mut all = self.spec.instance.tags.clone();
        all.extend(tags::place(&self.spec.name, &wanted.slot));
        all.insert(tags::OWNER.to_owned(), wanted.owner.to_string());
        all.insert(tags::GENERATION.to_owned(), wanted.generation.to_string());
        all.insert(tags::ATTEMPT.to_owned(), wanted.attempt.to_string());
        all.extend(wanted.user_data.digest().map(|digest| (tags::USER_DATA.to_owned(), digest.clone())));
        all.extend(wanted.volumes.iter().map(|(name, id)| (tags::volume_of_guest(name), id.to_string())));
        self.write(vec![wanted.instance.to_string()], &all).await
    }

    pub(super) async fn reject(
        &self,
        volumes: &BTreeSet<VolumeId>,
        generation: &Generation,
        attempt: Attempt,
    ) -> Result<Outcome, Halt> {
        self.mark(volumes, [(tags::REJECTED, generation.to_string()), (tags::ATTEMPT, attempt.to_string())]).await
    }

    /// Takes the mark off the volumes that bear it. Named with its value, the tag is deleted only where it still says this
    /// generation.
    pub(super) async fn forgive(
        &self,
        volumes: &BTreeSet<VolumeId>,
        generation: &Generation,
        facts: &Facts,
    ) -> Result<Outcome, Halt> {
        let says =
            |id: &&VolumeId| facts.volumes.get(*id).is_some_and(|volume| volume.rejected.as_ref() == Some(generation));
        let marked = volumes.iter().filter(says).map(VolumeId::to_string).collect();
        let mark = [(tags::REJECTED.to_owned(), generation.to_string())].into();
        let call = self.region.ec2.delete_tags().set_resources(Some(marked)).set_tags(Some(tags::written(&mark)));
        self.send(DELETE_TAGS, call.send()).await?;
        Ok(Outcome::Done)
    }

    /// Writes what proved itself. A rejected generation stays recorded: the planner compares, and the success of another
    /// generation does not make that one any better. The revision is written beside it where there is one, and then on the
    /// instance as well, which bears that generation and attempt since its launch.
    pub(super) async fn settle(
        &self,
        volumes: &BTreeSet<VolumeId>,
        settled: &BTreeMap<String, String>,
        instance: Option<&InstanceId>,
    ) -> Result<Outcome, Halt> {
        let mut ids: Vec<String> = volumes.iter().map(VolumeId::to_string).collect();
        let mut marks = settled.clone();
        if let Some(revision) = &self.decision.revision {
            ids.extend(instance.map(InstanceId::to_string));
            marks.insert(tags::REVISION.to_owned(), revision.clone());
        }
        self.write(ids, &marks).await
    }

    pub(super) async fn record_slots(
        &self,
        volumes: &BTreeSet<VolumeId>,
        slots: &BTreeSet<SlotName>,
    ) -> Result<Outcome, Halt> {
        self.write(volumes.iter().map(VolumeId::to_string).collect(), &tags::slots(slots)).await
    }

    async fn mark<const N: usize>(
        &self,
        volumes: &BTreeSet<VolumeId>,
        marks: [(&str, String); N],
    ) -> Result<Outcome, Halt> {
        let marks = marks.map(|(key, value)| (key.to_owned(), value)).into();
        self.write(volumes.iter().map(VolumeId::to_string).collect(), &marks).await
    }

    async fn write(&self, ids: Vec<String>, all: &BTreeMap<String, String>) -> Result<Outcome, Halt> {
        let call = self.region.ec2.create_tags().set_resources(Some(ids)).set_tags(Some(tags::written(all)));
        self.send(CREATE_TAGS, call.send()).await?;
        Ok(Outcome::Done)
    }
}
