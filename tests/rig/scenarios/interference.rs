//! Things that people and EC2 do to a cluster while it is being rolled, on real servers.

use std::cell::Cell;
use std::rc::Rc;

use libtest_mimic::Trial;

use super::refusals::says;
use super::{LIMIT, comes_to, first_is_back, rolled_to, settles_on_v2, wanting_one_more_on_v2, wanting_v2};
use crate::Harness;
use crate::cluster::{Rig, Seat};
use crate::process::Signal;
use crate::proxy::faults::{Fault, Faults, Often, On, Rule};
use crate::report::Before;
use crate::world::{Life, Standing};
use crate::{AT_MOST, until};

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.scenario("interference::a_commit_is_reverted_in_mid_move", 3, a_commit_is_reverted),
        harness.scenario("interference::another_instance_is_lost_during_a_bad_image", 3, another_instance_is_lost),
        harness.scenario("interference::an_attach_is_forbidden_after_the_stop", 3, an_attach_is_forbidden),
        harness.scenario("interference::an_address_is_forbidden_after_the_stop", 3, an_address_is_forbidden),
        harness.scenario("interference::a_volume_is_restored_with_its_tags", 3, a_volume_is_restored),
        harness.scenario("interference::signals_come_at_any_moment", 3, signals_come),
    ]
}

/// Waits until some slot's old instance is no longer running, and gives that slot.
async fn first_stop(rig: &Rig, before: &Before) -> (String, Seat) {
    let is_ending = |seat: &Seat| rig.proxy.life(&seat.instance).is_some_and(|life| life != Life::Running);
    let ending = async || before.seats.iter().find(|(_, seat)| is_ending(seat));
    let (slot, seat) = until("an old instance to be stopped", LIMIT, ending).await;
    (slot.clone(), seat.clone())
}

async fn a_commit_is_reverted(rig: Rc<Rig>) {
    let (before, clients) = wanting_v2(&rig).await;
    let controller = rig.daemon("rig");
    first_stop(&rig, &before).await;
    rig.desire(&rig.v1, &[]);
    controller.settles(LIMIT).await;
    controller.signal(Signal::Term);
    controller.ended(AT_MOST).await;
    rolled_to(&rig, &rig.v1, &before, &clients).await;
}

/// The controller is ended after some changes, in every way in which people and machines end it, and started again.
async fn signals_come(rig: Rc<Rig>) {
    let (before, clients) = wanting_v2(&rig).await;
    let changes = Rc::new(Cell::new(0));
    let counted = changes.clone();
    rig.proxy.after_changes(move |number| counted.set(number));
    for (further, signals) in [
        (2, &[Signal::Term][..]),
        (3, &[Signal::Hup]),
        (1, &[Signal::Int]),
        (2, &[]),
        (3, &[Signal::Term, Signal::Term]),
        (2, &[Signal::Stop, Signal::Term, Signal::Int, Signal::Cont]),
    ] {
        let (controller, wanted) = (rig.controller("rig", &[]), changes.get() + further);
        let changed = async || (changes.get() >= wanted).then_some(());
        until("the controller to have made some changes", LIMIT, changed).await;
        signals.iter().for_each(|signal| controller.signal(*signal));
        if signals.is_empty() {
            controller.kill();
        }
        let ended = controller.ended(AT_MOST).await;
        assert!(matches!(ended.code, None | Some(129 | 130 | 143)), "{:?}: {}", ended.code, ended.said);
    }
    let controller = rig.controller("rig", &[]);
    settles_on_v2(&rig, &controller, &before, &clients).await;
}

/// The quorum is lost by somebody else's doing while a member waits for an image that never starts. What settled heals the
/// lost slot, so that the quorum comes back by itself; then the bad image is taken back.
async fn another_instance_is_lost(rig: Rc<Rig>) {
    let (before, clients) = wanting_v2(&rig).await;
    rig.desire(&rig.bad, &[]);
    let controller = rig.daemon("rig");
    let (slot, seat) = first_stop(&rig, &before).await;
    comes_to(&rig, &seat.instance, Life::Stopped).await;
    let moved = async || (rig.seats()[&slot].instance != seat.instance && is_attached(&rig, &seat)).then_some(());
    until("the volume to be at the new instance", LIMIT, moved).await;
    let (_, lost) = before.seats.iter().find(|(other, _)| **other != slot).unwrap();
    rig.person.call("TerminateInstances", &[("InstanceId.1", &lost.instance)]).await.unwrap();
    rig.all_are_well(LIMIT).await;
    rig.desire(&rig.v1, &[]);
    controller.settles(LIMIT).await;
    controller.signal(Signal::Term);
    controller.ended(AT_MOST).await;
    rolled_to(&rig, &rig.v1, &before, &clients).await;
}

fn is_attached(rig: &Rig, seat: &Seat) -> bool {
    rig.proxy.world.borrow().disks.get(&seat.volume).is_some_and(|disk| disk.standing == Standing::Attached)
}

/// The volume is at neither instance then, so the member is back once a person has allowed the call.
async fn an_attach_is_forbidden(rig: Rc<Rig>) {
    goes_back(rig, "AttachVolume", |faults| faults.rules.clear()).await;
}

/// The volume can go back to the old instance, so the member is back without anybody's help.
async fn an_address_is_forbidden(rig: Rc<Rig>) {
    goes_back(rig, "AssignPrivateIpAddresses", |_| {}).await;
}

/// Forbids a call that comes after the stop, and sees the member come back where it was, on its old instance.
async fn goes_back(rig: Rc<Rig>, call: &'static str, allow: fn(&mut Faults)) {
    let (before, clients) = wanting_one_more_on_v2(&rig).await;
    let forbidden = Rule::new(Fault::Refused("UnauthorizedOperation"), On::Action(call), Often::Always);
    rig.proxy.faults.borrow_mut().rules = vec![forbidden];
    let controller = rig.daemon("rig");
    let words = format!("allow ec2:{call} to the role");
    let told = async || controller.said().contains(&words).then_some(());
    until("the controller to say what is forbidden", LIMIT, told).await;
    allow(&mut rig.proxy.faults.borrow_mut());
    first_is_back(&rig).await;
    rig.all_are_well(AT_MOST).await;
    assert_eq!(rig.seats(), before.seats, "every member sits where it sat");
    controller.kill();
    let history = clients.finish().await;
    rig.account_for(&before, &history);
}

/// Two volumes say that they are the same one. Neither is chosen, and the member that serves is left alone.
async fn a_volume_is_restored(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    let (slot, seat) = rig.seats().pop_first().unwrap();
    let (zone, tags) = {
        let world = rig.proxy.world.borrow();
        let disk = &world.disks[&seat.volume];
        (disk.zone.clone(), disk.tags.clone())
    };
    let mut params = vec![("AvailabilityZone".to_owned(), zone), ("Size".to_owned(), "1".to_owned())];
    params.push(("TagSpecification.1.ResourceType".to_owned(), "volume".to_owned()));
    for (number, (key, value)) in tags.into_iter().enumerate() {
        params.push((format!("TagSpecification.1.Tag.{}.Key", number + 1), key));
        params.push((format!("TagSpecification.1.Tag.{}.Value", number + 1), value));
    }
    let params: Vec<(&str, &str)> = params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let copy = rig.person.make("CreateVolume", &params, "volumeId").await;
    rig.desire(&rig.v2, &[]);
    says(&rig, &[&slot, &seat.volume, &copy]).await;
    assert_eq!(rig.truth.downs().len(), 0, "no member was touched");
}
