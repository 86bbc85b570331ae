//! The end of a cluster in an adopted Auto Scaling group, which stays, and is left empty.
//!
//! ```text
//! end ─ write down what runs ─ suspend ─ … STOP, save, free … ─ minimum 0 ─ each one LEAVES and is terminated
//!     ─ the group wants none ─ resume what was written down ─ forget it
//! ```
//!
//! The group may act again only when it wants no instance, so that it launches nothing back. An instance that the group
//! launched by itself bears no tag of ours and may hold data: such an instance is neither terminated nor detached, and
//! the end waits until a person has decided about it.

use crate::action::{CloudEffect, Effect, GroupEffect};
use crate::observed::{Group, Instance, InstanceState, Lifecycle};
use crate::plan::answer::{Awaited, Hazard, Plan, Why};
use crate::plan::group::{adopted, fault, is_dead, record, suspend};
use crate::plan::look::Look;

use super::end::End;

/// Finds groups that would undo the end, and members of the adopted group that are not ours. Such members forbid the
/// beginning, and everything else for as long as the group was not touched; later they only keep it from being emptied.
pub(super) fn in_the_way<'l>(look: &'l Look<'_>, begun: bool) -> impl Iterator<Item = Hazard> + 'l {
    let untouched = adopted(look).filter(|group| !begun || group.resume.is_none());
    not_adopted(look).into_iter().chain(untouched.and_then(|group| not_ours(look, group)))
}

/// Refuses because of a group that was not adopted, or is not shown: it replaces what stops.
fn not_adopted(look: &Look<'_>) -> Option<Hazard> {
    let seen = adopted(look).map(|group| group.name.as_str());
    let elsewhere = |one: &&Instance| one.auto_scaling_group.is_some() && one.auto_scaling_group.as_deref() != seen;
    let instance = look.cloud.live_instances().find(elsewhere)?;
    let group = instance.auto_scaling_group.clone()?;
    if look.spec.capacity.group() == Some(&group) {
        return fault(look);
    }
    Some(Hazard::OwnedByAutoscaling { instance: instance.id.clone(), group })
}

/// Refuses because of members of the adopted group that live, or may, and bear no tag of ours.
fn not_ours(look: &Look<'_>, group: &Group) -> Option<Hazard> {
    let foreign = group.members.keys().filter(|id| look.cloud.instance(id).is_none() && !is_dead(look, group, id));
    let resources: Vec<_> = foreign.map(ToString::to_string).collect();
    (!resources.is_empty()).then(|| Hazard::StrangersInGroup { resources, group: group.name.clone() })
}

impl End<'_, '_> {
    /// Writes down which of the group's processes run.
    pub(super) fn record_resume(&self) -> Option<Plan> {
        record(self.look, None, self.filled_group()?)
    }

    /// Keeps the group from acting until it is empty. Whoever was on his way in has come in.
    pub(super) fn keep_still(&self) -> Option<Plan> {
        let group = self.filled_group()?;
        suspend(self.look, None, group).or_else(|| {
            let joins = |one: &Instance| {
                let member = group.members.get(&one.id);
                one.state == InstanceState::Running && member.is_some_and(|it| it.lifecycle == Lifecycle::Joining)
            };
            let instance = self.first(joins)?;
            let what = Awaited::Joined { instance: instance.id.clone(), group: group.name.clone() };
            Some(self.wait(&instance.slot, what, instance.state_since, self.look.limits.group_change))
        })
    }

    /// Answers with the adopted group, unless it is empty.
    fn filled_group(&self) -> Option<&Group> {
        self.group.filter(|group| !self.is_empty(group))
    }

    /// Lowers the group's minimum: no instance can be detached from a group that has as few as it may have.
    pub(super) fn lower_minimum(&self) -> Option<Plan> {
        let group = self.group.filter(|group| group.min > 0)?;
        Some(self.change(group, GroupEffect::LowerMinimum { from: group.min }))
    }

    /// Detaches the next instance that goes from the group, before it is terminated. A group that wants none does not
    /// miss it.
    pub(super) fn leave_group(&self) -> Option<Plan> {
        let (group, instance) = (self.group?, self.stopped()?);
        let (id, name) = (instance.id.clone(), group.name.clone());
        let what = match group.members.get(&id)?.lifecycle {
            Lifecycle::InService | Lifecycle::Standby if group.desired == 0 => return None,
            Lifecycle::Standby => {
                let hazard = Hazard::InStandby { group: name, instance: id };
                return Some(Plan::blocked(Some(&instance.slot), vec![hazard]));
            }
            Lifecycle::InService => {
                let effect = CloudEffect::Group { group: name, effect: GroupEffect::Leave { instance: id } };
                return Some(self.act(&instance.slot, effect));
            }
            Lifecycle::Joining => Awaited::Joined { instance: id, group: name },
            Lifecycle::Leaving => Awaited::Left { instance: id, group: name },
        };
        Some(self.wait(&instance.slot, what, instance.state_since, self.look.limits.group_change))
    }

    /// Makes the group want no instance, once it has none.
    pub(super) fn resize_group(&self) -> Option<Plan> {
        let group = self.group?;
        if let Some(hazard) = not_ours(self.look, group) {
            return Some(Plan::blocked(None, vec![hazard]));
        }
        let from = group.desired;
        (from > 0).then(|| self.change(group, GroupEffect::Resize { from, to: 0 }))
    }

    fn change(&self, group: &Group, effect: GroupEffect) -> Plan {
        let effect = CloudEffect::Group { group: group.name.clone(), effect };
        self.look.effect(None, Effect::Cloud(effect), Why::Unwanted)
    }

    fn is_empty(&self, group: &Group) -> bool {
        group.min == 0 && group.desired == 0 && group.members.keys().all(|id| is_dead(self.look, group, id))
    }
}
