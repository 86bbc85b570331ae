//! One pass over one cluster, and the loop that makes passes for as long as the cluster is attended to.
//!
//! A pass observes, plans, tells its listeners, and carries out at most one action. Then it says when to come back.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, Either};
use tokio::sync::Notify;
use tracing::Instrument;

use crate::act;
use crate::action::Action;
use crate::event::{Acted, EventKind, Failed, Listeners, Pass, is_same_news};
use crate::ids::{ClusterName, Owner};
use crate::limits::Limits;
use crate::observed::{
    ClaimRecord, CloudView, Followed, Instance, InstanceState, Member, Membership, Observation, Reading, Sweep,
};
use crate::plan::{Goal, Plan, Why, towards};
use crate::ports::{Clock, Coordination, Decision, Members, Outside, PortError, Seat, chain};
use crate::revision::Standing;
use crate::spec::ClusterSpec;
use crate::status::status;
use crate::time::{Human, Timestamp, before, elapsed};

pub mod converge;
pub mod convergence;
mod dates;
pub mod fleet;
mod followed;
mod memory;
mod related;
mod retry;
mod setbacks;
pub mod spans;
mod steady;
mod sweep;

use memory::Memory;
use related::Ties;
use retry::Backoff;
use sweep::{Asked, Extent, Sweeper};

/// The oldest sweep that clusters still share while something is under way.
const SHARED_WHEN_BUSY: Duration = Duration::from_millis(900);
/// The oldest sweep that is still good enough to wait with for members alone. Nothing is done on the strength of it.
const SHARED_WITH_MEMBERS: Duration = Duration::from_secs(6);
/// The oldest sweep that clusters still share while nothing is under way.
const SHARED_WHEN_IDLE: Duration = Duration::from_secs(10);

/// The oldest answer of members and claim that still goes with a look at EC2 during which they were asked.
const ASKED_MEANWHILE: Duration = Duration::from_secs(1);
/// The oldest one where a member is waited for, whose return is not to be noticed late because of EC2.
const ASKED_FOR_MEMBERS: Duration = Duration::from_millis(100);

/// Everything that a controller needs beside the outside world.
#[derive(Clone)]
pub struct Settings {
    /// The value of the `hermitcrab:owner` tag on everything that may be touched.
    pub owner: Owner,
    /// Whether to plan and report without acting.
    pub observe_only: bool,
    /// The seed of the jitter, so that a simulated run can be replayed.
    pub seed: u64,
    /// Says why nothing may be changed, if somebody threw the switch.
    pub kill_switch: Rc<dyn Fn() -> Option<String>>,
    /// Tells how the source of desired state stands, where it has revisions.
    pub source: Rc<dyn Fn() -> Option<Arc<Standing>>>,
}

/// Keeps clusters as their specs want them.
pub struct Controller<'l, O> {
    outside: O,
    listeners: Listeners<'l>,
    settings: Settings,
    limits: Limits,
    sweeper: Sweeper,
    /// The clusters that are declared in some file, whether this controller attends to them or not.
    declared: RefCell<BTreeSet<ClusterName>>,
    /// The clusters that stand on each other.
    ties: RefCell<Ties>,
}

/// A cluster that is attended to. Its spec may change at any time, and takes effect at the next pass.
pub struct ManagedCluster {
    goal: Goal,
    spec: RefCell<Arc<ClusterSpec>>,
    nudged: Notify,
    stopping: Cell<bool>,
    /// A word to a look that is under way: nobody waits for it any more.
    stopped: Notify,
}

impl ManagedCluster {
    /// Makes a cluster whose goal is to be as its spec says.
    pub fn new(spec: impl Into<Arc<ClusterSpec>>) -> Self {
        Self::towards(Goal::AsDeclared, spec)
    }

    /// Makes a cluster with that goal.
    pub fn towards(goal: Goal, spec: impl Into<Arc<ClusterSpec>>) -> Self {
        Self {
            goal,
            spec: RefCell::new(spec.into()),
            nudged: Notify::new(),
            stopping: Cell::new(false),
            stopped: Notify::new(),
        }
    }

    /// Gives the cluster a new spec, and has it looked at now.
    pub fn respec(&self, spec: impl Into<Arc<ClusterSpec>>) {
        *self.spec.borrow_mut() = spec.into();
        self.nudged.notify_one();
    }

    /// Ends the attention: at once during a look, which changes nothing, and after the call that is in flight.
    pub fn stop(&self) {
        self.stopping.set(true);
        self.nudged.notify_one();
        self.stopped.notify_one();
    }

    /// Waits until the attention is to end.
    async fn stopped(&self) {
        while !self.stopping.get() {
            self.stopped.notified().await;
        }
    }

    fn spec(&self) -> Arc<ClusterSpec> {
        self.spec.borrow().clone()
    }
}

impl<'l, O: Outside> Controller<'l, O> {
    /// Makes a controller that tells these listeners everything.
    pub fn new(outside: O, listeners: Listeners<'l>, settings: Settings) -> Self {
        Self {
            outside,
            listeners,
            settings,
            limits: Limits::DEFAULT,
            sweeper: Sweeper::default(),
            declared: RefCell::default(),
            ties: RefCell::default(),
        }
    }

    /// Decides by other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Takes note of all clusters that are declared in some file, and of the specs that can be used. Another cluster that is
    /// found where one is to be made may be that one under an earlier name; and some of them stand on each other.
    pub fn declare<S: Borrow<ClusterSpec>>(&self, clusters: BTreeSet<ClusterName>, specs: &[S]) {
        *self.declared.borrow_mut() = clusters;
        *self.ties.borrow_mut() = Ties::among(specs);
    }

    /// The world that it looks at and acts on.
    pub fn outside(&self) -> &O {
        &self.outside
    }

    /// Makes passes over a cluster until it is told to stop.
    pub async fn attend(&self, cluster: &ManagedCluster) {
        let nothing_ends_it = |_: &Pass| None::<()>;
        self.attend_until(cluster, nothing_ends_it).await;
    }

    /// Makes passes over a cluster until `end` answers to one of them, which is completed before. Answers `None` if the
    /// cluster was told to stop.
    pub async fn attend_until<E>(
        &self,
        cluster: &ManagedCluster,
        mut end: impl FnMut(&Pass) -> Option<E>,
    ) -> Option<E> {
        let mut memory = Memory::default();
        let mut backoff = Backoff::new(self.settings.seed, &cluster.spec().name);
        let mut planned_for = cluster.spec();
        while !cluster.stopping.get() {
            let spec = cluster.spec();
            if !Arc::ptr_eq(&spec, &planned_for) {
                // A new spec is a person acting: what was refused may be tried again at once.
                memory.forget_refusals();
                planned_for = spec.clone();
            }
            let span = spans::pass(&spec.name);
            // A pass takes several KiB, of which a cluster that rests keeps nothing.
            let passing = Box::pin(self.pass(cluster, spec, &mut memory, &mut backoff)).instrument(span);
            let (pass, pause) = passing.await?;
            let ended = end(&pass);
            if ended.is_some() {
                return ended;
            }
            if cluster.stopping.get() {
                return None;
            }
            drop(pass); // The pause may be long, and what was seen may be large.
            let sleep = pin!(self.outside.clock().sleep(pause));
            let nudge = pin!(cluster.nudged.notified());
            if let Either::Right(_) = future::select(sleep, nudge).await {
                backoff.reset();
            }
        }
        None
    }

    /// Looks once, for a command that only reports. A command has no timers of its own yet, so it takes the members' word
    /// for how long they have been healthy, and where they have none it takes them for steady, because whoever acts waits and
    /// sees. For the same reason nothing of another controller's is waited for. Nothing that acts looks so.
    pub async fn look(&self, spec: &ClusterSpec) -> Observation {
        let mut memory = Memory::default();
        let (mut seen, _) = self.observe(spec, &mut memory, Extent::Fleet).await;
        if seen.cloud.age(seen.now) > self.limits.fresh || hides_snapshots(spec, &seen) {
            (seen, _) = self.observe(spec, &mut memory, Extent::Busy).await;
        }
        seen.followed.turning_since = Some(Timestamp::MIN);
        let followed = &mut seen.followed;
        for since in followed.left_since.values_mut().chain(followed.retired_since.values_mut()) {
            *since = Timestamp::MIN;
        }
        if let Reading::Seen { value: membership, .. } = &seen.membership {
            let silent = before(seen.now, spec.application.rules().stabilization);
            let stable = |member: &Member| Some((member.slot.clone()?, member.stable_since.unwrap_or(silent)));
            let stable = membership.members.iter().filter_map(stable);
            seen.steady.extend(stable.filter(|(slot, _)| seen.steady.contains_key(slot)).collect::<Vec<_>>());
        }
        seen
    }

    /// Makes one pass: observes, plans, tells, acts at most once. Answers the pass, and how long to wait after it; `None` if
    /// the cluster was told to stop before anything was decided.
    async fn pass(
        &self,
        cluster: &ManagedCluster,
        spec: Arc<ClusterSpec>,
        memory: &mut Memory,
        backoff: &mut Backoff,
    ) -> Option<(Rc<Pass>, Duration)> {
        let (seen, seats, plan) = self.decide_unless_stopped(cluster, &spec, memory).await?;
        spans::answered(&plan);
        memory.following.planned(seen.now, &plan);
        let status = Rc::new(status(&spec, &seen, &plan, memory.status.as_deref()));
        let is_new = memory.status.as_ref().is_none_or(|before| !is_same_news(&before.answer, &status.answer));
        let has_looked = seen.cloud.seen().is_some() && seen.claim.seen().is_some();
        if has_looked {
            memory.busy = matches!(plan, Plan::Act(..) | Plan::Wait(_));
            memory.only_members = retry::is_for_members(&plan);
            memory.wants_news = retry::wants_news_of_ec2(&plan, seen.now);
        }
        memory.status = Some(status.clone());
        let pass = Rc::new(Pass { spec, seen, plan, status, is_new });
        self.listeners.tell(pass.seen.now, Some(&pass.spec.name), EventKind::Planned(pass.clone()));
        let pause = match &pass.plan {
            Plan::Act(action, _) if !self.settings.observe_only => {
                Box::pin(self.act(&pass, action, &seats, memory, backoff)).await
            }
            _ if has_looked => {
                backoff.reset();
                backoff.until_next_look(&pass.plan, pass.seen.now, pass.seen.wrote)
            }
            _ => backoff.after_failed_look(memory.busy),
        };
        Some((pass, pause))
    }

    /// Carries out a pass's action, and tells how that went. Answers how long to wait after it.
    async fn act(
        &self,
        pass: &Pass,
        action: &Action,
        seats: &[Seat],
        memory: &mut Memory,
        backoff: &mut Backoff,
    ) -> Duration {
        let claim = pass.seen.claim.seen().map(|record| record.revision);
        let revision = pass.seen.source.as_ref().and_then(|standing| standing.mark());
        let decision = Decision { at: pass.seen.now, life: self.limits.decision, claim, revision };
        let executing = act::execute(&self.outside, &pass.spec, seats, action, &decision);
        let outcome = spans::change(action, executing).await;
        let now = self.outside.clock().now();
        let told = outcome.as_ref().map(Clone::clone).map_err(Failed::from);
        let acted = Acted { action: action.clone(), status: pass.status.clone(), outcome: told };
        self.listeners.tell(now, Some(&pass.spec.name), EventKind::Acted(Rc::new(acted)));
        memory.wrote(now, action, &outcome);
        let (times, is_named) = memory.setbacks.latest(now, action);
        let pause = backoff.after(&outcome, times, is_named);
        match &pass.plan {
            Plan::Act(_, Why::Ahead { .. } | Why::LeftOver) => retry::at_most_beside(&outcome, pause),
            _ => pause,
        }
    }

    /// Observes and plans, unless the cluster is told to stop meanwhile: nobody waits for such a look any more.
    async fn decide_unless_stopped(
        &self,
        cluster: &ManagedCluster,
        spec: &ClusterSpec,
        memory: &mut Memory,
    ) -> Option<(Observation, Vec<Seat>, Plan)> {
        let deciding = pin!(self.decide(cluster.goal, spec, memory));
        match future::select(deciding, pin!(cluster.stopped())).await {
            Either::Left((decided, _)) => Some(decided).filter(|_| !cluster.stopping.get()),
            Either::Right(_) => None,
        }
    }

    /// Observes and plans. A look at a fleet of tens of thousands takes longer than a reading is good for: it is good
    /// enough to see that there is nothing to do. Where there is, the cluster is looked at by itself before. The same goes
    /// for an older look that was good enough to wait with for members.
    async fn decide(&self, goal: Goal, spec: &ClusterSpec, memory: &mut Memory) -> (Observation, Vec<Seat>, Plan) {
        if !memory.busy {
            let (seen, seats) = self.observe(spec, memory, Extent::Fleet).await;
            let age = seen.cloud.age(seen.now);
            let limits = Limits { fresh: self.limits.fresh.max(age), ..self.limits.clone() };
            let plan = towards(goal, spec, &seen, &limits);
            let is_enough = age <= self.limits.fresh || !matches!(plan, Plan::Act(..));
            if is_enough && !hides_snapshots(spec, &seen) {
                return (seen, seats, plan);
            }
        }
        loop {
            let (seen, seats) = self.observe(spec, memory, Extent::Busy).await;
            let plan = towards(goal, spec, &seen, &self.limits);
            if !(std::mem::take(&mut memory.only_members) && matches!(plan, Plan::Act(..))) {
                return (seen, seats, plan);
            }
        }
    }

    /// Looks at everything, each source after our last write to this cluster.
    async fn observe(&self, spec: &ClusterSpec, memory: &mut Memory, extent: Extent) -> (Observation, Vec<Seat>) {
        let clock = self.outside.clock();
        let shared = match (memory.busy, memory.only_members) {
            (true, true) => SHARED_WITH_MEMBERS,
            (true, false) => SHARED_WHEN_BUSY,
            (false, _) => SHARED_WHEN_IDLE,
        };
        let wrote = memory.last_write(clock.now());
        let earliest = wrote.unwrap_or(Timestamp::MIN).max(before(clock.now(), shared)).max(memory.newer_than());
        // Not after a look that failed: what is refused or late is not asked for twice as often.
        let has_changed = memory.looked_at.zip(wrote).is_some_and(|(looked_at, wrote)| looked_at < wrote);
        let follows_change = extent == Extent::Busy && has_changed;
        let asked_for = Asked { extent, earliest, follows_change };
        let swept = spans::look("ec2", self.sweeper.look(&self.outside, spec, asked_for));
        // Where something moves, members and claim are asked meanwhile, at the places where members were asked before.
        let asked_at = clock.now();
        let (swept, asked) = match extent {
            Extent::Busy => {
                let (swept, asked) = future::join(swept, Box::pin(ask(&self.outside, spec, &memory.seats))).await;
                (swept, Some(asked))
            }
            Extent::Fleet => (swept.await, None),
        };
        let (cloud, undeclared) = match swept {
            Ok(sweep) => {
                let cloud = Reading::Seen { begun: sweep.begun, value: sweep.cluster(&spec.name) };
                (cloud, self.undeclared(spec, &sweep))
            }
            Err(why) => (Reading::Unknown { why }, BTreeMap::new()),
        };
        let ties = self.ties.borrow().of(spec);
        let related = Box::pin(related::look(&self.outside, &self.sweeper, ties, extent, earliest)).await;
        let seats = cloud.seen().map(|view| seats(view)).unwrap_or_default();
        let oldest = if memory.only_members { ASKED_FOR_MEMBERS } else { ASKED_MEANWHILE };
        let is_of_now = memory.seats == seats && elapsed(clock.now(), asked_at) <= oldest;
        let (claim, membership) = match asked.filter(|_| is_of_now) {
            Some(asked) => asked,
            None => Box::pin(ask(&self.outside, spec, &seats)).await,
        };
        memory.seats.clone_from(&seats);
        memory.looked_at = match &cloud {
            Reading::Seen { begun, .. } => Some(*begun),
            Reading::Unknown { .. } => None,
        };
        let mut seen = Observation {
            now: clock.now(),
            wrote,
            cloud,
            undeclared,
            membership,
            claim,
            claim_kept_at: self.outside.coordination().kept_at().await,
            related,
            steady: BTreeMap::new(),
            followed: Followed::default(),
            last_launch: memory.last_launch.clone(),
            creations: Vec::new(),
            watched_since: None,
            claim_known_since: None,
            refused: memory.refused(clock.now()),
            setbacks: memory.setbacks.at(clock.now()),
            regressions: Vec::new(),
            leaderless_since: None,
            kill_switch: (self.settings.kill_switch)().or_else(|| clock.set_back().map(set_back)),
            source: (self.settings.source)(),
            owner: self.settings.owner.clone(),
        };
        memory.compare(&mut seen);
        (seen, seats)
    }

    /// Lists the clusters that no file declares, for a cluster that has nothing yet.
    fn undeclared(&self, spec: &ClusterSpec, sweep: &Sweep) -> BTreeMap<ClusterName, Arc<CloudView>> {
        let own = sweep.cluster(&spec.name);
        if own.present_volumes().next().is_some() || !own.instances.is_empty() {
            return BTreeMap::new();
        }
        let declared = self.declared.borrow();
        let others = sweep.clusters.iter().filter(|(name, _)| **name != spec.name && !declared.contains(*name));
        others.map(|(name, view)| (name.clone(), view.clone())).collect()
    }
}

/// Says whether a look at the fleet does not show what a replacement that is under way has saved.
fn hides_snapshots(spec: &ClusterSpec, seen: &Observation) -> bool {
    spec.saves_running() && seen.claim.seen().is_some_and(|record| record.held.is_some())
}

/// Asks for the claim on a cluster and for its members, both at once.
async fn ask<O: Outside>(
    outside: &O,
    spec: &ClusterSpec,
    seats: &[Seat],
) -> (Reading<ClaimRecord>, Reading<Membership>) {
    let begun = outside.clock().now();
    outside.coordination().is_about(spec);
    let claim = spans::look("claim", outside.coordination().read(&spec.name));
    let membership = spans::look("members", outside.members().membership(spec, seats));
    let (claim, membership) = future::join(claim, membership).await;
    (reading(begun, claim), reading(begun, membership))
}

fn reading<T>(begun: Timestamp, result: Result<T, PortError>) -> Reading<T> {
    match result {
        Ok(value) => Reading::Seen { begun, value },
        Err(error) => Reading::Unknown { why: chain(&error) },
    }
}

/// Says why nothing is changed by a process whose clock was set back.
pub fn set_back(by: Duration) -> String {
    format!("this machine's clock was set back by {}, and the age of nothing can be told before a new start", Human(by))
}

/// Lists where members can be asked: every running instance that has an address.
pub fn seats(view: &CloudView) -> Vec<Seat> {
    let running = view.instances().filter(|instance| instance.state == InstanceState::Running);
    let seat = |instance: &Instance| {
        Some(Seat { slot: instance.slot.clone(), instance: instance.id.clone(), address: instance.asked_at()? })
    };
    running.filter_map(seat).collect()
}
