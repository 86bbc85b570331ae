//! One cluster in a simulated world, others beside it, the controllers that attend to them, and the transcript of what happens.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::controller::ManagedCluster;
use crate::event::Listeners;
use crate::ids::ClusterName;
use crate::sim::executor::{Executor, Task};
use crate::sim::{Violation, World};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after};

use super::beside::Beside;
use super::reach::{Beginning, Reach};
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
    beside: Beside,
    managed: Rc<RefCell<BTreeMap<u8, Vec<Rc<ManagedCluster>>>>>,
    transcript: Rc<RefCell<Transcript>>,
    executor: Executor,
}

impl Simulation {
    /// Declares a cluster and has one controller attend to it; two, if the world has a second one in store.
    pub fn new(world: &World, spec: ClusterSpec, seed: u64) -> Self {
        Self::beside(world, spec, Vec::new(), seed)
    }

    /// The same with other clusters beside it, which the same controllers attend to. Of those only the latest answers are
    /// kept.
    pub fn beside(world: &World, spec: ClusterSpec, others: Vec<ClusterSpec>, seed: u64) -> Self {
        Self::heard(world, spec, others, (seed, &Reach::default()), &Listeners::default())
    }

    /// The same by controllers that reach the world in a way of their own, with listeners that are told what the first one sees
    /// and does.
    pub fn heard(
        world: &World,
        spec: ClusterSpec,
        others: Vec<ClusterSpec>,
        (seed, reach): (u64, &Reach),
        listeners: &Listeners<'static>,
    ) -> Self {
        let spec = among(&others, spec);
        others.iter().chain([&spec]).for_each(|spec| world.declare(spec));
        let beside = Beside::new(others);
        let transcript = Rc::new(RefCell::new(Transcript::about(&spec.name, beside.names())));
        let committed = Rc::new(RefCell::new(spec));
        let managed = Rc::new(RefCell::new(BTreeMap::new()));
        let made_of = (world.clone(), committed.clone(), beside.clone(), managed.clone(), transcript.clone());
        let executor = Executor::new(world, controllers(made_of, seed, reach.clone(), listeners.clone()));
        let mut simulation = Self { world: world.clone(), committed, beside, managed, transcript, executor };
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

    /// A controller hears of no further commit until it starts anew.
    pub fn hold(&self, controller: u8) {
        self.managed.borrow_mut().remove(&controller);
        self.specs().iter().for_each(|spec| self.world.leave_behind(&spec.name, controller));
    }

    /// The spec that is committed now.
    pub fn committed(&self) -> ClusterSpec {
        self.committed.borrow().clone()
    }

    /// Commits another spec, which every controller hears of at once. The clusters beside it get the same but their names.
    pub fn commit(&self, spec: ClusterSpec) {
        self.commit_unheard(spec, None);
    }

    /// Commits another spec, of which one controller does not hear before it catches up or starts anew.
    pub(super) fn commit_unheard(&self, spec: ClusterSpec, by: Option<u8>) {
        let (now, spec) = (self.world.time(), among(&self.beside.specs(), spec));
        self.transcript.borrow_mut().begin_anew(now);
        self.beside.commit(&spec, now);
        *self.committed.borrow_mut() = spec;
        let specs = self.specs();
        for spec in &specs {
            by.iter().for_each(|by| self.world.leave_behind(&spec.name, *by));
            self.world.declare(spec);
        }
        let hearing: Vec<u8> = self.managed.borrow().keys().copied().filter(|index| Some(*index) != by).collect();
        hearing.into_iter().for_each(|controller| self.catch_up(controller));
    }

    /// A controller hears of everything that is committed.
    pub(super) fn catch_up(&self, controller: u8) {
        let managed = self.managed.borrow();
        let managed = managed.get(&controller).into_iter().flatten();
        for (managed, spec) in managed.zip(self.specs()) {
            self.world.catch_up(&spec.name, controller);
            managed.respec(spec);
        }
    }

    fn specs(&self) -> Vec<ClusterSpec> {
        [self.committed()].into_iter().chain(self.beside.specs()).collect()
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
        self.beside.begin_anew(self.world.time());
        let limit = after(self.world.faults_end().max(self.world.time()), LIMIT);
        let (world, transcript, beside) = (self.world.clone(), self.transcript.clone(), self.beside.clone());
        let are_over = |beside: &Beside| beside.all(|transcript| is_over(transcript, &world));
        self.run_until(limit, tell, &mut || is_over(&transcript.borrow(), &world) && are_over(&beside));
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

    /// Tells how the clusters beside it have ended, or where they stand.
    pub fn endings_beside(&self) -> BTreeMap<ClusterName, Ending> {
        self.beside.endings(|transcript| is_over(transcript, &self.world))
    }

    /// Tells the latest answers of the clusters beside it.
    pub fn standing_beside(&self) -> BTreeMap<ClusterName, String> {
        self.beside.standing()
    }

    fn violations(&self) -> Vec<Violation> {
        self.world.violations()
    }

    pub(super) fn transcript(&self) -> std::cell::Ref<'_, Transcript> {
        self.transcript.borrow()
    }
}

/// The spec of a cluster in a world with these others: it stands on nothing that is not there.
fn among(others: &[ClusterSpec], mut spec: ClusterSpec) -> ClusterSpec {
    spec.depends_on.retain(|name| others.iter().any(|other| other.name == *name));
    spec
}

/// Everything that a controller is made of when it starts.
type MadeOf = (
    World,
    Rc<RefCell<ClusterSpec>>,
    Beside,
    Rc<RefCell<BTreeMap<u8, Vec<Rc<ManagedCluster>>>>>,
    Rc<RefCell<Transcript>>,
);

/// Makes controllers, each as it is when it has just been started.
fn controllers(
    (world, committed, beside, managed, transcript): MadeOf,
    seed: u64,
    reach: Reach,
    listeners: Listeners<'static>,
) -> impl Fn(u8) -> Task + 'static {
    move |index| {
        let (world, beside) = (world.controller(index), beside.clone());
        let specs: Vec<_> = [committed.borrow().clone()].into_iter().chain(beside.specs()).collect();
        specs.iter().for_each(|spec| world.catch_up(&spec.name, index));
        let (transcript, lasting) = (transcript.clone(), RefCell::default());
        let recorder = Recorder { world: world.clone(), transcript, beside, controller: index, lasting };
        let others = if index == 0 { listeners.clone() } else { Listeners::default() };
        let clusters: Vec<_> = specs.iter().map(|spec| Rc::new(ManagedCluster::new(spec.clone()))).collect();
        managed.borrow_mut().insert(index, clusters.clone());
        let (listeners, settings) = (others.with(Rc::new(recorder)), settings(seed));
        reach.begin(world, Beginning { listeners, settings, specs, clusters })
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
