//! A tool that somebody runs in the simulated world: it sends calls and waits, as its documents say that it does.
//!
//! Calls and looks take the time that they take this controller, and EC2 the time that it takes it.

use std::time::Duration;

use hermitcrab::action::{CloudEffect, Launch, MemberEffect};
use hermitcrab::controller::seats;
use hermitcrab::ids::{Attempt, InstanceId, Owner, Token};
use hermitcrab::observed::{AttachmentPhase, CloudView, Health, InstanceState, Membership, VolumeState};
use hermitcrab::ports::{Clock, Cloud, Members, Outcome, Wanted};
use hermitcrab::sim::{OWNER, World, block_on};
use hermitcrab::spec::{ClusterSpec, SlotSpec};

use super::measure::Scene;

/// Polls with pauses of its own between two looks.
pub struct Poll {
    /// The pause before the first look.
    pub first: Duration,
    /// The pause before the second one.
    pub then: Duration,
    /// Each later pause is so many times the one before.
    pub grows: u32,
    /// The longest pause.
    pub most: Duration,
}

impl Poll {
    /// Always the same pause, after a first one.
    pub const fn every(first: u64, then: u64) -> Self {
        Self { first: Duration::from_secs(first), then: Duration::from_secs(then), grows: 1, most: Duration::MAX }
    }

    /// A pause of a second, which doubles up to the longest.
    pub const fn doubling(most: u64) -> Self {
        let first = Duration::from_secs(1);
        Self { first, then: Duration::from_secs(2), grows: 2, most: Duration::from_secs(most) }
    }
}

pub struct Script<'s> {
    world: &'s World,
    spec: &'s ClusterSpec,
}

impl<'s> Script<'s> {
    /// Begins. Pruning is kept off, as every one of these tools' users has to do by hand.
    pub fn new(scene: &'s Scene) -> Self {
        let script = Self { world: &scene.world, spec: &scene.spec };
        script.world.declare(&scene.spec);
        let seats = seats(&script.look());
        let effect = MemberEffect::SetPruning { down_to: script.spec.slots.len() };
        let asked = Members::change(script.world, script.spec, &seats, &effect);
        block_on(script.world, asked).expect("the members answer");
        script
    }

    pub fn slots(&self) -> &'s [SlotSpec] {
        &self.spec.slots
    }

    pub fn sleep(&self, span: Duration) {
        block_on(self.world, self.world.sleep(span));
    }

    pub fn look(&self) -> CloudView {
        let wanted = Wanted { region: self.spec.region.clone(), ..Wanted::default() };
        let sweep = block_on(self.world, Cloud::sweep(self.world, &wanted)).expect("nothing fails in this world");
        CloudView::clone(&sweep.cluster(&self.spec.name))
    }

    /// Waits until a look shows it.
    pub fn wait(&self, poll: &Poll, is_so: impl Fn(&CloudView) -> bool) {
        let (mut pause, mut next) = (poll.first, poll.then);
        loop {
            self.sleep(pause);
            if is_so(&self.look()) {
                return;
            }
            (pause, next) = (next, (next * poll.grows).min(poll.most));
        }
    }

    fn send(&self, slot: &SlotSpec, effect: &CloudEffect) -> Outcome {
        let sent = self.world.send(&self.spec.name, Some(&slot.name), effect);
        block_on(self.world, sent).expect("nothing fails in this world")
    }

    /// Launches an instance from the new image in a slot, with its address if it has one that is free.
    pub fn launch(&self, slot: &SlotSpec) -> InstanceId {
        let token = Token::from(format!("script-{}", slot.name));
        let declared = Launch::declared(self.spec, slot, Owner::from(OWNER), token);
        let view = self.world.view(&self.spec.name);
        let own = view.present_volumes().filter(|volume| volume.slot == slot.name);
        let volumes = own.map(|volume| (volume.name.clone(), volume.id.clone())).collect();
        let launch = Launch { attempt: Attempt(100), volumes, ..declared };
        let Outcome::Launched(instance) = self.send(slot, &CloudEffect::Launch(Box::new(launch))) else {
            panic!("a launch answers with an instance");
        };
        self.give_address(slot, &instance);
        instance
    }

    /// Has the instance come up with the slot's address: a part of the launch, so it takes no time.
    fn give_address(&self, slot: &SlotSpec, instance: &InstanceId) {
        let Some(address) = slot.address else { return };
        let view = self.world.view(&self.spec.name);
        let interface = view.instance(instance).and_then(|seen| seen.interface.as_ref()).expect("it is launching");
        let (instance, interface, subnet) = (instance.clone(), interface.id.clone(), slot.subnet.clone());
        let effect = CloudEffect::AssignAddress { address, instance, interface, subnet };
        let given = self.world.send_unchecked(&self.spec.name, Some(&slot.name), &effect);
        given.expect("the address is free");
    }

    pub fn stop(&self, slot: &SlotSpec, instance: &InstanceId) {
        self.send(slot, &CloudEffect::Stop { instance: instance.clone() });
    }

    pub fn terminate(&self, slot: &SlotSpec, instance: &InstanceId) {
        self.send(slot, &CloudEffect::Terminate { instance: instance.clone() });
    }

    /// Stops the service in the guest, which takes no call to EC2.
    pub fn end_process(&self, instance: &InstanceId) {
        self.world.end_process(instance);
    }

    pub fn detach(&self, slot: &SlotSpec) {
        for volume in self.world.view(&self.spec.name).present_volumes().filter(|volume| volume.slot == slot.name) {
            let VolumeState::InUse(at) = &volume.state else { continue };
            let (volume, instance, device) = (volume.id.clone(), at.instance.clone(), at.device.clone());
            self.send(slot, &CloudEffect::Detach { volume, instance, device });
        }
    }

    pub fn attach(&self, slot: &SlotSpec, instance: &InstanceId) {
        for volume in self.world.view(&self.spec.name).present_volumes().filter(|volume| volume.slot == slot.name) {
            let declared = self.spec.volumes.iter().find(|declared| declared.name == volume.name);
            let device = declared.expect("it is declared").device.clone();
            let (volume, instance) = (volume.id.clone(), instance.clone());
            self.send(slot, &CloudEffect::Attach { volume, instance, device });
        }
    }

    /// Finds the instance that a slot has from before.
    pub fn old(&self, slot: &SlotSpec) -> InstanceId {
        let view = self.world.view(&self.spec.name);
        let mut old = view.live_instances().filter(|instance| instance.slot == slot.name);
        old.find(|instance| instance.make.image != self.spec.image).expect("it was settled").id.clone()
    }

    /// Counts the members that are well in the eyes of their leader.
    pub fn healthy(&self) -> usize {
        let seats = seats(&self.world.view(&self.spec.name));
        let asked: Result<Membership, _> = block_on(self.world, self.world.membership(self.spec, &seats));
        asked.map_or(0, |membership| {
            membership.members.iter().filter(|member| member.counts && member.health == Health::Healthy).count()
        })
    }

    /// Asks the members until all of them are well.
    pub fn wait_for_members(&self, pause: Duration) {
        while self.healthy() < self.spec.slots.len() {
            self.sleep(pause);
        }
    }
}

pub fn is(view: &CloudView, instance: &InstanceId, state: InstanceState) -> bool {
    view.instance(instance).is_some_and(|seen| seen.state == state)
}

pub fn is_free(view: &CloudView, slot: &SlotSpec) -> bool {
    view.present_volumes()
        .filter(|volume| volume.slot == slot.name)
        .all(|volume| volume.state == VolumeState::Available)
}

pub fn is_attached(view: &CloudView, slot: &SlotSpec) -> bool {
    let is_there =
        |state: &VolumeState| matches!(state, VolumeState::InUse(at) if at.phase == AttachmentPhase::Attached);
    view.present_volumes().filter(|volume| volume.slot == slot.name).all(|volume| is_there(&volume.state))
}
