//! The world's side of reading EC2: chance decides how old the parts of an answer are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::State;
use crate::ids::ClusterName;
use crate::observed::{Checks, CloudView, InstanceState, Sweep};
use crate::ports::Wanted;
use crate::sim::ec2::{Moments, OLDEST_TAGS};
use crate::sim::share::KINDS;
use crate::sim::time::Millis;
use crate::sim::unkind::standing::Look;
use crate::time::Timestamp;

/// A page of `Describe*` has so many resources.
const PAGE: u64 = 1_000;

impl State {
    /// Counts the calls of a look by their kind, each by the page where it is at the whole fleet.
    pub fn pages(&self, wanted: &Wanted) -> [u64; KINDS] {
        let pages = |things: u64| if wanted.only.is_empty() { things.div_ceil(PAGE).max(1) } else { 1 };
        let instances = pages(self.region.instances.len() as u64 + self.crowd);
        [instances, pages(self.region.volumes.len() as u64 + self.crowd), instances]
    }

    /// Says how long a controller waits for its turn to send the calls of a look.
    pub fn turn_to_look(&mut self, controller: u8, wanted: &Wanted) -> Millis {
        let (now, pages, is_of_fleet) = (self.now, self.pages(wanted), wanted.only.is_empty());
        let checks_are_awaited = wanted.only.iter().any(|name| self.awaits_checks(name));
        let Some(share) = self.controllers.get_mut(&controller).and_then(|known| known.share.as_mut()) else {
            return 0;
        };
        let asks = is_of_fleet || share.asks_for_status(now, checks_are_awaited);
        let [instances, volumes, statuses] = pages;
        share.reserve(now, is_of_fleet, [instances, volumes, if asks { statuses } else { 0 }])
    }

    fn awaits_checks(&self, name: &ClusterName) -> bool {
        let ids = self.region.clusters.get(name).into_iter().flat_map(|holdings| &holdings.instances);
        let mut machines = ids.filter_map(|id| self.region.instances.get(id));
        machines.any(|machine| machine.seen.state == InstanceState::Running && machine.seen.checks != Checks::Ok)
    }

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

    /// Reads one cluster, or what belongs to none, at a look of its own.
    pub fn view_shown(&mut self, name: &ClusterName) -> Arc<CloudView> {
        let exact = Arc::new(self.region.look(name));
        self.perhaps_stale(name, exact)
    }

    fn perhaps_stale(&mut self, name: &ClusterName, exact: Arc<CloudView>) -> Arc<CloudView> {
        let moments = self.draw_moments(self.faults.standing.age_of(Look::Sweep, self.now));
        let stale = moments.and_then(|moments| {
            let oldest = moments.instances.min(moments.volumes).min(moments.tags);
            Some((oldest, self.region.stale_view(name, &exact, moments)?))
        });
        if let Some(cluster) = self.clusters.get_mut(name) {
            cluster.shown = stale.as_ref().map(|(oldest, _)| *oldest);
        }
        let Some((oldest, stale)) = stale else { return exact };
        self.fault(Some(name), "stale-read", format!("up to {} ms old", self.now.saturating_sub(oldest)));
        Arc::new(stale)
    }

    /// Draws the moments from which the parts of an adapter's last look are, if it is stale.
    pub fn draw_last_look(&mut self) -> Option<Moments> {
        let arranged = self.faults.arranged.stale_look();
        let age = arranged.or_else(|| self.faults.standing.age_of(Look::Last, self.now));
        let moments = self.draw_moments(age)?;
        self.fault(None, "stale-look", String::new());
        Some(moments)
    }

    /// Draws the moments from which the parts of an answer are, unless its age is said. Tags lag most.
    fn draw_moments(&mut self, said: Option<Millis>) -> Option<Moments> {
        if let Some(age) = said {
            let then = self.now.saturating_sub(age);
            return Some(Moments { instances: then, volumes: then, tags: then, group: Some(then) });
        }
        let window = self.faults.draw_staleness(self.now, &mut self.chance)?;
        let tag_window = if self.chance.rng.u32(0..4) == 0 { OLDEST_TAGS } else { window };
        let mut earlier = |window: Millis| self.now.saturating_sub(self.chance.rng.u64(0..=window));
        let (instances, volumes, group) = (earlier(window), earlier(window), Some(earlier(window)));
        Some(Moments { instances, volumes, tags: earlier(tag_window), group })
    }
}

/// Leaves a group out for whoever does not ask for it.
fn asked_for(view: Arc<CloudView>, asked: Option<&String>) -> Arc<CloudView> {
    match view.group.as_ref().map(|group| &group.name) {
        Some(name) if asked != Some(name) => Arc::new(CloudView { group: None, ..CloudView::clone(&view) }),
        _ => view,
    }
}
