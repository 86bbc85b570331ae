//! The table of expectations: each row of it decides in some world, and the simulated EC2 refuses by it.
#![allow(clippy::unwrap_used)] // a test may panic

use std::time::Duration;

use hermitcrab::action::expects::{Condition, Expectation, Finding};
use hermitcrab::action::facts::Facts;
use hermitcrab::action::{CloudEffect, CreateVolume, Launch};
use hermitcrab::ids::{Attempt, InstanceId, Token, VolumeId};
use hermitcrab::observed::{InstanceState, Taken};
use hermitcrab::ports::{Clock, Cloud, Decision, Outcome};
use hermitcrab::sim::executor::block_on;
use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::spec::{Capacity, ClusterSpec};
use hermitcrab::time::{Timestamp, after};

#[path = "expects/world.rs"]
mod world;

use world::{DEVICE, INSTANCE, changes, creation, effects, facts, owner, slot, spec};

/// A decision that is not looked at for its age.
const AT_ANY_TIME: Decision = Decision { at: Timestamp::MIN, life: Duration::MAX, claim: None, revision: None };

/// Gives the row that decides, if one does.
fn decisive(rows: &[Expectation<'_>], facts: &Facts) -> Option<usize> {
    rows.iter().position(|row| row.held_against(facts) != Finding::Met)
}

#[test]
fn every_row_of_the_table_decides_in_some_world() {
    let (spec, owner, slot) = (spec(), owner(), slot());
    let mut idle = Vec::new();
    for (effect, prepare) in effects() {
        let mut met = facts();
        prepare(&mut met);
        let rows = effect.expects(&spec, &owner, Some(&slot));
        assert!(!rows.is_empty(), "{} expects nothing", effect.name());
        assert_eq!(decisive(&rows, &met), None, "{}: {rows:?}", effect.name());
        // Where a call is for no slot in particular, only the row on volume and instance keeps two slots apart.
        let of_any_slot = effect.expects(&spec, &owner, None);
        let changed = changes().into_iter().map(|change| {
            let mut changed = met.clone();
            change(&mut changed);
            changed
        });
        let decided: Vec<_> =
            changed.flat_map(|facts| [decisive(&rows, &facts), decisive(&of_any_slot, &facts)]).flatten().collect();
        let never = (0..rows.len()).filter(|row| !decided.contains(row));
        let of_facts = never.filter(|row| !matches!(rows[*row].condition(), Condition::TokenFits(_)));
        idle.extend(of_facts.map(|row| format!("{}: {:?}", effect.name(), rows[row])));
    }
    assert!(idle.is_empty(), "rows that decide nothing:\n{}", idle.join("\n"));
}

#[test]
fn a_token_that_ec2_would_not_take_is_never_sent() {
    let (spec, owner, slot) = (spec(), owner(), slot());
    for (length, possible) in [(0, false), (1, true), (64, true), (65, false)] {
        let token = Token::from("t".repeat(length));
        let launch = Launch::declared(&spec, &spec.slots[0], owner.clone(), token.clone());
        let create = CreateVolume { token, ..creation() };
        for effect in [CloudEffect::Launch(Box::new(launch)), CloudEffect::CreateVolume(create)] {
            let nothing = Facts::default();
            let decided = decisive(&effect.expects(&spec, &owner, Some(&slot)), &nothing);
            assert_eq!(decided, (!possible).then_some(0), "{} with {length} characters", effect.name());
        }
    }
}

#[test]
fn an_instance_that_is_not_shown_is_neither_gone_nor_as_expected() {
    let (spec, owner) = (spec(), owner());
    let effect = CloudEffect::Stop { instance: INSTANCE.into() };
    let finding = effect.expects(&spec, &owner, None)[0].held_against(&Facts::default());
    assert_eq!(finding, Finding::NotShown(INSTANCE.to_owned()));
}

/// A settled cluster in the simulated world.
struct Settled {
    world: World,
    spec: ClusterSpec,
    instance: InstanceId,
    volume: VolumeId,
}

impl Settled {
    fn new() -> Self {
        let (world, spec) = (World::new(1, FaultLevel::None), spec());
        let spec = ClusterSpec { capacity: Capacity::default(), ..spec };
        world.register_image(&spec.image, Payload::default());
        world.settle(&spec);
        let instance = world.instances_of(&spec.name, &slot()).remove(0);
        let volume = world.volumes_of(&spec.name, &slot()).remove(0);
        Self { world, spec, instance, volume }
    }

    fn change(&self, slot: &str, effect: &CloudEffect) -> Outcome {
        block_on(&self.world, Cloud::change(&self.world, &self.spec, Some(&slot.into()), effect, &AT_ANY_TIME)).unwrap()
    }
}

#[test]
fn an_address_is_never_taken_from_somebody_else() {
    let (spec, owner, slot) = (spec(), owner(), slot());
    let (effect, prepare) = effects().into_iter().find(|(effect, _)| effect.name() == "assign-address").unwrap();
    let CloudEffect::AssignAddress { address, .. } = &effect else { panic!("{effect:?}") };
    let finding = |change: &dyn Fn(&mut Facts)| {
        let mut facts = facts();
        prepare(&mut facts);
        change(&mut facts);
        let rows = effect.expects(&spec, &owner, Some(&slot));
        rows.iter().map(|row| row.held_against(&facts)).find(|finding| *finding != Finding::Met)
    };
    assert_eq!(finding(&|_| ()), None);
    assert_eq!(finding(&|facts| facts.addresses.clear()), None, "a free address");
    let strangers = |facts: &mut Facts| {
        facts.instances.get_mut(&InstanceId::from("i-old")).unwrap().cluster = None;
    };
    let Some(Finding::Impossible { code: "address-in-use", why }) = finding(&strangers) else { panic!("{address}") };
    assert!(why.found.contains("eni-2 of i-old"), "{why:?}");
    let runs = |facts: &mut Facts| {
        facts.instances.get_mut(&InstanceId::from("i-old")).unwrap().state = InstanceState::Running;
    };
    let Some(Finding::Changed(why)) = finding(&runs) else { panic!("{address}") };
    assert!(why.found.contains("which is running"), "{why:?}");
}

#[test]
fn the_simulated_ec2_refuses_what_the_adapter_refuses() {
    let settled = Settled::new();
    let (instance, volume) = (|| settled.instance.clone(), || settled.volume.clone());
    let detach = |device: &str| {
        let (volume, instance, device) = (volume(), instance(), device.to_owned());
        CloudEffect::Detach { volume, instance, device }
    };
    let is_changed = |slot: &str, effect: &CloudEffect, why: &str| {
        let outcome = settled.change(slot, effect);
        assert!(matches!(outcome, Outcome::Changed { .. }), "{}: {outcome:?} though {why}", effect.name());
    };
    let snapshot = CloudEffect::Snapshot { volume: volume(), slot: slot(), attempt: Attempt(9), taken: Taken::AtRest };
    is_changed("consul-a", &snapshot, "its instance runs");
    is_changed("consul-a", &detach(DEVICE), "its instance runs");
    is_changed("consul-b", &CloudEffect::Retire { instance: instance() }, "it is another slot's");
    let of_other = CloudEffect::CopyVolume { volume: volume(), of: "other".into(), slot: slot(), name: "data".into() };
    is_changed("consul-a", &of_other, "it is another cluster's");
    let again = CloudEffect::CreateVolume(CreateVolume { token: "another-token".into(), ..creation() });
    assert_eq!(settled.change("consul-a", &again), Outcome::AlreadySo, "the slot has its volume");

    settled.world.stop_instance(&instance());
    let later = after(settled.world.now(), Duration::from_secs(120));
    settled.world.advance_to(later);
    is_changed("consul-b", &detach(DEVICE), "it is another slot's");
    assert_eq!(settled.change("consul-a", &detach("/dev/sdz")), Outcome::Done, "volume and instance are enough");
}
