//! Drives the controller through the simulated world, from a settled cluster to the end of a rollout, and keeps the
//! transcript.
//!
//! The controller is the real one; only what it looks at and acts on is simulated. One seed decides everything.

use std::rc::Rc;

use crate::controller::Settings;
use crate::event::Listeners;
use crate::ids::{ImageId, Owner};
use crate::sim::{DEFAULT_VERSION, FaultLevel, OWNER, Payload, World};
use crate::spec::ClusterSpec;

mod behaviour;
mod beside;
mod judged;
pub mod lawful;
mod people;
mod reach;
mod recorder;
pub mod script;
mod simulation;
mod summary;
pub mod text;
mod transcript;

pub use behaviour::Behaviour;
pub use reach::Reach;
pub use simulation::Simulation;
pub use summary::{Ending, Summary, Tally};
pub use transcript::{Answer, AnswerKind, Line};

/// A rollout to simulate.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The cluster as it is at the beginning, settled on this spec's image.
    pub from: ClusterSpec,
    /// The image that it is brought to.
    pub image: ImageId,
    /// The behaviour of members on that image; drawn from the seed where it is not said.
    pub payload: Option<Payload>,
    /// Decides everything.
    pub seed: u64,
    /// The unkindness of the world.
    pub faults: FaultLevel,
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
        self.run_beside(world, Vec::new(), tell)
    }

    /// Runs the rollout with other clusters beside it, which go to the same image: one controller attends to all of them, and
    /// keeps to its share of what EC2 allows.
    pub fn run_beside(&self, world: &World, others: Vec<ClusterSpec>, tell: &mut dyn FnMut(&Line)) -> Summary {
        self.run_heard(world, others, (&Reach::default(), &Listeners::default()), tell)
    }

    /// The same by controllers that reach the world in a way of their own, with listeners that are told what the first one sees
    /// and does.
    pub fn run_heard(
        &self,
        world: &World,
        others: Vec<ClusterSpec>,
        (reach, listeners): (&Reach, &Listeners<'static>),
        tell: &mut dyn FnMut(&Line),
    ) -> Summary {
        if !others.is_empty() {
            others.iter().for_each(|spec| world.settle(spec));
            world.keep_to_share(0);
        }
        let to = |spec| ClusterSpec { image: self.image.clone(), ..spec };
        let others = others.into_iter().map(to).collect();
        let mut simulation = Simulation::heard(world, self.to(), others, (self.seed, reach), listeners);
        if self.faults == FaultLevel::Many {
            people::change_their_minds(self, world, &mut simulation, tell);
        }
        simulation.run_to_end(tell);
        let summary = Summary::new(self, world, &simulation);
        tell(&Line::Summary(summary.clone()));
        summary
    }
}

/// Copies of a cluster under names of their own, to be simulated beside it.
pub fn copies(of: &ClusterSpec, number: usize) -> Vec<ClusterSpec> {
    let named = |number| ClusterSpec { name: format!("{}-{number}", of.name).into(), ..of.clone() };
    (2..number + 2).map(named).collect()
}

/// The settings of a controller in a simulated world.
pub fn settings(seed: u64) -> Settings {
    Settings {
        owner: Owner::from(OWNER),
        observe_only: false,
        seed,
        kill_switch: Rc::new(|| None),
        source: Rc::new(|| None),
    }
}

/// The version that members report where the spec does not say one.
pub fn version(spec: &ClusterSpec) -> String {
    spec.application.rules().version.unwrap_or_else(|| DEFAULT_VERSION.to_owned())
}
