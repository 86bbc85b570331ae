//! Gates about what people want and what we remember: switches, windows, approval, the claim, fresh readings.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::observed::{Reading, Verdict};
use crate::plan::answer::Hazard;
use crate::plan::approval;
use crate::plan::look::{Look, SlotLook};
use crate::plan::rehearsal;
use crate::plan::slot_state::{SlotState, slot_state};
use crate::plan::steps;
use crate::spec::Rehearsal;
use crate::spec::window::{Opening, opening};
use crate::time::{Human, Timestamp, after, elapsed};

use super::question::{Finding, Question, finding, listed};

pub(super) fn frozen(look: &Look<'_>) -> Finding {
    let frozen = look.spec.freeze;
    finding(format!("freeze: {frozen}"), "freeze: false", frozen.then_some(Hazard::Frozen))
}

pub(super) fn kill_switch(look: &Look<'_>) -> Finding {
    let thrown = look.seen.kill_switch.clone();
    let value = thrown.clone().unwrap_or_else(|| "not thrown".to_owned());
    finding(value, "not thrown", thrown.map(|why| Hazard::KillSwitch { why }))
}

/// Refuses credentials for another account than the file asks for: the same names may exist in many accounts.
pub(super) fn wrong_account(look: &Look<'_>) -> Finding {
    let (found, wanted) = (look.cloud.catalogue.account.as_ref(), look.spec.account.as_ref());
    let value = found.map_or_else(|| "a cloud without accounts".to_owned(), |found| format!("account {found}"));
    let wants = wanted.map_or_else(|| "any account".to_owned(), |wanted| format!("account {wanted}"));
    finding(value, wants, Hazard::of_account(look.spec, found))
}

pub(super) fn suspended(q: &Question<'_, '_>) -> Finding {
    let suspended = q.look.spec.suspend;
    finding(format!("suspend: {suspended}"), "suspend: false", suspended.then_some(Hazard::Suspended))
}

/// Refuses a replacement that would not fit: it is not begun unless it is expected to fit into what is left of the
/// window, nor is its member taken down unless the rest of it is. Once that has happened it always finishes.
pub(super) fn outside_window(q: &Question<'_, '_>) -> Finding {
    let claimed = q.look.record.held.as_ref().is_some_and(|claim| claim.slot == q.slot.spec.name);
    let spec = q.look.spec;
    let needs = if claimed { steps::span_from_stop(spec) } else { steps::replacement_span(spec) };
    let wants = format!("{} in an open window", Human(needs));
    match opening(&q.look.spec.rollout.windows, q.look.now) {
        Opening::Open { until: None } => finding("always open", wants, None),
        Opening::Open { until: Some(until) } => {
            let left = elapsed(until, q.look.now);
            let hazard = (left < needs).then_some(Hazard::WindowTooShort { closes: until });
            finding(format!("open for {}", Human(left)), wants, hazard)
        }
        Opening::Closed { from } => {
            let value = from.map_or_else(|| "closed".to_owned(), |from| format!("closed until {from}"));
            finding(value, wants, Some(Hazard::OutsideWindow { opens: from }))
        }
    }
}

pub(super) fn approval_required(q: &Question<'_, '_>) -> Finding {
    let given = q.look.spec.rollout.approved.clone();
    let Some(plan) = approval::needed(q.look, q.slot) else {
        return finding("not needed", "an approved plan where one is needed", None);
    };
    let value = given.as_ref().map_or_else(|| "none given".to_owned(), |given| format!("approved: {given}"));
    let wants = format!("approved: {plan}");
    let hazard = (given.as_ref() != Some(&plan)).then_some(Hazard::ApprovalRequired { plan, given });
    finding(value, wants, hazard)
}

pub(super) fn not_rehearsed(q: &Question<'_, '_>) -> Finding {
    if q.look.spec.rollout.rehearsal == Rehearsal::Optional {
        return finding("not needed", "a passed rehearsal where one is required", None);
    }
    let value = rehearsal::latest(q.look).map_or_else(
        || "none".to_owned(),
        |rehearsed| {
            let passed = if rehearsed.verdict == Verdict::Passed { "passed" } else { "failed" };
            let (ago, from) = (Human(elapsed(q.look.now, rehearsed.at)), &rehearsed.from);
            let unlike: String = rehearsed.unlike.iter().map(|unlike| format!(", {unlike}")).collect();
            format!("{passed} {ago} ago from {from}{unlike}")
        },
    );
    let (image, generation) = (q.look.spec.image.clone(), q.look.generation.clone());
    let wants = format!("a passed one of {image} ({generation})");
    let why = rehearsal::unproven(q.look, q.slot);
    finding(value, wants, why.map(|why| Hazard::NotRehearsed { image, generation, why }))
}

/// Refuses a generation that failed in one slot, in every other.
pub(super) fn generation_rejected(q: &Question<'_, '_>) -> Finding {
    let generation = &q.look.generation;
    let rejecting: Vec<_> = q.look.slots.iter().filter(|slot| slot.rejected_here(generation)).collect();
    let slots: Vec<_> = rejecting.iter().map(|slot| slot.spec.name.clone()).collect();
    let places: Option<Vec<_>> = rejecting.iter().map(|slot| slot.rejected_in_place_of(generation)).collect();
    let in_place_of = places.and_then(|places| places.first().map(|instance| instance.id.clone()));
    let value = format!("{generation} failed in: {}", listed(&slots));
    let (image, generation) = (q.look.spec.image.clone(), generation.clone());
    let hazard = (!slots.is_empty()).then_some(Hazard::GenerationRejected { image, generation, slots, in_place_of });
    finding(value, "failed nowhere", hazard)
}

/// Refuses a new replacement after one was taken back, for as long as EC2 would still accept a request that was signed
/// before: a paused controller's late call could hit the old instance, which is in use again, or launch one more.
pub(super) fn rollback_cooldown(q: &Question<'_, '_>) -> Finding {
    let wants = format!("none in the last {}", Human(q.look.limits.late));
    let Some(at) = q.look.record.taken_back_at else { return finding("never taken back", wants, None) };
    let until = after(at, q.look.limits.late);
    let hazard = (q.look.now < until).then_some(Hazard::RollbackCooldown { until });
    finding(format!("taken back {} ago", Human(elapsed(q.look.now, at))), wants, hazard)
}

/// Refuses while the claim is kept by the cluster that it is about. Without a leader such a claim can be neither read nor
/// moved, so that a member that is lost meanwhile could not be brought back.
pub(super) fn claim_in_cluster(q: &Question<'_, '_>) -> Finding {
    let seats = q.look.cloud.instances.iter().filter_map(|instance| instance.address);
    let members = q.look.membership.into_iter().flat_map(|membership| &membership.members).filter_map(|m| m.address);
    let cluster: BTreeSet<IpAddr> = seats.chain(members).collect();
    let kept_at = &q.look.seen.claim_kept_at;
    let servers: Vec<IpAddr> = kept_at.iter().copied().filter(|server| cluster.contains(server)).collect();
    let value = match (kept_at.is_empty(), servers.is_empty()) {
        (true, _) => "kept by no server".to_owned(),
        (false, true) => "kept by other servers".to_owned(),
        (false, false) => format!("kept at {}", listed(&servers)),
    };
    let hazard = (!servers.is_empty()).then_some(Hazard::ClaimInCluster { servers });
    finding(value, "kept outside the cluster", hazard)
}

pub(super) fn claim_held(q: &Question<'_, '_>) -> Finding {
    let holder = q.look.record.held.as_ref().map(|claim| &claim.slot).filter(|slot| **slot != q.slot.spec.name);
    let hazard = holder.map(|slot| Hazard::ClaimHeld { slot: slot.clone() });
    finding(listed(holder), "no claim for another slot", hazard)
}

pub(super) fn another_replacement(q: &Question<'_, '_>) -> Finding {
    let busy = q.look.others(q.slot).filter(|slot| !matches!(slot_state(q.look, slot), SlotState::Serving(_)));
    let slots: Vec<_> = busy.map(|slot| slot.spec.name.clone()).collect();
    let value = format!("slots without one serving instance: {}", listed(&slots));
    let hazard = (!slots.is_empty()).then_some(Hazard::AnotherReplacement { slots });
    finding(value, "every other slot served", hazard)
}

/// Refuses a decision on a reading that began before our last write to this cluster, or that is old, or that
/// contradicts what was seen before.
pub(super) fn stale_observation(look: &Look<'_>) -> Finding {
    let seen = look.seen;
    let readings = [("the cloud", begun(&seen.cloud)), ("the claim", begun(&seen.claim))];
    let membership = begun(&seen.membership).map(|begun| ("the membership", Some(begun)));
    // Whatever is launched ahead belongs to nobody but the record that says so.
    let is_interrupted = |slot: &SlotLook<'_>| matches!(slot_state(look, slot), SlotState::Interrupted { .. });
    let rests_on_claim = look.record.held.is_some() || look.record.ahead.is_some();
    let rests_on_claim = rests_on_claim || seen.claim_known_since.is_some() && look.slots.iter().any(is_interrupted);
    let stale = readings.into_iter().chain(membership).find_map(|(source, begun)| {
        let begun = begun?;
        let age = elapsed(look.now, begun);
        let claimed = seen.claim_known_since.filter(|_| rests_on_claim);
        match seen.wrote {
            _ if source == "the cloud" && claimed.is_some_and(|since| begun < since) => {
                Some(format!("{source} was read before the claim was as it is now"))
            }
            Some(wrote) if begun < wrote => Some(format!("{source} was read before our last write")),
            _ if age > look.limits.fresh => Some(format!("{source} was read {} ago", Human(age))),
            _ => None,
        }
    });
    let why = stale.or_else(|| seen.regressions.first().cloned());
    let value = why.clone().unwrap_or_else(|| "all read after our last write".to_owned());
    let wants = format!("read after our last write, at most {} ago", Human(look.limits.fresh));
    finding(value, wants, why.map(|why| Hazard::StaleObservation { why }))
}

/// Refuses while EC2 says something of a resource of the cluster that is not understood: a word that is new, or facts that
/// contradict each other. Whatever is decided meanwhile could rest on half a world.
pub(super) fn not_understood(look: &Look<'_>) -> Finding {
    let resources: Vec<_> = look.cloud.not_understood.iter().map(|(id, why)| (id.clone(), why.clone())).collect();
    let value = listed(resources.iter().map(|(id, why)| format!("{id}: {why}")));
    let hazard = (!resources.is_empty()).then_some(Hazard::NotUnderstood { resources });
    finding(value, "nothing that is not understood", hazard)
}

fn begun<T>(reading: &Reading<T>) -> Option<Timestamp> {
    match reading {
        Reading::Seen { begun, .. } => Some(*begun),
        Reading::Unknown { .. } => None,
    }
}
