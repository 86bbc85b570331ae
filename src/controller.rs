//! One pass over one cluster, and the loop that makes passes for as long as the cluster is attended to.
//!
//! A pass observes, plans, reports, and carries out at most one action. Then it says when to come back.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{self, Either};
use tokio::sync::Notify;

use crate::act;
use crate::ids::Owner;
use crate::limits::Limits;
use crate::observed::{CloudView, InstanceState, Observation, Reading};
use crate::plan::{Goal, Plan, towards};
use crate::ports::{Clock, Coordination, Members, Outcome, Outside, PortError, Seat};
use crate::spec::ClusterSpec;
use crate::status::{Status, status};
use crate::time::{Timestamp, before};

pub mod desired;
pub mod errand;
pub mod fleet;
mod memory;
mod retry;
mod sweep;
pub mod verdict;
pub mod wake;

use memory::Memory;
use retry::Backoff;
use sweep::Sweeper;

/// While something is under way, a sweep this old is still shared between clusters.
const SHARED_WHEN_BUSY: Duration = Duration::from_millis(900);
/// While nothing is.
const SHARED_WHEN_IDLE: Duration = Duration::from_secs(10);

/// What a controller needs beside the outside world.
pub struct Settings {
    /// The value of the `hermitcrab:owner` tag on what is ours.
    pub owner: Owner,
    /// Plan and report, but never act.
    pub observe_only: bool,
    /// Seeds the jitter, so that a simulated run can be replayed.
    pub seed: u64,
    /// Says why every mutation is stopped, if somebody threw the switch.
    pub kill_switch: Box<dyn Fn() -> Option<String>>,
}

/// Who is told what happens. Told before acting, so that what is about to be done is known even if we die of it.
pub trait Audience {
    /// A pass has planned.
    fn planned(&self, report: &Report<'_>);
    /// The pass's action has been carried out, or not.
    fn acted(&self, report: &Report<'_>, outcome: &Result<Outcome, PortError>);
}

/// What a pass reports.
pub struct Report<'a> {
    pub spec: &'a ClusterSpec,
    pub seen: &'a Observation,
    pub plan: &'a Plan,
    pub status: &'a Status,
    /// The answer is not the one of the pass before.
    pub is_new: bool,
}

/// Keeps clusters as their specs want them.
pub struct Controller<O, A> {
    outside: O,
    audience: A,
    settings: Settings,
    limits: Limits,
    sweeper: Sweeper,
}

/// A cluster that is attended to. Its spec may change at any time, and takes effect at the next pass.
pub struct Attended {
    goal: Goal,
    spec: RefCell<Rc<ClusterSpec>>,
    nudged: Notify,
    stopping: Cell<bool>,
}

impl Attended {
    /// It is to be as its spec says.
    pub fn new(spec: ClusterSpec) -> Self {
        Self::towards(Goal::AsDeclared, spec)
    }

    /// It is to be as the goal says.
    pub fn towards(goal: Goal, spec: ClusterSpec) -> Self {
        Self { goal, spec: RefCell::new(Rc::new(spec)), nudged: Notify::new(), stopping: Cell::new(false) }
    }

    /// Gives the cluster a new spec, and has it looked at now.
    pub fn respec(&self, spec: ClusterSpec) {
        *self.spec.borrow_mut() = Rc::new(spec);
        self.nudged.notify_one();
    }

    /// Ends the attention after the pass that is under way, if one is.
    pub fn stop(&self) {
        self.stopping.set(true);
        self.nudged.notify_one();
    }

    fn spec(&self) -> Rc<ClusterSpec> {
        self.spec.borrow().clone()
    }
}

impl<O: Outside, A: Audience> Controller<O, A> {
    /// Makes a controller that has seen nothing yet.
    pub fn new(outside: O, audience: A, settings: Settings) -> Self {
        Self { outside, audience, settings, limits: Limits::DEFAULT, sweeper: Sweeper::default() }
    }

    /// Decides by other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What it looks at and acts on.
    pub fn outside(&self) -> &O {
        &self.outside
    }

    /// Makes passes over a cluster until it is told to stop.
    pub async fn attend(&self, cluster: &Attended) {
        let mut memory = Memory::default();
        let mut backoff = Backoff::new(self.settings.seed, &cluster.spec().name);
        let mut planned_for = cluster.spec();
        while !cluster.stopping.get() {
            let spec = cluster.spec();
            if !Rc::ptr_eq(&spec, &planned_for) {
                // A new spec is a person acting: what was refused may be tried again at once.
                memory.forget_refusal();
                planned_for = spec.clone();
            }
            let pause = self.pass(cluster.goal, &spec, &mut memory, &mut backoff).await;
            if cluster.stopping.get() {
                return;
            }
            let sleep = std::pin::pin!(self.outside.clock().sleep(pause));
            let nudge = std::pin::pin!(cluster.nudged.notified());
            if let Either::Right(_) = future::select(sleep, nudge).await {
                backoff.reset();
            }
        }
    }

    /// One look, for a command that only reports. It has no timers of its own yet, so it takes the members' word for
    /// how long they have been healthy; nothing that acts does.
    pub async fn look(&self, spec: &ClusterSpec) -> Observation {
        let mut memory = Memory::default();
        let (mut seen, _) = self.observe(spec, &mut memory).await;
        if let Reading::Seen { value: membership, .. } = &seen.membership {
            let stable = membership.members.iter().filter_map(|m| Some((m.slot.clone()?, m.stable_since?)));
            seen.steady.extend(stable.filter(|(slot, _)| seen.steady.contains_key(slot)).collect::<Vec<_>>());
        }
        seen
    }

    /// One pass: observe, plan, report, act at most once. Answers when to come back.
    async fn pass(&self, goal: Goal, spec: &ClusterSpec, memory: &mut Memory, backoff: &mut Backoff) -> Duration {
        let (seen, seats) = self.observe(spec, memory).await;
        let plan = towards(goal, spec, &seen, &self.limits);
        let status = status(spec, &seen, &plan, memory.status.as_ref());
        let is_new = memory.status.as_ref().is_none_or(|before| before.answer != status.answer);
        if !failed_to_look(&seen) {
            memory.busy = matches!(plan, Plan::Act(..) | Plan::Wait(_));
        }
        let report = Report { spec, seen: &seen, plan: &plan, status: &status, is_new };
        self.audience.planned(&report);
        let pause = match &plan {
            Plan::Act(action, _) if !self.settings.observe_only => {
                let outcome = act::execute(&self.outside, spec, &seats, action, seen.now, &self.limits).await;
                self.audience.acted(&report, &outcome);
                memory.wrote(self.outside.clock().now(), action, &outcome);
                backoff.after(&outcome)
            }
            _ if failed_to_look(&seen) => backoff.after_failed_look(memory.busy),
            _ => {
                backoff.reset();
                backoff.until_next_look(&plan, seen.now)
            }
        };
        memory.status = Some(status);
        pause
    }

    /// Looks at everything, each source after our last write to this cluster.
    async fn observe(&self, spec: &ClusterSpec, memory: &mut Memory) -> (Observation, Vec<Seat>) {
        let clock = self.outside.clock();
        let shared = if memory.busy { SHARED_WHEN_BUSY } else { SHARED_WHEN_IDLE };
        let earliest = memory.wrote.unwrap_or(Timestamp::MIN).max(before(clock.now(), shared));
        let cloud = match self.sweeper.since(&self.outside, spec, earliest).await {
            Ok(sweep) => Reading::Seen { begun: sweep.begun, value: sweep.cluster(&spec.name) },
            Err(why) => Reading::Unknown { why },
        };
        let seats = cloud.seen().map(|view| seats(view)).unwrap_or_default();
        let begun = clock.now();
        let (record, membership) =
            future::join(self.outside.coordination().read(&spec.name), self.outside.members().membership(spec, &seats))
                .await;
        let mut seen = Observation {
            now: clock.now(),
            wrote: memory.wrote,
            cloud,
            membership: reading(begun, membership),
            claim: reading(begun, record),
            steady: BTreeMap::new(),
            last_launch: memory.last_launch.clone(),
            refused: memory.refused(clock.now()),
            regressions: Vec::new(),
            kill_switch: (self.settings.kill_switch)(),
            owner: self.settings.owner.clone(),
        };
        memory.compare(&mut seen);
        (seen, seats)
    }
}

fn failed_to_look(seen: &Observation) -> bool {
    seen.cloud.seen().is_none() || seen.claim.seen().is_none()
}

fn reading<T>(begun: Timestamp, result: Result<T, PortError>) -> Reading<T> {
    match result {
        Ok(value) => Reading::Seen { begun, value },
        Err(error) => Reading::Unknown { why: chain(&error) },
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Where members can be asked: every running instance that has an address.
pub fn seats(view: &CloudView) -> Vec<Seat> {
    let running = view.instances.iter().filter(|instance| instance.state == InstanceState::Running);
    let seat = |instance: &crate::observed::Instance| {
        Some(Seat { slot: instance.slot.clone(), instance: instance.id.clone(), address: instance.address? })
    };
    running.filter_map(seat).collect()
}
