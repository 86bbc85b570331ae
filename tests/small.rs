//! Small worlds: many observations, each a moment of some simulated world with a few facts changed, go through the planner, and
//! whatever they say, its answer has certain properties. Whole: `cargo test --release --test small -- --include-ignored`.
#![allow(clippy::unwrap_used)] // functions that tests call are tests as well

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use hermitcrab::action::{Action, CloudEffect, Effect};
use hermitcrab::controller::Controller;
use hermitcrab::event::Listeners;
use hermitcrab::ids::SlotName;
use hermitcrab::observed::{
    AttachmentPhase, Checks, CloudView, Health, Instance, InstanceState, Membership, Observation, Reading, VolumeState,
    Way,
};
use hermitcrab::plan::{Plan, plan};
use hermitcrab::sim::{FaultLevel, block_on};
use hermitcrab::simulate::{Scenario, Simulation, settings};
use hermitcrab::spec::load::load;
use hermitcrab::spec::{ClusterSpec, quorum};
use hermitcrab::time::after;

const FILE: &str = "desired-state/prod/consul.yaml";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

/// A moment of some world.
struct Moment {
    spec: ClusterSpec,
    seen: Observation,
}

/// Moments of unkind worlds, from the beginning to the end of a rollout.
fn moments(seeds: std::ops::Range<u64>, each: u32) -> Vec<Moment> {
    let from = load(&[PathBuf::from(FILE)]).specs().next().unwrap().1.clone();
    let mut moments = Vec::new();
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let scenario =
            Scenario { from: from.clone(), image: NEW.into(), payload: None, seed, faults: FaultLevel::Some };
        let world = scenario.world();
        let mut simulation = Simulation::new(&world, scenario.to(), seed);
        let onlooker = Controller::new(world.controller(9), Listeners::default(), settings(seed));
        for _ in 0..each {
            let until = after(world.time(), Duration::from_millis(rng.u64(500..60_000)));
            simulation.run_until(until, &mut |_| {}, &mut || false);
            let spec = simulation.committed();
            let seen = block_on(&world, onlooker.look(&spec));
            moments.push(Moment { spec, seen });
        }
    }
    moments
}

/// A change of one fact.
const CHANGES: [fn(&mut Observation, &mut Rng); 11] = [
    |seen, rng| instances(seen, rng, |instance, rng| instance.state = rng.choice(STATES).unwrap()),
    |seen, rng| instances(seen, rng, |instance, rng| instance.retired = rng.bool()),
    |seen, rng| {
        instances(seen, rng, |instance, _| instance.checks = Checks::Impaired("instance reachability".to_owned()))
    },
    |seen, rng| volumes(seen, rng),
    |seen, rng| {
        members(seen, |membership| {
            let health =
                rng.choice([Health::Healthy, Health::Unhealthy("failed".to_owned()), Health::Unknown("?".to_owned())]);
            let at = rng.usize(..membership.members.len().max(1));
            membership.members.iter_mut().skip(at).take(1).for_each(|member| member.health = health.clone().unwrap());
        });
    },
    |seen, _| members(seen, |membership| membership.leader = None),
    |seen, _| members(seen, |membership| drop(membership.members.pop())),
    |seen, _| seen.membership = Reading::Unknown { why: "nobody answers".to_owned() },
    |seen, rng| {
        if let Reading::Seen { value: record, .. } = &mut seen.claim
            && let Some(claim) = &mut record.held
        {
            claim.way = rng.choice([Way::Forward, Way::Back, Way::ForwardAgain]).unwrap();
            claim.turning = rng.bool();
        }
    },
    |seen, rng| {
        if let Reading::Seen { value: record, .. } = &mut seen.claim
            && let Some(ahead) = &mut record.ahead
        {
            ahead.let_go = rng.bool();
        }
    },
    |seen, rng| {
        let count = cloud(seen, |view| view.instances.len());
        let at = rng.usize(..count.max(1));
        cloud(seen, |view| {
            if at < view.instances.len() {
                view.instances.remove(at);
            }
        });
    },
];
const STATES: [InstanceState; 6] = [
    InstanceState::Pending,
    InstanceState::Running,
    InstanceState::Stopping,
    InstanceState::Stopped,
    InstanceState::ShuttingDown,
    InstanceState::Terminated,
];

fn cloud<T: Default>(seen: &mut Observation, change: impl FnOnce(&mut CloudView) -> T) -> T {
    match &mut seen.cloud {
        Reading::Seen { value, .. } => change(Arc::make_mut(value)),
        Reading::Unknown { .. } => T::default(),
    }
}

fn instances(seen: &mut Observation, rng: &mut Rng, change: impl Fn(&mut Instance, &mut Rng)) {
    cloud(seen, |view| {
        let at = rng.usize(..view.instances.len().max(1));
        view.instances.iter_mut().skip(at).take(1).for_each(|instance| change(instance, rng));
    });
}

fn volumes(seen: &mut Observation, rng: &mut Rng) {
    cloud(seen, |view| {
        let at = rng.usize(..view.volumes.len().max(1));
        let Some(volume) = view.volumes.get_mut(at) else { return };
        match (&mut volume.state, rng.u32(0..4)) {
            (VolumeState::InUse(at), 0) => at.phase = AttachmentPhase::Detaching,
            (VolumeState::InUse(at), 1) => at.phase = AttachmentPhase::Attaching,
            (state, 2) => *state = VolumeState::Available,
            (_, _) => volume.modifying = true,
        }
    });
}

fn members(seen: &mut Observation, change: impl FnOnce(&mut Membership)) {
    if let Reading::Seen { value, .. } = &mut seen.membership {
        change(value);
    }
}

/// A property of the planner's answer: what is wrong with one, if anything is.
type Property = fn(&ClusterSpec, &Observation, &Plan) -> Option<String>;

const PROPERTIES: [(&str, Property); 8] = [
    ("a member is stopped only in the claimed slot, and only if the others are a quorum", stops_with_care),
    ("a volume leaves only an instance that does not run", detaches_with_care),
    ("a replacement goes the way that the claim says", goes_one_way),
    ("only a retired instance without volumes is terminated", terminates_with_care),
    ("a volume that is free goes to an instance of its own slot", attaches_with_care),
    ("nothing is given to an instance that was launched ahead, or taken away but by its end", leaves_empty_ahead),
    ("a claimed slot is not settled", has_a_way_on),
    ("equal facts get equal answers", does_not_depend_on_order),
];

fn effect(plan: &Plan) -> Option<&CloudEffect> {
    match plan {
        Plan::Act(Action { effect: Effect::Cloud(effect), .. }, _) => Some(effect),
        _ => None,
    }
}

fn stops_with_care(spec: &ClusterSpec, seen: &Observation, plan: &Plan) -> Option<String> {
    let CloudEffect::Stop { instance } = effect(plan)? else { return None };
    let slot = &seen.cloud.seen()?.instance(instance)?.slot;
    let held = seen.claim.seen()?.held.as_ref();
    if held.map(|claim| &claim.slot) != Some(slot) {
        return Some(format!("{instance} of {slot} is stopped under the claim of {held:?}"));
    }
    let membership = seen.membership.seen()?;
    let well = |slot: &hermitcrab::ids::SlotName| {
        membership.of_slot(slot).is_some_and(|member| member.counts && member.health == Health::Healthy)
    };
    let others = spec.slots.iter().filter(|other| other.name != *slot && well(&other.name)).count();
    let costs = well(slot) && others < quorum(spec.slots.len());
    costs.then(|| format!("{instance} of {slot} is stopped with {others} other healthy voters"))
}

fn detaches_with_care(_: &ClusterSpec, seen: &Observation, plan: &Plan) -> Option<String> {
    let CloudEffect::Detach { volume, instance, .. } = effect(plan)? else { return None };
    let state = seen.cloud.seen()?.instance(instance)?.state;
    let wrong = !matches!(state, InstanceState::Stopped | InstanceState::Terminated);
    wrong.then(|| format!("{volume} is detached from an instance that is {state}"))
}

fn goes_one_way(_: &ClusterSpec, seen: &Observation, plan: &Plan) -> Option<String> {
    let claim = seen.claim.seen()?.held.as_ref()?;
    let (old, view) = (claim.old()?, seen.cloud.seen()?);
    let is_attached = |volume: &hermitcrab::ids::VolumeId| {
        let arrived =
            |at: &hermitcrab::observed::Attachment| at.instance == *old && at.phase == AttachmentPhase::Attached;
        let of_it = |seen: &&hermitcrab::observed::Volume| seen.id == *volume;
        view.volumes().find(of_it).is_some_and(|seen| matches!(&seen.state, VolumeState::InUse(at) if arrived(at)))
    };
    let has_any = || view.volumes.iter().any(|volume| is_attached(&volume.id));
    let does = if claim.turning { "is being turned" } else { "goes" };
    let says = format!("the claim says that the replacement of {old} {does} {:?}", claim.way);
    if claim.turning && moves_a_member_of(&claim.slot, plan) {
        return Some(says);
    }
    let is_back = match effect(plan)? {
        CloudEffect::Start { instance } if instance == old => true,
        CloudEffect::Attach { instance, .. } => instance == old,
        CloudEffect::Detach { instance, volume, .. } if instance == old && is_attached(volume) => false,
        // One that runs while a volume is stuck on its way to it serves nothing.
        CloudEffect::Stop { instance } if instance == old && has_any() => false,
        _ => return None,
    };
    let is_wrong = is_back != (claim.way == Way::Back);
    is_wrong.then_some(says)
}

/// Says whether a plan does anything in a slot but to write its claim, or to see to its group.
fn moves_a_member_of(slot: &SlotName, plan: &Plan) -> bool {
    let Plan::Act(action, _) = plan else { return false };
    let is_moving = |effect: &CloudEffect| !matches!(effect, CloudEffect::Group { .. });
    action.slot.as_ref() == Some(slot) && matches!(&action.effect, Effect::Cloud(effect) if is_moving(effect))
}

fn terminates_with_care(_: &ClusterSpec, seen: &Observation, plan: &Plan) -> Option<String> {
    let CloudEffect::Terminate { instance } = effect(plan)? else { return None };
    let view = seen.cloud.seen()?;
    let found = view.instance(instance)?;
    let holds =
        view.volumes.iter().any(|volume| matches!(&volume.state, VolumeState::InUse(at) if at.instance == *instance));
    (!found.retired || holds).then(|| format!("{instance} is terminated: retired {}, holds {holds}", found.retired))
}

fn attaches_with_care(_: &ClusterSpec, seen: &Observation, plan: &Plan) -> Option<String> {
    let CloudEffect::Attach { volume, instance, .. } = effect(plan)? else { return None };
    let view = seen.cloud.seen()?;
    let found = view.volumes.iter().find(|seen| seen.id == *volume)?;
    let to = view.instance(instance)?;
    let wrong = found.slot != to.slot || found.zone != to.zone || found.state != VolumeState::Available;
    wrong.then(|| format!("{volume} of {} ({}) goes to {instance} of {}", found.slot, found.state, to.slot))
}

fn leaves_empty_ahead(_: &ClusterSpec, seen: &Observation, plan: &Plan) -> Option<String> {
    let (effect, record, view) = (effect(plan)?, seen.claim.seen()?, seen.cloud.seen()?);
    let ahead = record.ahead.as_ref()?;
    let is_ahead = |instance: &Instance| ahead.launched(instance) && instance.owner.as_ref() == Some(&seen.owner);
    let instance = view.instance(effect.instance()?).filter(|instance| is_ahead(instance))?;
    let is_its_end = matches!(effect, CloudEffect::Retire { .. } | CloudEffect::Terminate { .. }) && ahead.let_go;
    (!is_its_end).then(|| format!("{} is sent about {}: {ahead:?}", effect.name(), instance.id))
}

fn has_a_way_on(_: &ClusterSpec, seen: &Observation, plan: &Plan) -> Option<String> {
    let held = seen.claim.seen()?.held.as_ref()?;
    (*plan == Plan::Settled).then(|| format!("{} is claimed, and the answer is settled", held.slot))
}

fn does_not_depend_on_order(spec: &ClusterSpec, seen: &Observation, plan_of: &Plan) -> Option<String> {
    let mut turned = seen.clone();
    cloud(&mut turned, |view| {
        view.instances.reverse();
        view.volumes.reverse();
        view.snapshots.reverse();
    });
    members(&mut turned, |membership| membership.members.reverse());
    let other = plan(spec, &turned);
    (other != *plan_of).then(|| format!("listed the other way round the answer is {other:?}"))
}

/// Puts this many changed moments before the planner.
fn small_worlds(moments: &[Moment], number: usize) -> BTreeMap<String, usize> {
    let mut rng = Rng::with_seed(1);
    let mut answers = BTreeMap::new();
    for _ in 0..number {
        let Moment { spec, seen } = &moments[rng.usize(..moments.len())];
        let mut seen = seen.clone();
        for _ in 0..rng.u32(0..4) {
            rng.choice(CHANGES).unwrap()(&mut seen, &mut rng);
        }
        let answer = plan(spec, &seen);
        for (property, wrong) in PROPERTIES {
            let found = wrong(spec, &seen, &answer);
            assert!(found.is_none(), "{property}: {}\n{answer:#?}\n{seen:#?}", found.unwrap());
        }
        let word = match &answer {
            Plan::Act(action, _) => action.effect.name(),
            Plan::Wait(_) => "wait",
            Plan::Blocked(_) => "blocked",
            Plan::Stalled(_) => "stalled",
            Plan::Settled => "settled",
        };
        *answers.entry(word.to_owned()).or_default() += 1;
    }
    println!("{number} small worlds of {} moments: {answers:?}", moments.len());
    answers
}

#[test]
fn whatever_is_seen_the_answer_keeps_its_properties() {
    let answers = small_worlds(&moments(1..9, 40), 20_000);
    let words = ["stop", "detach", "attach", "launch", "wait", "blocked", "stalled", "terminate", "claim"];
    for word in words.into_iter().chain(["announce-launch", "let-go", "forget-launch"]) {
        assert!(answers.contains_key(word), "no small world is answered with {word}: {answers:?}");
    }
}

#[test]
#[ignore = "a million small worlds: a minute in a release build"]
fn a_million_small_worlds() {
    small_worlds(&moments(1..101, 60), 1_000_000);
}
