//! The handle on a world: all that is asked of it beside its ports.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::action::CloudEffect;
use crate::ids::{ClusterName, ImageId, InstanceId, SlotName, VolumeId};
use crate::observed::{CloudView, EbsDefaults, Group, Subnet};
use crate::ports::{Outcome, PortError};
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

use super::ec2::{Call, Due};
use super::event::{Event, Violation};
use super::judge::{AnswerFacts, judge_answer};
use super::pace::Pace;
use super::time::{Millis, instant, moment};
use super::words::{FaultLevel, Payload};
use super::world::{MemberRecord, Sender, State, Tick};
use super::{store, transcript, turn};

/// A handle on a simulated world. Clones share the world.
#[derive(Clone)]
pub struct World {
    pub(super) state: Rc<RefCell<State>>,
    pub(super) controller: u8,
}

/// The part of the world that changes by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changes {
    /// An instance, or what its status checks say.
    Instance(InstanceId),
    Volume(VolumeId),
    /// Members, which look around.
    Members,
    Else,
}

impl World {
    /// Makes an empty world. The same seed gives the same chances.
    pub fn new(seed: u64, faults: FaultLevel) -> Self {
        Self::from_state(State::new(seed, faults))
    }

    /// Reads a world that was saved. A world of another version is refused.
    pub fn load(path: &Path) -> io::Result<Self> {
        store::load(path).map(Self::from_state)
    }

    fn from_state(state: State) -> Self {
        Self { state: Rc::new(RefCell::new(state)), controller: 0 }
    }

    /// Writes the world to a file, whole or not at all. Sleeping controllers are not part of it.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        store::save(&self.state.borrow(), path)
    }

    /// Saves the world from now on: after every call that took effect, before its sender hears of it, and every few seconds
    /// that pass. A failed save ends nothing; it is logged.
    pub fn autosave(&self, path: &Path) {
        self.state.borrow_mut().autosave = Some(PathBuf::from(path));
    }

    /// Gives the handle of another controller. Crashes and pauses are per controller.
    pub fn controller(&self, index: u8) -> Self {
        self.state.borrow_mut().controllers.entry(index).or_default();
        Self { state: self.state.clone(), controller: index }
    }

    /// Makes a cluster known, or known anew after its spec changed.
    pub fn declare(&self, spec: &ClusterSpec) {
        self.with(|state| {
            let fresh = !state.clusters.contains_key(&spec.name);
            state.declare(spec);
            if fresh {
                state.tell_world(&spec.name);
            }
        });
    }

    /// Gives instances addresses of this machine's own from now on, at which their members can be served.
    pub fn on_loopback(&self) {
        self.with(|state| state.region.is_on_loopback = true);
    }

    /// A controller goes by the slots that are declared now, whatever is declared from now on.
    pub fn leave_behind(&self, cluster: &ClusterName, controller: u8) {
        self.with(|state| state.leave_behind(cluster, controller));
    }

    /// A controller hears of the slots that are declared.
    pub fn catch_up(&self, cluster: &ClusterName, controller: u8) {
        self.with(|state| state.catch_up(cluster, controller));
    }

    /// Shows exactly what is so of a cluster in EC2, but for the facts of the region.
    pub fn view(&self, cluster: &ClusterName) -> CloudView {
        self.with(|state| state.region.look(cluster))
    }

    /// Builds a cluster as already running, proven and settled on `spec.image`, which is registered as good if
    /// it was not registered before.
    pub fn settle(&self, spec: &ClusterSpec) {
        self.with(|state| state.settle(spec));
    }

    /// Describes a subnet that slots are declared in.
    pub fn subnet(&self, id: &str) -> Option<Subnet> {
        self.with(|state| state.region.subnet_seen(id))
    }

    /// Says how EBS encrypts what names no key.
    pub fn ebs_defaults(&self) -> EbsDefaults {
        self.with(|state| state.region.ebs_defaults.clone())
    }

    /// Has EBS encrypt otherwise from now on, as somebody with the right to it would.
    pub fn set_ebs_defaults(&self, defaults: EbsDefaults) {
        self.with(|state| state.region.ebs_defaults = defaults);
    }

    /// Makes an image exist.
    pub fn register_image(&self, image: &ImageId, payload: Payload) {
        self.with(|state| state.region.images.insert(image.clone(), payload));
    }

    /// Makes an image known, unless one of that id is known already.
    pub fn announce_image(&self, image: &ImageId, payload: Payload) {
        self.with(|state| _ = state.region.images.entry(image.clone()).or_insert(payload));
    }

    /// Takes an image away.
    pub fn deregister_image(&self, image: &ImageId) {
        self.with(|state| {
            state.region.images.remove(image);
            state.region.forget_catalogue();
        });
    }

    /// Draws a payload for a new image: good, or with faults perhaps a bad one.
    pub fn draw_payload(&self, version: &str) -> Payload {
        self.with(|state| {
            let Some(payload) = state.faults.draw_bad_payload(state.now, &mut state.chance) else {
                return Payload::Good { version: version.to_owned() };
            };
            state.fault(None, "bad-image", format!("{payload:?}"));
            payload
        })
    }

    /// Goes from now on no faster than `speed` times as fast as real time. Needs a tokio runtime.
    pub fn paced(&self, speed: f64) {
        let mut state = self.state.borrow_mut();
        state.pace = Some(Pace::new(speed, state.now));
    }

    /// Tells the world's own time, whatever any controller's clock shows.
    pub fn time(&self) -> Timestamp {
        instant(self.now_millis())
    }

    /// Runs everything that is due up to `at`, and then it is that time.
    pub fn advance_to(&self, at: Timestamp) {
        turn::advance_to(&mut self.state.borrow_mut(), moment(at));
    }

    /// Tells when the world next changes by itself, and what does then.
    pub fn next_changes(&self) -> Vec<(Timestamp, Changes)> {
        let state = self.state.borrow();
        let changes = |tick: &Tick| match tick {
            Tick::Ec2(Due::Instance(id, _) | Due::Checked(id, _)) => Changes::Instance(id.clone()),
            Tick::Ec2(Due::Volume(id, _)) => Changes::Volume(id.clone()),
            Tick::Members(_) => Changes::Members,
            _ => Changes::Else,
        };
        state.due.earliest().map(|(at, tick)| (instant(at), changes(tick))).collect()
    }

    /// Counts the simulated seconds since the world began: the `t` of an event that happens now.
    pub fn seconds(&self) -> f64 {
        self.with(|state| transcript::seconds(state.now))
    }

    /// Gives back the memory that is not needed by clusters that have been settled one after another.
    pub fn pack(&self) {
        self.state.borrow_mut().pack();
    }

    /// Keeps no transcript from now on: whoever lets a world run for days takes none.
    pub fn tell_nobody(&self) {
        self.state.borrow_mut().transcript.tell_nobody();
    }

    /// Takes the transcript since the last time that it was taken.
    pub fn drain_events(&self) -> Vec<Event> {
        self.state.borrow_mut().transcript.take()
    }

    /// Lists every safety rule that was found broken so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.state.borrow().transcript.violations.clone()
    }

    /// Judges an answer that a controller gives about a cluster.
    pub fn judge_answer(&self, cluster: &ClusterName, answer: &AnswerFacts) {
        self.with(|state| state.object(cluster, judge_answer(answer).into_iter().collect()));
    }

    /// Tells when the last fault was injected.
    pub fn last_fault(&self) -> Option<Timestamp> {
        self.state.borrow().faults.last.map(instant)
    }

    /// Tells when the faults end. None is injected after this.
    pub fn faults_end(&self) -> Timestamp {
        instant(self.state.borrow().faults.end)
    }

    /// Says whether this world has a second controller in store.
    pub fn wants_second_controller(&self) -> bool {
        self.state.borrow().faults.swarm.second_controller
    }

    /// Finds the Auto Scaling group of that name, without what it has launched by itself.
    pub fn group(&self, name: &str) -> Option<Group> {
        self.state.borrow().region.groups.get(name).map(|group| group.seen.clone())
    }

    /// Counts the accepted mutating calls, by the effect's name.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.state.borrow().transcript.calls.clone()
    }

    /// Sums up for how long each slot's member was not a healthy voter, in seconds, since it first was one.
    pub fn member_down_seconds(&self, cluster: &ClusterName) -> BTreeMap<SlotName, f64> {
        let state = self.state.borrow();
        let Some(known) = state.clusters.get(cluster) else { return Default::default() };
        let down = |slot: &MemberRecord| {
            let present = if slot.was_up && !slot.up { state.now.saturating_sub(slot.since) } else { 0 };
            (slot.down + present) as f64 / 1_000.0
        };
        known.slots.iter().map(|(name, slot)| (name.clone(), down(slot))).collect()
    }

    /// Counts the elections and hand-overs of leadership since the cluster began: Raft's term.
    pub fn term(&self, cluster: &ClusterName) -> u64 {
        self.state.borrow().clusters.get(cluster).map_or(0, |known| known.members.term())
    }

    /// Ends the member's process on an instance, as the guest's own service manager does. The instance goes on running.
    pub fn end_process(&self, instance: &InstanceId) {
        self.with(|state| state.stop_member(instance));
    }

    /// Sends a call as a controller would that checks nothing first. EC2's own rules still hold.
    pub fn send_unchecked(
        &self,
        cluster: &ClusterName,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
    ) -> Result<Outcome, PortError> {
        self.with(|state| {
            let sender = Sender { controller: self.controller, sent: state.now };
            state.apply(sender, Call { cluster, slot, effect })
        })
        .map_err(|refusal| refusal.while_doing(effect.name()))
    }

    /// Works on the state, keeps EC2's answers, and saves.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.borrow_mut();
        let result = work(&mut state);
        state.keep_answers();
        if let Some(path) = &state.autosave {
            let progress = Some(state.progress());
            if state.saved != progress {
                if let Err(error) = store::save(&state, path) {
                    tracing::warn!(%error, "the simulated world could not be saved");
                }
                state.saved = progress;
            }
        }
        result
    }

    /// Tells what this controller's clock shows.
    pub(super) fn shown_time(&self) -> Timestamp {
        let now = self.now_millis();
        self.state.borrow().shown_at(self.controller, now)
    }

    pub(super) fn now_millis(&self) -> Millis {
        self.state.borrow().now
    }
}
