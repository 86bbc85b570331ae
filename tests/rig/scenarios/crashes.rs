//! The controller is killed after each change that it makes, and started anew: nothing shows but the time that it took.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use libtest_mimic::Trial;

use super::rollouts::effects_of_replacing;
use super::{LIMIT, settles_on_v2, wanting_one_more_on_v2, wanting_v2};
use crate::Harness;
use crate::clients::Clients;
use crate::cluster::Rig;
use crate::controller::Controller;
use crate::report::Before;

/// The changes that it takes to replace one instance.
const CHANGES: u32 = 8;

/// By default every change of a whole rollout in one story. Each change by itself, of one replacement and of a whole rollout, takes
/// most of an hour, so one has to ask for it with `--include-ignored`.
pub fn all(harness: &Harness) -> Vec<Trial> {
    let every = harness.scenario("crashes::killed_after_every_change_of_a_rollout", 3, async |rig: Rc<Rig>| {
        let start = wanting_v2(&rig).await;
        killed_after(rig, start, |_| true).await;
    });
    let of_one = (1..=CHANGES).map(|change| {
        let name = format!("crashes::killed_after_change_{change}_of_a_replacement");
        let trial = harness.scenario(&name, 3, async move |rig: Rc<Rig>| {
            let start = wanting_one_more_on_v2(&rig).await;
            killed_after(rig, start, move |at| at == change).await;
        });
        trial.with_ignored_flag(true)
    });
    let of_all = (1..=3 * CHANGES).map(|change| {
        let name = format!("crashes::killed_after_change_{change}_of_a_rollout");
        let trial = harness.scenario(&name, 3, async move |rig: Rc<Rig>| {
            let start = wanting_v2(&rig).await;
            killed_after(rig, start, move |at| at == change).await;
        });
        trial.with_ignored_flag(true)
    });
    [every].into_iter().chain(of_one).chain(of_all).collect()
}

pub(super) async fn killed_after(rig: Rc<Rig>, start: (Before, Rc<Clients>), dies: impl Fn(u32) -> bool + 'static) {
    let (before, clients) = start;
    let slots = before.seats.values().filter(|seat| seat.image != rig.v2).count();
    let running: Rc<RefCell<Option<Controller>>> = Rc::default();
    let (victim, kills) = (running.clone(), Rc::new(Cell::new(0)));
    let count = kills.clone();
    rig.proxy.after_changes(move |change| {
        if dies(change)
            && let Some(controller) = victim.borrow().as_ref()
        {
            controller.kill();
            count.set(count.get() + 1);
        }
    });
    loop {
        let kills_before = kills.get();
        let controller = rig.controller("rig", &[]);
        *running.borrow_mut() = Some(controller.clone());
        let ended = controller.ended(LIMIT).await;
        if ended.code.is_some() || kills.get() == kills_before {
            settles_on_v2(&rig, &controller, &before, &clients).await;
            break;
        }
    }
    assert!(kills.get() > 0, "it was never killed");
    assert_eq!(rig.effects(), effects_of_replacing(&rig, &before, slots), "as many effects as if nothing had happened");
}
