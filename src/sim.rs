//! A simulated world: EC2, Consul, the claim store and the clock, on one seed.
//!
//! A [`World`] fills in every port. It serves `simulate` and `run --cloud simulated`, and it is the ground that the
//! safety rules are tested on: it knows the truth, and after each step it checks them itself
//! ([`World::violations`]). The same seed and the same calls give the same world, to the byte.
//!
//! ```text
//! ports ─► calls ─► cloud, group ─► guest ─► consul      what a call does, and what follows from it
//!                        └────► invariants                           whether it was right
//! faults ─► meddle                                            what others do
//! executor ─► truth                                           who runs, and what is due
//! ```
//!
//! Absent on purpose: a network between the members (they reach each other or do not run), partial pages, and other
//! applications than Consul. Auto Scaling groups act if a spec adopts them ([`World::group`]); of another group nothing
//! is known but that it ends what stops.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::CloudEffect;
use crate::ids::{ClusterName, ImageId, SlotName};
use crate::observed::Group;
use crate::ports::{Outcome, PortError};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, elapsed};

mod accident;
mod application;
mod autopilot;
mod calls;
mod canaries;
mod cloud;
mod consul;
pub mod event;
pub mod executor;
mod faults;
mod group;
mod guest;
mod invariants;
mod latency;
mod meddle;
mod pace;
mod ports;
mod records;
mod settle;
mod store;
mod throttle;
mod truth;
mod view;
mod volumes;

pub use accident::Accident;
pub use event::{Event, SlotLine, UpDown, Violation, What};
pub use executor::{Executor, block_on};

use calls::Sender;
use truth::{EPOCH, Millis, Truth};

/// Who owns what [`World::settle`] builds.
pub const OWNER: &str = "hermitcrab";
/// What Consul version runs where nothing else is said.
pub const DEFAULT_VERSION: &str = "1.20.1";
/// How unkind a world is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultLevel {
    #[default]
    None,
    Some,
    Many,
}

/// What members do on instances of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// They run this version, and well.
    Good { version: String },
    /// Their process never starts.
    NeverJoins,
    /// They join, and never become healthy.
    JoinsUnhealthy,
    /// They are healthy for 28 s, ill for 12 s, and so on.
    Flaps,
    /// They run well, but another version than the image is meant to have.
    WrongVersion(String),
    /// They start so much later.
    SlowToJoin(Duration),
    /// They run well, and have lost their canary data whenever they start. Their peers send them only what is new.
    LosesData,
}

impl Default for Payload {
    fn default() -> Self {
        Self::Good { version: DEFAULT_VERSION.to_owned() }
    }
}

/// At which point of a mutating call a controller dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashPoint {
    /// Nothing was sent.
    BeforeSend,
    /// It took effect, and nobody hears the answer.
    AfterEffect,
    /// The answer was heard, and nothing more was done with it.
    AfterAnswer,
}

/// A handle on a simulated world. Clones share the world.
#[derive(Clone)]
pub struct World {
    truth: Rc<RefCell<Truth>>,
    controller: u8,
}

impl World {
    /// An empty world. The same seed gives the same chances.
    pub fn new(seed: u64, faults: FaultLevel) -> Self {
        Self::from_truth(Truth::new(seed, faults))
    }

    /// A world that was saved.
    pub fn load(path: &Path) -> io::Result<Self> {
        store::load(path).map(Self::from_truth)
    }

    fn from_truth(truth: Truth) -> Self {
        Self { truth: Rc::new(RefCell::new(truth)), controller: 0 }
    }

    /// Writes the world to a file, whole or not at all. Sleeping controllers are not part of it.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        store::save(&self.truth.borrow(), path)
    }

    /// From now on saves the world after every call that changed it. A failed save ends nothing; it is logged.
    pub fn autosave(&self, path: &Path) {
        self.truth.borrow_mut().autosave = Some(PathBuf::from(path));
    }

    /// The handle of another controller. Crashes and pauses are per controller.
    pub fn controller(&self, index: u8) -> Self {
        self.truth.borrow_mut().controllers.entry(index).or_default();
        Self { truth: self.truth.clone(), controller: index }
    }

    /// Makes a cluster known, or known anew after its spec changed.
    pub fn declare(&self, spec: &ClusterSpec) {
        self.with(|truth| {
            let fresh = !truth.clusters.contains_key(&spec.name);
            truth.declare(spec);
            if fresh {
                truth.tell_world(&spec.name);
            }
        });
    }

    /// Builds a cluster as already running, proven and settled on `spec.image`, which is registered as good if
    /// it was not registered before.
    pub fn settle(&self, spec: &ClusterSpec) {
        self.with(|truth| truth.settle(spec));
    }

    /// Makes an image exist.
    pub fn register_image(&self, image: &ImageId, payload: Payload) {
        self.with(|truth| truth.images.insert(image.clone(), payload));
    }

    /// An image exists no more.
    pub fn deregister_image(&self, image: &ImageId) {
        self.with(|truth| {
            truth.images.remove(image);
            truth.catalogue = None;
        });
    }

    /// A payload for a new image: good, or with faults perhaps a bad one.
    pub fn draw_payload(&self, version: &str) -> Payload {
        self.with(|truth| truth.draw_payload(version))
    }

    /// Real time from now on, `speed` times as fast. Needs a tokio runtime.
    pub fn paced(&self, speed: f64) {
        let mut truth = self.truth.borrow_mut();
        truth.pace = Some(pace::Pace::new(speed, truth.now));
    }

    /// Runs everything that is due up to `at`, and then it is that time.
    pub fn advance_to(&self, at: Timestamp) {
        let at = millis(elapsed(at, EPOCH));
        self.truth.borrow_mut().advance_to(at);
    }

    /// When the world next changes by itself.
    pub fn next_event(&self) -> Option<Timestamp> {
        let truth = self.truth.borrow();
        truth.next_due().map(|at| truth.timestamp(at))
    }

    /// How long the world has been there, in simulated seconds: the `t` of an event that happens now.
    pub fn seconds(&self) -> f64 {
        self.with(|truth| truth.seconds())
    }

    /// The transcript since the last time it was asked for.
    pub fn drain_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.truth.borrow_mut().events)
    }

    /// Every safety rule that was found broken so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.truth.borrow().violations.clone()
    }

    /// When the last fault was injected.
    pub fn last_fault(&self) -> Option<Timestamp> {
        let truth = self.truth.borrow();
        truth.faults.last.map(|at| truth.timestamp(at))
    }

    /// No fault is injected after this.
    pub fn faults_end(&self) -> Timestamp {
        let truth = self.truth.borrow();
        truth.timestamp(truth.faults.end)
    }

    /// This world has a second controller in store.
    pub fn wants_second_controller(&self) -> bool {
        self.truth.borrow().faults.swarm.second_controller
    }

    /// The Auto Scaling group of that name as it is, without what it has launched by itself.
    pub fn group(&self, name: &str) -> Option<Group> {
        self.truth.borrow().groups.get(name).map(|group| group.seen.clone())
    }

    /// Accepted mutating calls, by the effect's name.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.truth.borrow().calls.clone()
    }

    /// For how long each slot's member was not a healthy voter, in seconds, since it first was one.
    pub fn member_down_seconds(&self, cluster: &ClusterName) -> BTreeMap<SlotName, f64> {
        let truth = self.truth.borrow();
        let Some(known) = truth.clusters.get(cluster) else { return Default::default() };
        let down = |slot: &records::SlotTruth| {
            let present = if slot.was_up && !slot.up { truth.now - slot.since } else { 0 };
            (slot.down + present) as f64 / 1_000.0
        };
        known.slots.iter().map(|(name, slot)| (name.clone(), down(slot))).collect()
    }

    /// Sends a call as a controller would that checks nothing first. EC2's own rules still hold.
    pub fn send_unchecked(
        &self,
        cluster: &ClusterName,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
    ) -> Result<Outcome, PortError> {
        self.with(|truth| {
            let sender = Sender { controller: self.controller, sent: truth.now };
            truth.apply(sender, cluster, slot, effect)
        })
        .map_err(|refusal| refusal.while_doing(effect.name()))
    }

    /// Works on the truth, keeps what EC2 has said, and saves.
    fn with<T>(&self, work: impl FnOnce(&mut Truth) -> T) -> T {
        let mut truth = self.truth.borrow_mut();
        if let Some(pace) = truth.pace {
            truth.advance_to(pace.now());
        }
        let result = work(&mut truth);
        truth.record_versions();
        if let Some(path) = &truth.autosave
            && let Err(error) = store::save(&truth, path)
        {
            tracing::warn!(%error, "the simulated world could not be saved");
        }
        result
    }

    fn now_millis(&self) -> Millis {
        let mut truth = self.truth.borrow_mut();
        if let Some(pace) = truth.pace {
            truth.advance_to(pace.now());
        }
        truth.now
    }
}

/// Whole milliseconds, rounded up.
fn millis(span: Duration) -> Millis {
    span.as_nanos().div_ceil(1_000_000) as Millis
}

impl Truth {
    fn draw_payload(&mut self, version: &str) -> Payload {
        let good = Payload::Good { version: version.to_owned() };
        if !self.unkind() || self.rng.u32(0..10_000) >= self.faults.swarm.bad_image {
            return good;
        }
        let slow = Payload::SlowToJoin(Duration::from_secs(self.rng.u64(30..=900)));
        let wrong = Payload::WrongVersion("1.0.0".to_owned());
        let bad = [Payload::NeverJoins, Payload::JoinsUnhealthy, Payload::Flaps, wrong, slow];
        let payload = self.rng.choice(bad).unwrap_or(good);
        self.fault(None, "bad-image", format!("{payload:?}"));
        payload
    }
}
