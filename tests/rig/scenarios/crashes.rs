//! The controller is killed after each change that it makes, and started anew: nothing shows but the time that it took.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use libtest_mimic::Trial;

use super::rollouts::effects_of_replacing;
use super::{LIMIT, settles_on_v2, wanting_v2};
use crate::Stage;
use crate::cluster::Rig;
use crate::controller::Controller;

/// The changes that it takes to roll three servers.
const CHANGES: u32 = 21;

pub fn all(stage: &Stage) -> Vec<Trial> {
    let after = |change: u32| {
        let name = format!("crashes::killed_after_change_{change:02}");
        stage.scenario(&name, 3, async move |rig: Rc<Rig>| killed_after(rig, move |at| at == change).await)
    };
    let each = stage.scenario("crashes::killed_after_every_change", 3, async |rig: Rc<Rig>| {
        killed_after(rig, |_| true).await;
    });
    [each].into_iter().chain((1..=CHANGES).map(after)).collect()
}

async fn killed_after(rig: Rc<Rig>, dies: impl Fn(u32) -> bool + 'static) {
    let (before, clients) = wanting_v2(&rig).await;
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
    assert_eq!(rig.effects(), effects_of_replacing(3), "as many effects as if nothing had happened");
}
