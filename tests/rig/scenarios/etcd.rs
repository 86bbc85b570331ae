//! etcd, rolled from one minor version to the next. What must hold is the same as with Consul, and leadership is handed over before
//! a leader's stop.

use std::collections::BTreeMap;
use std::rc::Rc;

use libtest_mimic::Trial;

use super::crashes::killed_after;
use super::refusals::says;
use super::rollouts::{a_bad_image_is_taken_back, a_lost_instance_is_replaced, servers_are_rolled};
use super::{settles_on_v2, wanting_v2};
use crate::Harness;
use crate::cluster::Rig;
use crate::etcd;
use crate::servers::Program;

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.etcd("etcd::a_bad_image_goes_back", 3, a_bad_image_goes_back),
        harness.etcd("etcd::five_members_are_rolled_a_minor_version", 5, members_are_rolled),
        harness.etcd("etcd::survives_kill_9_after_each_change", 3, controllers_are_killed),
        harness.etcd("etcd::three_members_are_rolled_a_minor_version", 3, members_are_rolled),
        harness.etcd_without_addresses("etcd::three_members_without_fixed_addresses", 3, moving_members_are_rolled),
        harness.etcd("etcd::a_lost_instance_is_healed", 3, a_lost_instance_is_healed),
        harness.etcd("etcd::one_with_an_alarm_is_left_alone", 3, one_with_an_alarm),
    ]
}

impl Rig {
    /// Every member reports the version of this program.
    async fn all_report(&self, program: &Program) {
        let http = reqwest::Client::new();
        let servers = self.hypervisor.servers();
        assert_eq!(servers.len(), self.slots.len());
        for server in servers {
            let reported = etcd::version(&http, &server.host).await;
            assert_eq!(reported.as_ref(), Some(&program.version), "the version of {}", server.name);
        }
    }

    /// Where the members say that each of them is to be found, by name.
    fn listed(&self) -> BTreeMap<String, String> {
        self.hypervisor.servers().into_iter().map(|server| (server.name, server.host)).collect()
    }

    /// Checks by the members' own words that none of those who were told to end led then.
    fn no_leader_was_stopped(&self) {
        let said = self.hypervisor.said(|_| true);
        let ended = said.matches("received signal; shutting down").count();
        let followed = said.matches("skipped leadership transfer; local server is not leader").count();
        assert_eq!((ended, followed), (self.truth.downs().len(), ended), "ends, and ends of those who did not lead");
    }
}

async fn members_are_rolled(rig: Rc<Rig>) {
    servers_are_rolled(rig.clone()).await;
    rig.no_leader_was_stopped();
    rig.all_report(&rig.programs[1]).await;
}

/// Each member comes back with another address, of which the others were told before.
async fn moving_members_are_rolled(rig: Rc<Rig>) {
    let (before, clients) = wanting_v2(&rig).await;
    let was = rig.listed();
    settles_on_v2(&rig, &rig.controller("rig", &[]), &before, &clients).await;
    rig.no_leader_was_stopped();
    rig.all_report(&rig.programs[1]).await;
    let is = rig.listed();
    assert_eq!(was.keys().collect::<Vec<_>>(), is.keys().collect::<Vec<_>>());
    assert!(was.iter().all(|(slot, host)| is[slot] != *host), "the members are listed where they were: {is:?}");
}

async fn controllers_are_killed(rig: Rc<Rig>) {
    let start = wanting_v2(&rig).await;
    killed_after(rig.clone(), start, |_| true).await;
    rig.no_leader_was_stopped();
    rig.all_report(&rig.programs[1]).await;
}

async fn a_bad_image_goes_back(rig: Rc<Rig>) {
    a_bad_image_is_taken_back(rig.clone()).await;
    rig.all_report(&rig.programs[0]).await;
}

async fn a_lost_instance_is_healed(rig: Rc<Rig>) {
    a_lost_instance_is_replaced(rig.clone()).await;
    rig.all_report(&rig.programs[0]).await;
}

/// A member whose database has reached its quota takes no writes, and is not helped by a stop.
async fn one_with_an_alarm(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    let (leader, elections) = (rig.hypervisor.leader(), rig.hypervisor.elections());
    etcd::alarm(&reqwest::Client::new(), rig.slots[0].address.as_ref().unwrap()).await;
    rig.desire(&rig.v2, &[]);
    let of = &rig.slots[0].name;
    let alarm = format!("the alarm NOSPACE of {of} is raised");
    says(&rig, &["application-forbids", &alarm, "etcdctl alarm disarm"]).await;
    assert_eq!(rig.truth.downs().len(), 0, "no member was touched");
    assert_eq!(
        (rig.hypervisor.leader(), rig.hypervisor.elections()),
        (leader, elections),
        "leadership stays where it was"
    );
}
