//! One change: a turn at the rate limit, a narrow look, and one mutating call if the world is as the effect expects.
//!
//! The expectations are a table ([`expects`](crate::action::expects)). No look can rule out a race, so EC2 has the last
//! word: some of its refusals say that the world has moved since the look.

use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

use super::convert::Unreadable;
use super::error::{Failure, Meaning};
use super::operation::{self, Operation};
use super::{Aws, Region, tags};
use crate::action::CloudEffect;
use crate::ids::{InstanceId, SlotName, VolumeId};
use crate::ports::{Clock, Decision, ErrorKind, Outcome, PortError};
use crate::spec::ClusterSpec;
use crate::time::{Human, Timestamp, elapsed};

mod addresses;
mod groups;
mod instances;
mod launch;
mod look;
mod marks;
mod volumes;

pub(super) use launch::{run_instances, specification, volume_of};

/// Longest age of the look at the moment of sending. The world may have moved since an older one.
const FRESH: Duration = Duration::from_secs(5);

/// One change on its way.
struct Change<'a, C> {
    aws: &'a Aws<C>,
    region: Rc<Region>,
    spec: &'a ClusterSpec,
    slot: Option<&'a SlotName>,
    decision: &'a Decision,
    /// Moment at which the first question of the look was sent.
    looked: Cell<Option<Timestamp>>,
}

/// Reason for which a change ends before its call, or in place of it.
enum Halt {
    /// Outcome of a look that leaves nothing to send: it is so already, or the world has moved.
    Answer(Outcome),
    /// Question or call that failed.
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
        decision: &Decision,
    ) -> Result<Outcome, PortError> {
        let region = self.region(&spec.region);
        let change = Change { aws: self, region, spec, slot, decision, looked: Cell::new(None) };
        let made = change.make(effect).await;
        if matches!(effect, CloudEffect::Grow { .. }) {
            // Whatever came of it: if the volume is larger already, another controller has it modified.
            change.region.facts.forget_warnings();
        }
        match made {
            Ok(outcome) | Err(Halt::Answer(outcome)) => Ok(outcome),
            Err(Halt::Failed(failure)) => Err(failure.while_doing(doing(spec, slot, effect))),
        }
    }
}

/// Says what is done, e.g. `detach vol-1 for consul-a`.
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
        CloudEffect::Grow { .. } => operation::MODIFY_VOLUME,
        CloudEffect::AssignAddress { .. } => operation::ASSIGN_PRIVATE_IP_ADDRESSES,
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
        let operation = operation(effect);
        self.aws.turn(&self.region, operation).await?;
        self.is_in_time()?;
        let facts = self.meets_expectations(operation, effect).await?;
        match effect {
            CloudEffect::CreateVolume(wanted) => self.create_volume(wanted).await,
            CloudEffect::Launch(launch) => self.launch(launch).await,
            CloudEffect::Stop { instance } => self.stop(instance).await,
            CloudEffect::Start { instance } => self.start(instance).await,
            CloudEffect::Terminate { instance } => self.terminate(instance).await,
            CloudEffect::Snapshot { volume, slot, attempt, taken } => {
                self.snapshot(volume, slot, (*attempt, *taken), &facts).await
            }
            CloudEffect::CopyVolume { volume, of, slot, name } => self.copy_volume(volume, of, slot, name).await,
            CloudEffect::DeleteSnapshot { snapshot } => self.delete_snapshot(snapshot).await,
            CloudEffect::Detach { volume, instance, .. } => self.detach(volume, instance).await,
            CloudEffect::Attach { volume, instance, device } => self.attach(volume, instance, device).await,
            CloudEffect::Grow { volume, to_gib, .. } => self.grow(volume, *to_gib).await,
            CloudEffect::AssignAddress { address, interface, .. } => self.assign_address(*address, interface).await,
            CloudEffect::Retire { instance } => self.retire(instance).await,
            CloudEffect::Tag { instance, tags } => self.tag(instance, tags).await,
            CloudEffect::Reject { volumes, generation, attempt } => self.reject(volumes, generation, *attempt).await,
            CloudEffect::Forgive { volumes, generation } => self.forgive(volumes, generation, &facts).await,
            CloudEffect::Settle { volumes, generation, image, attempt, instance } => {
                self.settle(volumes, &tags::settled(generation, image, *attempt), instance.as_ref()).await
            }
            CloudEffect::RecordSlots { volumes, slots } => self.record_slots(volumes, slots).await,
            CloudEffect::DeleteVolume { volume } => self.delete(volume).await,
            CloudEffect::Recruit(wanted) => self.recruit(wanted).await,
            CloudEffect::Group { group, effect } => self.change_group(group, effect).await,
        }
    }

    /// Asks one question of the look before the call.
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

    /// Ends the change if what was decided is too old by now: somebody may have slept in any of the waits on the way.
    fn is_in_time(&self) -> Result<(), Halt> {
        self.decision.too_old(self.aws.clock.now()).map_or(Ok(()), |too_old| Err(Halt::Answer(too_old)))
    }

    /// The call itself, if the look before it is still fresh, and so is the decision.
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
        self.is_in_time()?;
        Ok(self.aws.send(&self.region, operation, request).await?)
    }
}

/// Refuses to go on after a word of EC2's that is not known here.
fn inconsistent(operation: Operation, id: &str, unknown: &Unreadable) -> Failure {
    Failure::ours(operation, ErrorKind::Unknown, "unknown-word", format!("{id}: {unknown}"))
}
