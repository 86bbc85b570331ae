//! One change: a turn at the rate limit, a narrow look, and one mutating call if the world is as the effect expects.
//!
//! Every call names what it was decided about, and only what bears our tags is touched. What no look can rule out, EC2
//! refuses by itself, and that it did says that the world has moved.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::error::Error;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types;

use super::convert::Unreadable;
use super::error::{Failure, Meaning};
use super::operation::{self, DESCRIBE_INSTANCES, DESCRIBE_VOLUMES, Operation};
use super::tags::{self, Tags};
use super::{Aws, Region};
use crate::action::CloudEffect;
use crate::ids::{InstanceId, SlotName, VolumeId};
use crate::ports::{Clock, ErrorKind, Outcome, PortError};
use crate::spec::ClusterSpec;
use crate::time::{Human, Timestamp, elapsed};

mod groups;
mod instances;
mod launch;
mod marks;
mod volumes;

pub(super) use launch::{run_instances, specification};

/// What was looked at longer ago may have changed.
const FRESH: Duration = Duration::from_secs(5);

/// A change on its way.
struct Change<'a, C> {
    aws: &'a Aws<C>,
    region: Rc<Region>,
    spec: &'a ClusterSpec,
    slot: Option<&'a SlotName>,
    /// When the first look at what is to be changed was sent.
    looked: Cell<Option<Timestamp>>,
}

/// Why a change ends before its call, or instead of it.
enum Halt {
    /// It is so already, or the world has moved.
    Answer(Outcome),
    Failed(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        match failure.meaning {
            Meaning::Changed => {
                Self::Answer(changed(format!("EC2 to take {}", failure.operation.name), failure.to_string()))
            }
            _ => Self::Failed(failure),
        }
    }
}

fn changed(expected: impl Into<String>, found: impl Into<String>) -> Outcome {
    Outcome::Changed { expected: expected.into(), found: found.into() }
}

fn halt<T>(expected: impl Into<String>, found: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Answer(changed(expected, found)))
}

const ALREADY_SO: Halt = Halt::Answer(Outcome::AlreadySo);

impl<C: Clock> Aws<C> {
    /// Carries out one effect.
    pub(super) async fn carry_out(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
    ) -> Result<Outcome, PortError> {
        let region = self.region(&spec.region);
        let change = Change { aws: self, region, spec, slot, looked: Cell::new(None) };
        match change.make(effect).await {
            Ok(outcome) | Err(Halt::Answer(outcome)) => Ok(outcome),
            Err(Halt::Failed(failure)) => Err(failure.while_doing(doing(spec, slot, effect))),
        }
    }
}

/// E.g. `detach vol-1 for consul-a`.
fn doing(spec: &ClusterSpec, slot: Option<&SlotName>, effect: &CloudEffect) -> String {
    let whom: &str = slot.map_or(&spec.name, |slot| slot);
    let what = effect.volume().map(VolumeId::to_string).or(effect.instance().map(InstanceId::to_string));
    match what {
        Some(what) => format!("{} {what} for {whom}", effect.name()),
        None => format!("{} for {whom}", effect.name()),
    }
}

fn operation(effect: &CloudEffect) -> Operation {
    match effect {
        CloudEffect::CreateVolume(_) => operation::CREATE_VOLUME,
        CloudEffect::Launch(_) => operation::RUN_INSTANCES,
        CloudEffect::Stop { .. } => operation::STOP_INSTANCES,
        CloudEffect::Start { .. } => operation::START_INSTANCES,
        CloudEffect::Snapshot { .. } | CloudEffect::CopyVolume { .. } => operation::CREATE_SNAPSHOT,
        CloudEffect::DeleteSnapshot { .. } => operation::DELETE_SNAPSHOT,
        CloudEffect::Detach { .. } => operation::DETACH_VOLUME,
        CloudEffect::Attach { .. } => operation::ATTACH_VOLUME,
        CloudEffect::Terminate { .. } => operation::TERMINATE_INSTANCES,
        CloudEffect::Retire { .. }
        | CloudEffect::Reject { .. }
        | CloudEffect::Settle { .. }
        | CloudEffect::RecordSlots { .. }
        | CloudEffect::Tag { .. }
        | CloudEffect::Recruit(_) => operation::CREATE_TAGS,
        CloudEffect::DeleteVolume { .. } => operation::DELETE_VOLUME,
        CloudEffect::Group { effect, .. } => groups::operation(effect),
        CloudEffect::Forgive { .. } => operation::DELETE_TAGS,
    }
}

impl<C: Clock> Change<'_, C> {
    async fn make(&self, effect: &CloudEffect) -> Result<Outcome, Halt> {
        self.aws.turn(&self.region, operation(effect)).await?;
        match effect {
            CloudEffect::CreateVolume(wanted) => self.create_volume(wanted).await,
            CloudEffect::Launch(launch) => self.launch(launch).await,
            CloudEffect::Stop { instance } => self.stop(instance).await,
            CloudEffect::Start { instance } => self.start(instance).await,
            CloudEffect::Terminate { instance } => self.terminate(instance).await,
            CloudEffect::Snapshot { volume, attempt } => self.snapshot(volume, *attempt).await,
            CloudEffect::CopyVolume { volume, of, name } => self.copy_volume(volume, of, name).await,
            CloudEffect::DeleteSnapshot { snapshot } => self.delete_snapshot(snapshot).await,
            CloudEffect::Detach { volume, instance, device } => self.detach(volume, instance, device).await,
            CloudEffect::Attach { volume, instance, device } => self.attach(volume, instance, device).await,
            CloudEffect::Retire { instance } => self.retire(instance).await,
            CloudEffect::Tag { instance, tags } => self.tag(instance, tags).await,
            CloudEffect::Reject { volumes, generation, attempt } => self.reject(volumes, generation, *attempt).await,
            CloudEffect::Forgive { volumes, generation } => self.forgive(volumes, generation).await,
            CloudEffect::Settle { volumes, generation, image, attempt } => {
                self.settle(volumes, generation, image, *attempt).await
            }
            CloudEffect::RecordSlots { volumes, slots } => self.record_slots(volumes, slots).await,
            CloudEffect::DeleteVolume { volume } => self.delete(volume).await,
            CloudEffect::Recruit(wanted) => self.recruit(wanted).await,
            CloudEffect::Group { group, effect } => self.change_group(group, effect).await,
        }
    }

    /// The slot that the change is for, where there must be one.
    fn the_slot(&self, operation: Operation) -> Result<&SlotName, Failure> {
        let nowhere = || Failure::ours(operation, ErrorKind::Invalid, "no-slot", "the change names no slot");
        self.slot.ok_or_else(nowhere)
    }

    /// A part of the look before the change.
    async fn look<T, E>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.aws.turn(&self.region, operation).await?;
        self.looked.set(self.looked.get().or(Some(self.aws.clock.now())));
        self.aws.send(&self.region, operation, request).await
    }

    /// The call itself, if the look before it is still fresh.
    async fn send<T, E>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Halt>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let age = self.looked.get().map_or(Duration::ZERO, |looked| elapsed(self.aws.clock.now(), looked));
        if age > FRESH {
            return halt(format!("a look at most {} old", Human(FRESH)), format!("one that is {} old", Human(age)));
        }
        Ok(self.aws.send(&self.region, operation, request).await?)
    }

    /// An instance of ours, as it is now.
    async fn instance(&self, id: &InstanceId) -> Result<types::Instance, Halt> {
        let call = self.region.ec2.describe_instances().instance_ids(&**id);
        let answer = self.look(DESCRIBE_INSTANCES, call.send()).await?;
        let mut instances = answer.reservations().iter().flat_map(types::Reservation::instances);
        let found = instances.find(|instance| instance.instance_id() == Some(id)).cloned();
        let instance = found.ok_or_else(|| not_shown(DESCRIBE_INSTANCES, id))?;
        self.is_ours(id, &Tags::of(instance.tags()), self.slot)?;
        Ok(instance)
    }

    /// A volume of ours, as it is now.
    async fn volume(&self, id: &VolumeId) -> Result<types::Volume, Halt> {
        let mut volumes = self.volumes_for(&[id.clone()].into(), self.slot).await?;
        volumes.pop().ok_or_else(|| not_shown(DESCRIBE_VOLUMES, id).into())
    }

    /// All of these volumes, if they are ours; and that slot's, where one is given.
    async fn volumes_for(&self, ids: &BTreeSet<VolumeId>, slot: Option<&SlotName>) -> Result<Vec<types::Volume>, Halt> {
        if ids.is_empty() {
            return Ok(Vec::new()); // EC2 would take that for all there are
        }
        let names = ids.iter().map(VolumeId::to_string).collect();
        let call = self.region.ec2.describe_volumes().set_volume_ids(Some(names));
        let found = self.look(DESCRIBE_VOLUMES, call.send()).await?.volumes.unwrap_or_default();
        for id in ids {
            let volume = found.iter().find(|volume| volume.volume_id() == Some(id));
            let volume = volume.ok_or_else(|| not_shown(DESCRIBE_VOLUMES, id))?;
            self.is_ours(id, &Tags::of(volume.tags()), slot)?;
        }
        Ok(found)
    }

    /// Only what bears our tags is changed.
    fn is_ours(&self, id: &str, seen: &Tags, slot: Option<&SlotName>) -> Result<(), Halt> {
        let wanted = [(tags::CLUSTER, Some(&*self.spec.name)), (tags::OWNER, Some(&*self.aws.owner))];
        for (key, value) in wanted.into_iter().chain([(tags::SLOT, slot.map(|slot| &**slot))]) {
            if let Some(value) = value.filter(|value| seen.get(key) != Some(value)) {
                let found = seen.get(key).map_or_else(|| "no such tag".to_owned(), |other| format!("`{other}`"));
                return halt(format!("{id} to bear {key}={value}"), found);
            }
        }
        Ok(())
    }
}

/// EC2 answered, and did not show what was asked for by its id.
fn not_shown(operation: Operation, id: &str) -> Failure {
    Failure::ours(operation, ErrorKind::NotFound, "not-shown", format!("EC2 does not show {id}"))
}

/// A word of EC2's that we do not know.
fn puzzling(operation: Operation, id: &str, unknown: &Unreadable) -> Failure {
    Failure::ours(operation, ErrorKind::Unknown, "unknown-word", format!("{id}: {unknown}"))
}
