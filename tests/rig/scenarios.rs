//! Every scenario: a story of what was done to a cluster, and how it must have ended.

use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::Harness;
use crate::clients::Clients;
use crate::cluster::Rig;
use crate::controller::Controller;
use crate::report::Before;
use crate::world::Life;
use crate::{AT_MOST, until};

mod acceptance;
mod command;
mod crashes;
mod etcd;
mod faults;
mod groups;
mod interference;
mod journey;
mod parts;
mod patroni;
mod refusals;
mod rollouts;
mod tutorial;
mod two;
mod zookeeper;

/// Longer than any rollout takes, however much goes wrong.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// All of them, the longest first: what begins last is waited for with nothing beside it.
pub fn all(harness: &Harness) -> Vec<Trial> {
    let mut trials = Vec::new();
    if cfg!(feature = "aws") {
        trials.extend(acceptance::all(harness));
        trials.extend(tutorial::all(harness));
        trials.extend(journey::all(harness));
        trials.extend(interference::all(harness));
        trials.extend(rollouts::all(harness));
        trials.extend(etcd::all(harness));
        trials.extend(patroni::all(harness));
        trials.extend(zookeeper::all(harness));
        trials.extend(command::all(harness));
        trials.extend(groups::all(harness));
        trials.extend(crashes::all(harness));
        trials.extend(faults::all(harness));
        trials.extend(two::all(harness));
        trials.extend(refusals::all(harness));
    }
    trials.extend(parts::all(harness));
    trials
}

/// A cluster that has been on v1 for a while, with clients at work, and v2 wanted.
async fn wanting_v2(rig: &Rig) -> (Before, Rc<Clients>) {
    rig.settled_on(&rig.v1).await;
    with_clients(rig)
}

/// The same with only one slot to go: a shorter story, with every kind of call in it.
async fn wanting_one_more_on_v2(rig: &Rig) -> (Before, Rc<Clients>) {
    let mut images = vec![&*rig.v2; rig.slots.len()];
    images[0] = &rig.v1;
    rig.settled(&images).await;
    with_clients(rig)
}

fn with_clients(rig: &Rig) -> (Before, Rc<Clients>) {
    let clients = Clients::start(rig.hypervisor.clone());
    rig.desire(&rig.v2, &[]);
    (rig.before(), clients)
}

/// Waits for a controller to say that all is settled, and sees whether it is.
async fn settles_on_v2(rig: &Rig, controller: &Controller, before: &Before, clients: &Clients) {
    let ended = controller.ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "the controller's exit code; it said:\n{}", ended.said);
    rolled_to(rig, &rig.v2, before, clients).await;
}

/// Every slot is on an image as it should be, and nobody's data was harmed on the way there.
async fn rolled_to(rig: &Rig, image: &str, before: &Before, clients: &Clients) {
    at_rest(rig).await;
    rig.all_are_well(AT_MOST).await;
    rig.all_moved_to(image, before);
    let history = clients.finish().await;
    rig.account_for(before, &history);
}

/// Waits until every instance is where it stays.
async fn at_rest(rig: &Rig) {
    let rests = async || {
        let world = rig.proxy.world.borrow();
        let mut lives = world.machines.values().map(|machine| machine.life);
        lives.all(|life| matches!(life, Life::Running | Life::Stopped | Life::Terminated)).then_some(())
    };
    until("every instance to come to rest", AT_MOST, rests).await;
}

/// Waits until an instance has come so far.
async fn comes_to(rig: &Rig, instance: &str, life: Life) {
    let what = format!("{instance} to be {life:?}");
    until(&what, AT_MOST, async || (rig.proxy.life(instance) == Some(life)).then_some(())).await;
}

/// Waits until some slot's member has been taken down and is back.
async fn first_is_back(rig: &Rig) -> String {
    let back = async || rig.truth.downs().iter().find(|down| down.to.is_some()).map(|down| down.slot.clone());
    until("the first member to be back", LIMIT, back).await
}
