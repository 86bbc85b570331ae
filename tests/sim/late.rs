//! Everything between a decision and its call: a wait of the adapter's own, a refusal that stays, and the revision that goes along.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hermitcrab::action::CloudEffect;
use hermitcrab::controller::{Controller, ManagedCluster, Settings};
use hermitcrab::event::{Listeners, Pass};
use hermitcrab::ids::{ImageId, InstanceId, SlotName};
use hermitcrab::observed::Sweep;
use hermitcrab::plan::{Hazard, Plan, Stall};
use hermitcrab::ports::{Clock, Cloud, Decision, ErrorKind, Outcome, PortError, Wanted};
use hermitcrab::revision::{Revision, Standing};
use hermitcrab::sim::{Through, World, block_on};
use hermitcrab::simulate::settings;
use hermitcrab::spec::ClusterSpec;

use crate::world::{Harness, NEW};

/// An adapter to the simulated world that has trouble with one kind of call.
struct Troubled {
    world: World,
    call: &'static str,
    trouble: Trouble,
}

enum Trouble {
    /// The process sleeps in the adapter, after the decision and before the call.
    Sleeps(Duration),
    /// EC2 refuses the call so, for ever.
    Refuses(ErrorKind),
}

impl Cloud for Troubled {
    async fn sweep(&self, wanted: &Wanted) -> Result<Sweep, PortError> {
        self.world.sweep(wanted).await
    }

    async fn change(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
        decision: &Decision,
    ) -> Result<Outcome, PortError> {
        match self.trouble {
            Trouble::Sleeps(span) if effect.name() == self.call => self.world.sleep(span).await,
            Trouble::Refuses(kind) if effect.name() == self.call => {
                return Err(PortError::new(effect.name(), kind, "it is so"));
            }
            Trouble::Sleeps(_) | Trouble::Refuses(_) => {}
        }
        self.world.change(spec, slot, effect, decision).await
    }
}

/// Attends to a cluster that is to be brought to a new image, until a pass is an end.
fn roll<E>(harness: &Harness, call: &'static str, trouble: Trouble, end: impl FnMut(&Pass) -> Option<E>) -> E {
    let world = harness.world.controller(0);
    let cloud = Troubled { world: world.clone(), call, trouble };
    let controller = Controller::new(Through { cloud, world }, Listeners::default(), settings(1));
    let mut spec = harness.spec.clone();
    spec.image = ImageId::from(NEW);
    let cluster = ManagedCluster::new(spec);
    block_on(&harness.world, controller.attend_until(&cluster, end)).unwrap()
}

fn stall(pass: &Pass) -> Option<Stall> {
    match &pass.plan {
        Plan::Stalled(stalls) => Some(stalls.stall.clone()),
        _ => None,
    }
}

/// The words in which a pass names what a person has to see to.
fn named(pass: &Pass) -> Option<String> {
    let is_taken_back = |hazard: &Hazard| matches!(hazard, Hazard::GenerationRejected { in_place_of: Some(_), .. });
    match &pass.plan {
        Plan::Stalled(stall) => Some(stall.to_string()),
        Plan::Blocked(blocked) if blocked.hazards.iter().any(is_taken_back) => Some(blocked.to_string()),
        _ => None,
    }
}

fn calls(harness: &Harness, name: &str) -> u64 {
    harness.world.calls().get(name).copied().unwrap_or(0)
}

#[test]
fn a_stop_that_somebody_slept_on_is_never_sent_and_is_named() {
    let harness = Harness::settled();
    let stall = roll(&harness, "stop", Trouble::Sleeps(Duration::from_secs(150)), stall);
    assert_eq!(calls(&harness, "stop"), 0);
    let Stall::NotAsExpected { doing, found, times, .. } = &stall else { panic!("{stall:?}") };
    assert!(doing.starts_with("stop i-") && *times >= 3, "{stall}");
    assert!(found.starts_with("expected a decision at most 5s old, found one that is 2m 30s"), "{found}");
}

#[test]
fn whatever_refuses_a_call_for_ever_is_named() {
    for kind in [
        ErrorKind::Throttled,
        ErrorKind::Denied,
        ErrorKind::NoCapacity,
        ErrorKind::NotFound,
        ErrorKind::Invalid,
        ErrorKind::Unreachable,
        ErrorKind::Unknown,
    ] {
        for call in ["launch", "stop", "detach", "attach", "retire", "terminate", "settle"] {
            let harness = Harness::settled();
            let limit = harness.world.now() + Duration::from_secs(24 * 60 * 60);
            let mut is_stopped = false;
            let said = roll(&harness, call, Trouble::Refuses(kind), |pass| {
                assert!(pass.seen.now < limit, "{call} {kind}: {}", pass.plan);
                is_stopped |= calls(&harness, "stop") > 0;
                named(pass)
            });
            let is_taken_back = is_stopped && said.contains("could not take the place of");
            assert!(said.contains(call) || is_taken_back || kind == ErrorKind::Unknown, "{call} {kind}: {said}");
        }
    }
}

#[test]
fn a_slot_that_has_lost_its_instance_does_not_wait_for_one_that_cannot_go_on() {
    for call in ["launch", "stop", "detach", "attach", "retire", "terminate", "settle"] {
        let harness = Harness::settled();
        let (lost, limit) = (harness.slot(0), harness.world.now() + Duration::from_secs(4 * 60 * 60));
        let gone = harness.of(0).0;
        let mut is_gone = false;
        roll(&harness, call, Trouble::Refuses(ErrorKind::Denied), |pass| {
            if !is_gone && named(pass).is_some() {
                harness.world.terminate_instance(&gone);
                is_gone = true;
            }
            let status = pass.status.slots.iter().find(|slot| slot.slot == lost)?;
            let is_healed = is_gone && status.instance.as_ref() != Some(&gone) && status.counts_as_healthy();
            let is_healable = call != "launch" && call != "attach";
            assert!(pass.seen.now < limit || !is_healable, "{call}: {}", pass.plan);
            (is_healed || pass.seen.now >= limit).then_some(())
        });
        assert_eq!(harness.world.violations(), [], "{call}");
    }
}

/// The instances for which something settled, each with the revision.
type Noted = Vec<(Option<InstanceId>, Option<String>)>;

/// An adapter to the simulated world that notes which revision each call that settles was sent with, and for which instance.
struct Noting {
    world: World,
    noted: Rc<RefCell<Noted>>,
}

impl Cloud for Noting {
    async fn sweep(&self, wanted: &Wanted) -> Result<Sweep, PortError> {
        self.world.sweep(wanted).await
    }

    async fn change(
        &self,
        spec: &ClusterSpec,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
        decision: &Decision,
    ) -> Result<Outcome, PortError> {
        if let CloudEffect::Settle { instance, .. } = effect {
            self.noted.borrow_mut().push((instance.clone(), decision.revision.clone()));
        }
        self.world.change(spec, slot, effect, decision).await
    }
}

/// Rolls a cluster by desired state of that commit. Answers what was noted, what serves at the end, and every call.
fn rolled_by(id: Option<&str>) -> (Noted, Vec<InstanceId>, BTreeMap<String, u64>) {
    let harness = Harness::settled();
    let standing = id.map(|id| {
        let revision = Revision {
            id: id.to_owned(),
            reference: "main".to_owned(),
            author: "Ada".to_owned(),
            subject: "Roll".to_owned(),
            committed_at: harness.world.now(),
            verified_by: None,
        };
        Arc::new(Standing { revision: Some(revision), trouble: None, verifies: false, rewritten_from: None })
    });
    let (world, noted) = (harness.world.controller(0), Rc::new(RefCell::new(Vec::new())));
    let cloud = Noting { world: world.clone(), noted: noted.clone() };
    let settings = Settings { source: Rc::new(move || standing.clone()), ..settings(1) };
    let controller = Controller::new(Through { cloud, world }, Listeners::default(), settings);
    let cluster = ManagedCluster::new(ClusterSpec { image: ImageId::from(NEW), ..harness.spec.clone() });
    let is_settled = |pass: &Pass| matches!(pass.plan, Plan::Settled).then_some(());
    block_on(&harness.world, controller.attend_until(&cluster, is_settled)).unwrap();
    let serving = harness.view().live_instances().map(|instance| instance.id.clone()).collect();
    (noted.take(), serving, harness.world.calls())
}

#[test]
fn a_commit_goes_with_the_calls_that_settle_and_costs_none() {
    let (noted, mut serving, calls) = rolled_by(Some("1a2b3c4d5e6f7081920a1b2c3d4e5f6071829304"));
    assert!(noted.iter().all(|(_, revision)| revision.as_deref() == Some("1a2b3c4d5e6f")), "{noted:?}");
    let mut named: Vec<_> = noted.into_iter().filter_map(|(instance, _)| instance).collect();
    named.sort();
    serving.sort();
    assert_eq!(named, serving, "each new instance once");
    let (without, _, calls_without) = rolled_by(None);
    assert!(without.iter().all(|(_, revision)| revision.is_none()), "{without:?}");
    assert_eq!(calls, calls_without);
}
