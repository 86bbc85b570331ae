//! Fixed addresses: EC2 has each on one interface, the guest learns of it late, and the member comes back where it was.

use std::net::{IpAddr, Ipv4Addr};

use hermitcrab::action::CloudEffect;
use hermitcrab::ids::InstanceId;
use hermitcrab::ports::{ErrorKind, Outcome};

use crate::world::{Harness, seconds, stop};

/// Stops the instance of a slot, and launches another one beside it.
fn stopped(harness: &Harness, number: usize) -> (InstanceId, InstanceId) {
    let (old, _) = harness.of(number);
    let new = harness.launches(number, 4);
    harness.pass(seconds(60));
    harness.view();
    harness.act(number, stop(&old));
    harness.pass(seconds(61));
    harness.view();
    (old, new)
}

#[test]
fn an_address_is_on_one_interface() {
    let harness = Harness::with_addresses();
    let number = harness.follower();
    let (old, new) = stopped(&harness, number);
    assert!(harness.instance(&old).has_fixed_address() && !harness.instance(&new).has_fixed_address());
    assert_eq!(harness.act(number, harness.assign(number, &new)), Outcome::Done);
    assert!(!harness.instance(&old).has_fixed_address() && harness.instance(&new).has_fixed_address());
    assert_eq!(harness.act(number, harness.assign(number, &new)), Outcome::AlreadySo);
    assert_eq!(harness.broken(), [""; 0]);
}

#[test]
fn a_member_comes_back_at_its_address() {
    let harness = Harness::with_addresses();
    let number = harness.follower();
    let address = harness.spec.slots[number].address.map(IpAddr::V4);
    let (old, new) = stopped(&harness, number);
    let (_, volume) = harness.of(number);
    assert_eq!(harness.act(number, harness.detach(&volume, &old)), Outcome::Done);
    harness.act(number, harness.assign(number, &new));
    harness.pass(seconds(21));
    assert_eq!(harness.act(number, harness.attach(&volume, &new)), Outcome::Done);
    harness.pass(seconds(60));
    assert!(harness.is_well(number));
    assert_eq!(harness.membership().of_slot(&harness.slot(number)).unwrap().address, address);
    assert_eq!(harness.broken(), [""; 0]);
}

#[test]
fn a_guest_that_lacks_its_address_starts_nothing() {
    let harness = Harness::with_addresses();
    let number = harness.follower();
    let (old, new) = stopped(&harness, number);
    let (_, volume) = harness.of(number);
    assert_eq!(harness.act(number, harness.detach(&volume, &old)), Outcome::Done);
    harness.pass(seconds(21));
    assert_eq!(harness.act(number, harness.attach(&volume, &new)), Outcome::Done);
    harness.pass(seconds(120));
    assert!(!harness.is_well(number), "its address is still at the old instance");
    harness.act(number, harness.assign(number, &new));
    harness.pass(seconds(30));
    assert!(harness.is_well(number));
}

#[test]
fn an_address_that_runs_away_takes_its_member_down() {
    let harness = Harness::with_addresses();
    let number = harness.follower();
    let (instance, _) = harness.of(number);
    let address = harness.spec.slots[number].address.unwrap();
    harness.world.unassign_address(address);
    harness.pass(seconds(20));
    assert!(!harness.is_well(number));
    assert_eq!(harness.act(number, harness.assign(number, &instance)), Outcome::Done);
    harness.pass(seconds(30));
    assert!(harness.is_well(number));
}

#[test]
fn what_ec2_does_not_move_is_refused() {
    let harness = Harness::with_addresses();
    let (instance, _) = harness.of(0);
    let assign = |address: Ipv4Addr| {
        let CloudEffect::AssignAddress { instance, interface, subnet, .. } = harness.assign(0, &instance) else {
            panic!("no address")
        };
        let effect = CloudEffect::AssignAddress { address, instance, interface, subnet };
        harness.force(0, effect).map_err(|error| error.kind)
    };
    let own = harness.spec.slots[0].address.unwrap();
    let subnet = harness.spec.slots[0].subnet.clone();
    assert_eq!(assign(Ipv4Addr::new(192, 168, 0, 1)), Err(ErrorKind::Invalid), "it lies in no range of the subnet");
    let IpAddr::V4(primary) = harness.instance(&instance).address.unwrap() else { panic!("no IPv4 address") };
    assert_eq!(assign(primary), Err(ErrorKind::Invalid), "a primary address never moves");
    harness.world.lend_address(own, &subnet, true);
    assert_eq!(assign(own), Err(ErrorKind::Invalid), "somebody else has it");
    harness.world.lend_address(own, &subnet, false);
    assert_eq!(assign(own), Ok(Outcome::Done));
    let more = |last| Ipv4Addr::from(u32::from(own) + last);
    assert_eq!([1, 2].map(|last| assign(more(last))), [Ok(Outcome::Done), Ok(Outcome::Done)]);
    assert_eq!(assign(more(3)), Err(ErrorKind::NoCapacity), "an interface takes so many addresses");
}
