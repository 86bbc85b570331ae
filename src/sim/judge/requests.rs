//! Rules about a call as a request, judged whether or not EC2 accepts it.

use super::calls::Call;
use super::facts::InstanceFacts;
use super::rule::{Objection, Rule};
use crate::action::CloudEffect;
use crate::ids::{Attempt, SlotName};

/// A judgement of one request: what breaks the rule, if anything does.
type Judgement = fn(&Call) -> Option<String>;

const RULES: [(Rule, Judgement); 3] =
    [(Rule::TokenOfOne, token_serves_one), (Rule::OwnTokens, token_of_its_cluster), (Rule::LeftAlone, left_alone)];

pub(super) fn objections(call: &Call) -> Vec<Objection> {
    RULES.iter().filter_map(|(rule, judge)| judge(call).map(|detail| (*rule, detail))).collect()
}

/// Lets a token come only with the request that it came with before.
fn token_serves_one(call: &Call) -> Option<String> {
    let earlier = call.facts.earlier.as_ref()?;
    let is_another = !earlier.same && earlier.cluster == call.facts.cluster;
    is_another.then(|| format!("{} came with the token of another request", call.effect.name()))
}

/// Lets a token come only from the cluster that it came from before.
fn token_of_its_cluster(call: &Call) -> Option<String> {
    let earlier = call.facts.earlier.as_ref()?;
    let is_foreign = earlier.cluster != call.facts.cluster;
    is_foreign.then(|| format!("{} came with a token of {}", call.effect.name(), earlier.cluster))
}

/// Allows nothing to be done to a slot that the file does not declare, unless it was declared a moment ago. An instance that was
/// launched ahead has no part in its slot, and may go.
fn left_alone(call: &Call) -> Option<String> {
    let slot = &call.instance().filter(|it| it.state.is_live() && !may_go_as_ahead(call, it))?.slot;
    let known = call.facts.slots.contains_key(slot) && !call.facts.declared.contains(slot);
    let wrong = known && !call.facts.has_ended() && !call.is_race(call.facts.declared_since);
    wrong.then(|| format!("{} was done to {slot}, which the file does not declare", call.effect.name()))
}

/// Says whether a call lets an instance go that was launched ahead and has no volume.
fn may_go_as_ahead(call: &Call, instance: &InstanceFacts) -> bool {
    let lets_go = match call.effect {
        CloudEffect::Retire { instance } | CloudEffect::Terminate { instance } => Some(instance),
        _ => None,
    };
    let is_ahead = |(slot, attempt): &(SlotName, Attempt)| instance.slot == *slot && instance.attempt == Some(*attempt);
    lets_go.is_some_and(|id| !call.facts.holds_volume(id)) && call.facts.ahead.as_ref().is_some_and(is_ahead)
}
