//! The proof that a member is back on an instance, and what is missing of it.

use std::time::Duration;

use crate::ids::MemberId;
use crate::observed::{Health, Instance, InstanceState, Member, is_version};
use crate::plan::look::{Look, SlotLook};
use crate::time::{Timestamp, after};

/// The member that has to be back, and where.
pub(super) struct Wanted<'a> {
    pub(super) instance: &'a Instance,
    /// The identity that the member must come back with.
    pub(super) member: Option<&'a MemberId>,
    /// The member must have a vote.
    pub(super) vote: bool,
    /// The version that it must report where the spec is about another image by now.
    pub(super) version: Option<&'a str>,
}

/// The part of a proof that is missing.
pub(super) enum Outstanding {
    /// The member is not back as itself, healthy and caught up; in words.
    NotBack(String),
    /// Says whether the member is back cannot be said, so nothing may be done about it, however long that takes; in
    /// words.
    NotKnown(String),
    /// The member is back, and has to stay so.
    Until {
        /// The moment at which it came back.
        since: Timestamp,
        /// The moment at which it will have proved itself.
        until: Timestamp,
    },
}

/// Says what is missing of: same identity, at the instance's address, voter, healthy, caught up, on the expected
/// version, for that span.
pub(super) fn missing_proof(
    look: &Look<'_>,
    slot: &SlotLook<'_>,
    wanted: &Wanted<'_>,
    span: Duration,
) -> Option<Outstanding> {
    if let Some(outstanding) = not_back(look, slot, wanted) {
        return Some(outstanding);
    }
    // Our own timer, because the application may forget its own; it starts anew when we do.
    let since = look.seen.steady.get(&slot.spec.name).copied().unwrap_or(look.now);
    let until = after(since, span);
    (look.now < until).then_some(Outstanding::Until { since, until })
}

fn not_back(look: &Look<'_>, slot: &SlotLook<'_>, wanted: &Wanted<'_>) -> Option<Outstanding> {
    let (back, known) = (Outstanding::NotBack, Outstanding::NotKnown);
    if wanted.instance.state != InstanceState::Running {
        return Some(back(format!("{} is not running", wanted.instance.id)));
    }
    if look.membership.is_none() {
        return Some(known("the members could not be asked".to_owned()));
    }
    if !look.is_led() {
        // Without a leader nobody vouches for anybody: the fault may well be with the others.
        return Some(known("there is no leader".to_owned()));
    }
    let Some(member) = slot.member else {
        return Some(back("it is not among the members".to_owned()));
    };
    not_itself(member, wanted).map(back).or_else(|| not_well(look, member, wanted.vote)).or_else(|| {
        // The spec says what its own image brings, and the claim what one was to bring that the spec was about. A member that is
        // healed or rolled back on an earlier image runs what that image brought.
        let is_wanted = wanted.instance.make.image == look.spec.image;
        let expected = if is_wanted { look.rules.version.as_deref() } else { wanted.version }?;
        let found = member.version.as_deref().unwrap_or("unknown");
        (!is_version(expected, found)).then(|| back(format!("it runs version {found}, not {expected}")))
    })
}

/// Says in what a member is not the one that is wanted, at the place where it is wanted.
fn not_itself(member: &Member, wanted: &Wanted<'_>) -> Option<String> {
    match wanted.member {
        Some(id) if member.id != *id => {
            Some(format!("it came back as {}, not as {id}: its data is not what it was", member.id))
        }
        _ if member.address != wanted.instance.member_address() => {
            Some("its peers still have its old address".to_owned())
        }
        _ => None,
    }
}

/// Says what is missing of a member that is healthy, counts where it must, and is caught up.
fn not_well(look: &Look<'_>, member: &Member, vote: bool) -> Option<Outstanding> {
    let (back, known) = (Outstanding::NotBack, Outstanding::NotKnown);
    match (&member.health, member.lag) {
        (Health::Unhealthy(why), _) => Some(back(why.clone())),
        (Health::Unknown(why), _) => Some(known(why.clone())),
        (Health::Healthy, _) if !member.counts && vote => Some(back("it has no vote yet".to_owned())),
        (Health::Healthy, Some(lag)) if !lag.exceeds(&look.rules.lag_limit) => None,
        (Health::Healthy, Some(lag)) => Some(back(format!("it is {lag} behind"))),
        (Health::Healthy, None) => Some(known("how far it is behind is not known".to_owned())),
    }
}
