//! The gate about what is made anew: a slot or a cluster that may be an earlier one under another name.

use std::collections::BTreeSet;

use crate::ids::{ClusterName, SlotName};
use crate::observed::CloudView;
use crate::plan::answer::Hazard;
use crate::plan::look::Look;
use crate::plan::slot_state::initialised;
use crate::spec::COPY_OF;

use super::question::{Finding, Question, finding, listed};

/// Refuses to make a slot or a cluster beside what no file declares any more and what lies in the same place. A name that
/// was changed in a file looks just like that: the earlier members go on, and blank ones would be added to them.
pub(super) fn left_behind(q: &Question<'_, '_>) -> Finding {
    let wants = "nothing left behind in the same place, but for what `leftBehind` names";
    if initialised(q.look, q.slot) || q.look.spec.origin.is_some() {
        return finding("nothing is made", wants, None);
    }
    let hazard = slots(q.look).or_else(|| clusters(q.look));
    let found = match &hazard {
        Some(Hazard::SlotsLeftBehind { slots, .. }) => listed(slots),
        Some(Hazard::ClusterLeftBehind { cluster, .. }) => cluster.to_string(),
        _ => "nothing".to_owned(),
    };
    finding(found, wants, hazard)
}

/// Finds the slots of this cluster that no longer are declared. One that has an instance may still have a member that
/// votes, so that its name in `leftBehind` is not enough.
fn slots(look: &Look<'_>) -> Option<Hazard> {
    let is_undeclared = |slot: &_| look.slot(slot).is_none();
    let is_accepted = |slot: &&SlotName| look.spec.left_behind.contains(&***slot);
    let instances: Vec<_> = look.cloud.live_instances().filter(|instance| is_undeclared(&instance.slot)).collect();
    let volumes = look.cloud.present_volumes().filter(|volume| is_undeclared(&volume.slot));
    let volumes: Vec<_> = volumes.filter(|volume| !is_accepted(&&volume.slot)).collect();
    let slots = instances.iter().map(|instance| &instance.slot).chain(volumes.iter().map(|volume| &volume.slot));
    let slots: BTreeSet<_> = slots.cloned().collect();
    let instances: Vec<_> = instances.iter().map(|instance| instance.id.to_string()).collect();
    let volumes = volumes.iter().map(|volume| volume.id.to_string()).collect();
    (!slots.is_empty()).then_some(Hazard::SlotsLeftBehind { slots, instances, volumes })
}

/// Finds a cluster that no file declares, of the same owner, with an instance in one of this cluster's subnets, or with a
/// slot of the same name in the same zone.
fn clusters(look: &Look<'_>) -> Option<Hazard> {
    let others = look.seen.undeclared.iter().filter(|(name, _)| !look.spec.left_behind.contains(&***name));
    others.into_iter().find_map(|(name, view)| {
        let resources = beside(look, view);
        let cluster: &ClusterName = name;
        (!resources.is_empty()).then(|| Hazard::ClusterLeftBehind { cluster: cluster.clone(), resources })
    })
}

/// Lists what of another cluster lies where this one is to be. A throw-away copy goes again by itself.
fn beside(look: &Look<'_>, other: &CloudView) -> Vec<String> {
    if other.instances.iter().any(|instance| instance.tags.contains_key(COPY_OF)) {
        return Vec::new();
    }
    let is_same = |slot: &_, zone: &_| look.slot(slot).is_some_and(|slot| slot.spec.zone == *zone);
    let shares = |subnet: &String| look.spec.slots.iter().any(|slot| slot.subnet == *subnet);
    let instances = other.live_instances().filter(|instance| {
        look.is_ours(&instance.owner) && (shares(&instance.subnet) || is_same(&instance.slot, &instance.zone))
    });
    let volumes =
        other.present_volumes().filter(|volume| look.is_ours(&volume.owner) && is_same(&volume.slot, &volume.zone));
    let instances = instances.map(|instance| instance.id.to_string());
    instances.chain(volumes.map(|volume| volume.id.to_string())).collect()
}
