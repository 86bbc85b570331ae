//! Ports whose calls are told of: what was asked for, what came of it, and how long it took.

use std::rc::Rc;
use std::time::Duration;

use crate::action::{CloudEffect, Effect, MemberEffect};
use crate::ids::SlotName;
use crate::observed::{Membership, Sweep};
use crate::spec::ClusterSpec;
use crate::time::elapsed;

use super::{Clock, Cloud, Decision, ErrorKind, Members, Outcome, Outside, PortError, Seat, Wanted};

/// A call of a port, of which the answer has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    pub to: To,
    /// The effect's stable name, or `look`.
    pub name: &'static str,
    pub result: CallResult,
    pub took: Duration,
}

/// The port that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Cloud,
    /// The members of an application of that kind, e.g. `consul`.
    Members(&'static str),
}

/// The answer to a call, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// Something was shown, or took effect.
    Done,
    /// The world was so already, or was not as expected: nothing was changed.
    NotSent,
    Failed(ErrorKind),
}

/// Somebody who is told of each call. He delays nothing.
pub trait Counter {
    /// Takes note of a call.
    fn called(&self, call: &Call);
}

/// Everything outside, with somebody who is told of the calls to clouds and members.
#[derive(Clone)]
pub struct Told<O> {
    outside: O,
    counter: Rc<dyn Counter>,
}

impl<O: Outside> Told<O> {
    /// Has somebody told of every call.
    pub fn new(outside: O, counter: Rc<dyn Counter>) -> Self {
        Self { outside, counter }
    }

    async fn tell<T>(
        &self,
        to: To,
        name: &'static str,
        read: fn(&T) -> CallResult,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let begun = self.outside.clock().now();
        let answer = call.await;
        let result = answer.as_ref().map_or_else(|error| CallResult::Failed(error.kind), read);
        let took = elapsed(self.outside.clock().now(), begun);
        self.counter.called(&Call { to, name, result, took });
        answer
    }
}

fn seen<T>(_: &T) -> CallResult {
    CallResult::Done
}

fn sent(outcome: &Outcome) -> CallResult {
    match outcome {
        Outcome::AlreadySo | Outcome::Changed { .. } => CallResult::NotSent,
        Outcome::Done | Outcome::Launched(_) | Outcome::Created(_) | Outcome::Snapshotted(_) => CallResult::Done,
    }
}

impl<O: Outside> Cloud for Told<O> {
    async fn sweep(&self, wanted: &Wanted) -> Result<Sweep, PortError> {
        self.tell(To::Cloud, "look", seen, self.outside.cloud().sweep(wanted)).await
    }

    async fn change(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
        decision: &Decision,
    ) -> Result<Outcome, PortError> {
        self.tell(To::Cloud, effect.name(), sent, self.outside.cloud().change(spec, slot, effect, decision)).await
    }
}

impl<O: Outside> Members for Told<O> {
    async fn membership(&self, spec: &ClusterSpec, seats: &[Seat]) -> Result<Membership, PortError> {
        let to = To::Members(spec.application.kind());
        self.tell(to, "look", seen, self.outside.members().membership(spec, seats)).await
    }

    async fn change(&self, spec: &ClusterSpec, seats: &[Seat], effect: &MemberEffect) -> Result<Outcome, PortError> {
        let (to, name) = (To::Members(spec.application.kind()), Effect::Member(effect.clone()).name());
        self.tell(to, name, sent, self.outside.members().change(spec, seats, effect)).await
    }
}

impl<O: Outside> Outside for Told<O> {
    type Cloud = Self;
    type Members = Self;
    type Coordination = O::Coordination;
    type Clock = O::Clock;

    fn cloud(&self) -> &Self {
        self
    }

    fn members(&self) -> &Self {
        self
    }

    fn coordination(&self) -> &O::Coordination {
        self.outside.coordination()
    }

    fn clock(&self) -> &O::Clock {
        self.outside.clock()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::ids::InstanceId;
    use crate::limits::Limits;
    use crate::sim::executor::block_on;
    use crate::sim::{FaultLevel, Payload, World};

    #[derive(Default)]
    struct Heard(RefCell<Vec<Call>>);

    impl Counter for Heard {
        fn called(&self, call: &Call) {
            self.0.borrow_mut().push(*call);
        }
    }

    #[test]
    fn every_call_to_cloud_and_members_is_told_with_what_came_of_it() {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        let (_, spec) = loaded.specs().next().unwrap();
        let world = World::new(1, FaultLevel::None);
        world.register_image(&spec.image, Payload::default());
        world.settle(spec);
        let heard = Rc::new(Heard::default());
        let told = Told::new(world.clone(), heard.clone());
        let slot = &spec.slots[0].name;
        let instance: InstanceId = world.instances_of(&spec.name, slot).remove(0);
        let decision = || Decision { at: world.now(), life: Limits::DEFAULT.decision, claim: None, revision: None };
        let stop = CloudEffect::Stop { instance };
        let wanted = Wanted { region: spec.region.clone(), ..Wanted::default() };
        block_on(&world, async {
            told.cloud().sweep(&wanted).await.unwrap();
            told.members().membership(spec, &[]).await.unwrap_err();
            for _ in 0..2 {
                Cloud::change(told.cloud(), spec, Some(slot), &stop, &decision()).await.unwrap();
            }
            world.refuse(Some("look"), ErrorKind::Throttled, None, None);
            told.cloud().sweep(&wanted).await.unwrap_err();
        });
        let heard = heard.0.borrow();
        let told: Vec<_> = heard.iter().map(|call| (call.to, call.name, call.result)).collect();
        let expected = [
            (To::Cloud, "look", CallResult::Done),
            (To::Members("consul"), "look", CallResult::Failed(ErrorKind::Unreachable)),
            (To::Cloud, "stop", CallResult::Done),
            (To::Cloud, "stop", CallResult::NotSent),
            (To::Cloud, "look", CallResult::Failed(ErrorKind::Throttled)),
        ];
        assert_eq!(told, expected);
        assert!(heard.iter().all(|call| !call.took.is_zero()), "{heard:?}");
    }
}
