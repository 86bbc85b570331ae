//! The safety rules of the design, checked from ground truth at each call and after it.

use std::collections::BTreeMap;

use super::calls::Sender;
use super::records::{Cluster, Shell};
use super::truth::{Millis, Truth};
use crate::action::{CloudEffect, GroupEffect};
use crate::ids::{ClusterName, InstanceId};
use crate::observed::{Ending, InstanceState, Remains, Snapshot};
use crate::spec::quorum;

/// What had been so for less than this before a call was sent may not have been known to its sender.
const UNAVOIDABLE_RACE: Millis = 15_000;

/// A call about to take effect.
struct Call<'a> {
    truth: &'a Truth,
    cluster: &'a Cluster,
    name: &'a ClusterName,
    sender: Sender,
    effect: &'a CloudEffect,
}

type CallRule = (&'static str, fn(&Call) -> Option<String>);
type ClusterRule = (&'static str, fn(&Truth, &Cluster) -> Option<String>);

/// Rules about a call, judged just before it takes effect.
const CALL_RULES: [CallRule; 15] = [
    ("S1", stop_keeps_quorum),
    ("S2", reads_follow_own_writes),
    ("S3", nothing_is_terminated_with_a_volume),
    ("S4", detached_only_when_down),
    ("S5", volumes_meet_only_their_slot),
    ("S7", old_outlives_proof),
    ("S7", terminated_only_when_retired),
    ("S8", only_what_is_ours),
    ("end", deleted_only_at_the_end),
    ("end", only_its_own_copies_are_deleted),
    ("group", stopped_only_when_the_group_is_still),
    ("group", terminated_only_out_of_the_group),
    ("group", what_ran_is_written_down),
    ("group", may_be_empty_only_at_the_end),
    ("group", launches_nothing_back),
];

/// Rules about a cluster, judged after each call.
const CLUSTER_RULES: [ClusterRule; 2] = [("S1", one_down_by_our_hand), ("S6", one_replacement)];

/// What speaks against a call, should it be accepted.
pub(super) fn judge_call(
    truth: &Truth,
    sender: Sender,
    name: &ClusterName,
    effect: &CloudEffect,
) -> Vec<(&'static str, String)> {
    let Some(cluster) = truth.clusters.get(name) else { return Vec::new() };
    let call = Call { truth, cluster, name, sender, effect };
    CALL_RULES.iter().filter_map(|(invariant, rule)| rule(&call).map(|detail| (*invariant, detail))).collect()
}

/// Checks what must hold of a cluster at any time.
pub(super) fn judge_cluster(truth: &mut Truth, name: &ClusterName) {
    for (invariant, rule) in CLUSTER_RULES {
        let detail = truth.clusters.get(name).and_then(|cluster| rule(truth, cluster));
        if let Some(detail) = detail {
            truth.violate(name, invariant, detail);
        }
    }
}

impl Call<'_> {
    fn shell(&self) -> Option<&Shell> {
        self.truth.instances.get(self.effect.instance()?)
    }

    /// Takes something down, or away.
    fn disrupts(&self) -> bool {
        matches!(
            self.effect,
            CloudEffect::Stop { .. }
                | CloudEffect::Detach { .. }
                | CloudEffect::Terminate { .. }
                | CloudEffect::DeleteVolume { .. }
                | CloudEffect::DeleteSnapshot { .. }
        )
    }

    /// A person has put an end to the cluster, so nobody counts on its members any more.
    fn is_of_an_ended_cluster(&self) -> bool {
        self.cluster.claim.ending.is_some()
    }
}

/// A healthy voter is stopped only if the others of the declared number are a quorum.
fn stop_keeps_quorum(call: &Call) -> Option<String> {
    let CloudEffect::Stop { instance } = call.effect else { return None };
    let slot = &call.shell()?.seen.slot;
    if call.cluster.consul.healthy_voter(slot, call.truth.now) != Some(instance) || call.is_of_an_ended_cluster() {
        return None;
    }
    let own = call.cluster.slots.get(slot)?;
    if !own.up || own.since + UNAVOIDABLE_RACE >= call.sender.sent {
        return None; // it has only just become one, and the sender could not know
    }
    let slots = call.cluster.declared.slots.keys().filter(|other| *other != slot);
    let truths = slots.filter_map(|other| call.cluster.slots.get(other));
    let others =
        truths.filter(|truth| truth.was_up && (truth.up || truth.since + UNAVOIDABLE_RACE >= call.sender.sent)).count();
    let needed = quorum(call.cluster.declared.slots.len());
    (others < needed).then(|| format!("{instance} of {slot} was stopped with {others} other healthy voters"))
}

/// Nothing disruptive is sent before the world was looked at again after the sender's own last write.
fn reads_follow_own_writes(call: &Call) -> Option<String> {
    let controller = call.truth.controllers.get(&call.sender.controller)?;
    let wrote = controller.wrote.get(call.name)?;
    let looked = controller.swept.is_some_and(|swept| swept >= *wrote);
    (call.disrupts() && !looked).then(|| format!("{} rests on an old sweep", call.effect.name()))
}

fn nothing_is_terminated_with_a_volume(call: &Call) -> Option<String> {
    let CloudEffect::Terminate { instance } = call.effect else { return None };
    call.truth.holds_volume(instance).then(|| format!("{instance} was terminated with a data volume attached"))
}

fn detached_only_when_down(call: &Call) -> Option<String> {
    let CloudEffect::Detach { volume, .. } = call.effect else { return None };
    let found = call.shell()?.seen.state;
    let down = matches!(found, InstanceState::Stopped | InstanceState::Terminated);
    (!down).then(|| format!("{volume} was detached from an instance that is {found:?}"))
}

fn volumes_meet_only_their_slot(call: &Call) -> Option<String> {
    let CloudEffect::Attach { volume, instance, .. } = call.effect else { return None };
    let (disk, shell) = (call.truth.volumes.get(volume)?, call.shell()?);
    let own = disk.cluster == shell.cluster && disk.seen.slot == shell.seen.slot;
    (!own).then(|| format!("{volume} of {} was attached to {instance} of {}", disk.seen.slot, shell.seen.slot))
}

/// An instance that had settled goes only when another has its slot's volumes and has proved itself with them.
fn old_outlives_proof(call: &Call) -> Option<String> {
    let CloudEffect::Terminate { instance } = call.effect else { return None };
    let shell = call.shell().filter(|shell| shell.settled && !shell.meddled)?;
    let proven = |id: &InstanceId| {
        id != instance
            && call.truth.instances.get(id).is_some_and(|other| {
                other.seen.slot == shell.seen.slot
                    && other.proven
                    && other.volumes.values().all(|volume| call.truth.is_attached(volume, id))
            })
    };
    let superseded = call.cluster.instances.iter().any(proven);
    let is_missed = !superseded && !call.is_of_an_ended_cluster();
    is_missed.then(|| format!("{instance} of {} was terminated before another was proven", shell.seen.slot))
}

fn terminated_only_when_retired(call: &Call) -> Option<String> {
    let CloudEffect::Terminate { instance } = call.effect else { return None };
    (!call.shell()?.seen.retired).then(|| format!("{instance} was terminated without being retired"))
}

/// Data goes only with its cluster, and only if the person who put an end to it said so; after a copy, if one is to stay.
fn deleted_only_at_the_end(call: &Call) -> Option<String> {
    let CloudEffect::DeleteVolume { volume } = call.effect else { return None };
    let saved = |ending: &Ending| {
        let last = |taken: &Snapshot| taken.volume == *volume && taken.attempt == ending.attempt && taken.completed;
        call.cluster.snapshots.iter().any(last)
    };
    let fine = call.cluster.claim.ending.as_ref().is_some_and(|ending| match ending.remains {
        Remains::Volumes => false,
        Remains::Snapshots => saved(ending),
        Remains::Nothing => true,
    });
    (!fine).then(|| format!("{volume} was deleted"))
}

/// Of snapshots only those go that the cluster began with, and only if nothing of it is to remain.
fn only_its_own_copies_are_deleted(call: &Call) -> Option<String> {
    let CloudEffect::DeleteSnapshot { snapshot } = call.effect else { return None };
    let began_with = |copy: &Snapshot| copy.id == *snapshot && copy.copy_of.is_some();
    let ended = call.cluster.claim.ending.as_ref().is_some_and(|ending| ending.remains == Remains::Nothing);
    let fine = ended && call.cluster.snapshots.iter().any(began_with);
    (!fine).then(|| format!("{snapshot} was deleted"))
}

/// The cluster that a call is sent for is the one that it changes.
fn only_what_is_ours(call: &Call) -> Option<String> {
    let shell = call.shell()?;
    (shell.cluster != *call.name).then(|| format!("{} belongs to {}", shell.seen.id, shell.cluster))
}

/// A member of the adopted group is stopped only while none of the group's processes runs.
fn stopped_only_when_the_group_is_still(call: &Call) -> Option<String> {
    let CloudEffect::Stop { instance } = call.effect else { return None };
    let group = call.truth.group_with(instance)?;
    let running = group.seen.running();
    let known = group.woken + UNAVOIDABLE_RACE < call.sender.sent;
    let name = &group.seen.name;
    (known && !running.is_empty()).then(|| format!("{instance} was stopped while {running:?} of {name} ran"))
}

/// A group would replace a member that is terminated; one that may have no fewer has to keep it.
fn terminated_only_out_of_the_group(call: &Call) -> Option<String> {
    let CloudEffect::Terminate { instance } = call.effect else { return None };
    let group = &call.truth.group_with(instance)?.seen;
    (group.desired > group.min).then(|| format!("{instance} was terminated as a member of {}", group.name))
}

/// Just what is written down is resumed in the end: what ran, or what is written down already.
fn what_ran_is_written_down(call: &Call) -> Option<String> {
    let CloudEffect::Group { group, effect: GroupEffect::RecordResume { processes } } = call.effect else {
        return None;
    };
    let group = call.truth.groups.get(group)?;
    let (ran, name) = (group.seen.resume.clone().unwrap_or_else(|| group.seen.running()), &group.seen.name);
    let known = group.woken + UNAVOIDABLE_RACE < call.sender.sent;
    (known && *processes != ran).then(|| format!("{processes:?} were written down of {name}, and {ran:?} ran"))
}

/// Only an end takes away what somebody said that a group must have at least.
fn may_be_empty_only_at_the_end(call: &Call) -> Option<String> {
    let CloudEffect::Group { group, effect: GroupEffect::LowerMinimum { .. } } = call.effect else { return None };
    (!call.is_of_an_ended_cluster()).then(|| format!("the minimum of {group} was lowered"))
}

/// The group of a cluster that has ended may act again only when it has as many as it wants.
fn launches_nothing_back(call: &Call) -> Option<String> {
    let CloudEffect::Group { group, effect: GroupEffect::Resume { .. } } = call.effect else { return None };
    let group = &call.truth.groups.get(group).filter(|_| call.is_of_an_ended_cluster())?.seen;
    let lives = |id: &&InstanceId| call.truth.instances.get(*id).is_some_and(|shell| shell.seen.state.is_live());
    let living = group.members.keys().filter(lives).count();
    let lacks = (group.desired as usize).saturating_sub(living);
    (lacks > 0).then(|| format!("{} was let go, and launches {lacks} back", group.name))
}

fn one_down_by_our_hand(_: &Truth, cluster: &Cluster) -> Option<String> {
    let down = cluster.slots.iter().filter(|(_, truth)| truth.ours && !truth.up);
    let down: Vec<&str> = down.map(|(slot, _)| &**slot).collect();
    (down.len() > 1).then(|| format!("{} are down by our hand", down.join(" and ")))
}

/// At most one live replacement in a slot, and one in a cluster.
fn one_replacement(truth: &Truth, cluster: &Cluster) -> Option<String> {
    let mut live: BTreeMap<_, usize> = BTreeMap::new();
    for shell in cluster.instances.iter().filter_map(|id| truth.instances.get(id)) {
        if shell.seen.state.is_live() {
            *live.entry(&shell.seen.slot).or_default() += 1;
        }
    }
    if let Some((slot, number)) = live.iter().find(|(_, number)| **number > 2) {
        return Some(format!("{slot} has {number} live instances"));
    }
    let (total, slots) = (live.values().sum::<usize>(), cluster.slots.len());
    (total > slots + 1).then(|| format!("{total} live instances for {slots} slots"))
}
