//! Rules about a cluster, judged after each call.

use std::collections::BTreeMap;
use std::time::Duration;

use super::facts::{Facts, InstanceFacts};
use super::rule::{Objection, Rule};
use crate::ids::InstanceId;
use crate::observed::{InstanceState, SnapshotPurpose, SnapshotState};
use crate::time::{Timestamp, elapsed};

/// The time for which EC2 still accepts a request that was signed. A request that was decided on before another controller's
/// took effect may arrive as late as that.
const MAY_ARRIVE: Duration = Duration::from_secs(5 * 60);

/// A judgement of one cluster: what breaks the rule, if anything does.
type Judgement = fn(&Facts) -> Option<String>;

const RULES: [(Rule, Judgement); 4] = [
    (Rule::Quorum, one_down_by_our_hand),
    (Rule::OneReplacement, one_replacement),
    (Rule::OneEffect, one_instance_a_launch),
    (Rule::OneEffect, one_snapshot_a_replacement),
];

pub(super) fn objections(facts: &Facts) -> Vec<Objection> {
    RULES.iter().filter_map(|(rule, judge)| judge(facts).map(|detail| (*rule, detail))).collect()
}

fn one_down_by_our_hand(facts: &Facts) -> Option<String> {
    let down = facts.slots.iter().filter(|(_, slot)| slot.stopped_by_us && !slot.up);
    let down: Vec<&str> = down.map(|(name, _)| &**name).collect();
    (down.len() > 1).then(|| format!("{} are down by our hand", down.join(" and ")))
}

/// Allows one live replacement in a slot, and in a cluster one beside the one that was launched ahead, of which one more than the
/// slots runs. An instance that is retired serves no more, nor does a stopped one in whose place another has settled, or one whose end was
/// asked for and refused: whoever may not end it must not keep members from coming back. What somebody else has started, or taken our
/// tag off, is not ours.
fn one_replacement(facts: &Facts) -> Option<String> {
    let stays = |it: &InstanceFacts| !it.retired && !it.end_refused;
    let mut live: BTreeMap<_, usize> = BTreeMap::new();
    for (id, instance) in facts.instances.iter().filter(|(_, it)| it.serves && it.state.is_live()) {
        *live.entry(&instance.slot).or_default() += usize::from(stays(instance) && !is_replaced(facts, id, instance));
    }
    if let Some((slot, number)) = live.iter().find(|(_, number)| **number > 2) {
        return Some(format!("{slot} has {number} live instances"));
    }
    let (total, slots) = (live.values().sum::<usize>(), facts.slots.len());
    // The end of a cluster has one that was launched ahead go with all others.
    let is_one_ahead = facts.ahead.is_some() || facts.has_ended() || !facts.knows_claims;
    if total > slots + 1 + usize::from(is_one_ahead) {
        return Some(format!("{total} live instances for {slots} slots"));
    }
    let runs = |it: &&InstanceFacts| {
        let is_ours = it.serves && it.owned && it.by_hand.is_none();
        is_ours && stays(it) && it.state.is_up()
    };
    let running = facts.instances.values().filter(runs).count();
    (running > slots + 1).then(|| format!("{running} running instances for {slots} slots"))
}

/// Says whether an instance rests without a volume while another one has settled in its slot, and serves there.
fn is_replaced(facts: &Facts, id: &InstanceId, instance: &InstanceFacts) -> bool {
    let has_settled = |(_, other): &(&InstanceId, &InstanceFacts)| {
        other.slot == instance.slot && other.settled && other.attempt > instance.attempt
    };
    let has_all = |(id, other): (&InstanceId, &InstanceFacts)| other.volumes.iter().all(|it| facts.is_attached(it, id));
    let rests = instance.state == InstanceState::Stopped && !facts.holds_volume(id);
    rests && facts.instances.iter().filter(has_settled).any(has_all)
}

/// Allows one instance for each launch, however often that was sent.
fn one_instance_a_launch(facts: &Facts) -> Option<String> {
    let mut made: BTreeMap<_, usize> = BTreeMap::new();
    for instance in facts.instances.values().filter(|instance| instance.serves) {
        if let Some(attempt) = instance.attempt {
            *made.entry((&instance.slot, attempt)).or_default() += 1;
        }
    }
    let (launch, number) = made.into_iter().find(|(_, number)| *number > 1)?;
    Some(format!("attempt {} of {} made {number} instances", launch.1, launch.0))
}

/// Allows one snapshot of a volume for each replacement while its instance runs, and one at rest. EC2 has no token for it, so a request that the network sends twice
/// makes two at once.
fn one_snapshot_a_replacement(facts: &Facts) -> Option<String> {
    let mut first: BTreeMap<_, Timestamp> = BTreeMap::new();
    for snapshot in &facts.snapshots {
        let (SnapshotPurpose::Backup { attempt, taken }, Some(begun)) = (&snapshot.purpose, snapshot.begun) else {
            continue;
        };
        if snapshot.state == SnapshotState::Failed {
            continue;
        }
        let before = *first.entry((&snapshot.volume, attempt, taken)).or_insert(begun);
        if elapsed(begun, before) > MAY_ARRIVE {
            return Some(format!("{} was saved more than once for attempt {attempt}", snapshot.volume));
        }
    }
    None
}
