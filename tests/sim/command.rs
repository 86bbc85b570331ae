//! Members that a program speaks to behave by the rules of their file.

use hermitcrab::observed::{Health, Pruning};
use hermitcrab::spec::{Addresses, CommandSpec, Lag, Leads, Needed};

use crate::world::{Harness, seconds};

fn settled(slots: usize, rules: impl FnOnce(&mut CommandSpec)) -> Harness {
    Harness::of_command(slots, rules)
}

#[test]
fn members_lead_and_are_lost_and_well_again() {
    let harness = settled(3, |_| ());
    assert!((0..3).all(|number| harness.is_well(number)));
    let membership = harness.membership();
    assert!(membership.leader.is_some() && membership.can_transfer);
    assert_eq!((membership.pruning, membership.agreed_version), (Pruning::Never, None));
    let number = harness.follower();
    harness.stops(number);
    harness.pass(seconds(3_600));
    let membership = harness.membership();
    let member = membership.of_slot(&harness.slot(number)).unwrap();
    assert!(matches!(member.health, Health::Unhealthy(_)) && membership.members.len() == 3, "{member:?}");
    harness.starts(number);
    assert!(harness.is_well(number));
    assert_eq!(harness.world.violations(), []);
}

#[test]
fn where_any_address_will_do_peers_learn_the_new_one_and_elsewhere_they_never_do() {
    for (addresses, well) in [(Addresses::Any, true), (Addresses::Fixed, false)] {
        let harness = settled(3, |command| command.rules.addresses = addresses);
        let number = harness.follower();
        harness.moves_to_a_new_instance(number, 4);
        harness.pass(seconds(600));
        assert_eq!(harness.is_well(number), well, "{addresses:?}");
    }
}

#[test]
fn nobody_is_shown_to_lead_where_the_rules_have_no_leader() {
    let harness = settled(3, |command| {
        (command.rules.leader, command.rules.lag_limit) = (Leads::None, Lag::Age(seconds(10)));
    });
    let membership = harness.membership();
    assert!(membership.leader.is_none() && !membership.can_transfer);
    assert!(membership.members.iter().all(|member| member.health == Health::Healthy));
    assert!(membership.members.iter().all(|member| matches!(member.lag, Some(Lag::Age(_)))), "{membership:?}");
}

#[test]
fn where_one_is_enough_the_other_of_two_goes_on_alone() {
    for (needed, writes) in [(Needed::One, true), (Needed::Quorum, false)] {
        let harness = settled(2, |command| command.rules.needed = needed);
        harness.stops(1);
        harness.pass(seconds(60));
        assert_eq!(harness.write("one", "1").is_ok(), writes, "{needed:?}");
    }
}
