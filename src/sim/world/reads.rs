//! The world's side of reading EC2: chance decides how old the parts of an answer are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::State;
use crate::ids::ClusterName;
use crate::observed::{CloudView, Sweep};
use crate::ports::Wanted;
use crate::sim::ec2::Moments;
use crate::time::Timestamp;

impl State {
    /// Reads the whole fleet at one look that began at `begun` by the reader's clock.
    pub fn sweep(&mut self, begun: Timestamp, wanted: &Wanted) -> Sweep {
        let catalogue = self.region.catalogue(self.now, wanted);
        let names: Vec<ClusterName> = self.clusters.keys().cloned().collect();
        let mut clusters = BTreeMap::new();
        for name in names {
            let exact = self.region.exact_view(&name, &catalogue);
            let view = asked_for(self.perhaps_stale(&name, exact), wanted.groups.get(&name));
            let copies = wanted.copies && view.copies().next().is_some();
            if !view.instances.is_empty() || !view.volumes.is_empty() || view.group.is_some() || copies {
                clusters.insert(name, view);
            }
        }
        Sweep { begun, clusters, catalogue }
    }

    fn perhaps_stale(&mut self, name: &ClusterName, exact: Arc<CloudView>) -> Arc<CloudView> {
        let Some(window) = self.faults.draw_staleness(self.now, &mut self.chance) else { return exact };
        let mut earlier = || self.now.saturating_sub(self.chance.rng.u64(0..=window));
        let (instances, volumes, tags) = (earlier(), earlier(), earlier());
        let group = exact.group.is_some().then(earlier);
        let moments = Moments { instances, volumes, tags, group };
        let Some(stale) = self.region.stale_view(name, &exact, moments) else { return exact };
        self.fault(Some(name), "stale-read", format!("up to {window} ms old"));
        Arc::new(stale)
    }
}

/// Leaves a group out for whoever does not ask for it.
fn asked_for(view: Arc<CloudView>, asked: Option<&String>) -> Arc<CloudView> {
    match view.group.as_ref().map(|group| &group.name) {
        Some(name) if asked != Some(name) => Arc::new(CloudView { group: None, ..CloudView::clone(&view) }),
        _ => view,
    }
}
