//! Rollouts in which nothing goes wrong with EC2: what the rig is for.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;

use super::{LIMIT, comes_to, rolled_to, settles_on_v2, wanting_v2};
use crate::Harness;
use crate::clients::Clients;
use crate::cluster::Rig;
use crate::report::Before;
use crate::world::{Life, tag};
use crate::{AT_MOST, until};

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.scenario("rollouts::five_servers_are_rolled", 5, servers_are_rolled),
        harness.scenario("rollouts::a_person_stops_a_second_server_in_mid_rollout", 3, a_person_stops_a_second_server),
        harness.scenario("rollouts::three_servers_are_rolled", 3, servers_are_rolled),
        harness.without_addresses("rollouts::three_servers_without_fixed_addresses", 3, servers_are_rolled),
        harness.scenario("rollouts::a_bad_image_is_taken_back", 3, a_bad_image_is_taken_back),
        harness.scenario("rollouts::a_lost_instance_is_replaced", 3, a_lost_instance_is_replaced),
        harness.scenario("rollouts::a_cluster_is_created_from_nothing", 3, a_cluster_is_created),
    ]
}

/// Counts the calls of each kind for some replacements. The two tags retire the old instance and settle the volume. A server that
/// has come to lead since its replacement was launched ahead goes last, and that launch is let go: once for each election at most.
pub fn effects_of_replacing(rig: &Rig, before: &Before, slots: usize) -> BTreeMap<String, u32> {
    let slots = u32::try_from(slots).unwrap();
    let elections = u32::try_from(rig.hypervisor.elections() - before.elections).unwrap();
    let launched = rig.effects().get("RunInstances").copied().unwrap_or_default();
    let let_go = launched.saturating_sub(slots).min(elections);
    let mut calls = vec!["StopInstances", "DetachVolume", "AttachVolume"];
    calls.extend(rig.has_addresses().then_some("AssignPrivateIpAddresses"));
    let once = calls.into_iter().map(|call| (call, slots));
    let launches = ["RunInstances", "TerminateInstances"].map(|call| (call, slots + let_go));
    let all = once.chain(launches).chain([("CreateTags", 2 * slots + let_go)]);
    all.map(|(call, times)| (call.to_owned(), times)).collect()
}

pub(super) async fn servers_are_rolled(rig: Rc<Rig>) {
    rig.proxy.record_calls();
    let (before, clients) = wanting_v2(&rig).await;
    settles_on_v2(&rig, &rig.controller("rig", &[]), &before, &clients).await;
    rig.the_printed_policy_allows_what_was_called("rig", &[]);
    rig.leader_went_last(&before);
    assert_eq!(rig.effects(), effects_of_replacing(&rig, &before, rig.slots.len()));
    let again = rig.controller("rig", &[]).ended(AT_MOST).await;
    assert_eq!(again.code, Some(0), "{}", again.said);
    assert_eq!(rig.effects(), effects_of_replacing(&rig, &before, rig.slots.len()), "nothing more is done");
}

async fn a_cluster_is_created(rig: Rc<Rig>) {
    rig.proxy.record_calls();
    rig.desire(&rig.v1, &[]);
    let ended = rig.controller("rig", &[]).ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    rig.the_printed_policy_allows_what_was_called("rig", &[]);
    let before = rig.before();
    assert_eq!(before.seats.len(), 3);
    let clients = Clients::start(rig.hypervisor.clone());
    tokio::time::sleep(Duration::from_secs(5)).await; // some writes to account for
    rolled_to(&rig, &rig.v1, &before, &clients).await;
}

pub(super) async fn a_lost_instance_is_replaced(rig: Rc<Rig>) {
    rig.proxy.record_calls();
    rig.settled_on(&rig.v1).await;
    let clients = Clients::start(rig.hypervisor.clone());
    let before = rig.before();
    let (slot, seat) = before.seats.iter().find(|(slot, _)| before.leader.as_ref() != Some(slot)).unwrap();
    rig.person.call("TerminateInstances", &[("InstanceId.1", &seat.instance)]).await.unwrap();
    let ended = rig.controller("rig", &[]).ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    rig.the_printed_policy_allows_what_was_called("rig", &[]);
    rolled_to(&rig, &rig.v1, &before, &clients).await;
    let downs = rig.truth.downs();
    assert_eq!(downs.iter().map(|down| &down.slot).collect::<Vec<_>>(), [slot], "nobody else was disturbed");
}

pub(super) async fn a_bad_image_is_taken_back(rig: Rc<Rig>) {
    rig.proxy.record_calls();
    rig.settled_on(&rig.v1).await;
    let clients = Clients::start(rig.hypervisor.clone());
    let before = rig.before();
    rig.desire(&rig.bad, &[("joinDeadline: 3m", "joinDeadline: 1m")]);
    let ended = rig.controller("rig", &[]).ended(LIMIT).await;
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    rig.the_printed_policy_allows_what_was_called("rig", &[]);
    assert!(ended.said.contains(&format!("has failed in {}-", rig.kind.name())), "{}", ended.said);
    assert_eq!(rig.seats(), before.seats, "every member sits where it sat");
    rolled_to(&rig, &rig.v1, &before, &clients).await;
    let downs = rig.truth.downs();
    assert_eq!(downs.len(), 1, "nobody else was disturbed");
    let rejected = rig.inventory().await.volumes.into_iter().filter(|volume| !tag(&volume.tags, "rejected").is_empty());
    assert_eq!(rejected.map(|volume| tag(&volume.tags, "slot")).collect::<Vec<_>>(), [downs[0].slot.clone()]);
}

async fn a_person_stops_a_second_server(rig: Rc<Rig>) {
    let (before, clients) = wanting_v2(&rig).await;
    let controller = rig.controller("rig", &[]);
    let launched = async || rig.slots.iter().find(|slot| rig.proxy.world.borrow().live_in(&slot.name).count() == 2);
    let first = until("a replacement to be launched", LIMIT, launched).await;
    let mut others =
        before.seats.iter().filter(|(slot, _)| **slot != first.name && before.leader.as_ref() != Some(slot));
    let (second, seat) = others.next().unwrap();
    rig.person.call("StopInstances", &[("InstanceId.1", &seat.instance)]).await.unwrap();
    let says_why = async || controller.said().contains(&format!("not served by one instance: {second}")).then_some(());
    until("the controller to say why it holds", AT_MOST, says_why).await;
    comes_to(&rig, &seat.instance, Life::Stopped).await;
    assert_eq!(rig.effects().get("StopInstances"), None, "it holds");
    rig.person.call("StartInstances", &[("InstanceId.1", &seat.instance)]).await.unwrap();
    settles_on_v2(&rig, &controller, &before, &clients).await;
}
