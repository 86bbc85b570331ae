//! One cluster in a simulated world, the controllers that attend to it, and the transcript of what happens.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::controller::{Controller, ManagedCluster};
use crate::event::Listeners;
use crate::sim::executor::{Executor, Task};
use crate::sim::{Violation, World};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after};

use super::recorder::Recorder;
use super::transcript::{Answer, AnswerKind, Line, Transcript};
use super::{Ending, settings};

/// The time for which the end must stay the end: a settled cluster that is touched again was not settled.
const QUIET: Duration = Duration::from_secs(5 * 60);
/// The time after the last fault in which nothing may be done to a blocked or stalled cluster that is at its end, whatever
/// its reasons meanwhile. Longer than any pause of the planner's own.
const STUCK: Duration = Duration::from_secs(45 * 60);
/// The longest that anything takes once the faults have stopped.
const LIMIT: Duration = Duration::from_secs(12 * 60 * 60);

/// A cluster and its controllers on a world.
pub struct Simulation {
    world: World,
    /// The spec that is committed: a controller that starts anew reads it.
    committed: Rc<RefCell<ClusterSpec>>,
    managed: Rc<RefCell<BTreeMap<u8, Rc<ManagedCluster>>>>,
    transcript: Rc<RefCell<Transcript>>,
    executor: Executor,
}

impl Simulation {
    /// Declares a cluster and has one controller attend to it; two, if the world has a second one in store.
    pub fn new(world: &World, spec: ClusterSpec, seed: u64) -> Self {
        world.declare(&spec);
        let committed = Rc::new(RefCell::new(spec));
        let managed = Rc::new(RefCell::new(BTreeMap::new()));
        let transcript = Rc::new(RefCell::new(Transcript::default()));
        let executor = Executor::new(world, controllers(world, &committed, &managed, &transcript, seed));
        let mut simulation = Self { world: world.clone(), committed, managed, transcript, executor };
        simulation.join(0);
        if world.wants_second_controller() {
            simulation.join(1);
        }
        simulation
    }

    /// A further controller attends to the same cluster.
    pub fn join(&mut self, controller: u8) {
        self.executor.spawn(controller);
    }

    /// Kills a controller now; it starts anew after `restart`, with nothing remembered.
    pub fn crash(&mut self, controller: u8, restart: Duration) {
        self.executor.crash(controller, restart);
    }

    /// The spec that is committed now.
    pub fn committed(&self) -> ClusterSpec {
        self.committed.borrow().clone()
    }

    /// Commits another spec, which every controller hears of at once.
    pub fn commit(&self, spec: ClusterSpec) {
        self.world.declare(&spec);
        *self.committed.borrow_mut() = spec.clone();
        self.transcript.borrow_mut().begin_anew(self.world.time());
        for managed in self.managed.borrow().values() {
            managed.respec(spec.clone());
        }
    }

    /// Runs until `done`, a rule is broken, or it is `deadline`. Says whether it was done.
    pub fn run_until(
        &mut self,
        deadline: Timestamp,
        tell: &mut dyn FnMut(&Line),
        done: &mut dyn FnMut() -> bool,
    ) -> bool {
        let (world, transcript) = (&self.world, &self.transcript);
        let mut was_done = false;
        self.executor.run_until(deadline, &mut || {
            let mut transcript = transcript.borrow_mut();
            transcript.take_events(world);
            transcript.hand_over(tell);
            drop(transcript);
            was_done = done();
            was_done || !world.violations().is_empty()
        });
        was_done
    }

    /// Runs to the end, or until it should long have come. An answer from before this is no end, because much may have been
    /// done to the world since.
    pub fn run_to_end(&mut self, tell: &mut dyn FnMut(&Line)) {
        self.transcript.borrow_mut().begin_anew(self.world.time());
        let limit = after(self.world.faults_end().max(self.world.time()), LIMIT);
        let (world, transcript) = (self.world.clone(), self.transcript.clone());
        self.run_until(limit, tell, &mut || is_over(&transcript.borrow(), &world));
        let mut transcript = self.transcript.borrow_mut();
        transcript.take_events(&self.world);
        transcript.hand_over(tell);
    }

    /// The ending, if the simulation has ended.
    pub fn ending(&self) -> Ending {
        let transcript = self.transcript.borrow();
        match (transcript.ending_answer(), self.violations().is_empty()) {
            (_, false) => Ending::Violated,
            (Some(latest), true) if is_over(&transcript, &self.world) => latest.ending(),
            _ => Ending::Unsettled,
        }
    }

    /// The last answer, unless that was an action.
    pub fn latest(&self) -> Option<Answer> {
        self.transcript.borrow().latest.clone()
    }

    /// The number of passes that were made, by all controllers together.
    pub fn passes(&self) -> u64 {
        self.transcript.borrow().passes
    }

    fn violations(&self) -> Vec<Violation> {
        self.world.violations()
    }

    pub(super) fn transcript(&self) -> std::cell::Ref<'_, Transcript> {
        self.transcript.borrow()
    }
}

/// Makes controllers, each as it is when it has just been started.
fn controllers(
    world: &World,
    committed: &Rc<RefCell<ClusterSpec>>,
    managed: &Rc<RefCell<BTreeMap<u8, Rc<ManagedCluster>>>>,
    transcript: &Rc<RefCell<Transcript>>,
    seed: u64,
) -> impl Fn(u8) -> Task + 'static {
    let (world, committed, managed, transcript) =
        (world.clone(), committed.clone(), managed.clone(), transcript.clone());
    move |index| {
        let world = world.controller(index);
        let recorder = Recorder { world: world.clone(), transcript: transcript.clone(), controller: index };
        let listeners = Listeners::default().with(Rc::new(recorder));
        let controller = Controller::new(world, listeners, settings(seed));
        let cluster = Rc::new(ManagedCluster::new(committed.borrow().clone()));
        managed.borrow_mut().insert(index, cluster.clone());
        Box::pin(async move { controller.attend(&cluster).await })
    }
}

/// Whether the latest answer is the last one.
fn is_over(transcript: &Transcript, world: &World) -> bool {
    let Some(latest) = transcript.ending_answer() else { return false };
    let (since, patience) = match latest.kind {
        AnswerKind::Settled => (latest.since, QUIET),
        AnswerKind::Blocked | AnswerKind::Stalled => (transcript.idle_since, STUCK),
        AnswerKind::Wait => return false,
    };
    world.time() >= after(since.max(world.faults_end()), patience)
}
