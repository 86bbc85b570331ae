//! The adopted Auto Scaling group: kept still while a slot is replaced, and let go again when nothing is under way.
//!
//! ```text
//! claim ─ write down what runs ─ suspend ─ launch ─ JOIN new ─ protect ─ … stop old … proven
//!       ─ old LEAVES ─ terminate old ─ release ─ (next slot …) ─ launch template follows
//!       ─ resume what was written down ─ forget it
//! ```
//!
//! Resuming is no step of a replacement: it is done whenever nothing is under way and nothing begins, so that it
//! comes after a rollback, a dropped claim and healing alike, and once in a rollout. Between two slots of a rollout the
//! group stays as it is: a late `ResumeProcesses` must not meet a stopped member.

use crate::action::{CloudEffect, Effect, GroupEffect, NewTemplateVersion};
use crate::ids::{ImageId, InstanceId, Token};
use crate::observed::{Group, Instance, Launches, Lifecycle, Recruit, Template, TemplateVersion};

use super::answer::{Awaited, Hazard, Plan, Why};
use super::drift;
use super::look::{Look, SlotLook};
use super::standing::{Standing, standing};

/// The adopted group, if there is one.
pub fn adopted<'a>(look: &Look<'a>) -> Option<&'a Group> {
    look.spec.capacity.group().and(look.cloud.group.as_ref())
}

/// Why the adopted group cannot be worked with, if that is so.
pub fn fault(look: &Look<'_>) -> Option<Hazard> {
    let name = look.spec.capacity.group()?;
    let why = match &look.cloud.group {
        None => "does not exist, or may not be seen".to_owned(),
        Some(Group { launches: Launches::Otherwise(what), .. }) => {
            format!("launches from {what}, which cannot be made to follow the spec")
        }
        Some(group) => {
            let outside = look.spec.slots.iter().find(|slot| !group.zones.contains(&slot.zone))?;
            format!("does not launch in {}, where {} is", outside.zone, outside.name)
        }
    };
    Some(Hazard::GroupUnusable { group: name.to_owned(), why })
}

/// Keeps the group from acting while a slot is claimed. Done when none of its processes runs and it counts right.
/// What somebody resumes meanwhile is suspended again; what is resumed in the end stays what was written down first.
pub fn quiet(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    suspend(look, Some(slot), group).or_else(|| tidy(look, Some(slot), group))
}

/// Writes down which processes of a group run, and suspends them.
pub fn suspend(look: &Look<'_>, slot: Option<&SlotLook<'_>>, group: &Group) -> Option<Plan> {
    let processes = group.running();
    if processes.is_empty() {
        return None;
    }
    let effect = match group.resume {
        None => GroupEffect::RecordResume { processes },
        Some(_) => GroupEffect::Suspend { processes },
    };
    Some(act(look, slot, group, effect, Why::KeepStill))
}

/// Makes an instance a member that is protected from scale-in.
pub fn enlist(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance, why: &Why) -> Option<Plan> {
    let group = adopted(look)?;
    let id = || instance.id.clone();
    let effect = match group.members.get(&instance.id) {
        None if group.desired < group.max => GroupEffect::Join { instance: id() },
        None => {
            return Some(look.blocked(slot, vec![no_room(look, group)]));
        }
        Some(member) => match member.lifecycle {
            Lifecycle::Joining => {
                let what = Awaited::Joined { instance: id(), group: group.name.clone() };
                return Some(look.wait(slot, what, instance.state_since, look.limits.group_change));
            }
            Lifecycle::InService if !member.protected => GroupEffect::Protect { instance: id() },
            Lifecycle::InService | Lifecycle::Standby | Lifecycle::Leaving => return None,
        },
    };
    Some(act(look, Some(slot), group, effect, why.clone()))
}

/// Has an instance leave, so that the group does not miss it when it is terminated. A group that has as few as it may
/// have keeps it: then it is dead to the group, and leaves when its successor has joined.
pub fn discharge(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance, why: &Why) -> Option<Plan> {
    let group = adopted(look)?;
    let (id, name) = (instance.id.clone(), group.name.clone());
    match group.members.get(&instance.id)?.lifecycle {
        Lifecycle::InService | Lifecycle::Standby if group.desired > group.min => {
            Some(act(look, Some(slot), group, GroupEffect::Leave { instance: id }, why.clone()))
        }
        Lifecycle::InService | Lifecycle::Standby => None,
        Lifecycle::Joining => {
            let what = Awaited::Joined { instance: id, group: name };
            Some(look.wait(slot, what, instance.state_since, look.limits.group_change))
        }
        Lifecycle::Leaving => {
            let what = Awaited::Left { instance: id, group: name };
            Some(look.wait(slot, what, instance.state_since, look.limits.group_change))
        }
    }
}

/// Every serving instance belongs to the group, and none of them may be scaled in.
pub fn keep(look: &Look<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    look.slots.iter().find_map(|slot| match standing(look, slot) {
        Standing::Serving(instance) if instance.owner.as_ref() == Some(&look.seen.owner) => {
            let elsewhere = instance.auto_scaling_group.as_ref().is_some_and(|name| *name != group.name);
            let stays_out = !group.members.contains_key(&instance.id) && (elsewhere || group.desired >= group.max);
            if stays_out { None } else { enlist(look, slot, instance, &Why::OutOfStep) }
        }
        _ => None,
    })
}

/// Nothing is under way, and nothing begins: the group may act by itself again.
pub fn let_go(look: &Look<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    let recorded = group.resume.as_ref()?;
    if group.running().is_empty()
        && let Some(plan) = tidy(look, None, group)
    {
        return Some(plan);
    }
    let suspended: std::collections::BTreeSet<_> = recorded.intersection(&group.suspended).cloned().collect();
    let effect = match (taken_for_ill(look, group), suspended.is_empty()) {
        (Some(instance), false) => GroupEffect::Vouch { instance },
        (None, false) => GroupEffect::Resume { processes: suspended },
        (_, true) => GroupEffect::ForgetResume { processes: recorded.clone() },
    };
    Some(act(look, None, group, effect, Why::LetGo))
}

/// Every slot has settled on what the spec wants: so shall what the group launches. Not before, or a bad image would
/// get there.
pub fn follow(look: &Look<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    let Launches::Template(template) = &group.launches else { return None };
    let behind = |slot: &SlotLook<'_>| slot.present().any(|(_, v)| v.generation.as_ref() != Some(&look.generation));
    if look.slots.iter().any(behind) || follows(look, template) {
        return None;
    }
    let right = [&template.version, &template.latest].into_iter().find(|version| is_wanted(look, version));
    let effect = match right {
        Some(version) => GroupEffect::UseTemplateVersion {
            template: template.id.clone(),
            from: template.version.number,
            to: version.number,
        },
        None => GroupEffect::CreateTemplateVersion(Box::new(new_version(look, template))),
    };
    Some(act(look, None, group, effect, Why::TemplateBehind))
}

/// Whether the group launches what the spec wants, and goes on to whatever becomes of the template.
pub fn follows(look: &Look<'_>, template: &Template) -> bool {
    template.pinned && is_wanted(look, &template.version)
}

/// The instance that the group has launched in the slot's zone and that is what the slot would be given on that
/// image; the oldest of several.
pub fn recruit_for<'a>(look: &Look<'a>, slot: &SlotLook<'_>, image: &ImageId) -> Option<&'a Recruit> {
    let group = adopted(look)?;
    let fits = |recruit: &&Recruit| {
        let here = recruit.zone == slot.spec.zone && recruit.subnet == slot.spec.subnet;
        let counts = group.members.get(&recruit.id).is_some_and(|member| member.lifecycle != Lifecycle::Leaving);
        let runs = recruit.state <= crate::observed::InstanceState::Running;
        is_untaken(look, recruit)
            && here
            && counts
            && runs
            && drift::of_make(look.spec, image, &recruit.make).is_empty()
    };
    group.recruits.iter().filter(fits).min_by_key(|recruit| (recruit.launched_at, &recruit.id))
}

/// The group is about to launch what the slot needs: it comes first for a while, or there would be two.
pub fn about_to_launch(look: &Look<'_>, slot: &SlotLook<'_>, image: &ImageId) -> Option<Plan> {
    let group = adopted(look)?;
    let Launches::Template(template) = &group.launches else { return None };
    let lost_at = slot.instances.iter().filter(|i| !i.state.is_live()).map(|i| i.state_since).max()?;
    let launches = !group.suspended.contains("Launch") && (alive(look, group) as u32) < group.desired;
    let right = drift::of_make(look.spec, image, &template.version.make).is_empty();
    let in_time = crate::time::elapsed(look.now, lost_at) < look.limits.group_launch;
    let what = Awaited::Recruit { group: group.name.clone() };
    (launches && right && in_time).then(|| look.wait(slot, what, lost_at, look.limits.group_launch))
}

/// Instances that the group has launched and that no replacement has taken, dead ones left out.
pub fn strays<'l, 'a>(look: &'l Look<'a>) -> impl Iterator<Item = &'a Recruit> + 'l {
    let claimed = look.record.held.as_ref().and_then(|claim| claim.recruit.as_ref());
    let recruits = adopted(look).map(|group| group.recruits.as_slice()).unwrap_or_default();
    let spare = move |recruit: &&Recruit| recruit.state.is_live() && Some(&recruit.id) != claimed;
    recruits.iter().filter(move |recruit| spare(recruit) && is_untaken(look, recruit))
}

/// Whether one more may join. Attaching always raises what the group wants, but the group is made to want no more
/// than it has before that, where it may.
pub fn has_room(look: &Look<'_>, group: &Group) -> bool {
    let alive = alive(look, group) as u32;
    let wants = if alive >= group.min { alive } else { group.desired };
    wants < group.max
}

/// The group takes no more.
pub fn no_room(look: &Look<'_>, group: &Group) -> Hazard {
    let spare = strays(look).map(|recruit| recruit.id.clone()).collect();
    Hazard::GroupHasNoRoom { group: group.name.clone(), max: group.max, spare }
}

/// How many members live, and stay.
pub fn alive(look: &Look<'_>, group: &Group) -> usize {
    let stays = |(id, member): &(&InstanceId, &crate::observed::GroupMember)| {
        member.lifecycle != Lifecycle::Leaving && !is_dead(look, group, id)
    };
    group.members.iter().filter(stays).count()
}

/// Our dead leave a group that cannot notice them, and it is made to want what it has: so that it neither launches nor
/// terminates anything when it is let go.
fn tidy(look: &Look<'_>, slot: Option<&SlotLook<'_>>, group: &Group) -> Option<Plan> {
    let ours = |id: &&InstanceId| look.cloud.instance(id).is_some_and(|instance| !instance.state.is_live());
    let counts = |id: &&InstanceId| group.members.get(*id).is_some_and(|m| m.lifecycle == Lifecycle::InService);
    let effect = match group.members.keys().filter(ours).find(counts) {
        Some(dead) if group.desired > group.min => GroupEffect::Leave { instance: dead.clone() },
        Some(_) => return None,
        None => {
            let changing = |m: &crate::observed::GroupMember| m.lifecycle != Lifecycle::InService;
            let to = alive(look, group) as u32;
            if to == group.desired || to < group.min || to > group.max || group.members.values().any(changing) {
                return None;
            }
            GroupEffect::Resize { from: group.desired, to }
        }
    };
    Some(act(look, slot, group, effect, Why::OutOfStep))
}

/// It bears no tag of ours in the other view either, which may be the newer one.
fn is_untaken(look: &Look<'_>, recruit: &Recruit) -> bool {
    look.cloud.instance(&recruit.id).is_none()
}

/// Whether a member is known to have ended, or to be about to.
pub fn is_dead(look: &Look<'_>, group: &Group, id: &InstanceId) -> bool {
    let recruit = || group.recruits.iter().find(|recruit| recruit.id == *id).map(|recruit| recruit.state);
    let state = look.cloud.instance(id).map(|instance| instance.state).or_else(recruit);
    state.is_some_and(|state| !state.is_live())
}

/// A serving member that the group would replace as soon as it may: it saw it stopped, before that was taken back.
fn taken_for_ill(look: &Look<'_>, group: &Group) -> Option<InstanceId> {
    look.slots.iter().find_map(|slot| match standing(look, slot) {
        Standing::Serving(instance) => {
            group.members.get(&instance.id).filter(|member| !member.healthy).map(|_| instance.id.clone())
        }
        _ => None,
    })
}

fn is_wanted(look: &Look<'_>, version: &TemplateVersion) -> bool {
    drift::of_make(look.spec, &look.spec.image, &version.make).is_empty()
}

fn new_version(look: &Look<'_>, template: &Template) -> NewTemplateVersion {
    let wanted = &look.spec.instance;
    let latest = template.latest.number.to_string();
    NewTemplateVersion {
        token: Token::of(&[&look.spec.name, &template.id, &look.generation, &latest]),
        template: template.id.clone(),
        image: look.spec.image.clone(),
        instance_type: wanted.instance_type.clone(),
        iam_instance_profile: wanted.iam_instance_profile.clone(),
        security_groups: wanted.security_groups.clone(),
        key_name: wanted.key_name.clone(),
        user_data: wanted.user_data.clone(),
        tags: wanted.tags.clone(),
        owner: look.seen.owner.clone(),
    }
}

fn act(look: &Look<'_>, slot: Option<&SlotLook<'_>>, group: &Group, effect: GroupEffect, why: Why) -> Plan {
    let effect = CloudEffect::Group { group: group.name.clone(), effect };
    look.effect(slot.map(|slot| &slot.spec.name), Effect::Cloud(effect), why)
}
