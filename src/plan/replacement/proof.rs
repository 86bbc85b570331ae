//! Whether a member has proved itself on an instance, and if not, what is outstanding.

use std::time::Duration;

use crate::ids::MemberId;
use crate::observed::{Health, Instance, InstanceState};
use crate::plan::look::{Look, SlotLook};
use crate::time::{Timestamp, after};

/// Who has to be back, and where.
pub(super) struct Wanted<'a> {
    pub(super) instance: &'a Instance,
    /// The identity that it must come back with.
    pub(super) member: Option<&'a MemberId>,
}

/// What is outstanding.
pub(super) enum Outstanding {
    /// The member is not back as itself, healthy and caught up.
    NotBack(String),
    /// Whether it is cannot be said, so nothing may be done about it, however long it takes.
    NotKnown(String),
    /// It is, and has to stay so.
    Until { since: Timestamp, until: Timestamp },
}

/// What is missing of: same identity, at the instance's address, voter, healthy, caught up, on the expected version,
/// for so long.
pub(super) fn outstanding(
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
    let instance = wanted.instance;
    if instance.state != InstanceState::Running {
        return Some(back(format!("{} is not running", instance.id)));
    }
    let Some(membership) = look.membership else {
        return Some(known("the members could not be asked".to_owned()));
    };
    if membership.leader.is_none() {
        // Without one nobody vouches for anybody: the fault may well be with the others.
        return Some(known("there is no leader".to_owned()));
    }
    let Some(member) = slot.member else {
        return Some(back("it is not among the members".to_owned()));
    };
    if let Some(id) = wanted.member
        && member.id != *id
    {
        return Some(back(format!("it came back as {}, not as {id}: its data is not what it was", member.id)));
    }
    if member.address != instance.address {
        return Some(back("its peers still have its old address".to_owned()));
    }
    match &member.health {
        Health::Healthy => {}
        Health::Unhealthy(why) => return Some(back(why.clone())),
        Health::Unknown(why) => return Some(known(why.clone())),
    }
    if !member.voter {
        return Some(back("it has no vote yet".to_owned()));
    }
    match member.lag {
        Some(lag) if lag <= look.rules.lag_limit => {}
        Some(lag) => return Some(back(format!("it is {lag} log entries behind"))),
        None => return Some(known("how far it is behind is not known".to_owned())),
    }
    // A version is expected only of what the spec describes: a member that is healed or rolled back on an earlier
    // image runs what that image brought.
    match (&look.rules.version, &member.version) {
        (Some(expected), found) if instance.image == look.spec.image && found.as_ref() != Some(expected) => {
            Some(back(format!("it runs version {}, not {expected}", found.as_deref().unwrap_or("unknown"))))
        }
        _ => None,
    }
}
