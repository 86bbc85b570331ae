//! The inputs of the benchmarks: a rollout as a controller saw it pass by pass, and a fleet of ten thousand clusters.
//!
//! Nothing is made up: every observation is one that the controller made of the simulated world. For a fleet one
//! cluster's is repeated under other names, and read from text anew each time, so that it shares no memory with another's. Within
//! a view is shared what a sweep of EC2 shares.
#![allow(dead_code)] // each of the two benchmarks uses a part of it

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hermitcrab::action::{CloudEffect, Effect};
use hermitcrab::controller::{Controller, ManagedCluster};
use hermitcrab::event::{Event, EventKind};
use hermitcrab::ids::SlotName;
use hermitcrab::observed::{CloudView, Membership, Observation, Reading, Sweep};
use hermitcrab::plan::Plan;
use hermitcrab::ports::{Clock, Cloud, Decision, Outcome, PortError, Wanted};
use hermitcrab::sim::{self, Changes, Executor, FaultLevel, Looks, Payload, Through, World};
use hermitcrab::simulate;
use hermitcrab::spec::ClusterSpec;
use hermitcrab::spec::load::load;
use hermitcrab::time::{Timestamp, after, before};

#[path = "../tests/tools/recorder.rs"]
mod recorder;

use recorder::Recorder;

/// The image that a rollout ends with.
const NEW_IMAGE: &str = "ami-0bbbbbbbbbbbbbbbb";
/// No rollout without faults takes longer.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The only cluster of a desired-state file.
pub fn spec(file: &str) -> ClusterSpec {
    load(&[PathBuf::from(file)]).specs().next().expect("a file of the repository").1.clone()
}

/// A rollout from beginning to end.
pub struct Rollout {
    /// The spec with the new image.
    pub spec: ClusterSpec,
    /// Every pass, the settled one last.
    pub passes: Vec<Pass>,
    /// The changes that the world made by itself, in their order.
    pub changes: BTreeSet<(Timestamp, Changes)>,
    /// The world's transcript, and the moment from which it counts.
    pub transcript: Vec<sim::Event>,
    pub origin: Timestamp,
    /// The spans in which EC2 answered each look, by the time at which the look began.
    pub answers: BTreeMap<Timestamp, (Timestamp, Timestamp)>,
    /// The looks at what moves, within a tenth of EC2's limits.
    pub looks: Looks,
}

/// One pass.
pub struct Pass {
    pub seen: Observation,
    pub plan: Plan,
    /// The time at which the action had been carried out.
    pub acted: Option<Timestamp>,
}

impl Rollout {
    /// Runs a rollout of a file's cluster to its end, in a world without faults.
    pub fn of(file: &str, seed: u64) -> Self {
        let from = spec(file);
        let world = World::new(seed, FaultLevel::None);
        world.settle(&from);
        let image = NEW_IMAGE.into();
        world.register_image(&image, Payload::Good { version: simulate::version(&from) });
        let spec = ClusterSpec { image, ..from };
        world.declare(&spec);
        world.keep_to_share(0);

        let origin = before(world.now(), Duration::from_secs_f64(world.seconds()));
        let (recorder, listeners) = Recorder::alone();
        let cloud = Timed { world: world.clone(), answers: Rc::default() };
        let answers = cloud.answers.clone();
        let made_of = (Through { cloud, world: world.clone() }, listeners, spec.clone());
        let mut executor = Executor::new(&world, move |_| {
            let (outside, listeners, spec) = made_of.clone();
            let controller = Controller::new(outside, listeners, simulate::settings(seed));
            Box::pin(async move { controller.attend(&ManagedCluster::new(spec)).await })
        });
        executor.spawn(0);
        let mut changes = BTreeSet::new();
        let settled = executor.run_until(after(world.now(), LIMIT), &mut || {
            changes.extend(world.next_changes());
            recorder.latest().is_some_and(|pass| pass.plan == Plan::Settled)
        });
        assert!(settled, "{file} did not settle");
        let looks = world.looks(0).expect("it keeps to its share").busy;
        let transcript = world.drain_events();
        let answers = answers.take();
        Self { spec, passes: passes(recorder.events()), changes, transcript, origin, answers, looks }
    }

    /// The first pass that answers so.
    pub fn first(&self, answers: impl Fn(&Plan) -> bool) -> &Pass {
        self.passes.iter().find(|pass| answers(&pass.plan)).expect("a rollout has such a pass")
    }

    /// How many passes changed EC2, by the name of the change.
    pub fn ec2_calls(&self) -> BTreeMap<&'static str, usize> {
        let mut calls = BTreeMap::new();
        for pass in &self.passes {
            if let Plan::Act(action, _) = &pass.plan
                && let Effect::Cloud(_) = &action.effect
            {
                *calls.entry(action.effect.name()).or_default() += 1;
            }
        }
        calls
    }
}

/// The simulated world, and when it answered.
#[derive(Clone)]
struct Timed {
    world: World,
    answers: Rc<RefCell<BTreeMap<Timestamp, (Timestamp, Timestamp)>>>,
}

impl Cloud for Timed {
    async fn sweep(&self, wanted: &Wanted) -> Result<Sweep, PortError> {
        let waited = || self.world.looks(0).map_or(0, |share| share.busy.waited + share.fleet.waited);
        let (begun, before) = (self.world.now(), waited());
        let answer = self.world.sweep(wanted).await;
        let sent = after(begun, Duration::from_millis(waited() - before));
        self.answers.borrow_mut().insert(begun, (sent, self.world.now()));
        answer
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

/// The passes that events tell of.
fn passes(events: Vec<Event>) -> Vec<Pass> {
    let mut passes: Vec<Pass> = Vec::new();
    for event in events {
        match (event.kind, passes.last_mut()) {
            (EventKind::Planned(pass), _) => {
                passes.push(Pass { seen: pass.seen.clone(), plan: pass.plan.clone(), acted: None });
            }
            (EventKind::Acted(_), Some(pass)) => pass.acted = Some(event.at),
            _ => {}
        }
    }
    passes
}

/// Many clusters, all at the same point.
pub struct Fleet {
    pub specs: Vec<ClusterSpec>,
    sweep: Sweep,
    memberships: Vec<Membership>,
    /// The observation that all clusters share.
    seen: Observation,
}

impl Fleet {
    /// `size` clusters, each of which is where the rollout was in that pass.
    pub fn of(size: usize, spec: &ClusterSpec, pass: &Pass) -> Self {
        let (Reading::Seen { begun, value: view }, Some(members)) = (&pass.seen.cloud, pass.seen.membership.seen())
        else {
            panic!("nothing was seen in that pass");
        };
        let bare = CloudView { catalogue: Arc::default(), ..CloudView::clone(view) };
        let view_text = serde_json::to_string(&bare).expect("a view is data");
        let members_text = serde_json::to_string(members).expect("members are data");
        let catalogue = view.catalogue.clone();
        let specs: Vec<_> =
            (0..size).map(|n| ClusterSpec { name: format!("cluster-{n}").into(), ..spec.clone() }).collect();
        let parsed = |n: usize| {
            let text = view_text.replace("\"i-", &format!("\"i-{n}-")).replace("\"vol-", &format!("\"vol-{n}-"));
            let view: CloudView = serde_json::from_str(&text).expect("it was a view");
            Arc::new(CloudView { catalogue: catalogue.clone(), ..view }.compact())
        };
        let clusters = specs.iter().enumerate().map(|(n, spec)| (spec.name.clone(), parsed(n))).collect();
        let memberships = specs.iter().map(|_| serde_json::from_str(&members_text).expect("they were members"));
        Self {
            sweep: Sweep { begun: *begun, clusters, catalogue: catalogue.clone() },
            memberships: memberships.collect(),
            seen: pass.seen.clone(),
            specs,
        }
    }

    /// Makes the observation that the controller would have of one cluster.
    pub fn observe(&self, index: usize) -> Observation {
        self.seen_with(index, self.memberships[index].clone())
    }

    /// Makes the observations of all clusters, of whose members nothing is kept beside them then: no controller does.
    pub fn observe_all(&mut self) -> Vec<Observation> {
        let memberships = std::mem::take(&mut self.memberships);
        memberships.into_iter().enumerate().map(|(index, members)| self.seen_with(index, members)).collect()
    }

    fn seen_with(&self, index: usize, members: Membership) -> Observation {
        let (begun, now) = (self.sweep.begun, self.seen.now);
        Observation {
            cloud: Reading::Seen { begun, value: self.sweep.cluster(&self.specs[index].name) },
            membership: Reading::Seen { begun: now, value: members },
            ..self.seen.clone()
        }
    }
}
