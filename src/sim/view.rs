//! What `Describe*` answers: exact without faults, and with them each part as old as chance has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::records::{Cluster, Version};
use super::truth::{Millis, Truth};
use crate::ids::{ClusterName, InstanceId};
use crate::observed::{Catalogue, CloudView, Image, Instance, Sweep};
use crate::ports::Wanted;

/// No answer is older than this.
pub(super) const OLDEST: Millis = 20_000;

impl Truth {
    /// The whole fleet at one look that began at `begun`.
    pub(super) fn sweep(&mut self, begun: Millis, wanted: &Wanted) -> Sweep {
        let catalogue = self.catalogue_for(wanted);
        let names: Vec<ClusterName> = self.clusters.keys().cloned().collect();
        let mut clusters = BTreeMap::new();
        for name in names {
            let exact = self.exact_view(&name, &catalogue);
            let view = if self.faults.reads_are_stale(self.now) { self.stale_view(&name, exact) } else { exact };
            let view = asked_for(view, wanted.groups.get(&name));
            let copies = wanted.copies && view.copies().next().is_some();
            if !view.instances.is_empty() || !view.volumes.is_empty() || view.group.is_some() || copies {
                clusters.insert(name, view);
            }
        }
        Sweep { begun: self.timestamp(begun), clusters, catalogue }
    }

    /// Facts of the region; the same `Arc` as before if nothing changed, so that views can be shared.
    fn catalogue_for(&mut self, wanted: &Wanted) -> Arc<Catalogue> {
        let impaired = self.zones.iter().filter(|(_, weather)| weather.impaired_until > self.now);
        let impaired: BTreeMap<_, _> =
            impaired.map(|(zone, _)| (zone.clone(), "increased error rates".to_owned())).collect();
        // Every image there is: those that are wanted, and those that instances and volumes name.
        let images: BTreeMap<_, _> = self.images.keys().map(|image| (image.clone(), available_image())).collect();
        if let Some((asked, known)) = &self.catalogue
            && asked == wanted
            && known.impaired_zones == impaired
            && known.images.len() == images.len()
        {
            return known.clone();
        }
        let instance_types = wanted.instance_types.iter().map(|kind| (kind.clone(), architectures(kind))).collect();
        let catalogue = Arc::new(Catalogue { account: None, images, instance_types, impaired_zones: impaired });
        self.catalogue = Some((wanted.clone(), catalogue.clone()));
        catalogue
    }

    /// What EC2 would say of a cluster if it were read exactly, built anew only after a change.
    fn exact_view(&mut self, name: &ClusterName, catalogue: &Arc<Catalogue>) -> Arc<CloudView> {
        let Some(cluster) = self.clusters.get(name) else { return Arc::default() };
        if let Some(view) = cluster.view.as_ref().filter(|view| Arc::ptr_eq(&view.catalogue, catalogue)) {
            return view.clone();
        }
        let view = Arc::new(CloudView { catalogue: catalogue.clone(), ..self.look(cluster) });
        if let Some(cluster) = self.clusters.get_mut(name) {
            cluster.view = Some(view.clone());
        }
        view
    }

    fn look(&self, cluster: &Cluster) -> CloudView {
        let shells = cluster.instances.iter().filter_map(|id| self.instances.get(id));
        let disks = cluster.volumes.iter().filter_map(|id| self.volumes.get(id));
        CloudView {
            instances: shells.map(|shell| shell.seen.clone()).collect(),
            volumes: disks.map(|disk| disk.seen.clone()).collect(),
            snapshots: cluster.snapshots.clone(),
            group: self.group_of(cluster),
            catalogue: Arc::default(),
        }
    }

    /// Keeps what EC2 would have said, for as long as a stale answer may repeat it.
    pub(super) fn record_versions(&mut self) {
        if !self.faults.may_be_stale() {
            return;
        }
        let changed: Vec<ClusterName> =
            self.clusters.iter().filter(|(_, cluster)| cluster.changed).map(|(name, _)| name.clone()).collect();
        for name in changed {
            let now = self.now;
            let Some(view) = self.clusters.get(&name).map(|cluster| Arc::new(self.look(cluster))) else { continue };
            let Some(cluster) = self.clusters.get_mut(&name) else { continue };
            cluster.changed = false;
            cluster.versions.push_back(Version { at: now, view });
            while cluster.versions.get(1).is_some_and(|second| second.at + OLDEST < now) {
                cluster.versions.pop_front();
            }
        }
    }

    /// Instances, volumes and the group each from a moment of their own, and new instances missing from the tag index.
    fn stale_view(&mut self, name: &ClusterName, exact: Arc<CloudView>) -> Arc<CloudView> {
        let Some(window) = self.faults.draw_staleness(&mut self.rng) else { return exact };
        let [instances, volumes, tags] = [(); 3].map(|()| self.now.saturating_sub(self.rng.u64(0..=window)));
        let group = exact.group.is_some().then(|| self.now.saturating_sub(self.rng.u64(0..=window)));
        let Some(cluster) = self.clusters.get(name) else { return exact };
        let (Some(old_instances), Some(old_volumes)) = (cluster.version(instances), cluster.version(volumes)) else {
            return exact;
        };
        let indexed: BTreeSet<&InstanceId> =
            cluster.version(tags).map(|view| view.instances.iter().map(|i| &i.id).collect()).unwrap_or_default();
        let seen: Vec<Instance> =
            old_instances.instances.iter().filter(|instance| indexed.contains(&instance.id)).cloned().collect();
        let group = group.and_then(|at| cluster.version(at)).and_then(|view| view.group.clone());
        if seen == exact.instances && old_volumes.volumes == exact.volumes && group == exact.group {
            return exact;
        }
        let view = CloudView {
            instances: seen,
            volumes: old_volumes.volumes.clone(),
            snapshots: old_volumes.snapshots.clone(),
            group,
            catalogue: exact.catalogue.clone(),
        };
        self.fault(Some(name), "stale-read", format!("up to {window} ms old"));
        Arc::new(view)
    }
}

/// A group is described only to whoever asks for it.
fn asked_for(view: Arc<CloudView>, asked: Option<&String>) -> Arc<CloudView> {
    match view.group.as_ref().map(|group| &group.name) {
        Some(name) if asked != Some(name) => Arc::new(CloudView { group: None, ..CloudView::clone(&view) }),
        _ => view,
    }
}

impl Cluster {
    /// What was so at `at`.
    fn version(&self, at: Millis) -> Option<&CloudView> {
        let known = self.versions.iter().rev().find(|version| version.at <= at);
        known.or_else(|| self.versions.front()).map(|version| &*version.view)
    }
}

fn available_image() -> Image {
    Image { state: "available".to_owned(), architecture: "x86_64".to_owned(), isolates_copies: true }
}

/// Graviton families bear a `g` after their number, as in `m7g.large`.
fn architectures(instance_type: &str) -> BTreeSet<String> {
    let family = instance_type.split('.').next().unwrap_or_default();
    let attributes = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let word = if attributes.contains('g') { "arm64" } else { "x86_64" };
    BTreeSet::from([word.to_owned()])
}
