//! PostgreSQL under Patroni on an etcd: replicas first, one switchover, and writes that stall once and are all kept.

use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;

use super::crashes::killed_after;
use super::refusals::says;
use super::rollouts::{a_bad_image_is_taken_back, servers_are_rolled};
use super::wanting_v2;
use crate::cluster::Rig;
use crate::{Harness, patroni, until};

/// Patroni's word for a switchover that somebody has asked for.
const ASKED: &str = "received switchover request with leader=";

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.patroni("patroni::survives_kill_9_after_each_change", controllers_are_killed),
        harness.patroni("patroni::three_members_are_rolled_with_one_switchover", members_are_rolled),
        harness.patroni("patroni::a_bad_image_goes_back", a_bad_image_goes_back),
        harness.patroni("patroni::one_that_would_lose_writes_or_its_leader_is_left_alone", one_that_is_not_safe),
    ]
}

impl Rig {
    /// Checks that leadership moved once, in a planned switchover to a member that had been replaced, and that the leader was
    /// replaced last.
    async fn switched_over_once(&self, from: &str) {
        let said = self.hypervisor.said(|_| true);
        let asked: Vec<&str> = said.split(ASKED).skip(1).collect();
        let leader = self.hypervisor.leader().unwrap();
        let to = format!("{from} candidate={leader} scheduled_at=None");
        assert!(asked.len() == 1 && asked[0].starts_with(&to), "{to} was not asked for once: {asked:?}");
        let downs = self.truth.downs();
        let order: Vec<&str> = downs.iter().map(|down| &*down.slot).collect();
        assert_eq!(order.last(), Some(&from), "who went down: {order:?}");
        assert!(order.contains(&&*leader) && downs.iter().all(|down| !down.led), "who went down: {downs:?}");
        let http = reqwest::Client::new();
        for slot in &self.slots {
            let switches = patroni::timelines(&http, slot.address.as_ref().unwrap()).await;
            assert_eq!((switches, self.hypervisor.elections()), (1, 1), "switches of timeline by {}", slot.name);
        }
    }
}

async fn members_are_rolled(rig: Rc<Rig>) {
    let _store = patroni::store(&rig).await;
    servers_are_rolled(rig.clone()).await;
    let led = rig.truth.downs().last().unwrap().slot.clone();
    rig.switched_over_once(&led).await;
}

async fn controllers_are_killed(rig: Rc<Rig>) {
    let _store = patroni::store(&rig).await;
    let start = wanting_v2(&rig).await;
    let led = start.0.leader.clone().unwrap();
    killed_after(rig.clone(), start, |_| true).await;
    rig.switched_over_once(&led).await;
}

async fn a_bad_image_goes_back(rig: Rc<Rig>) {
    let _store = patroni::store(&rig).await;
    a_bad_image_is_taken_back(rig.clone()).await;
    assert_eq!(rig.hypervisor.elections(), 0, "the leader is who it was");
}

/// Nobody would take over while Patroni is paused, and nobody could without losing writes where no standby has them all.
async fn one_that_is_not_safe(rig: Rc<Rig>) {
    let _store = patroni::store(&rig).await;
    rig.settled_on(&rig.v1).await;
    rig.desire(&rig.v2, &[]);
    let (http, some, leader) =
        (reqwest::Client::new(), rig.slots[0].address.as_ref().unwrap(), rig.hypervisor.leader());
    patroni::pause(&http, some, true).await;
    says(&rig, &["application-forbids", "Patroni is paused", "patronictl resume"]).await;
    patroni::pause(&http, some, false).await;
    let seats = rig.seats();
    for slot in &rig.slots {
        let own = rig.dir.join(&seats[&slot.name].instance);
        patroni::set(&http, slot.address.as_ref().unwrap(), &own, "tags: { nosync: true }").await;
    }
    let is_alone = async || (!patroni::is_synchronous(&http, some).await).then_some(());
    until("the synchronous standby to be one no more", Duration::from_secs(30), is_alone).await;
    says(&rig, &["application-forbids", "no member is a synchronous standby", "patronictl list"]).await;
    assert_eq!((rig.truth.downs().len(), rig.hypervisor.leader()), (0, leader), "all members are as they were");
    assert_eq!(rig.hypervisor.said(|_| true).matches(ASKED).count(), 0, "no switchover was asked for");
}
