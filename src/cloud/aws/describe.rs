//! One look at a region: everything that bears our tag, and what is true around it.
//!
//! Two calls for each thousand things (instances and volumes), a third for their status while that is waited for and every
//! ten seconds ([`statuses`]), and a few more every minute for what moves slowly ([`facts`]). Snapshots matter only while a volume is on
//! its way, and to a rehearsal, and are asked for then.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_ec2::types;

use super::convert::{self, Status, Unreadable};
use super::error::Failure;
use super::{Aws, Region};
use crate::ids::{ClusterName, InstanceId};
use crate::observed::{CloudView, InstanceState, Sweep};
use crate::ports::{Clock, PortError, Wanted};
use crate::time::Timestamp;

mod cached;
mod facts;
mod groups;
mod pages;
mod statuses;

pub(super) use facts::Facts;
pub(super) use pages::{all, filter};
pub(super) use statuses::Statuses;

/// Since when each instance has been seen in its state, for those of which EC2 does not tell. It may be too late, but never
/// too early.
#[derive(Debug, Default)]
pub(super) struct FirstSeen(RefCell<BTreeMap<InstanceId, (InstanceState, Timestamp)>>);

impl<C: Clock> Aws<C> {
    /// The whole fleet of a region.
    pub(super) async fn look_at_fleet(&self, wanted: &Wanted) -> Result<Sweep, PortError> {
        let begun = self.clock.now();
        let region = self.region(&wanted.region);
        let doing = || format!("look at what there is in {}", region.name);
        let seen = self.describe(&region, wanted).await.map_err(|failure| failure.while_doing(doing()))?;
        let is_survey = pages::is_survey(wanted);
        let (sweep, odd) = arrange(begun, &region.first_seen, &seen, is_survey);
        region.tell_of(odd, is_survey);
        Ok(sweep)
    }

    async fn describe(&self, region: &Region, wanted: &Wanted) -> Result<Seen, Failure> {
        let (mut instances, volumes) =
            tokio::try_join!(self.our_instances(region, wanted), self.our_volumes(region, wanted))?;
        let groups = self.adopted_groups(region, wanted, &mut instances).await?;
        let named = names_of_images(&instances, &volumes);
        let moving = moving_volumes(&instances, &volumes, wanted);
        let (statuses, mut snapshots, copies, facts) = tokio::try_join!(
            self.statuses(region, &instances, pages::is_survey(wanted)),
            self.snapshots_of(region, &moving),
            async { if wanted.copies { self.copies(region).await } else { Ok(Vec::new()) } },
            self.facts(region, wanted, named),
        )?;
        // One whose volume is on its way besides was found already.
        snapshots.retain(|snapshot| !copies.iter().any(|copy| copy.snapshot_id() == snapshot.snapshot_id()));
        Ok(Seen { instances, volumes, groups, statuses, snapshots, copies, facts })
    }
}

/// Answers of one look.
struct Seen {
    instances: Vec<types::Instance>,
    volumes: Vec<types::Volume>,
    groups: Vec<groups::Adopted>,
    statuses: BTreeMap<InstanceId, Status>,
    snapshots: Vec<types::Snapshot>,
    /// Asked for only where they are wanted.
    copies: Vec<types::Snapshot>,
    facts: facts::Known,
}

/// Names the images that settled on volumes and that instances were launched from, to go back to.
fn names_of_images(instances: &[types::Instance], volumes: &[types::Volume]) -> BTreeSet<String> {
    let launched = instances.iter().filter_map(|instance| instance.image_id().map(str::to_owned));
    let settled = volumes.iter().filter_map(|volume| super::tags::Tags::of(volume.tags()).name(super::tags::IMAGE));
    launched.chain(settled).collect()
}

/// Names the volumes that are about to be snapshotted, or have just been: those that no running instance has; and those of clusters
/// that save them while it runs, where such a cluster is looked at by itself. Of a whole fleet that would be every snapshot ever
/// taken.
fn moving_volumes(instances: &[types::Instance], volumes: &[types::Volume], wanted: &Wanted) -> BTreeSet<String> {
    let runs = |instance: &types::Instance| {
        matches!(convert::life_cycle(instance), Ok(InstanceState::Running | InstanceState::Pending))
    };
    let running: BTreeSet<_> =
        instances.iter().filter(|instance| runs(instance)).filter_map(types::Instance::instance_id).collect();
    let at_rest = |volume: &types::Volume| {
        volume.attachments().iter().any(|at| at.instance_id().is_some_and(|id| running.contains(id)))
    };
    let is_saved = |volume: &types::Volume| {
        let cluster = cluster_of(volume.tags());
        !pages::is_survey(wanted) && cluster.is_some_and(|cluster| wanted.saved_running.contains(&cluster))
    };
    let moving = volumes.iter().filter(|volume| !at_rest(volume) || is_saved(volume));
    moving.filter_map(|volume| volume.volume_id().map(str::to_owned)).collect()
}

/// Sorts the answers by cluster. Nothing that is odd about one resource fails the look: one whose tags make no sense is left
/// out, and one that is not understood holds its own cluster.
fn arrange(
    begun: Timestamp,
    first_seen: &FirstSeen,
    seen: &Seen,
    is_survey: bool,
) -> (Sweep, BTreeMap<String, String>) {
    let mut arranged = Arranged::default();
    for volume in &seen.volumes {
        let read = convert::volume(volume, &seen.facts.warnings);
        arranged.add(volume.volume_id(), volume.tags(), read, |view| &mut view.volumes);
    }
    instances(&mut arranged, begun, first_seen, seen, is_survey);
    for snapshot in &seen.snapshots {
        // A cluster of which nothing else is left is none.
        let cluster = cluster_of(snapshot.tags()).filter(|cluster| arranged.clusters.contains_key(cluster));
        if cluster.is_some() {
            let read = convert::snapshot(snapshot);
            arranged.add(snapshot.snapshot_id(), snapshot.tags(), read, |view| &mut view.snapshots);
        }
    }
    for copy in &seen.copies {
        arranged.add(copy.snapshot_id(), copy.tags(), convert::snapshot(copy), |view| &mut view.snapshots);
    }
    for adopted in &seen.groups {
        let versions = adopted.versions.as_deref().map_err(|why| Unreadable::UnknownWord(why.clone()));
        let group = versions.and_then(|known| convert::adopted_group(&adopted.group, &adopted.strangers, known));
        if let Some(group) = arranged.legible(adopted.group.auto_scaling_group_name(), Some(&adopted.cluster), group) {
            arranged.view(&adopted.cluster).group = Some(group);
        }
    }
    let catalogue = seen.facts.catalogue.clone();
    let finished = |(name, view)| (name, Arc::new(in_order(CloudView { catalogue: catalogue.clone(), ..view })));
    let clusters = arranged.clusters.into_iter().map(finished).collect();
    (Sweep { begun, clusters, catalogue: catalogue.clone() }, arranged.odd)
}

/// Adds the instances, and remembers since when each was seen in its state: EC2 does not say so of every state. A look at
/// the whole fleet forgets those that are gone.
fn instances(arranged: &mut Arranged, begun: Timestamp, first_seen: &FirstSeen, seen: &Seen, is_survey: bool) {
    let mut first_seen = first_seen.0.borrow_mut();
    let before = if is_survey { std::mem::take(&mut *first_seen) } else { BTreeMap::new() };
    for instance in &seen.instances {
        let since = |id: &InstanceId, state| {
            let known = before.get(id).or(first_seen.get(id)).filter(|(seen_in, _)| *seen_in == state);
            let since = known.map_or(begun, |(_, since)| *since);
            first_seen.insert(id.clone(), (state, since));
            since
        };
        let status = instance.instance_id().and_then(|id| seen.statuses.get(&InstanceId::from(id)));
        let read = convert::instance(instance, status, since);
        arranged.add(instance.instance_id(), instance.tags(), read, |view| &mut view.instances);
    }
}

/// Reads the cluster off a resource's tags, whatever the others say.
fn cluster_of(bears: &[types::Tag]) -> Option<ClusterName> {
    super::tags::Tags::of(bears).name(super::tags::CLUSTER)
}

/// The answers of one look, sorted by cluster as far as that has come.
#[derive(Default)]
struct Arranged {
    clusters: BTreeMap<ClusterName, CloudView>,
    /// All resources that are odd, each with what is odd about it.
    odd: BTreeMap<String, String>,
}

impl Arranged {
    fn view(&mut self, cluster: &ClusterName) -> &mut CloudView {
        self.clusters.entry(cluster.clone()).or_default()
    }

    /// Adds a resource to its cluster, or what is odd about it.
    fn add<T, Kept: From<T>>(
        &mut self,
        id: Option<&str>,
        bears: &[types::Tag],
        read: Result<(ClusterName, T), Unreadable>,
        list: impl FnOnce(&mut CloudView) -> &mut Vec<Kept>,
    ) {
        if let Some((cluster, resource)) = self.legible(id, cluster_of(bears).as_ref(), read) {
            list(self.view(&cluster)).push(resource.into());
        }
    }

    /// Returns what was read. What cannot be read is noted with its cluster, and no other cluster hears of it.
    fn legible<T>(
        &mut self,
        id: Option<&str>,
        cluster: Option<&ClusterName>,
        read: Result<T, Unreadable>,
    ) -> Option<T> {
        let unreadable = match read {
            Ok(value) => return Some(value),
            Err(unreadable) => unreadable,
        };
        let (resource, why) = (id.unwrap_or("a resource without an id").to_owned(), unreadable.to_string());
        if let Some(cluster) = cluster {
            let view = self.view(cluster);
            let list = match unreadable {
                Unreadable::BadTags(_) => &mut view.left_out,
                Unreadable::UnknownWord(_) => &mut view.not_understood,
            };
            list.insert(resource.clone(), why.clone());
        }
        self.odd.insert(resource, why);
        None
    }
}

/// Puts things in order, because EC2 lists them in none, and has those share their memory that are alike.
fn in_order(mut view: CloudView) -> CloudView {
    view.instances.sort_by(|a, b| a.id.cmp(&b.id));
    view.volumes.sort_by(|a, b| a.id.cmp(&b.id));
    view.snapshots.sort_by(|a, b| a.id.cmp(&b.id));
    view.compact()
}

impl Region {
    /// Warns of odd resources, once. A look at the whole fleet forgets those that are odd no more.
    fn tell_of(&self, odd: BTreeMap<String, String>, is_survey: bool) {
        let mut told = self.odd.borrow_mut();
        for (resource, why) in odd.iter().filter(|(resource, why)| told.get(*resource) != Some(why)) {
            tracing::warn!(resource, why, "odd, although it bears a hermitcrab:cluster tag");
        }
        if is_survey {
            told.clear();
        }
        told.extend(odd);
    }
}

#[cfg(test)]
mod tests;
