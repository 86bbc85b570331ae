//! Numbers that do not depend on the machine: calls, sweeps and shares of simulated time; and with them the peak memory.
//!
//! `cargo bench --no-default-features --bench counts`, and with `-- time` one part of it. What the numbers should be is in
//! `docs/performance.md`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use hermitcrab::action::CloudEffect;
use hermitcrab::controller::Controller;
use hermitcrab::controller::fleet::Fleet as Controlled;
use hermitcrab::event::{Event, EventKind, Listener, Listeners};
use hermitcrab::ids::{ImageId, SlotName};
use hermitcrab::observed::{Reading, Sweep};
use hermitcrab::plan::{Awaited, Hazard, Plan, WaitingOn, Why, plan};
use hermitcrab::ports::{Clock, Cloud, Decision, Outcome, PortError, Wanted};
use hermitcrab::sim::{Changes, Executor, FaultLevel, Payload, Share, Through, UpDown, What, World};
use hermitcrab::simulate;
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::{Timestamp, after, elapsed};

mod scene;

use scene::{Fleet, Pass, Rollout, spec};

const FIVE_SLOTS: &str = "tests/fixtures/consul-5.yaml";
const THREE_SLOTS: &str = "desired-state/prod/consul.yaml";
const MANY: usize = 10_000;
const IDLE: Duration = Duration::from_secs(10 * 60);

/// The parts, by the words that choose them. Memory comes first, because a process never forgets its peak.
const PARTS: [(&str, fn()); 6] = [
    ("memory", peak_memory),
    ("calls", calls_a_slot),
    ("idle", sweeps_when_idle),
    ("busy", busy_among_many),
    ("time", time_added),
    ("down", members_down),
];

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, part) in PARTS {
        if chosen.is_empty() || chosen.iter().any(|word| word == name) {
            part();
        }
    }
}

/// The most memory that this process has had, all observations and plans of a fleet being there at once.
fn peak_memory() {
    let rollout = Rollout::of(FIVE_SLOTS, 1);
    let settled = rollout.first(|plan| *plan == Plan::Settled);
    let mut fleet = Fleet::of(MANY, &rollout.spec, settled);
    let seen = fleet.observe_all();
    let plans: Vec<_> = fleet.specs.iter().zip(&seen).map(|(spec, seen)| plan(spec, seen)).collect();
    assert!(plans.iter().all(|plan| *plan == Plan::Settled));
    match peak_kib() {
        Some(kib) => println!("peak memory with {MANY} clusters of 5 slots: {} MB", kib * 1024 / 1_000_000),
        None => println!("peak memory: this system does not say (it is read from /proc)"),
    }
}

fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Mutating EC2 calls for each replaced slot.
fn calls_a_slot() {
    println!("\nmutating EC2 calls for each replaced slot:");
    for (name, file) in [
        ("5 slots", FIVE_SLOTS),
        ("9 slots", "tests/fixtures/consul-9.yaml"),
        ("3, with snapshots", THREE_SLOTS),
        ("recreate", "tests/fixtures/consul-recreate.yaml"),
        ("several volumes", "tests/fixtures/consul-volumes.yaml"),
    ] {
        let rollout = Rollout::of(file, 1);
        let slots = rollout.spec.slots.len();
        let calls = rollout.ec2_calls();
        let total: usize = calls.values().sum();
        let named: Vec<_> = calls.iter().map(|(name, count)| format!("{name} {count}")).collect();
        println!("  {:<20} {:.1}   ({})", name, total as f64 / slots as f64, named.join(", "));
    }
}

/// Sweeps of the fleet in an idle minute, for more and more settled clusters.
fn sweeps_when_idle() {
    println!("\nsweeps of the fleet in an idle minute:");
    for clusters in [1, 10, 100] {
        let sweeps = idle_sweeps(clusters) as f64 / IDLE.as_secs_f64() * 60.0;
        println!("  {clusters:>4} clusters         {sweeps:.1}");
    }
}

fn idle_sweeps(clusters: usize) -> u64 {
    let world = World::new(1, FaultLevel::None);
    let one = spec(FIVE_SLOTS);
    let specs: Vec<_> =
        (0..clusters).map(|n| ClusterSpec { name: format!("cluster-{n}").into(), ..one.clone() }).collect();
    for spec in &specs {
        world.settle(spec);
    }
    let sweeps = Rc::new(Cell::new(0));
    let cloud = Counting { world: world.clone(), sweeps: sweeps.clone() };
    let outside = Through { cloud, world: world.clone() };
    let mut executor = Executor::new(&world, move |_| {
        let mut fleet = Controlled::new(Controller::new(outside.clone(), Listeners::default(), simulate::settings(1)));
        for spec in &specs {
            fleet.attend(spec.clone());
        }
        Box::pin(async move {
            fleet.run().await;
        })
    });
    executor.spawn(0);
    let mut run_for = |span| executor.run_until(after(world.now(), span), &mut || false);
    run_for(IDLE); // whatever there is to do at the beginning
    let before = sweeps.get();
    run_for(IDLE);
    sweeps.get() - before
}

/// The looks at one cluster that is rolled among many that rest, by one controller with a tenth of EC2's limits.
fn busy_among_many() {
    println!("\na rollout of 5 slots among clusters that rest, with a tenth of EC2's limits:");
    for clusters in [1, 100, MANY] {
        let (share, heard) = looks_of_busy(clusters);
        let (busy, fleet) = (&share.busy, &share.fleet);
        println!(
            "  {clusters:>6} clusters       {} looks at what moves, {:.1} calls each and {} at most; {} at the fleet, {} calls \
             each at most; {} stale; {:.0} s",
            busy.looks,
            busy.calls as f64 / busy.looks.max(1) as f64,
            busy.most,
            fleet.looks,
            fleet.most,
            heard.stale.get(),
            heard.took.get(),
        );
    }
}

/// The answers of a large fleet's controller, as far as they are counted.
#[derive(Default)]
struct Heard {
    /// Answers that rest on nothing but old observations.
    stale: Cell<u64>,
    /// The seconds until the busy cluster had settled.
    took: Cell<f64>,
    settled: Cell<bool>,
    /// The last answer for the busy cluster.
    answer: RefCell<String>,
}

struct Ear {
    world: World,
    heard: Rc<Heard>,
    busy: ClusterSpec,
    begun: Timestamp,
}

impl Listener for Ear {
    fn hear(&self, event: &Event) {
        let EventKind::Planned(pass) = &event.kind else { return };
        let is_stale = |hazard: &Hazard| matches!(hazard, Hazard::StaleObservation { .. });
        if matches!(&pass.plan, Plan::Blocked(blocked) if blocked.hazards.iter().any(is_stale)) {
            self.heard.stale.set(self.heard.stale.get() + 1);
        }
        if pass.spec.name != self.busy.name {
            return;
        }
        self.heard.answer.replace(pass.status.answer.clone());
        if pass.plan == Plan::Settled && !self.heard.settled.replace(true) {
            self.heard.took.set(elapsed(self.world.now(), self.begun).as_secs_f64());
        }
    }
}

fn looks_of_busy(clusters: usize) -> (Share, Rc<Heard>) {
    let world = World::new(1, FaultLevel::None);
    let one = spec(FIVE_SLOTS);
    let others = simulate::copies(&one, clusters - 1).into_iter().enumerate().map(|(n, mut other)| {
        // A subnet has addresses for some thousand instances.
        other.slots.iter_mut().for_each(|slot| slot.subnet = format!("{}-{}", slot.subnet, n / 1_000));
        other
    });
    let specs = [one.clone()].into_iter().chain(others);
    let specs: Vec<_> = specs.inspect(|spec| world.settle(spec)).collect();
    let image = ImageId::from("ami-0bbbbbbbbbbbbbbbb");
    world.register_image(&image, Payload::Good { version: simulate::version(&one) });
    world.keep_to_share(0);
    let heard = Rc::new(Heard::default());
    let busy = ClusterSpec { image, ..one };
    let made_of = (world.clone(), heard.clone(), busy.clone(), world.now());
    let mut executor = Executor::new(&world, move |_| {
        let (world, heard, busy, begun) = made_of.clone();
        let ear = Ear { world: world.clone(), heard, busy: busy.clone(), begun };
        let listeners = Listeners::default().with(Rc::new(ear));
        let mut fleet = Controlled::new(Controller::new(world, listeners, simulate::settings(1)));
        fleet.declare(specs.iter().map(|spec| spec.name.clone()).collect(), &specs);
        specs.iter().for_each(|spec| fleet.attend(spec.clone()));
        fleet.attend(busy);
        Box::pin(async move {
            fleet.run().await;
        })
    });
    executor.spawn(0);
    let settles = executor.run_until(after(world.now(), 24 * IDLE), &mut || heard.settled.get());
    assert!(settles, "it does not settle: {}", heard.answer.borrow());
    (world.looks(0).expect("it keeps to its share"), heard)
}

/// The simulated world, and how often the fleet is swept.
#[derive(Clone)]
struct Counting {
    world: World,
    sweeps: Rc<Cell<u64>>,
}

impl Cloud for Counting {
    async fn sweep(&self, wanted: &Wanted) -> Result<Sweep, PortError> {
        self.sweeps.set(self.sweeps.get() + 1);
        self.world.sweep(wanted).await
    }

    async fn change(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
        decision: &Decision,
    ) -> Result<Outcome, PortError> {
        Cloud::change(&self.world, spec, slot, effect, decision).await
    }
}

/// The share of a rollout's time that is neither EC2, nor the members, nor the bake, with a tenth of EC2's limits.
///
/// Unavoidable is the time of each call, and after it the time until what is waited for has come true in the world.
/// All the rest is ours: noticing it late, looking again, deciding. Where there is nothing to wait for, that is the one look
/// which must lie between two changes, and of which EC2's own time is the most.
fn time_added() {
    println!("\ntime added to a rollout's unavoidable waits, from its first claim on, mean of 100 seeds:");
    for (name, file) in [("5 slots", FIVE_SLOTS), ("3, with snapshots", THREE_SLOTS)] {
        let rollouts: Vec<_> = (1..=100).map(|seed| Rollout::of(file, seed)).collect();
        let runs: Vec<_> = rollouts.iter().map(Spent::of).collect();
        let total: f64 = runs.iter().map(|run| run.total.as_secs_f64()).sum();
        let ours: f64 = runs.iter().map(|run| run.ours.as_secs_f64()).sum();
        let mean = |sum: f64| sum / runs.len() as f64;
        println!("  {name:<20} {:.2} %   ({:.1} s of {:.0} s)", 100.0 * ours / total, mean(ours), mean(total));
        let looking: f64 = runs.iter().map(|run| run.looking.as_secs_f64()).sum();
        println!(
            "  {:>20} {:.2} %   ({:.1} s)",
            "without EC2's answers",
            100.0 * (ours - looking) / total,
            mean(ours - looking)
        );
        for (kind, after_wait) in [("after a wait", true), ("between two changes", false)] {
            let mut by_step: BTreeMap<&str, f64> = BTreeMap::new();
            for (step, _, span) in
                runs.iter().flat_map(|run| &run.by_step).filter(|(_, waited, _)| *waited == after_wait)
            {
                *by_step.entry(step).or_default() += span.as_secs_f64() / runs.len() as f64;
            }
            let sum: f64 = by_step.values().sum();
            let by_step: Vec<_> = by_step.iter().map(|(step, seconds)| format!("{step} {seconds:.1} s")).collect();
            println!("  {kind:>20} {:.2} %   before {}", 100.0 * sum / mean(total), by_step.join(", "));
        }
        let looks: u64 = rollouts.iter().map(|rollout| rollout.looks.looks).sum();
        let calls: u64 = rollouts.iter().map(|rollout| rollout.looks.calls).sum();
        println!(
            "  {:>20} {:.2} calls each, {:.2} a second",
            "looks at EC2",
            calls as f64 / looks as f64,
            calls as f64 / total
        );
    }
}

/// The time of a rollout, by what it was spent on.
struct Spent {
    total: Duration,
    ours: Duration,
    /// The part of it in which EC2 answered the one look that a change rests on.
    looking: Duration,
    /// The controller's share, by the action that followed, and whether something was waited for before it.
    by_step: Vec<(&'static str, bool, Duration)>,
}

impl Spent {
    fn of(rollout: &Rollout) -> Self {
        let passes: Vec<&Pass> = rollout.passes.iter().filter(|pass| !is_beside(&pass.plan)).collect();
        let begin = passes.iter().position(|pass| name(&pass.plan) == "claim").expect("it begins with a claim");
        let first = passes[begin];
        let mut spent =
            Self { total: Duration::ZERO, ours: Duration::ZERO, looking: Duration::ZERO, by_step: Vec::new() };
        let mut free_since = first.acted.unwrap_or(first.seen.now);
        for (index, pass) in passes.iter().enumerate().skip(begin + 1) {
            if matches!(pass.plan, Plan::Wait(_) | Plan::Blocked(_)) {
                continue;
            }
            let came_true = came_true(rollout, &passes, index);
            let due = came_true.unwrap_or(free_since).clamp(free_since, pass.seen.now);
            let ours = elapsed(pass.seen.now, due);
            spent.ours += ours;
            spent.looking += looking(rollout, pass, due);
            spent.by_step.push((name(&pass.plan), came_true.is_some(), ours));
            free_since = pass.acted.unwrap_or(pass.seen.now);
        }
        spent.total = elapsed(free_since, first.seen.now);
        spent
    }
}

/// The time in which EC2 answered the look that a pass rests on, after that was due which came next.
fn looking(rollout: &Rollout, pass: &Pass, due: Timestamp) -> Duration {
    let answer = begun(&pass.seen.cloud).and_then(|begun| rollout.answers.get(&begun));
    answer.map_or(Duration::ZERO, |(sent, answered)| elapsed(*answered, due.max(*sent)))
}

/// Says whether a plan launches the next slot's replacement ahead, or ends the old instance of the slot before. That falls into the wait
/// for the member of the claimed slot, which goes on meanwhile: the rollout itself is no further by it.
fn is_beside(plan: &Plan) -> bool {
    matches!(plan, Plan::Act(_, Why::Ahead { .. } | Why::LeftOver))
}

fn name(plan: &Plan) -> &'static str {
    match plan {
        Plan::Act(action, _) => action.effect.name(),
        _ => "settled",
    }
}

/// When that came true which the passes before this one waited for, if they did. Early rather than late: the first
/// change of the world since the last look that still waited. Safety has its price too: a new member's bake, and the
/// time that all members must be steady for, are waits like those for EC2.
fn came_true(rollout: &Rollout, passes: &[&Pass], index: usize) -> Option<Timestamp> {
    let before = passes[index - 1];
    match &before.plan {
        Plan::Wait(WaitingOn { what: Awaited::Bake { .. }, .. }) => {
            let baking = |pass: &Pass| matches!(&pass.plan, Plan::Wait(w) if matches!(w.what, Awaited::Bake { .. }));
            let begun = (0..index).rev().find(|earlier| !baking(passes[*earlier]))? + 1;
            Some(after(came_true(rollout, passes, begun)?, rollout.spec.rollout.bake_time))
        }
        Plan::Wait(waiting) => {
            let of_members = matches!(waiting.what, Awaited::MemberBack { .. });
            let looked = if of_members { begun(&before.seen.membership) } else { begun(&before.seen.cloud) }?;
            let since = rollout.changes.iter().filter(|(at, _)| (looked..=passes[index].seen.now).contains(at));
            let change = since.filter(|(_, what)| is_awaited(&waiting.what, what)).map(|(at, _)| *at).next();
            Some(change.unwrap_or(looked))
        }
        Plan::Blocked(blocked) => blocked.hazards.iter().find_map(|hazard| match hazard {
            Hazard::Unstable { until, .. } => *until,
            _ => None,
        }),
        Plan::Settled | Plan::Act(..) | Plan::Stalled(_) => None,
    }
}

/// Says whether a change of the world may be the one that is waited for.
fn is_awaited(what: &Awaited, change: &Changes) -> bool {
    match (what, change) {
        (Awaited::MemberBack { .. }, Changes::Members) => true,
        (Awaited::MemberBack { .. }, _) => false,
        (Awaited::Running { instance } | Awaited::Checks { instance } | Awaited::Stopped { instance }, change) => {
            *change == Changes::Instance(instance.clone())
        }
        (Awaited::VolumeFree { volume } | Awaited::VolumeAttached { volume, .. }, change) => {
            *change == Changes::Volume(volume.clone())
        }
        (_, change) => *change != Changes::Members,
    }
}

/// The time for which members are down, beside the time that EC2 takes for what must lie in between.
fn members_down() {
    println!("\na member down, beside the stop, the detach and the attach of its own replacement, 20 seeds:");
    for (name, file) in [("3, with addresses", "tests/fixtures/consul-addresses.yaml"), ("5 slots", FIVE_SLOTS)] {
        let mut ratios: Vec<f64> = Vec::new();
        let (mut down, mut parts) = (0.0, 0.0);
        for rollout in (1..=20).map(|seed| Rollout::of(file, seed)) {
            for slot in &rollout.spec.slots {
                let (is, must) = (down_for(&rollout, &slot.name), must_be_down_for(&rollout, &slot.name));
                ratios.push(is / must);
                (down, parts) = (down + is, parts + must);
            }
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "  {name:<20} {:.2} times as long in all, {:.2} in the median, {:.2} at most   ({:.1} s of {:.1} s each)",
            down / parts,
            ratios[ratios.len() / 2],
            ratios[ratios.len() - 1],
            down / ratios.len() as f64,
            parts / ratios.len() as f64
        );
    }
}

/// The seconds for which a slot's member was down.
fn down_for(rollout: &Rollout, of: &SlotName) -> f64 {
    let moved = rollout.transcript.iter().filter_map(|event| match &event.what {
        What::Member { slot, state, .. } if slot == of => Some(if *state == UpDown::Up { event.t } else { -event.t }),
        _ => None,
    });
    moved.skip_while(|at| *at > 0.0).sum()
}

/// The seconds that EC2 takes for a slot's stop, detaches and attaches, from the moment at which each call takes effect.
fn must_be_down_for(rollout: &Rollout, of: &SlotName) -> f64 {
    let spans = rollout.transcript.iter().filter_map(|event| {
        let What::Action { action, slot, instance, volume, .. } = &event.what else { return None };
        let awaited = match action.as_str() {
            "stop" => Changes::Instance(instance.clone()?),
            "detach" | "attach" => Changes::Volume(volume.clone()?),
            _ => return None,
        };
        let seconds = |at: &Timestamp| elapsed(*at, rollout.origin).as_secs_f64();
        let mut ends = rollout.changes.iter().filter(|(_, change)| *change == awaited).map(|(at, _)| seconds(at));
        Some(ends.find(|end| *end > event.t)? - event.t).filter(|_| slot.as_ref() == Some(of))
    });
    spans.sum()
}

fn begun<T>(reading: &Reading<T>) -> Option<Timestamp> {
    match reading {
        Reading::Seen { begun, .. } => Some(*begun),
        Reading::Unknown { .. } => None,
    }
}
