//! One cluster in a simulated world, the controllers that attend to it, and the transcript of what happens.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::controller::{Attended, Controller};
use crate::ports::Clock;
use crate::sim::executor::{Executor, Task};
use crate::sim::{Violation, World};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after};

use super::recorder::{Answer, AnswerKind, Line, Recorder, Tape};
use super::{Ending, settings};

/// After the end it must stay the end for so long: a settled cluster that is touched again was not settled.
const QUIET: Duration = Duration::from_secs(5 * 60);
/// A blocked or stalled cluster is at its end when nothing has been done for so long after the last fault, whatever its
/// reasons meanwhile. Longer than any pause of the planner's own.
const STUCK: Duration = Duration::from_secs(45 * 60);
/// Nothing takes longer than this once the faults have stopped.
const LIMIT: Duration = Duration::from_secs(12 * 60 * 60);

/// A cluster and its controllers on a world.
pub struct Stage {
    world: World,
    /// What is committed: a controller that starts anew reads it.
    committed: Rc<RefCell<ClusterSpec>>,
    attended: Rc<RefCell<BTreeMap<u8, Rc<Attended>>>>,
    tape: Rc<RefCell<Tape>>,
    executor: Executor,
}

impl Stage {
    /// Declares a cluster and has one controller attend to it; two, if the world has a second one in store.
    pub fn new(world: &World, spec: ClusterSpec, seed: u64) -> Self {
        world.declare(&spec);
        let committed = Rc::new(RefCell::new(spec));
        let attended = Rc::new(RefCell::new(BTreeMap::new()));
        let tape = Rc::new(RefCell::new(Tape::default()));
        let executor = Executor::new(world, attendant(world, &committed, &attended, &tape, seed));
        let mut stage = Self { world: world.clone(), committed, attended, tape, executor };
        stage.join(0);
        if world.wants_second_controller() {
            stage.join(1);
        }
        stage
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
        self.tape.borrow_mut().begin_anew(self.world.now());
        for attended in self.attended.borrow().values() {
            attended.respec(spec.clone());
        }
    }

    /// Runs until `done`, a rule is broken, or it is `deadline`. Says whether it was done.
    pub fn run_until(
        &mut self,
        deadline: Timestamp,
        tell: &mut dyn FnMut(&Line),
        done: &mut dyn FnMut() -> bool,
    ) -> bool {
        let (world, tape) = (&self.world, &self.tape);
        let mut was_done = false;
        self.executor.run_until(deadline, &mut || {
            let mut tape = tape.borrow_mut();
            tape.take_events(world);
            tape.hand_over(tell);
            drop(tape);
            was_done = done();
            was_done || !world.violations().is_empty()
        });
        was_done
    }

    /// Runs to the end, or until it should long have come. What was answered before this is no end: much may have been
    /// done to the world since.
    pub fn run_to_end(&mut self, tell: &mut dyn FnMut(&Line)) {
        self.tape.borrow_mut().begin_anew(self.world.now());
        let limit = after(self.world.faults_end().max(self.world.now()), LIMIT);
        let (world, tape) = (self.world.clone(), self.tape.clone());
        self.run_until(limit, tell, &mut || is_over(&tape.borrow(), &world));
        let mut tape = self.tape.borrow_mut();
        tape.take_events(&self.world);
        tape.hand_over(tell);
    }

    /// How it has ended, if it has.
    pub fn ending(&self) -> Ending {
        let tape = self.tape.borrow();
        match (tape.ending_answer(), self.violations().is_empty()) {
            (_, false) => Ending::Violated,
            (Some(latest), true) if is_over(&tape, &self.world) => latest.ending(),
            _ => Ending::Unsettled,
        }
    }

    /// What was answered last, unless that was an action.
    pub fn latest(&self) -> Option<Answer> {
        self.tape.borrow().latest.clone()
    }

    /// How many passes were made, by all controllers together.
    pub fn passes(&self) -> u64 {
        self.tape.borrow().passes
    }

    fn violations(&self) -> Vec<Violation> {
        self.world.violations()
    }

    pub(super) fn tape(&self) -> std::cell::Ref<'_, Tape> {
        self.tape.borrow()
    }
}

/// Makes controllers, each as it is when it has just been started.
fn attendant(
    world: &World,
    committed: &Rc<RefCell<ClusterSpec>>,
    attended: &Rc<RefCell<BTreeMap<u8, Rc<Attended>>>>,
    tape: &Rc<RefCell<Tape>>,
    seed: u64,
) -> impl Fn(u8) -> Task + 'static {
    let (world, committed, attended, tape) = (world.clone(), committed.clone(), attended.clone(), tape.clone());
    move |index| {
        let world = world.controller(index);
        let recorder = Recorder::new(world.clone(), tape.clone(), index);
        let controller = Controller::new(world, recorder, settings(seed));
        let cluster = Rc::new(Attended::new(committed.borrow().clone()));
        attended.borrow_mut().insert(index, cluster.clone());
        Box::pin(async move { controller.attend(&cluster).await })
    }
}

/// Whether the latest answer is the last one.
fn is_over(tape: &Tape, world: &World) -> bool {
    let Some(latest) = tape.ending_answer() else { return false };
    let (since, patience) = match latest.kind {
        AnswerKind::Settled => (latest.since, QUIET),
        AnswerKind::Blocked | AnswerKind::Stalled => (tape.idle_since, STUCK),
        AnswerKind::Wait => return false,
    };
    world.now() >= after(since.max(world.faults_end()), patience)
}
