//! Two controllers of one cluster: the claim keeps them from harm, whether or not they know of each other.

use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;

use super::{LIMIT, first_is_back, settles_on_v2, wanting_v2};
use crate::Harness;
use crate::cluster::Rig;
use crate::process::Signal;
use crate::until;

pub fn all(harness: &Harness) -> Vec<Trial> {
    let scenario = |name: &str, arguments: &'static [&'static str]| {
        harness.scenario(name, 3, async move |rig: Rc<Rig>| two_at_once(rig, arguments).await)
    };
    vec![
        scenario("two::controllers_at_once_one_of_them_standing_still_in_the_middle", &[]),
        scenario("two::controllers_with_a_lease_one_of_them_standing_still_in_the_middle", &["--lease"]),
    ]
}

async fn two_at_once(rig: Rc<Rig>, arguments: &[&str]) {
    let (before, clients) = wanting_v2(&rig).await;
    let one = rig.controller("rig", arguments);
    let acts = async || one.said().contains("\"message\":\"acting\"").then_some(());
    until("the first one to act", LIMIT, acts).await;
    let two = rig.controller("rig-too", arguments);
    first_is_back(&rig).await;
    one.signal(Signal::Stop);
    tokio::time::sleep(Duration::from_secs(20)).await; // so long it stands still
    one.signal(Signal::Cont);
    let other = one.ended(LIMIT).await;
    assert_eq!(other.code, Some(0), "{}", other.said);
    settles_on_v2(&rig, &two, &before, &clients).await;
}
