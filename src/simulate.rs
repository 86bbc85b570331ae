//! Drives the controller through the simulated world, from a settled cluster to the end of a rollout, and keeps the
//! transcript.
//!
//! The controller is the real one; only what it looks at and acts on is simulated. One seed decides everything.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::controller::{Attended, Controller, Settings};
use crate::ids::{ClusterName, ImageId, Owner, SlotName};
use crate::ports::Clock;
use crate::sim::executor::Executor;
use crate::sim::{DEFAULT_VERSION, FaultLevel, OWNER, Payload, World};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after};

mod recorder;
pub mod story;

pub use recorder::{Answer, Line, Summary};
use recorder::{Recorder, Tape};

/// After the end it must stay the end for so long: a settled cluster that is touched again was not settled.
const QUIET: Duration = Duration::from_secs(5 * 60);
/// A blocked or stalled cluster is at its end when its answer has not changed for so long after the last fault.
/// Longer than any pause of the planner's own.
const STUCK: Duration = Duration::from_secs(45 * 60);
/// Nothing takes longer than this once the faults have stopped.
const LIMIT: Duration = Duration::from_secs(12 * 60 * 60);

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
        let spec = self.to();
        world.declare(&spec);
        let tape = Rc::new(RefCell::new(Tape::default()));
        let mut executor = Executor::new(world, attendant(world, &spec, &tape, self.seed));
        executor.spawn(0);
        if world.wants_second_controller() {
            executor.spawn(1);
        }
        let calm = world.faults_end();
        let limit = after(calm.max(world.now()), LIMIT);
        executor.run_until(limit, &mut || {
            let mut tape = tape.borrow_mut();
            tape.take_events(world);
            tape.hand_over(tell);
            !world.violations().is_empty() || is_over(&tape, world, calm)
        });
        let mut tape = tape.borrow_mut();
        tape.take_events(world);
        tape.hand_over(tell);
        let summary = self.summary(world, &spec.name, &tape);
        tell(&Line::Summary(summary.clone()));
        summary
    }

    fn summary(&self, world: &World, cluster: &ClusterName, tape: &Tape) -> Summary {
        let violations = world.violations();
        let ending = match (&tape.latest, violations.is_empty()) {
            (_, false) => Ending::Violated,
            (Some(latest), true) if is_over(tape, world, world.faults_end()) => latest.ending(),
            _ => Ending::Unsettled,
        };
        Summary::new(self, cluster, world, tape, ending, violations)
    }
}

/// Makes controllers, each as it is when it has just been started.
fn attendant(
    world: &World,
    spec: &ClusterSpec,
    tape: &Rc<RefCell<Tape>>,
    seed: u64,
) -> impl Fn(u8) -> crate::sim::executor::Task + 'static {
    let (world, spec, tape) = (world.clone(), spec.clone(), tape.clone());
    move |index| {
        let world = world.controller(index);
        let recorder = Recorder::new(world.clone(), tape.clone(), index);
        let controller = Controller::new(world, recorder, settings(seed));
        let cluster = Attended::new(spec.clone());
        Box::pin(async move { controller.attend(&cluster).await })
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

/// Whether the latest answer is the last one.
fn is_over(tape: &Tape, world: &World, calm: Timestamp) -> bool {
    let Some(latest) = &tape.latest else { return false };
    let patience = match latest.kind {
        recorder::AnswerKind::Settled => QUIET,
        recorder::AnswerKind::Blocked | recorder::AnswerKind::Stalled => STUCK,
        recorder::AnswerKind::Wait => return false,
    };
    world.now() >= after(latest.since.max(calm), patience)
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
