//! An Auto Scaling group that acts: it replaces what does not run, launches what it lacks, and terminates what is too many.
//!
//! Absent on purpose: balance between zones, alarms, schedules, instance refreshes.

use std::collections::BTreeMap;

use super::group::ScalingGroup;
use super::happened::{Due, Happened, Span};
use super::records::Machine;
use super::region::{Fresh, Region};
use crate::action::Launch;
use crate::ids::{Attempt, ClusterName, Generation, InstanceId, Owner, SlotName, Token, Zone};
use crate::make::Make;
use crate::observed::{Group, GroupMember, InstanceState, Launches, Lifecycle, Origin, Process, Recruit};
use crate::ports::ErrorKind;
use crate::sim::time::Millis;
use crate::sim::words::{OWNER, Refusal};
use crate::spec::ClusterSpec;

/// A launch that failed is tried again after a minute.
const TRIES_AGAIN: Millis = 60_000;
/// From attached to in service.
const JOINS: Millis = 5_000;

impl Region {
    /// Makes the group that a spec adopts: empty, and launching what the spec says.
    pub(super) fn found_group(&mut self, spec: &ClusterSpec) {
        let Some(name) = spec.capacity.group().filter(|name| !self.groups.contains_key(*name)) else { return };
        self.groups.insert(name.to_owned(), ScalingGroup::of(spec, name));
    }

    /// Gives the group just the instances that a cluster was settled with. It may not have fewer.
    pub fn settle_group(&mut self, spec: &ClusterSpec) {
        let Some(name) = spec.capacity.group() else { return };
        let ids: Vec<_> = self.live_instances(&spec.name);
        for id in &ids {
            if let Some(machine) = self.instances.get_mut(id) {
                machine.seen.auto_scaling_group = Some(name.to_owned());
            }
        }
        let Some(group) = self.groups.get_mut(name) else { return };
        let member = GroupMember { lifecycle: Lifecycle::InService, healthy: true, protected: true };
        (group.seen.desired, group.seen.min) = (ids.len() as u32, ids.len() as u32);
        group.seen.members = ids.into_iter().map(|id| (id, member.clone())).collect();
    }

    /// Tells what Auto Scaling says of a cluster's group.
    pub(super) fn group_of(&self, cluster: &ClusterName) -> Option<Group> {
        let holdings = self.clusters.get(cluster)?;
        let group = self.groups.get(holdings.group.as_ref()?)?;
        let strangers = group.seen.members.keys().filter(|id| !holdings.instances.contains(*id));
        let recruits = strangers.filter_map(|id| self.recruit(id)).collect();
        Some(Group { recruits, ..group.seen.clone() })
    }

    fn recruit(&self, id: &InstanceId) -> Option<Recruit> {
        let seen = &self.instances.get(id)?.seen;
        let (zone, subnet, make) = (seen.zone.clone(), seen.subnet.clone(), Make::clone(&seen.make));
        Some(Recruit { id: id.clone(), state: seen.state, launched_at: seen.launched_at, zone, subnet, make })
    }

    /// Finds the modelled group that an instance is a member of.
    pub fn group_with(&self, id: &InstanceId) -> Option<&ScalingGroup> {
        self.groups.values().find(|group| group.seen.members.contains_key(id))
    }

    /// Changes a group, which then looks around before long.
    pub fn edit_group(&mut self, name: &str, edit: impl FnOnce(&mut ScalingGroup)) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let before = group.seen.suspended.clone();
        edit(group);
        if !before.is_subset(&group.seen.suspended) {
            group.resumed = self.now;
        }
        let cluster = group.cluster.clone();
        self.changed(&cluster);
        self.begins(Due::Group(name.to_owned()), Span::Exactly(JOINS));
        self.stir_group(name);
    }

    /// Lets the group of an instance look around, because something about its member has changed.
    pub(super) fn stir_group_of(&mut self, id: &InstanceId) {
        if let Some(name) = self.group_with(id).map(|group| group.seen.name.clone()) {
            self.stir_group(&name);
        }
    }

    /// Sets a member aside, or back into service; the group wants one fewer meanwhile.
    pub fn set_standby(&mut self, id: &InstanceId, on: bool) {
        let Some(name) = self.group_with(id).map(|group| group.seen.name.clone()) else { return };
        self.edit_group(&name, |group| {
            let Some(member) = group.seen.members.get_mut(id) else { return };
            if on != (member.lifecycle == Lifecycle::Standby) {
                member.lifecycle = if on { Lifecycle::Standby } else { Lifecycle::InService };
                group.seen.desired = if on { group.seen.desired.saturating_sub(1) } else { group.seen.desired + 1 };
                group.seen.min = group.seen.min.min(group.seen.desired);
            }
        });
    }

    /// Keeps whatever joins a group waiting at a lifecycle hook until then.
    pub fn hook_joins(&mut self, until: Millis) {
        self.troubles.hooked_until = until;
        for name in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.begins(Due::Group(name), Span::Exactly(until.saturating_sub(self.now)));
        }
    }

    fn stir_group(&mut self, name: &str) {
        self.begins(Due::Group(name.to_owned()), Span::Notice);
    }

    /// Lets the group look around, and do what its processes are for.
    pub(super) fn group_acts(&mut self, name: &str) {
        let Some(group) = self.groups.get(name).cloned() else { return };
        let mut members = group.seen.members.clone();
        let ended = self.members_to_end(&group.seen, &mut members);
        members.retain(|id, _| !ended.contains(id));
        if members != group.seen.members {
            self.changed(&group.cluster);
        }
        if let Some(group) = self.groups.get_mut(name) {
            group.seen.members = members;
        }
        ended.iter().for_each(|id| self.group_terminates(name, &group.cluster, id));
        if group.runs(Process::Launch) {
            self.lacks_any(name);
        }
    }

    /// Looks at each member, and lists those that the group terminates.
    fn members_to_end(&self, group: &Group, members: &mut BTreeMap<InstanceId, GroupMember>) -> Vec<InstanceId> {
        let runs = |process: Process| !group.suspended.contains(&process);
        let is_hooked = self.troubles.hooked_until > self.now;
        let mut ended = Vec::<InstanceId>::new();
        for (id, member) in members.iter_mut() {
            let state = self.instances.get(id).map(|machine| machine.seen.state);
            let running = state == Some(InstanceState::Running);
            match member.lifecycle {
                Lifecycle::Joining if running && is_hooked => {}
                Lifecycle::Joining if running => member.lifecycle = Lifecycle::InService,
                // An instance that does not come up is terminated, whatever is suspended.
                Lifecycle::Joining if state != Some(InstanceState::Pending) => ended.push(id.clone()),
                Lifecycle::InService if !running && runs(Process::HealthCheck) => member.healthy = false,
                _ => {}
            }
        }
        if runs(Process::ReplaceUnhealthy) && runs(Process::Terminate) {
            ended.extend(members.iter().filter(|(_, member)| !member.healthy).map(|(id, _)| id.clone()));
        }
        if runs(Process::Terminate) {
            let stays = |id: &&InstanceId| !ended.contains(id);
            let serves = |id: &&InstanceId| stays(id) && members.get(*id).is_some_and(GroupMember::counts);
            let surplus = members.keys().filter(serves).count().saturating_sub(group.desired as usize);
            let open: Vec<_> = members.iter().filter(|(id, m)| stays(id) && !m.protected).collect();
            ended.extend(open.into_iter().take(surplus).map(|(id, _)| id.clone()).collect::<Vec<_>>());
        }
        ended
    }

    fn group_terminates(&mut self, name: &str, cluster: &ClusterName, id: &InstanceId) {
        let Some(machine) = self.instances.get_mut(id).filter(|machine| machine.seen.state.is_live()) else { return };
        machine.interfered = true;
        machine.protection.termination = false; // which holds against callers of EC2's API, and not against Auto Scaling
        self.terminate_instance(id).ok();
        self.group_did(name, cluster, "terminates", id);
    }

    fn lacks_any(&mut self, name: &str) {
        let launches = |group: &ScalingGroup| matches!(group.seen.launches, Launches::Template(_));
        let lacks = |group: &ScalingGroup| launches(group) && group.counted() < group.seen.desired as usize;
        if self.groups.get(name).is_some_and(lacks) {
            self.happens(Happened::GroupLacks(name.to_owned()));
        }
    }

    /// Launches one of the instances that a group lacks. One that cannot be launched is tried again later.
    pub fn fill_group(&mut self, now: Millis, name: &str, fresh: Fresh) -> Vec<Happened> {
        self.at(now, |region| match region.group_launches(name, fresh) {
            Ok(()) => region.lacks_any(name),
            Err(_) => region.begins(Due::Group(name.to_owned()), Span::Exactly(TRIES_AGAIN)),
        })
    }

    /// Launches one more instance, in the zone that has the fewest, from the group's template.
    fn group_launches(&mut self, name: &str, fresh: Fresh) -> Result<(), Refusal> {
        let gone = || Refusal::new(ErrorKind::NotFound, "no such group");
        let group = self.groups.get(name).cloned().ok_or_else(gone)?;
        let Launches::Template(template) = &group.seen.launches else { return Err(gone()) };
        let zone_of = |id: &InstanceId| self.instances.get(id).map(|machine| machine.seen.zone.clone());
        let in_zone = |zone: &Zone| group.seen.members.keys().filter(|id| zone_of(id).as_ref() == Some(zone)).count();
        let (zone, subnet) = group.places.iter().min_by_key(|(zone, _)| in_zone(zone)).ok_or_else(gone)?;
        let launch = launch_of(&template.version.make, zone, subnet);
        self.can_launch(&launch)?;
        let id = InstanceId::from(fresh("i"));
        let address = self.give_address(subnet);
        let mut machine = Machine::launched(&launch, &group.cluster, id.clone(), address, self.timestamp());
        (machine.seen.owner, machine.seen.origin) = (None, Origin::Adopted);
        machine.seen.auto_scaling_group = Some(name.to_owned());
        self.instances.insert(id.clone(), machine);
        self.fill_devices(&id, fresh);
        self.begins(Due::Instance(id.clone(), 0), Span::Pending);
        if let Some(group) = self.groups.get_mut(name) {
            let member = GroupMember { lifecycle: Lifecycle::Joining, healthy: true, protected: false };
            group.seen.members.insert(id.clone(), member);
        }
        self.group_did(name, &group.cluster, "launches", &id);
        self.changed(&group.cluster);
        Ok(())
    }

    fn group_did(&mut self, group: &str, cluster: &ClusterName, did: &'static str, id: &InstanceId) {
        let (group, cluster, instance) = (group.to_owned(), cluster.clone(), id.clone());
        self.happens(Happened::GroupDid { group, cluster, did, instance });
    }
}

/// A launch by a group names no slot's volumes, and bears no tag of ours.
fn launch_of(make: &Make, zone: &Zone, subnet: &str) -> Launch {
    Launch {
        token: Token::from(""),
        slot: SlotName::from(""),
        make: make.clone(),
        user_data_text: None,
        zone: zone.clone(),
        subnet: subnet.to_owned(),
        tags: BTreeMap::new(),
        interface_tags: BTreeMap::new(),
        owner: Owner::from(OWNER),
        generation: Generation::from(""),
        attempt: Attempt(0),
        volumes: BTreeMap::new(),
        address: None,
        goes_with_it: BTreeMap::new(),
        root_volume: None,
    }
}
