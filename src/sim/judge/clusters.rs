//! Rules about a cluster, judged after each call.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::rule::{Objection, Rule};

/// A judgement of one cluster: what breaks the rule, if anything does.
type Judgement = fn(&Facts) -> Option<String>;

const RULES: [(Rule, Judgement); 2] = [(Rule::Quorum, one_down_by_our_hand), (Rule::OneReplacement, one_replacement)];

pub(super) fn objections(facts: &Facts) -> Vec<Objection> {
    RULES.iter().filter_map(|(rule, judge)| judge(facts).map(|detail| (*rule, detail))).collect()
}

fn one_down_by_our_hand(facts: &Facts) -> Option<String> {
    let down = facts.slots.iter().filter(|(_, slot)| slot.stopped_by_us && !slot.up);
    let down: Vec<&str> = down.map(|(name, _)| &**name).collect();
    (down.len() > 1).then(|| format!("{} are down by our hand", down.join(" and ")))
}

/// Allows one live replacement in a slot, and one in a cluster.
fn one_replacement(facts: &Facts) -> Option<String> {
    let mut live: BTreeMap<_, usize> = BTreeMap::new();
    for instance in facts.instances.values().filter(|instance| instance.serves && instance.state.is_live()) {
        *live.entry(&instance.slot).or_default() += 1;
    }
    if let Some((slot, number)) = live.iter().find(|(_, number)| **number > 2) {
        return Some(format!("{slot} has {number} live instances"));
    }
    let (total, slots) = (live.values().sum::<usize>(), facts.slots.len());
    (total > slots + 1).then(|| format!("{total} live instances for {slots} slots"))
}
