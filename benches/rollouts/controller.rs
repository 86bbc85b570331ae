//! This controller, with a tenth of EC2's limits.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hermitcrab::controller::{Controller, ManagedCluster};
use hermitcrab::event::{Event, EventKind, Listener, Listeners};
use hermitcrab::plan::Plan;
use hermitcrab::sim::Executor;
use hermitcrab::simulate;
use hermitcrab::spec::ClusterSpec;
use hermitcrab::time::after;

use super::measure::{Run, Scene};

/// No rollout without faults takes longer.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Rolls a cluster after a last edit of its spec.
pub fn roll(scene: &Scene, edit: fn(&mut ClusterSpec)) -> Run {
    let Scene { world, seed, .. } = scene;
    let (mut spec, seed) = (scene.spec.clone(), *seed);
    edit(&mut spec);
    world.declare(&spec);
    world.keep_to_share(0);
    let settled = Rc::new(Settled::default());
    let made_of = (world.clone(), settled.clone());
    let mut executor = Executor::new(world, move |_| {
        let ((world, settled), spec) = (made_of.clone(), spec.clone());
        let controller = Controller::new(world, Listeners::default().with(settled), simulate::settings(seed));
        Box::pin(async move { controller.attend(&ManagedCluster::new(spec)).await })
    });
    executor.spawn(0);
    assert!(executor.run_until(after(world.time(), LIMIT), &mut || settled.0.get()), "it does not settle");
    scene.end()
}

#[derive(Default)]
struct Settled(Cell<bool>);

impl Listener for Settled {
    fn hear(&self, event: &Event) {
        if let EventKind::Planned(pass) = &event.kind {
            self.0.set(pass.plan == Plan::Settled);
        }
    }
}
