//! Rules about a call, judged just before it takes effect.

use super::facts::{Facts, GroupFacts, InstanceFacts, LostFacts, ReplacementFacts, Sent, SlotFacts};
use super::rule::{Objection, Rule};
use crate::action::{CloudEffect, GroupEffect};
use crate::ids::{InstanceId, SlotName, VolumeId};
use crate::make::Make;
use crate::observed::{Ending, InstanceState, Remains, Snapshot, SnapshotState, Taken, Way};
use crate::sim::time::Millis;

/// A change that is younger than this when a call is sent may not have been known to its sender.
const UNAVOIDABLE_RACE: Millis = 15_000;

/// Members that nobody has led for this long do not elect anybody by themselves.
const LEADERLESS: Millis = 90_000;

/// A call about to take effect.
pub(super) struct Call<'a> {
    pub facts: &'a Facts,
    pub sent: &'a Sent,
    pub effect: &'a CloudEffect,
}

/// A judgement of one call: what breaks the rule, if anything does.
type Judgement = fn(&Call) -> Option<String>;

const RULES: [(Rule, Judgement); 25] = [
    (Rule::Quorum, stop_keeps_quorum),
    (Rule::LeaderLast, leader_hands_over_first),
    (Rule::OneOfTwo, not_while_a_related_one_is_disrupted),
    (Rule::ClaimedStop, stopped_only_when_claimed),
    (Rule::ClaimedStop, stopped_only_when_announced),
    (Rule::OneWay, goes_as_the_claim_says),
    (Rule::FreshReadings, reads_follow_own_writes),
    (Rule::VolumesConserved, nothing_is_terminated_with_a_volume),
    (Rule::DetachedWhenDown, detached_only_when_down),
    (Rule::AddressAtRest, address_leaves_only_what_rests),
    (Rule::OwnVolumes, volumes_meet_only_their_slot),
    (Rule::ToldFirst, others_are_told_first),
    (Rule::EmptyAhead, nothing_is_given_ahead),
    (Rule::GrownWhereItServes, grown_where_it_serves),
    (Rule::HealedAsItWas, what_settled_comes_back),
    (Rule::OldOutlivesProof, old_outlives_proof),
    (Rule::OldOutlivesProof, terminated_only_when_retired),
    (Rule::OwnResources, only_what_is_ours),
    (Rule::DeletedAtTheEnd, deleted_only_at_the_end),
    (Rule::DeletedAtTheEnd, only_its_own_copies_are_deleted),
    (Rule::GroupHeldStill, stopped_only_when_the_group_is_still),
    (Rule::GroupHeldStill, terminated_only_out_of_the_group),
    (Rule::GroupHeldStill, what_ran_is_written_down),
    (Rule::GroupHeldStill, may_be_empty_only_at_the_end),
    (Rule::GroupHeldStill, launches_nothing_back),
];

pub(super) fn objections(call: &Call) -> Vec<Objection> {
    RULES.iter().filter_map(|(rule, judge)| judge(call).map(|detail| (*rule, detail))).collect()
}

impl Call<'_> {
    pub(super) fn instance(&self) -> Option<&InstanceFacts> {
        self.facts.instances.get(self.effect.instance()?)
    }

    /// Says whether the call takes something down, or away.
    fn disrupts(&self) -> bool {
        matches!(
            self.effect,
            CloudEffect::Stop { .. }
                | CloudEffect::Detach { .. }
                | CloudEffect::AssignAddress { .. }
                | CloudEffect::Terminate { .. }
                | CloudEffect::DeleteVolume { .. }
                | CloudEffect::DeleteSnapshot { .. }
        )
    }

    /// Says whether a replacement gives this instance up for the old one in a cluster that nobody leads, or nobody led for as long as
    /// the sender can know.
    fn restores(&self, instance: &InstanceId) -> bool {
        let goes_back = |it: &ReplacementFacts| it.way == Way::Back && !it.turning && it.old != *instance;
        let is_long = |(since, until): (Millis, Option<Millis>)| {
            since + LEADERLESS <= self.sent.at && until.is_none_or(|until| self.is_race(until))
        };
        self.facts.replacement.as_ref().is_some_and(goes_back) && self.facts.unled.is_some_and(is_long)
    }

    /// Says whether an instance is down, or was until somebody else started or terminated it, which the sender may not have known.
    fn rests(&self, instance: &InstanceFacts) -> bool {
        let is_down = matches!(instance.state, InstanceState::Stopped | InstanceState::Terminated);
        is_down || instance.by_hand.is_some_and(|since| self.is_race(since))
    }

    /// Says whether the sender may not have known of a change at that moment.
    pub(super) fn is_race(&self, changed: Millis) -> bool {
        changed + UNAVOIDABLE_RACE >= self.sent.at
    }
}

/// Allows to stop a healthy voter only if the others of the declared number are enough: a quorum, for most kinds. Where nobody has been
/// led for long, the new instance of a replacement that goes back may be what keeps them from it: nothing that serves is stopped.
fn stop_keeps_quorum(call: &Call) -> Option<String> {
    let CloudEffect::Stop { instance } = call.effect else { return None };
    let slot = &call.instance()?.slot;
    let own = call.facts.slots.get(slot)?;
    if own.healthy_on.as_ref() != Some(instance) || call.facts.has_ended() {
        return None;
    }
    if !own.up || call.is_race(own.since) {
        return None; // the member has only just become one, and the sender could not know
    }
    if call.is_race(call.facts.declared_since) {
        return None; // other slots have only just been declared, or were while the call was on its way
    }
    if call.restores(instance) {
        return None;
    }
    let others = call.facts.declared.iter().filter(|other| *other != slot);
    let others = others.filter_map(|other| call.facts.slots.get(other));
    let is_up = |other: &&SlotFacts| other.up || other.healthy_on.is_some() || call.is_race(other.since);
    let others = others.filter(|other| other.was_up && is_up(other)).count();
    (others < call.facts.needed).then(|| format!("{instance} of {slot} was stopped with {others} other healthy voters"))
}

/// Allows to stop a member that leads only if it has begun to lead so lately that the sender could not know.
fn leader_hands_over_first(call: &Call) -> Option<String> {
    let CloudEffect::Stop { instance } = call.effect else { return None };
    let (leader, since) = call.facts.leads.as_ref().filter(|_| !call.facts.has_ended())?;
    let known = leader == instance && !call.is_race(*since);
    known.then(|| format!("{instance} was stopped while its member led"))
}

/// Allows to stop a healthy voter only while no cluster on which its own one stands, or that stands on it, is disrupted.
fn not_while_a_related_one_is_disrupted(call: &Call) -> Option<String> {
    let CloudEffect::Stop { instance } = call.effect else { return None };
    let slot = &call.instance()?.slot;
    let serves = call.facts.slots.get(slot)?.healthy_on.as_ref() == Some(instance);
    let (cluster, other) = call.facts.disrupted_beside.first().filter(|_| serves && !call.facts.has_ended())?;
    Some(format!("{instance} of {slot} was stopped while {other} of {cluster} was down by our hand"))
}

/// Allows to stop a healthy voter only in the slot that is claimed.
fn stopped_only_when_claimed(call: &Call) -> Option<String> {
    let (instance, slot) = stopped_voter(call)?;
    let wrong = call.facts.claimed.as_ref() != Some(slot);
    wrong.then(|| format!("{instance} of {slot} was stopped while the claim named {}", claimed(call)))
}

/// Allows to stop a healthy voter only once the claim says that just its instance is to be stopped.
fn stopped_only_when_announced(call: &Call) -> Option<String> {
    let (instance, slot) = stopped_voter(call).filter(|(_, slot)| call.facts.claimed.as_ref() == Some(*slot))?;
    let wrong = !call.facts.announced.contains(instance);
    wrong.then(|| format!("{instance} of {slot} was stopped before the claim said so"))
}

/// Finds the healthy voter that a call stops, and its slot, unless its cluster has come to its end.
fn stopped_voter<'a>(call: &Call<'a>) -> Option<(&'a InstanceId, &'a SlotName)> {
    let CloudEffect::Stop { instance } = call.effect else { return None };
    let slot = &call.facts.instances.get(instance)?.slot;
    let serves = call.facts.slots.get(slot)?.healthy_on.as_ref() == Some(instance);
    (serves && !call.facts.has_ended()).then_some((instance, slot))
}

fn claimed(call: &Call) -> String {
    call.facts.claimed.as_ref().map_or_else(|| "no slot".to_owned(), ToString::to_string)
}

/// Allows to start the old instance of a replacement only on the way back, to take from it what it has only on the way
/// forward, and neither while the claim is being turned. While it is, or where it was only just made, the sender may not have
/// known. Once a turn is over, nothing excuses a call of the other way. A volume that has not arrived, or not yet as far as the sender can
/// know, is taken back to be given once more.
fn goes_as_the_claim_says(call: &Call) -> Option<String> {
    let replacement = call.facts.replacement.as_ref().filter(|_| !call.facts.has_ended())?;
    let old = &replacement.old;
    let is_back = match call.effect {
        CloudEffect::Start { instance } if instance == old => true,
        CloudEffect::Detach { instance, volume, .. } if instance == old => {
            let since = call.facts.attached_since(volume, old)?;
            let may_seem_on_its_way = call.is_race(since) || call.facts.shown.is_some_and(|shown| shown < since);
            if may_seem_on_its_way && replacement.way == Way::Back {
                return None;
            }
            false
        }
        CloudEffect::AssignAddress { instance, address, .. } => {
            let from = call.facts.instances.iter().find(|(_, other)| other.addresses.contains(address));
            match from.map(|(id, _)| id) {
                Some(from) if from == old => false,
                _ if instance == old => true,
                _ => return None,
            }
        }
        _ => return None,
    };
    let goes_back = replacement.way == Way::Back;
    let may_be_late = replacement.turning || replacement.way == Way::Forward;
    let is_wrong = is_back != goes_back || replacement.turning;
    let is_excused = may_be_late && call.is_race(replacement.since);
    let (name, turning) = (call.effect.name(), if replacement.turning { "is being turned" } else { "goes" });
    let says = format!("{turning} {}", if goes_back { "back" } else { "forward" });
    let wrong = || format!("{name} was sent about {old} while the claim said that its replacement {says}");
    (is_wrong && !is_excused).then(wrong)
}

/// Allows nothing disruptive before the world was looked at again after the sender's own last write.
fn reads_follow_own_writes(call: &Call) -> Option<String> {
    let wrote = call.sent.wrote?;
    let looked = call.sent.looked.is_some_and(|looked| looked >= wrote);
    (call.disrupts() && !looked).then(|| format!("{} rests on an old sweep", call.effect.name()))
}

fn nothing_is_terminated_with_a_volume(call: &Call) -> Option<String> {
    let CloudEffect::Terminate { instance } = call.effect else { return None };
    call.facts.holds_volume(instance).then(|| format!("{instance} was terminated with a data volume attached"))
}

/// Allows to detach a volume only from an instance that is down. If somebody else has only just started it, the sender could not know.
fn detached_only_when_down(call: &Call) -> Option<String> {
    let CloudEffect::Detach { volume, .. } = call.effect else { return None };
    let from = call.instance()?;
    let wrong = !call.rests(from);
    wrong.then(|| format!("{volume} was detached from an instance that is {}", from.state))
}

/// Lets an address leave only an instance of its own slot, and only one that is down.
fn address_leaves_only_what_rests(call: &Call) -> Option<String> {
    let CloudEffect::AssignAddress { address, instance, .. } = call.effect else { return None };
    let to = call.instance()?;
    let mut others = call.facts.instances.iter().filter(|(id, _)| *id != instance);
    let (id, from) = others.find(|(_, other)| other.addresses.contains(address))?;
    let rests = call.rests(from);
    let is_own = (&from.cluster, &from.slot) == (&to.cluster, &to.slot);
    (!rests || !is_own).then(|| format!("{address} was taken from {id} of {}, which is {}", from.slot, from.state))
}

fn volumes_meet_only_their_slot(call: &Call) -> Option<String> {
    let CloudEffect::Attach { volume, instance, .. } = call.effect else { return None };
    let (met, to) = (call.facts.volumes.get(volume)?, call.instance()?);
    let own = met.cluster == to.cluster && met.slot == to.slot;
    (!own).then(|| format!("{volume} of {} was attached to {instance} of {}", met.slot, to.slot))
}

/// Lets a volume meet an instance only if the others look for the slot's member just there, where they have had a leader for long enough.
fn others_are_told_first(call: &Call) -> Option<String> {
    let CloudEffect::Attach { volume, instance, .. } = call.effect else { return None };
    let (to, (places, since)) = (call.instance()?, call.facts.looked_for.as_ref()?);
    let (place, own) = (places.get(&to.slot)?, to.serves_at?);
    let wrong = own != *place && !call.is_race(*since) && !call.facts.has_ended();
    wrong.then(|| {
        format!("{volume} was attached to {instance} at {own} while the others looked at {place} for {}", to.slot)
    })
}

/// Lets no volume and no address meet an instance that was launched ahead, before the claim of its slot has taken it over.
fn nothing_is_given_ahead(call: &Call) -> Option<String> {
    let (CloudEffect::Attach { instance, .. } | CloudEffect::AssignAddress { instance, .. }) = call.effect else {
        return None;
    };
    let (slot, attempt) = call.facts.ahead.as_ref()?;
    let to = call.instance()?;
    let is_ahead = to.cluster == call.facts.cluster && to.slot == *slot && to.attempt == Some(*attempt);
    is_ahead.then(|| format!("{} was sent about {instance}, which was launched ahead for {slot}", call.effect.name()))
}

/// Allows to modify a volume only to a larger size, at an instance of its own slot that runs, while no other of its cluster is.
fn grown_where_it_serves(call: &Call) -> Option<String> {
    let CloudEffect::Grow { volume, to_gib, .. } = call.effect else { return None };
    let grown = call.facts.volumes.get(volume)?;
    let holder = grown.holder.as_ref().and_then(|holder| call.facts.instances.get(holder));
    let serves = grown.attached.is_some()
        && holder.is_some_and(|at| {
            (&at.cluster, &at.slot) == (&grown.cluster, &grown.slot) && at.state == InstanceState::Running
        });
    let others = call.facts.volumes.iter().filter(|(id, other)| *id != volume && other.cluster == grown.cluster);
    let mut known = others.filter(|(_, other)| other.modified.is_some_and(|since| !call.is_race(since)));
    match known.next() {
        _ if !serves => Some(format!("{volume} of {} was modified where it does not serve", grown.slot)),
        _ if *to_gib <= grown.size_gib => Some(format!("{volume} of {} GiB was to have {to_gib}", grown.size_gib)),
        Some((other, _)) => Some(format!("{volume} was modified while {other} was")),
        None => None,
    }
}

/// Lets a slot that has lost its instance have only what settled there last, or what has settled in another slot: anything else may be
/// just what fails. What settled there and has failed since is no way back.
fn what_settled_comes_back(call: &Call) -> Option<String> {
    let CloudEffect::Launch(launch) = call.effect else { return None };
    let may_be_seen = |lost: &&LostFacts| call.facts.shown.is_none_or(|shown| shown >= lost.since);
    let lost = call.facts.lost.as_ref().filter(|lost| !call.is_race(lost.since) && !call.facts.has_ended());
    let lost = lost.filter(may_be_seen)?;
    let (slot, image, settled) = (&launch.slot, &launch.make.image, &lost.settled);
    let before = Make { image: settled.clone(), ..launch.make.clone() }.generation();
    let fine = image == settled || lost.settled_beside.contains(image) || lost.rejected.contains(&before);
    (!fine).then(|| format!("{slot} lost its instance, and was to have {image}, where {settled} had settled"))
}

/// Lets an instance that had settled go only when another has its slot's volumes and has proved itself with them. Where somebody has
/// deleted one of them since, neither of the two can serve any more.
fn old_outlives_proof(call: &Call) -> Option<String> {
    let CloudEffect::Terminate { instance } = call.effect else { return None };
    let old = call.instance().filter(|old| old.settled && !old.interfered)?;
    let is_deleted = |volume: &VolumeId| call.facts.volumes.get(volume).is_none_or(|volume| volume.deleted);
    let proven = |(id, other): (&InstanceId, &InstanceFacts)| {
        let has_all = other.proven && other.volumes.iter().all(|volume| call.facts.is_attached(volume, id));
        let had_all = other.settled && other.volumes.iter().any(is_deleted);
        id != instance && other.serves && other.slot == old.slot && (has_all || had_all)
    };
    let is_missed = !call.facts.instances.iter().any(proven) && !call.facts.has_ended();
    is_missed.then(|| format!("{instance} of {} was terminated before another was proven", old.slot))
}

fn terminated_only_when_retired(call: &Call) -> Option<String> {
    let CloudEffect::Terminate { instance } = call.effect else { return None };
    (!call.instance()?.retired).then(|| format!("{instance} was terminated without being retired"))
}

/// Lets data go only with its cluster, and only if the person who ended the cluster said so; after a copy of all that was written, if
/// one is to stay.
fn deleted_only_at_the_end(call: &Call) -> Option<String> {
    let CloudEffect::DeleteVolume { volume } = call.effect else { return None };
    let saved = |ending: &Ending| {
        let last = |taken: &&Snapshot| taken.backs_up(volume, ending.attempt, Taken::AtRest);
        let written = call.facts.volumes.get(volume).map_or(0, |written| written.entries);
        let has_all = |taken: &Snapshot| call.facts.saved.get(&taken.id).is_some_and(|entries| *entries >= written);
        let mut completed = call.facts.snapshots.iter().filter(last).filter(|it| it.state == SnapshotState::Completed);
        completed.any(has_all)
    };
    let fine = call.facts.ending.as_ref().is_some_and(|ending| match ending.remains {
        Remains::Volumes => false,
        Remains::Snapshots => saved(ending),
        Remains::Nothing => true,
    });
    (!fine).then(|| format!("{volume} was deleted"))
}

/// Of snapshots lets only those go that the cluster began with, and only if nothing of it is to remain.
fn only_its_own_copies_are_deleted(call: &Call) -> Option<String> {
    let CloudEffect::DeleteSnapshot { snapshot } = call.effect else { return None };
    let began_with = |copy: &Snapshot| copy.id == *snapshot && copy.is_copy();
    let ended = call.facts.ending.as_ref().is_some_and(|ending| ending.remains == Remains::Nothing);
    let fine = ended && call.facts.snapshots.iter().any(began_with);
    (!fine).then(|| format!("{snapshot} was deleted"))
}

/// Allows a call only about an instance of the cluster that it is sent for.
fn only_what_is_ours(call: &Call) -> Option<String> {
    let instance = call.instance()?;
    let id = call.effect.instance()?;
    (instance.cluster != call.facts.cluster).then(|| format!("{id} belongs to {}", instance.cluster))
}

/// Allows to stop a member of the adopted group only while none of the group's processes runs.
fn stopped_only_when_the_group_is_still(call: &Call) -> Option<String> {
    let CloudEffect::Stop { instance } = call.effect else { return None };
    let group = call.facts.group_with(instance)?;
    let (running, name) = (group.seen.running(), &group.seen.name);
    let known = !call.is_race(group.resumed);
    (known && !running.is_empty()).then(|| format!("{instance} was stopped while {running:?} of {name} ran"))
}

/// Allows to terminate a member only if its group may have no fewer, because it would replace the member otherwise.
fn terminated_only_out_of_the_group(call: &Call) -> Option<String> {
    let CloudEffect::Terminate { instance } = call.effect else { return None };
    let group = &call.facts.group_with(instance)?.seen;
    (group.desired > group.min).then(|| format!("{instance} was terminated as a member of {}", group.name))
}

/// Demands that just those processes are recorded, to be resumed at the end, which ran or are recorded already.
fn what_ran_is_written_down(call: &Call) -> Option<String> {
    let CloudEffect::Group { group, effect: GroupEffect::RecordResume { processes } } = call.effect else {
        return None;
    };
    let GroupFacts { seen, resumed } = call.facts.groups.get(group)?;
    let ran = seen.resume.clone().unwrap_or_else(|| seen.running());
    let wrong = !call.is_race(*resumed) && *processes != ran;
    wrong.then(|| format!("{processes:?} were written down of {}, and {ran:?} ran", seen.name))
}

/// Lets only an end take away what somebody said that a group must have at least.
fn may_be_empty_only_at_the_end(call: &Call) -> Option<String> {
    let CloudEffect::Group { group, effect: GroupEffect::LowerMinimum { .. } } = call.effect else { return None };
    (!call.facts.has_ended()).then(|| format!("the minimum of {group} was lowered"))
}

/// Lets the group of a cluster that has ended act again only when it has as many as it wants.
fn launches_nothing_back(call: &Call) -> Option<String> {
    let CloudEffect::Group { group, effect: GroupEffect::Resume { .. } } = call.effect else { return None };
    let group = &call.facts.groups.get(group).filter(|_| call.facts.has_ended())?.seen;
    let lives = |id: &&InstanceId| call.facts.instances.get(*id).is_some_and(|instance| instance.state.is_live());
    let living = group.members.keys().filter(lives).count();
    let lacks = (group.desired as usize).saturating_sub(living);
    (lacks > 0).then(|| format!("{} was let go, and launches {lacks} back", group.name))
}
