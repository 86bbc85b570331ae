//! Members that the programs of `adapters/` speak to, rolled as those of any other kind.

use std::rc::Rc;

use libtest_mimic::Trial;

use super::rollouts::{effects_of_replacing, servers_are_rolled};
use super::{LIMIT, at_rest};
use crate::cluster::Rig;
use crate::fetch::fetch;
use crate::kind::Kind;
use crate::rabbitmq::{self, Client};
use crate::{Harness, until};

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.command(Kind::RabbitMq, "command::rabbitmq_loses_no_confirmed_message", rabbitmq_is_rolled),
        harness.command(Kind::Redis, "command::redis_is_led_by_another_before_its_leader_stops", redis_is_rolled),
    ]
}

/// Redis throws away what a deposed primary has acknowledged. Since leadership moves before the stop, and no write is taken meanwhile,
/// none is lost.
async fn redis_is_rolled(rig: Rc<Rig>) {
    servers_are_rolled(rig.clone()).await;
    let downs = rig.truth.downs();
    assert!(downs.iter().all(|down| !down.led), "a primary was stopped: {downs:?}");
}

async fn rabbitmq_is_rolled(rig: Rc<Rig>) {
    let [pika] = fetch(["pika"]).unwrap();
    let _names = rabbitmq::names(&rig);
    rig.settled_on(&rig.v1).await;
    let client = Client::start(&rig, &pika);
    until("the first messages", LIMIT, async || client.has_begun().then_some(())).await;
    let before = rig.before();
    rig.desire(&rig.v2, &[]);
    let ended = rig.controller("rig", &[]).ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "the controller's exit code; it said:\n{}", ended.said);
    at_rest(&rig).await;
    rig.all_are_well(LIMIT).await;
    rig.all_moved_to(&rig.v2, &before);
    assert_eq!(rig.effects(), effects_of_replacing(&rig, &before, rig.slots.len()));
    let account = client.finish().await;
    assert_eq!(account.lost(), [0; 0], "confirmed, and not there");
    assert_eq!(account.unheard_of(), [0; 0], "there, and never published");
    let (confirmed, unknown) = (account.confirmed.len(), account.unknown.len());
    println!(
        "\n{}\n  messages       {confirmed} confirmed, {unknown} unknown, none lost; longest stall {:.1} s",
        rig.title, account.longest_stall
    );
}
