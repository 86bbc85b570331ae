//! ZooKeeper, rolled from one minor version to the next. What must hold is the same as with Consul. Leadership moves by the leader's
//! stop alone, which is the last.

use std::rc::Rc;

use libtest_mimic::Trial;

use super::crashes::killed_after;
use super::refusals::says;
use super::rollouts::{a_bad_image_is_taken_back, a_lost_instance_is_replaced, servers_are_rolled};
use super::wanting_v2;
use crate::Harness;
use crate::cluster::Rig;
use crate::process::Signal;
use crate::servers::Program;
use crate::zookeeper;

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.zookeeper("zookeeper::a_bad_image_goes_back", a_bad_image_goes_back),
        harness.zookeeper("zookeeper::survives_kill_9_after_each_change", controllers_are_killed),
        harness.zookeeper("zookeeper::three_servers_are_rolled_a_minor_version", servers_are_rolled_on),
        harness.zookeeper("zookeeper::a_lost_instance_is_healed", a_lost_instance_is_healed),
        harness.zookeeper("zookeeper::one_that_is_out_of_sync_holds_everything_up", one_that_is_out_of_sync),
    ]
}

impl Rig {
    /// Every server reports the version of this program.
    async fn all_are_of(&self, program: &Program) {
        let http = reqwest::Client::new();
        for slot in &self.slots {
            let reported = zookeeper::version(&http, slot.address.as_ref().unwrap()).await;
            assert_eq!(reported.as_ref(), Some(&program.version), "the version of {}", slot.name);
        }
    }

    /// The leader was stopped once and after all others, and that was the one election.
    fn only_the_last_to_go_led(&self, elections: usize) {
        let led: Vec<bool> = self.truth.downs().iter().map(|down| down.led).collect();
        assert_eq!(led, [false, false, true], "who led when it went down");
        assert_eq!(self.hypervisor.elections() - elections, 1, "elections");
    }
}

async fn servers_are_rolled_on(rig: Rc<Rig>) {
    servers_are_rolled(rig.clone()).await;
    // The first one chose who leads in the beginning.
    rig.only_the_last_to_go_led(1);
    rig.all_are_of(&rig.programs[1]).await;
}

async fn controllers_are_killed(rig: Rc<Rig>) {
    let start = wanting_v2(&rig).await;
    let elections = start.0.elections;
    killed_after(rig.clone(), start, |_| true).await;
    rig.only_the_last_to_go_led(elections);
    rig.all_are_of(&rig.programs[1]).await;
}

async fn a_bad_image_goes_back(rig: Rc<Rig>) {
    a_bad_image_is_taken_back(rig.clone()).await;
    rig.all_are_of(&rig.programs[0]).await;
}

async fn a_lost_instance_is_healed(rig: Rc<Rig>) {
    a_lost_instance_is_replaced(rig.clone()).await;
    rig.all_are_of(&rig.programs[0]).await;
}

/// A follower that has been replaced stands still, so that the leader no longer counts it. Nobody else is taken down beside it.
async fn one_that_is_out_of_sync(rig: Rc<Rig>) {
    rig.settled(&[&rig.v2, &rig.v2, &rig.v1]).await;
    let (leader, elections) = (rig.hypervisor.leader(), rig.hypervisor.elections());
    let replaced = &rig.slots[..2];
    let still = &replaced.iter().find(|slot| leader.as_ref() != Some(&slot.name)).unwrap().name;
    rig.hypervisor.signal(still, Signal::Stop);
    let why = format!("{still} is unhealthy (it does not answer, and the leader does not count it)");
    says(&rig, &["member-unhealthy", &why]).await;
    rig.hypervisor.signal(still, Signal::Cont);
    assert_eq!((rig.hypervisor.leader(), rig.hypervisor.elections()), (leader, elections), "it leads on");
}
