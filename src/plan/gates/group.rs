//! Gates about Auto Scaling: groups that were not adopted, and whether the adopted one can bear a replacement.

use std::collections::BTreeSet;

use crate::observed::{Group, Instance, Lifecycle, Process};
use crate::plan::answer::Hazard;
use crate::plan::group::{adopted, alive, fault, has_room, no_room, recruit_for};

use super::question::{Finding, Question, finding, listed};

/// Refuses an instance of a group that replaces a stopped instance at once, and would so undo what we do. A group that
/// was adopted must have been kept from it before its member is touched.
pub(super) fn owned_by_autoscaling(q: &Question<'_, '_>) -> Finding {
    let wants = "in no Auto Scaling group that was not adopted, or is not kept still";
    let owned = q.slot.live().find_map(|instance| {
        let group = group_of(q, instance)?;
        let is_adopted = q.look.spec.capacity.group() == Some(group);
        let running = if is_adopted { processes_that_should_rest(q)? } else { BTreeSet::new() };
        Some((instance, group, is_adopted, running))
    });
    let Some((instance, group, is_adopted, running)) = owned else { return finding("in no group", wants, None) };
    let value = format!("{} is in {group}; running: {}", instance.id, listed(&running));
    let (instance, group) = (instance.id.clone(), group.to_owned());
    let hazard = if is_adopted {
        Hazard::GroupNotStill { instance, group, running }
    } else {
        Hazard::OwnedByAutoscaling { instance, group }
    };
    finding(value, wants, Some(hazard))
}

/// The group that an instance belongs to, by its own tag or by the group's list.
fn group_of<'a>(q: &Question<'_, 'a>, instance: &'a Instance) -> Option<&'a str> {
    let listed = || adopted(q.look).filter(|group| group.members.contains_key(&instance.id));
    instance.auto_scaling_group.as_deref().or_else(|| listed().map(|group| group.name.as_str()))
}

/// The processes of the adopted group that run although the slot is claimed, if any do.
fn processes_that_should_rest(q: &Question<'_, '_>) -> Option<BTreeSet<Process>> {
    let claimed = q.look.record.held.as_ref().is_some_and(|claim| claim.slot == q.slot.spec.name);
    let running = adopted(q.look).map(Group::running).unwrap_or_default();
    (claimed && !running.is_empty()).then_some(running)
}

/// Refuses unless the adopted group is there, launches in every slot's zone, and launches from something that can
/// follow the spec.
pub(super) fn group_unusable(q: &Question<'_, '_>) -> Finding {
    let wants = "there, with one launch template, and in every slot's zone";
    let Some(name) = q.look.spec.capacity.group() else { return finding("none adopted", wants, None) };
    let hazard = fault(q.look);
    let value = hazard.as_ref().map_or_else(|| format!("{name} is usable"), Hazard::to_string);
    finding(value, wants, hazard)
}

/// Refuses unless one more member has room: a replacement is a member beside all others for a while. One that the group
/// launched is a member already.
pub(super) fn group_has_no_room(q: &Question<'_, '_>) -> Finding {
    let wants = "room for one member more";
    let Some(group) = adopted(q.look) else { return finding("none adopted", wants, None) };
    let claim = q.look.record.held.as_ref().filter(|claim| claim.slot == q.slot.spec.name);
    let has_joined = claim.is_some_and(|claim| {
        let new = q.slot.launched_under(claim).filter(|new| new.state.is_live());
        claim.recruit.is_some() || new.is_some_and(|new| group.members.contains_key(&new.id))
    });
    let recruited = q.slot.live().next().is_none() && recruit_for(q.look, q.slot, q.image).is_some();
    let value = format!("{} of at most {} members", alive(q.look, group), group.max);
    let refuses = !has_joined && !recruited && !has_room(q.look, group);
    finding(value, wants, refuses.then(|| no_room(q.look, group)))
}

/// Refuses while the group is busy with its own members.
pub(super) fn group_changing(q: &Question<'_, '_>) -> Finding {
    let wants = "as many as it wants, all in service and healthy";
    let Some(group) = adopted(q.look) else { return finding("none adopted", wants, None) };
    let alive = alive(q.look, group);
    let restless = group.members.iter().find(|(_, m)| m.lifecycle != Lifecycle::InService || !m.healthy);
    let why = match restless {
        Some((id, member)) if member.lifecycle == Lifecycle::InService => Some(format!("takes {id} for unhealthy")),
        Some((id, member)) => Some(format!("has {id} {}", word(member.lifecycle))),
        None if alive != group.desired as usize => Some(format!("wants {} instances and has {alive}", group.desired)),
        None => None,
    };
    let value = why.clone().unwrap_or_else(|| format!("{alive} members, all in service"));
    let hazard = |why| match restless {
        Some((id, member)) if member.lifecycle == Lifecycle::Standby => {
            Hazard::InStandby { group: group.name.clone(), instance: id.clone() }
        }
        _ => Hazard::GroupChanging { group: group.name.clone(), why },
    };
    finding(value, wants, why.map(hazard))
}

fn word(lifecycle: Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Joining => "joining",
        Lifecycle::InService => "in service",
        Lifecycle::Standby => "in standby",
        Lifecycle::Leaving => "leaving",
    }
}
