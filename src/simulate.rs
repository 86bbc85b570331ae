//! Drives the controller through the simulated world, from a settled cluster to the end of a rollout, and keeps the
//! transcript.
//!
//! The controller is the real one; only what it looks at and acts on is simulated. One seed decides everything.

use std::collections::BTreeMap;

use crate::controller::Settings;
use crate::ids::{ImageId, Owner, SlotName};
use crate::sim::{DEFAULT_VERSION, FaultLevel, OWNER, Payload, World};
use crate::spec::ClusterSpec;

mod recorder;
mod stage;
pub mod story;

pub use recorder::{Answer, AnswerKind, Line, Summary};
pub use stage::Stage;

/// A rollout to simulate.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The cluster as it is at the beginning, settled on this spec's image.
    pub from: ClusterSpec,
    /// The image that it is brought to.
    pub image: ImageId,
    /// What members on that image do; drawn from the seed where it is not said.
    pub payload: Option<Payload>,
    /// Decides everything.
    pub seed: u64,
    /// How unkind the world is.
    pub faults: FaultLevel,
}

/// How a simulated rollout ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Every slot is as the spec wants it, and stays so.
    Settled,
    /// It stays blocked by these gates.
    Blocked(Vec<&'static str>),
    /// It stays stalled for this reason.
    Stalled(&'static str),
    /// It is still not at an end long after the last fault.
    Unsettled,
    /// A safety rule was broken.
    Violated,
}

impl Scenario {
    /// The spec as it is after the commit.
    pub fn to(&self) -> ClusterSpec {
        ClusterSpec { image: self.image.clone(), ..self.from.clone() }
    }

    /// Runs the rollout to its end, handing every line of the transcript to `tell` as it comes.
    pub fn run(&self, tell: &mut dyn FnMut(&Line)) -> Summary {
        let world = self.world();
        self.run_in(&world, tell)
    }

    /// The world before the rollout.
    pub fn world(&self) -> World {
        let world = World::new(self.seed, self.faults);
        let version = version(&self.from);
        world.register_image(&self.from.image, Payload::Good { version: version.clone() });
        let payload = match (&self.payload, self.faults) {
            (Some(payload), _) => payload.clone(),
            (None, FaultLevel::None) => Payload::Good { version },
            (None, FaultLevel::Some | FaultLevel::Many) => world.draw_payload(&version),
        };
        world.register_image(&self.image, payload);
        world.settle(&self.from);
        world
    }

    /// Runs the rollout in a world that is there already.
    pub fn run_in(&self, world: &World, tell: &mut dyn FnMut(&Line)) -> Summary {
        let mut stage = Stage::new(world, self.to(), self.seed);
        stage.run_to_end(tell);
        let summary = Summary::new(self, world, &stage);
        tell(&Line::Summary(summary.clone()));
        summary
    }
}

/// Settings of a controller in a simulated world.
pub fn settings(seed: u64) -> Settings {
    Settings { owner: Owner::from(OWNER), observe_only: false, seed, kill_switch: Box::new(|| None) }
}

/// The version that members report where the spec does not say one.
pub fn version(spec: &ClusterSpec) -> String {
    spec.application.rules().version.unwrap_or_else(|| DEFAULT_VERSION.to_owned())
}

/// What many seeds came to, counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many runs ended how.
    pub endings: BTreeMap<Ending, u64>,
    /// The runs that must not be: the seed, and the ending.
    pub failures: Vec<(u64, Ending)>,
    /// Passes made, all runs together.
    pub passes: u64,
    /// Faults that the worlds came up with, all runs together.
    pub faults: u64,
    /// The longest that any member was down, and in which run.
    pub longest_down: Option<(f64, u64, SlotName)>,
}

impl Tally {
    /// Counts one run in.
    pub fn add(&mut self, summary: &Summary) {
        *self.endings.entry(summary.ending.clone()).or_default() += 1;
        if matches!(summary.ending, Ending::Violated | Ending::Unsettled) {
            self.failures.push((summary.seed, summary.ending.clone()));
        }
        self.passes += summary.passes;
        self.faults += summary.faults;
        for (slot, seconds) in &summary.member_down_seconds {
            if self.longest_down.as_ref().is_none_or(|(longest, ..)| seconds > longest) {
                self.longest_down = Some((*seconds, summary.seed, slot.clone()));
            }
        }
    }
}
