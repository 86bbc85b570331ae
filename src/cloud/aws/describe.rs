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
use crate::ports::{Clock, ErrorKind, PortError, Wanted};
use crate::time::Timestamp;

mod cached;
mod facts;
mod groups;
mod pages;
mod statuses;

pub(super) use facts::Facts;
pub(super) use pages::filter;
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
        arrange(&region, begun, &seen).map_err(|unknown| PortError::new(doing(), ErrorKind::Unknown, unknown))
    }

    async fn describe(&self, region: &Region, wanted: &Wanted) -> Result<Seen, Failure> {
        let (mut instances, volumes) = tokio::try_join!(self.our_instances(region), self.our_volumes(region))?;
        let groups = self.adopted_groups(region, wanted, &mut instances).await?;
        let named = names_of_images(&instances, &volumes);
        let moving = moving_volumes(&instances, &volumes);
        let (statuses, mut snapshots, copies, facts) = tokio::try_join!(
            self.statuses(region, &instances),
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

/// Names the volumes that no running instance has: only those are about to be snapshotted, or have just been.
fn moving_volumes(instances: &[types::Instance], volumes: &[types::Volume]) -> BTreeSet<String> {
    let runs = |instance: &types::Instance| {
        matches!(convert::life_cycle(instance), Ok(InstanceState::Running | InstanceState::Pending))
    };
    let running: BTreeSet<_> =
        instances.iter().filter(|instance| runs(instance)).filter_map(types::Instance::instance_id).collect();
    let at_rest = |volume: &types::Volume| {
        volume.attachments().iter().any(|at| at.instance_id().is_some_and(|id| running.contains(id)))
    };
    let moving = volumes.iter().filter(|volume| !at_rest(volume));
    moving.filter_map(|volume| volume.volume_id().map(str::to_owned)).collect()
}

/// Sorts the answers by cluster. What bears no tags that make sense is left out, and said so.
fn arrange(region: &Region, begun: Timestamp, seen: &Seen) -> Result<Sweep, Inconsistent> {
    let mut arranged = Arranged::default();
    for volume in &seen.volumes {
        arranged.add(volume.volume_id(), convert::volume(volume, &seen.facts.warnings), |view| &mut view.volumes)?;
    }
    instances(&mut arranged, region, begun, seen)?;
    for snapshot in &seen.snapshots {
        let read = arranged.legible(snapshot.snapshot_id(), convert::snapshot(snapshot))?;
        // A cluster of which nothing else is left is none.
        if let Some((cluster, snapshot)) = read
            && let Some(view) = arranged.clusters.get_mut(&cluster)
        {
            view.snapshots.push(snapshot);
        }
    }
    for copy in &seen.copies {
        arranged.add(copy.snapshot_id(), convert::snapshot(copy), |view| &mut view.snapshots)?;
    }
    for adopted in &seen.groups {
        let group = convert::adopted_group(&adopted.group, &adopted.strangers, &adopted.versions);
        if let Some(group) = arranged.legible(adopted.group.auto_scaling_group_name(), group)? {
            arranged.clusters.entry(adopted.cluster.clone()).or_default().group = Some(group);
        }
    }
    region.tell_of(arranged.left_out);
    let catalogue = seen.facts.catalogue.clone();
    let finished = |(name, view)| (name, Arc::new(in_order(CloudView { catalogue: catalogue.clone(), ..view })));
    Ok(Sweep { begun, clusters: arranged.clusters.into_iter().map(finished).collect(), catalogue: catalogue.clone() })
}

/// Adds the instances, and remembers since when each was seen in its state: EC2 does not say so of every state.
fn instances(arranged: &mut Arranged, region: &Region, begun: Timestamp, seen: &Seen) -> Result<(), Inconsistent> {
    let mut first_seen = region.first_seen.0.borrow_mut();
    let before = std::mem::take(&mut *first_seen);
    for instance in &seen.instances {
        let since = |id: &InstanceId, state| {
            let known = before.get(id).filter(|(seen_in, _)| *seen_in == state);
            let since = known.map_or(begun, |(_, since)| *since);
            first_seen.insert(id.clone(), (state, since));
            since
        };
        let status = instance.instance_id().and_then(|id| seen.statuses.get(&InstanceId::from(id)));
        let read = convert::instance(instance, status, since);
        arranged.add(instance.instance_id(), read, |view| &mut view.instances)?;
    }
    Ok(())
}

/// The answers of one look, sorted by cluster as far as that has come.
#[derive(Default)]
struct Arranged {
    clusters: BTreeMap<ClusterName, CloudView>,
    /// The resources whose tags make no sense, each with what is odd about it.
    left_out: BTreeMap<String, String>,
}

impl Arranged {
    /// Adds a resource to its cluster, if its tags make sense.
    fn add<T>(
        &mut self,
        id: Option<&str>,
        read: Result<(ClusterName, T), Unreadable>,
        list: impl FnOnce(&mut CloudView) -> &mut Vec<T>,
    ) -> Result<(), Inconsistent> {
        if let Some((cluster, resource)) = self.legible(id, read)? {
            list(self.clusters.entry(cluster).or_default()).push(resource);
        }
        Ok(())
    }

    /// Returns what was read, unless its tags make no sense. A word that we do not know ends the look.
    fn legible<T>(&mut self, id: Option<&str>, read: Result<T, Unreadable>) -> Result<Option<T>, Inconsistent> {
        let resource = id.unwrap_or("a resource without an id").to_owned();
        match read {
            Ok(value) => Ok(Some(value)),
            Err(Unreadable::BadTags(oddity)) => {
                self.left_out.insert(resource, oddity.to_string());
                Ok(None)
            }
            Err(Unreadable::UnknownWord(why)) => Err(Inconsistent { resource, why }),
        }
    }
}

/// EC2 lists things in no order.
fn in_order(mut view: CloudView) -> CloudView {
    view.instances.sort_by(|a, b| a.id.cmp(&b.id));
    view.volumes.sort_by(|a, b| a.id.cmp(&b.id));
    view.snapshots.sort_by(|a, b| a.id.cmp(&b.id));
    view
}

/// A resource that EC2 describes in words that we do not know.
#[derive(Debug, thiserror::Error)]
#[error("{resource}: {why}; nothing is decided on a world that is not understood")]
struct Inconsistent {
    resource: String,
    why: String,
}

impl Region {
    /// Warns of resources that were left out, once.
    fn tell_of(&self, left_out: BTreeMap<String, String>) {
        let mut told = self.left_out.borrow_mut();
        for (resource, why) in left_out.iter().filter(|(resource, why)| told.get(*resource) != Some(why)) {
            tracing::warn!(resource, why, "left out, although it bears a hermitcrab:cluster tag");
        }
        *told = left_out;
    }
}
