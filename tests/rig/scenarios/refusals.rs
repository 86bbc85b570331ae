//! Rollouts that are not allowed, or impossible: the controller says what is wrong and what to do, and changes nothing.

use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::Harness;
use crate::cluster::Rig;
use crate::controller::Ended;
use crate::proxy::faults::{Fault, Often, On, Rule};
use crate::{AT_MOST, until};

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.scenario("refusals::without_permission_to_look", 3, without_permission_to_look),
        harness.scenario("refusals::with_a_wrong_account", 3, with_a_wrong_account),
        harness.scenario("refusals::with_an_expired_token", 3, with_an_expired_token),
        harness.scenario("refusals::with_an_image_that_does_not_exist", 3, with_a_missing_image),
        harness.scenario("refusals::with_a_volume_in_another_zone", 3, with_a_volume_in_another_zone),
        harness.scenario("refusals::without_permission_to_launch", 3, without_permission_to_launch),
        harness.scenario("refusals::with_servers_that_cannot_be_reached", 3, with_unreachable_servers),
        harness.scenario("refusals::with_a_key_that_is_gone", 3, with_a_dead_key),
    ]
}

fn always(rig: &Rig, fault: Fault, on: On) {
    rig.proxy.faults.borrow_mut().rules = vec![Rule::new(fault, on, Often::Always)];
}

/// Waits until the controller says these words, and checks that nothing is changed.
pub async fn says(rig: &Rig, words: &[&str]) {
    let controller = rig.controller("rig", &[]);
    let told = async || words.iter().all(|word| controller.said().contains(word)).then_some(());
    let what = format!("the controller to say `{}`", words.join("`, `"));
    until(&what, AT_MOST, told).await;
    controller.kill();
    let Ended { said, .. } = controller.ended(Duration::from_secs(10)).await;
    assert_eq!(rig.effects().len(), 0, "nothing is changed; it said:\n{said}");
}

async fn wanting_v2(rig: &Rig) {
    rig.settled_on(&rig.v1).await;
    rig.desire(&rig.v2, &[]);
}

async fn without_permission_to_look(rig: Rc<Rig>) {
    wanting_v2(&rig).await;
    always(&rig, Fault::Refused("UnauthorizedOperation"), On::Action("DescribeInstances"));
    says(
        &rig,
        &[
            "stale-observation",
            "no ground for a decision",
            "UnauthorizedOperation",
            "allow ec2:DescribeInstances to the role",
        ],
    )
    .await;
}

async fn with_a_wrong_account(rig: Rc<Rig>) {
    wanting_v2(&rig).await;
    always(&rig, Fault::WrongAccount, On::Everything);
    says(
        &rig,
        &["wrong-account", "the credentials belong to account 999999999999", "use credentials of account 123456789012"],
    )
    .await;
}

async fn with_an_expired_token(rig: Rc<Rig>) {
    wanting_v2(&rig).await;
    always(&rig, Fault::Refused("ExpiredToken"), On::Everything);
    says(&rig, &["stale-observation", "no ground for a decision", "ExpiredToken", "log in again"]).await;
}

async fn with_a_missing_image(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    rig.desire("ami-00000000000000000", &[]);
    says(&rig, &["image-unavailable", "ami-00000000000000000 does not exist", "check the id"]).await;
}

async fn with_a_volume_in_another_zone(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    let (slot, other) = (&rig.slots[0], &rig.slots[1]);
    let seat = |zone: &str, subnet: &str| format!("{}, zone: {zone}, subnet: {subnet}", slot.name);
    let (is, declared) = (seat(slot.zone, &slot.subnet), seat(other.zone, &other.subnet));
    rig.desire(&rig.v2, &[(&is, &declared)]);
    says(&rig, &["lies in us-east-1a, and the slot is declared in us-east-1b", "correct the slot's zone"]).await;
}

async fn without_permission_to_launch(rig: Rc<Rig>) {
    wanting_v2(&rig).await;
    always(&rig, Fault::Refused("UnauthorizedOperation"), On::Action("RunInstances"));
    says(&rig, &["UnauthorizedOperation", "allow ec2:RunInstances to the role"]).await;
}

async fn with_unreachable_servers(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    rig.desire(&rig.v2, &[("port: 8500", "port: 8599")]);
    says(&rig, &["unknown-health", "health is not known", "Connection refused"]).await;
}

async fn with_a_dead_key(rig: Rc<Rig>) {
    wanting_v2(&rig).await;
    always(&rig, Fault::DeadKey, On::Everything);
    let controller = rig.controller("rig", &[]);
    let told = async || controller.said().contains("Client.InvalidKMSKey.InvalidState").then_some(());
    until("the controller to say what became of the launch", Duration::from_secs(120), told).await;
    controller.kill();
    assert_eq!(rig.truth.downs().len(), 0, "no member was touched");
}
