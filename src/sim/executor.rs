//! Runs controllers in simulated time: whoever is ready, in order, and when nobody is, time passes.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::handle::World;
use super::time::{Millis, millis, moment};
use super::turn;
use crate::time::Timestamp;

/// The time until a process that has ended is started again.
const STARTED_AGAIN: Millis = 5_000;

/// A controller, as the executor runs it.
pub type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Runs controllers until they have done what was asked for, and lets them crash and pause as the world demands.
pub struct Executor {
    world: World,
    factory: Box<dyn Fn(u8) -> Task>,
    seats: BTreeMap<u8, Seat>,
}

/// One controller's place.
struct Seat {
    task: Option<Task>,
    ready: Arc<Ready>,
    waker: Waker,
    /// The time until which it is dead or paused.
    absent_until: Millis,
    finished: bool,
}

struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Seat {
    fn new() -> Self {
        let ready = Arc::new(Ready(AtomicBool::new(true)));
        let waker = Waker::from(ready.clone());
        Self { task: None, ready, waker, absent_until: 0, finished: false }
    }

    fn is_ready(&self, now: Millis) -> bool {
        !self.finished && self.absent_until <= now && self.ready.0.load(Ordering::Relaxed)
    }
}

impl Executor {
    /// An executor for controllers that `factory` makes: anew after each crash, with nothing remembered. From now on
    /// the world may ask for crashes and pauses.
    pub fn new(world: &World, factory: impl Fn(u8) -> Task + 'static) -> Self {
        world.state.borrow_mut().faults.crashable = true;
        Self { world: world.clone(), factory: Box::new(factory), seats: BTreeMap::new() }
    }

    /// Starts controller `index`.
    pub fn spawn(&mut self, index: u8) {
        self.world.controller(index);
        self.seats.insert(index, Seat::new());
    }

    /// Kills a controller now; it starts anew after `restart`.
    pub fn crash(&mut self, index: u8, restart: Duration) {
        let back = self.world.now_millis() + millis(restart);
        if let Some(seat) = self.seats.get_mut(&index) {
            seat.crash(back);
        }
    }

    /// Does not run a controller for so long, whatever wakes it.
    pub fn pause(&mut self, index: u8, span: Duration) {
        let until = self.world.now_millis() + millis(span);
        if let Some(seat) = self.seats.get_mut(&index) {
            seat.absent_until = until;
        }
    }

    /// Runs until `done` says so, which is asked after every step, or until it is `deadline`. Says whether it was done.
    pub fn run_until(&mut self, deadline: Timestamp, done: &mut dyn FnMut() -> bool) -> bool {
        let deadline = moment(deadline);
        loop {
            let now = self.world.now_millis();
            let ready = self.seats.iter().find(|(_, seat)| seat.is_ready(now)).map(|(index, _)| *index);
            if let Some(index) = ready {
                self.poll(index);
                continue;
            }
            if done() {
                return true;
            }
            if now >= deadline {
                return false;
            }
            let next = self.next(now).map_or(deadline, |next| next.min(deadline));
            turn::advance_to(&mut self.world.state.borrow_mut(), next);
            self.honour_pauses();
        }
    }

    /// The next moment at which anything happens.
    fn next(&self, now: Millis) -> Option<Millis> {
        let state = self.world.state.borrow();
        let returns = self.seats.values().map(|seat| seat.absent_until).filter(|at| *at > now);
        [state.sleepers.next(), state.due.next(), returns.min()].into_iter().flatten().min()
    }

    fn poll(&mut self, index: u8) {
        let Some(seat) = self.seats.get_mut(&index) else { return };
        seat.ready.0.store(false, Ordering::Relaxed);
        let mut task = seat.task.take().unwrap_or_else(|| {
            self.world.state.borrow_mut().controllers.entry(index).or_default().clock.restart();
            (self.factory)(index)
        });
        let waker = seat.waker.clone();
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        seat.finished = polled == Poll::Ready(());
        seat.task = Some(task);
        let mut state = self.world.state.borrow_mut();
        // As `run` does: it ends where its clock was set back, and whoever keeps it running starts it again.
        let ends = state.clock_set_back(index).map(|_| state.now + STARTED_AGAIN);
        if let Some(back) = state.controllers.entry(index).or_default().dies.take().or(ends) {
            seat.crash(back);
        }
        drop(state);
        self.honour_pauses();
    }

    fn honour_pauses(&mut self) {
        for (index, seat) in &mut self.seats {
            let mut state = self.world.state.borrow_mut();
            if let Some(until) = state.controllers.get_mut(index).and_then(|known| known.paused.take()) {
                seat.absent_until = seat.absent_until.max(until);
            }
        }
    }
}

impl Seat {
    /// Everything that it knew is lost, calls under way included.
    fn crash(&mut self, back: Millis) {
        self.task = None;
        self.finished = false;
        self.absent_until = back;
        self.ready.0.store(true, Ordering::Relaxed);
    }
}

/// Runs one future to its end while time passes. For tests and small tools.
///
/// # Panics
///
/// If nothing can ever wake the future.
pub fn block_on<T>(world: &World, future: impl Future<Output = T>) -> T {
    let ready = Arc::new(Ready(AtomicBool::new(true)));
    let waker = Waker::from(ready.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        while !ready.0.swap(false, Ordering::Relaxed) {
            let next = world.state.borrow().sleepers.next();
            let Some(next) = next else { panic!("the future waits for something that is not the world's clock") };
            turn::advance_to(&mut world.state.borrow_mut(), next);
        }
    }
}
