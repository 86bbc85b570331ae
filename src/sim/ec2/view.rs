//! The answers of `Describe*`: exact, or each part as old as whoever asks is made to believe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::region::Region;
use super::shown::Moments;
use crate::ids::{ClusterName, InstanceId};
use crate::observed::{Catalogue, CloudView, Instance, Volume};
use crate::ports::Wanted;
use crate::sim::time::Millis;

impl Region {
    /// Lists the facts of the region: the same `Arc` as before where they are the same, so that views can be shared.
    pub fn catalogue(&mut self, now: Millis, wanted: &Wanted) -> Arc<Catalogue> {
        let impaired = self.zones.iter().filter(|(_, state)| state.impaired_until > now);
        let impaired: BTreeMap<_, _> =
            impaired.map(|(zone, _)| (zone.clone(), "increased error rates".to_owned())).collect();
        let of_type = |kind: &String| (kind.clone(), [architecture(kind).to_owned()].into());
        let instance_types = wanted.instance_types.iter().map(of_type).collect();
        let xen_types = wanted.instance_types.iter().filter(|kind| runs_on_xen(kind)).cloned().collect();
        let catalogue = Catalogue {
            images: self.described_images(),
            instance_types,
            xen_types,
            impaired_zones: impaired,
            used_addresses: self.used_addresses(&wanted.addresses),
            ..Catalogue::default()
        };
        let known = self.answered.take().filter(|known| **known == catalogue);
        self.answered.insert(known.unwrap_or_else(|| Arc::new(catalogue))).clone()
    }

    /// Forgets the last catalogue, because an image was taken away.
    pub fn forget_catalogue(&mut self) {
        self.answered = None;
    }

    /// Answers exactly what is so of a cluster. The answer is built anew only after a change.
    pub fn exact_view(&mut self, name: &ClusterName, catalogue: &Arc<Catalogue>) -> Arc<CloudView> {
        let Some(holdings) = self.clusters.get(name) else { return Arc::default() };
        if let Some(view) = holdings.shown.exact.as_ref().filter(|view| Arc::ptr_eq(&view.catalogue, catalogue)) {
            return view.clone();
        }
        let view = Arc::new(CloudView { catalogue: catalogue.clone(), ..self.look(name) });
        if let Some(holdings) = self.clusters.get_mut(name) {
            holdings.shown.exact = Some(view.clone());
        }
        view
    }

    /// Answers exactly what is so of a cluster, but for the facts of the region.
    pub fn look(&self, name: &ClusterName) -> CloudView {
        let Some(holdings) = self.clusters.get(name) else { return CloudView::default() };
        let machines = holdings.instances.iter().filter_map(|id| self.instances.get(id));
        let disks = holdings.volumes.iter().filter_map(|id| self.volumes.get(id));
        let (mut instances, mut volumes): (Vec<_>, Vec<_>) =
            (machines.map(|machine| machine.seen.clone()).collect(), disks.map(|disk| disk.seen.clone()).collect());
        // Thousands of views are kept, and each would have room for as many again.
        instances.shrink_to_fit();
        volumes.shrink_to_fit();
        CloudView {
            instances,
            volumes,
            snapshots: holdings.snapshots.clone(),
            group: self.group_of(name),
            not_understood: self.troubles.not_understood.get(name).cloned().unwrap_or_default(),
            ..CloudView::default()
        }
    }

    /// Keeps the answers of this moment, for as long as a stale answer may repeat them.
    pub fn keep_answers(&mut self, now: Millis) {
        let outdated = self.clusters.iter().filter(|(_, holdings)| holdings.shown.outdated);
        let outdated: Vec<ClusterName> = outdated.map(|(name, _)| name.clone()).collect();
        for name in outdated {
            let view = Arc::new(self.look(&name));
            if let Some(holdings) = self.clusters.get_mut(&name) {
                holdings.shown.keep(now, view);
            }
        }
    }

    /// Answers with instances, volumes and group each as they were at a moment of their own. Nothing if that is just
    /// what is so now.
    pub fn stale_view(&self, name: &ClusterName, exact: &CloudView, moments: Moments) -> Option<CloudView> {
        let shown = &self.clusters.get(name)?.shown;
        let (old_instances, old_volumes) = (shown.version(moments.instances)?, shown.version(moments.volumes)?);
        let indexed: BTreeSet<&InstanceId> =
            shown.version(moments.tags).map(|view| view.instances.iter().map(|i| &i.id).collect()).unwrap_or_default();
        let mut seen: Vec<_> =
            old_instances.instances.iter().filter(|instance| indexed.contains(&instance.id)).cloned().collect();
        let mut volumes = old_volumes.volumes.clone();
        if let Some(tagged) = shown.version(moments.tags) {
            seen.iter_mut().for_each(|instance| instance.bear_tags_of(tagged));
            volumes.iter_mut().for_each(|volume| volume.bear_tags_of(tagged));
        }
        let group = moments.group.and_then(|at| shown.version(at)).and_then(|view| view.group.clone());
        if seen == exact.instances && volumes == exact.volumes && group == exact.group {
            return None;
        }
        Some(CloudView {
            instances: seen,
            volumes,
            snapshots: old_volumes.snapshots.clone(),
            group,
            catalogue: exact.catalogue.clone(),
            ..CloudView::default()
        })
    }
}

/// A resource whose tags lag behind it.
trait Tagged {
    /// Takes over the tags that an older view shows, where it shows the resource.
    fn bear_tags_of(&mut self, older: &CloudView);
}

impl Tagged for Instance {
    fn bear_tags_of(&mut self, older: &CloudView) {
        let Some(old) = older.instance(&self.id) else { return };
        (self.slot, self.owner, self.origin) = (old.slot.clone(), old.owner.clone(), old.origin.clone());
        (self.retired, self.tags, self.fixed_address) = (old.retired, old.tags.clone(), old.fixed_address);
        self.awaits = old.awaits.clone();
    }
}

impl Tagged for Volume {
    fn bear_tags_of(&mut self, older: &CloudView) {
        let Some(old) = older.volumes.iter().find(|old| old.id == self.id) else { return };
        (self.slot, self.name, self.owner) = (old.slot.clone(), old.name.clone(), old.owner.clone());
        (self.slots, self.settled, self.attempt) = (old.slots.clone(), old.settled.clone(), old.attempt);
        (self.rejected, self.tags) = (old.rejected.clone(), old.tags.clone());
    }
}

/// Says whether a type is of a family that came before Nitro, e.g. `t2.micro`.
fn runs_on_xen(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    ["t1", "t2", "m1", "m2", "m3", "m4", "c1", "c3", "c4", "r3", "r4", "i2", "x1", "x1e"].contains(&family)
}

/// Names the architecture of a type: Graviton families bear a `g` after their number, as in `m7g.large`.
pub fn architecture(instance_type: &str) -> &'static str {
    let family = instance_type.split('.').next().unwrap_or_default();
    let attributes = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    if attributes.contains('g') { "arm64" } else { "x86_64" }
}
