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

use std::collections::BTreeSet;

use crate::action::{CloudEffect, Effect, GroupEffect, NewTemplateVersion, RootVolume};
use crate::ids::{ImageId, InstanceId, Token};
use crate::make::{Make, differences};
use crate::observed::{
    Group, GroupMember, Instance, InstanceState, Launches, Lifecycle, Process, Recruit, Template, TemplateVersion,
};
use crate::time::elapsed;

use super::answer::{Awaited, Hazard, Plan, Why};
use super::look::{Look, SlotLook};
use super::slot_state::{SlotState, slot_state};

/// Finds the adopted group, if there is one.
pub fn adopted<'a>(look: &Look<'a>) -> Option<&'a Group> {
    look.spec.capacity.group().and(look.cloud.group.as_ref())
}

/// Finds why the adopted group cannot be worked with, if that is so.
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

/// Writes down which of the group's processes run, before a claimed slot is touched. Somebody may resume some
/// meanwhile; what is resumed in the end stays what was written down first.
pub fn record_resume(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<Plan> {
    record(look, Some(slot), adopted(look)?)
}

/// Keeps the group from acting while a slot is claimed. Done when none of its processes runs and it counts right.
pub fn keep_still(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    suspend(look, Some(slot), group).or_else(|| correct_size(look, Some(slot), group))
}

/// Writes down which processes of a group run, unless that is written down.
pub fn record(look: &Look<'_>, slot: Option<&SlotLook<'_>>, group: &Group) -> Option<Plan> {
    let processes = group.running();
    let is_due = group.resume.is_none() && !processes.is_empty();
    is_due.then(|| act(look, slot, group, GroupEffect::RecordResume { processes }, Why::KeepStill))
}

/// Suspends the processes of a group that run.
pub fn suspend(look: &Look<'_>, slot: Option<&SlotLook<'_>>, group: &Group) -> Option<Plan> {
    let processes = group.running();
    (!processes.is_empty()).then(|| act(look, slot, group, GroupEffect::Suspend { processes }, Why::KeepStill))
}

/// Attaches an instance to the group, and waits until it is in service there.
pub fn attach(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance, why: &Why) -> Option<Plan> {
    let group = adopted(look)?;
    let id = || instance.id.clone();
    match group.members.get(&instance.id).map(|member| member.lifecycle) {
        None if group.desired < group.max => {
            Some(act(look, Some(slot), group, GroupEffect::Join { instance: id() }, why.clone()))
        }
        None => Some(look.blocked(slot, vec![no_room(look, group)])),
        Some(Lifecycle::Joining) => {
            let what = Awaited::Joined { instance: id(), group: group.name.clone() };
            Some(look.wait(slot, what, instance.state_since, look.limits.group_change))
        }
        Some(Lifecycle::InService | Lifecycle::Standby | Lifecycle::Leaving) => None,
    }
}

/// Protects a member of the group from scale-in.
pub fn protect(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance, why: &Why) -> Option<Plan> {
    let group = adopted(look)?;
    let member = group.members.get(&instance.id)?;
    let is_due = member.lifecycle == Lifecycle::InService && !member.protected;
    let effect = GroupEffect::Protect { instance: instance.id.clone() };
    is_due.then(|| act(look, Some(slot), group, effect, why.clone()))
}

/// Detaches an instance, so that the group does not miss it when it is terminated. A group that has as few as it may
/// have keeps it: then it is dead to the group, and is detached when its successor has joined. Auto Scaling detaches only what is
/// in service, so one that somebody has put in standby waits for that person.
pub fn detach(look: &Look<'_>, slot: &SlotLook<'_>, instance: &Instance, why: &Why) -> Option<Plan> {
    let group = adopted(look)?;
    let (id, name) = (instance.id.clone(), group.name.clone());
    match group.members.get(&instance.id)?.lifecycle {
        Lifecycle::Standby => Some(look.blocked(slot, vec![Hazard::InStandby { group: name, instance: id }])),
        Lifecycle::InService if group.desired > group.min => {
            Some(act(look, Some(slot), group, GroupEffect::Leave { instance: id }, why.clone()))
        }
        Lifecycle::InService => None,
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

/// Attaches every serving instance to the group, and protects each from scale-in.
pub fn attach_serving(look: &Look<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    look.slots.iter().find_map(|slot| match slot_state(look, slot) {
        SlotState::Serving(instance) if look.is_ours(&instance.owner) => {
            let elsewhere = instance.auto_scaling_group.as_ref().is_some_and(|name| *name != group.name);
            let stays_out = !group.members.contains_key(&instance.id) && (elsewhere || group.desired >= group.max);
            let why = &Why::OutOfStep;
            let join = || attach(look, slot, instance, why).or_else(|| protect(look, slot, instance, why));
            if stays_out { None } else { join() }
        }
        _ => None,
    })
}

/// Lets the group act by itself again, because nothing is under way, and nothing begins.
pub fn resume(look: &Look<'_>) -> Option<Plan> {
    resume_processes(look).or_else(|| forget_resume(look))
}

/// Tells the group that a member which runs is healthy, while a slot is claimed: the group takes none for healthy again
/// by itself, and would keep the replacement from going on.
pub fn vouch(look: &Look<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    let runs = |it: &&Instance| it.state == InstanceState::Running && !it.retired;
    let is_marked = |it: &&Instance| {
        let marked = |member: &GroupMember| member.lifecycle == Lifecycle::InService && !member.healthy;
        group.members.get(&it.id).is_some_and(marked)
    };
    let instance = look.slots.iter().flat_map(SlotLook::live).filter(runs).find(is_marked)?.id.clone();
    Some(act(look, None, group, GroupEffect::Vouch { instance }, Why::OutOfStep))
}

/// Resumes what was written down, once the group counts right and takes no serving member for unhealthy.
pub fn resume_processes(look: &Look<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    let recorded = group.resume.as_ref()?;
    if group.running().is_empty()
        && let Some(plan) = correct_size(look, None, group)
    {
        return Some(plan);
    }
    let processes: BTreeSet<_> = recorded.intersection(&group.suspended).cloned().collect();
    let effect = match marked_unhealthy(look, group) {
        _ if processes.is_empty() => return None,
        Some(instance) => GroupEffect::Vouch { instance },
        None => GroupEffect::Resume { processes },
    };
    Some(act(look, None, group, effect, Why::LetGo))
}

/// Deletes the record of what to resume, once all of that runs.
pub fn forget_resume(look: &Look<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    let recorded = group.resume.as_ref().filter(|recorded| recorded.is_disjoint(&group.suspended))?;
    let effect = GroupEffect::ForgetResume { processes: recorded.clone() };
    Some(act(look, None, group, effect, Why::LetGo))
}

/// Makes the group launch what the spec wants, once every slot has settled on it. Before that a bad image would get
/// there.
pub fn update_template(look: &Look<'_>) -> Option<Plan> {
    let group = adopted(look)?;
    let Launches::Template(template) = &group.launches else { return None };
    let behind = |slot: &SlotLook<'_>| slot.present().any(|(_, volume)| !volume.carries(&look.generation));
    if look.slots.iter().any(behind) || is_up_to_date(look, template) {
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

/// Says whether the group launches what the spec wants, and goes on to whatever becomes of the template.
pub fn is_up_to_date(look: &Look<'_>, template: &Template) -> bool {
    template.pinned && is_wanted(look, &template.version)
}

/// Finds the instance that the group has launched in the slot's zone and that is what the slot would be given on that
/// image; the oldest of several.
pub fn recruit_for<'a>(look: &Look<'a>, slot: &SlotLook<'_>, image: &ImageId) -> Option<&'a Recruit> {
    let group = adopted(look)?;
    let fits = |recruit: &&Recruit| {
        let here = recruit.zone == slot.spec.zone && recruit.subnet == slot.spec.subnet;
        let counts = group.members.get(&recruit.id).is_some_and(|member| member.lifecycle != Lifecycle::Leaving);
        let runs = recruit.state <= InstanceState::Running;
        is_untaken(look, recruit) && here && counts && runs && is_made_from(look, image, &recruit.make)
    };
    group.recruits.iter().filter(fits).min_by_key(|recruit| (recruit.launched_at, &recruit.id))
}

/// Waits for a group that is about to launch what the slot needs: it comes first for a while, or there would be two.
pub fn about_to_launch(look: &Look<'_>, slot: &SlotLook<'_>, image: &ImageId) -> Option<Plan> {
    let group = adopted(look)?;
    let Launches::Template(template) = &group.launches else { return None };
    let lost_at = slot.instances.iter().filter(|i| !i.state.is_live()).map(|i| i.state_since).max()?;
    let launches = !group.suspended.contains(&Process::Launch) && (alive(look, group) as u32) < group.desired;
    let right = is_made_from(look, image, &template.version.make);
    let in_time = elapsed(look.now, lost_at) < look.limits.group_launch;
    let what = Awaited::Recruit { group: group.name.clone() };
    (launches && right && in_time).then(|| look.wait(slot, what, lost_at, look.limits.group_launch))
}

/// Lists instances that the group has launched and that no replacement has taken, dead ones left out.
pub fn strays<'l, 'a>(look: &'l Look<'a>) -> impl Iterator<Item = &'a Recruit> + 'l {
    let claimed = look.record.held.as_ref().and_then(|claim| claim.recruit.as_ref());
    let recruits = adopted(look).map(|group| group.recruits.as_slice()).unwrap_or_default();
    let spare = move |recruit: &&Recruit| recruit.state.is_live() && Some(&recruit.id) != claimed;
    recruits.iter().filter(move |recruit| spare(recruit) && is_untaken(look, recruit))
}

/// Has the group want fewer where it has launched instances that no slot needs and that take the room. It does not act
/// meanwhile, and ends them by itself when it may again: everybody else is protected. Nothing of ours is under way.
pub fn shed(look: &Look<'_>) -> Option<Plan> {
    let group = adopted(look).filter(|group| !has_room(look, group) && look.record.held.is_none())?;
    if spare(look, group) == 0 || size(look, group) >= group.desired {
        return None;
    }
    record(look, None, group).or_else(|| suspend(look, None, group)).or_else(|| correct_size(look, None, group))
}

/// Counts the members that no slot needs, if the group would end those and no others.
fn spare(look: &Look<'_>, group: &Group) -> u32 {
    let spare: BTreeSet<_> = strays(look).map(|recruit| &recruit.id).collect();
    let would_go = |(id, member): (&InstanceId, &GroupMember)| !member.protected && spare.contains(id);
    let is_as_said = |(id, member): (&InstanceId, &GroupMember)| {
        member.lifecycle == Lifecycle::InService && (member.protected || spare.contains(id))
    };
    if group.members.iter().all(is_as_said) {
        group.members.iter().filter(|it| would_go(*it)).count() as u32
    } else {
        0
    }
}

/// Says how many a group should want: as many as live, without those that no slot needs. Under a claim nothing is let go.
fn size(look: &Look<'_>, group: &Group) -> u32 {
    let (alive, spare) = (alive(look, group) as u32, spare(look, group));
    if spare == 0 || look.record.held.is_some() { alive } else { alive.saturating_sub(spare).max(group.min) }
}

/// Says whether one more may join. Attaching always raises what the group wants, but the group is made to want no more
/// than it has before that, where it may.
pub fn has_room(look: &Look<'_>, group: &Group) -> bool {
    let alive = alive(look, group) as u32;
    let wants = if alive >= group.min { alive } else { group.desired };
    wants < group.max
}

/// Refuses because the group takes no more.
pub fn no_room(look: &Look<'_>, group: &Group) -> Hazard {
    let spare: Vec<_> = strays(look).map(|recruit| recruit.id.clone()).collect();
    let (group, max) = (group.name.clone(), group.max);
    if spare.is_empty() { Hazard::GroupFull { group, max } } else { Hazard::GroupFullOfSpares { group, max, spare } }
}

/// Counts the members that live, and stay.
pub fn alive(look: &Look<'_>, group: &Group) -> usize {
    let stays = |(id, member): &(&InstanceId, &GroupMember)| {
        member.lifecycle != Lifecycle::Leaving && !is_dead(look, group, id)
    };
    group.members.iter().filter(stays).count()
}

/// Detaches our dead from a group that cannot notice them, and makes it want what it has, so that it neither launches
/// nor terminates anything when it may act again.
fn correct_size(look: &Look<'_>, slot: Option<&SlotLook<'_>>, group: &Group) -> Option<Plan> {
    let ours = |id: &&InstanceId| look.cloud.instance(id).is_some_and(|instance| !instance.state.is_live());
    let counts = |id: &&InstanceId| group.members.get(*id).is_some_and(|m| m.lifecycle == Lifecycle::InService);
    let effect = match group.members.keys().filter(ours).find(counts) {
        Some(dead) if group.desired > group.min => GroupEffect::Leave { instance: dead.clone() },
        Some(_) => return None,
        None => {
            let changing = |m: &GroupMember| m.lifecycle != Lifecycle::InService;
            let to = size(look, group);
            if to == group.desired || to < group.min || to > group.max || group.members.values().any(changing) {
                return None;
            }
            GroupEffect::Resize { from: group.desired, to }
        }
    };
    Some(act(look, slot, group, effect, Why::OutOfStep))
}

/// Says whether an instance bears no tag of ours in the other view either, which may be the newer one.
fn is_untaken(look: &Look<'_>, recruit: &Recruit) -> bool {
    look.cloud.instance(&recruit.id).is_none()
}

/// Says whether a member is known to have ended, or to be about to.
pub fn is_dead(look: &Look<'_>, group: &Group, id: &InstanceId) -> bool {
    let recruit = || group.recruits.iter().find(|recruit| recruit.id == *id).map(|recruit| recruit.state);
    let state = look.cloud.instance(id).map(|instance| instance.state).or_else(recruit);
    state.is_some_and(|state| !state.is_live())
}

/// Finds a serving member that the group would replace as soon as it may: the group saw it stopped, before that was
/// taken back.
fn marked_unhealthy(look: &Look<'_>, group: &Group) -> Option<InstanceId> {
    look.slots.iter().find_map(|slot| match slot_state(look, slot) {
        SlotState::Serving(instance) => {
            group.members.get(&instance.id).filter(|member| !member.healthy).map(|_| instance.id.clone())
        }
        _ => None,
    })
}

fn is_wanted(look: &Look<'_>, version: &TemplateVersion) -> bool {
    version.tells_tags && differences(&version.make, &look.make).is_empty()
}

/// Says whether a make is the one that the spec would launch from that image.
fn is_made_from(look: &Look<'_>, image: &ImageId, make: &Make) -> bool {
    let wanted = Make { image: image.clone(), ..look.make.clone() };
    differences(make, &wanted).is_empty()
}

fn new_version(look: &Look<'_>, template: &Template) -> NewTemplateVersion {
    let wanted = &look.spec.instance;
    let latest = template.latest.number.to_string();
    let image = look.cloud.catalogue.images.get(&look.make.image);
    NewTemplateVersion {
        token: Token::of(&[&look.spec.name, &template.id, &look.generation, &latest]),
        template: template.id.clone(),
        make: look.make.clone(),
        user_data_text: wanted.user_data.clone(),
        root_volume: image.and_then(|image| RootVolume::of(look.spec, image)),
        tags: wanted.tags.clone(),
        owner: look.seen.owner.clone(),
    }
}

fn act(look: &Look<'_>, slot: Option<&SlotLook<'_>>, group: &Group, effect: GroupEffect, why: Why) -> Plan {
    let effect = CloudEffect::Group { group: group.name.clone(), effect };
    look.effect(slot.map(|slot| &slot.spec.name), Effect::Cloud(effect), why)
}
