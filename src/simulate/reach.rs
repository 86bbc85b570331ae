//! The way in which controllers reach a simulated world: through its own ports, or through something between.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use futures_util::future::join_all;

use crate::controller::{Controller, ManagedCluster, Settings};
use crate::event::Listeners;
use crate::ids::ClusterName;
use crate::ports::Outside;
use crate::sim::World;
use crate::sim::executor::Task;
use crate::spec::ClusterSpec;

/// Everything that a controller begins with, but for what it looks at and acts on.
pub(super) struct Beginning {
    pub(super) listeners: Listeners<'static>,
    pub(super) settings: Settings,
    pub(super) specs: Vec<ClusterSpec>,
    pub(super) clusters: Vec<Rc<ManagedCluster>>,
}

/// Makes the ports of each controller that starts, from the world's handle for it.
#[derive(Clone)]
pub struct Reach(Rc<dyn Fn(World, Beginning) -> Task>);

impl Reach {
    /// Controllers have these ports.
    pub fn through<O: Outside + 'static>(ports: impl Fn(World) -> O + 'static) -> Self {
        Self(Rc::new(move |world, beginning| {
            let Beginning { listeners, settings, specs, clusters } = beginning;
            let controller = Controller::new(ports(world), listeners, settings);
            let names: BTreeSet<ClusterName> = specs.iter().map(|spec| spec.name.clone()).collect();
            controller.declare(names, &specs);
            Box::pin(async move {
                join_all(clusters.iter().map(|cluster| controller.attend(cluster))).await;
            })
        }))
    }

    pub(super) fn begin(&self, world: World, beginning: Beginning) -> Task {
        (self.0)(world, beginning)
    }
}

/// The world's own ports.
impl Default for Reach {
    fn default() -> Self {
        Self::through(|world| world)
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reach")
    }
}
