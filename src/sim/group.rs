//! An Auto Scaling group that acts: it replaces what does not run, launches what it lacks, and ends what is too many.
//!
//! Absent on purpose: balance between zones, alarms, schedules, instance refreshes, lifecycle hooks, standby.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::OWNER;
use super::calls::Refusal;
use super::event::What;
use super::latency;
use super::records::Cluster;
use super::truth::{Millis, Tick, Truth};
use crate::action::Launch;
use crate::ids::{Attempt, ClusterName, Generation, InstanceId, Owner, SlotName, Token, Zone};
use crate::observed::{
    Group, GroupMember, InstanceState, Launches, Lifecycle, Make, Recruit, Template, TemplateVersion,
};
use crate::ports::ErrorKind;
use crate::spec::ClusterSpec;

mod calls;

/// How soon a group sees what has become of its members.
const NOTICES: std::ops::RangeInclusive<Millis> = 10_000..=40_000;
/// A launch that failed is tried again after so long.
const TRIES_AGAIN: Millis = 60_000;
/// From attached to in service.
const JOINS: Millis = 5_000;

/// A group, and what Auto Scaling does not say of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GroupTruth {
    /// What Auto Scaling would say, but for the recruits.
    pub seen: Group,
    pub cluster: ClusterName,
    /// A subnet for each zone.
    pub places: BTreeMap<Zone, String>,
    /// Every version of its launch template, the first one first.
    pub versions: Vec<Make>,
    /// Versions by the token that they were made with.
    pub made: BTreeMap<Token, u64>,
    /// When somebody last resumed a process.
    pub woken: Millis,
}

impl Truth {
    /// The group that a spec adopts is there: empty, and launching what the spec says.
    pub(super) fn found_group(&mut self, spec: &ClusterSpec) {
        let Some(name) = spec.capacity.group().filter(|name| !self.groups.contains_key(*name)) else { return };
        let make = Make {
            image: spec.image.clone(),
            instance_type: spec.instance.instance_type.clone(),
            iam_instance_profile: spec.instance.iam_instance_profile.clone(),
            security_groups: spec.instance.security_groups.clone(),
            key_name: spec.instance.key_name.clone(),
            user_data: spec.instance.user_data_digest(),
        };
        let version = TemplateVersion { number: 1, make: make.clone() };
        let latest = version.clone();
        let template = Template { id: format!("lt-{name}"), version, pinned: true, latest };
        let seen = Group {
            name: name.to_owned(),
            min: 0,
            max: spec.slots.len() as u32 + 1,
            desired: 0,
            zones: spec.slots.iter().map(|slot| slot.zone.clone()).collect(),
            suspended: BTreeSet::new(),
            resume: None,
            members: BTreeMap::new(),
            launches: Launches::Template(Box::new(template)),
            recruits: Vec::new(),
        };
        let group = GroupTruth {
            seen,
            cluster: spec.name.clone(),
            places: spec.slots.iter().rev().map(|slot| (slot.zone.clone(), slot.subnet.clone())).collect(),
            versions: vec![make],
            made: BTreeMap::new(),
            woken: 0,
        };
        self.groups.insert(name.to_owned(), group);
    }

    /// The group has just the instances that a cluster was settled with, and may not have fewer.
    pub(super) fn settle_group(&mut self, spec: &ClusterSpec) {
        let Some(name) = spec.capacity.group() else { return };
        let ids: Vec<_> = self.live_instances(&spec.name);
        for id in &ids {
            if let Some(shell) = self.instances.get_mut(id) {
                shell.seen.auto_scaling_group = Some(name.to_owned());
            }
        }
        let Some(group) = self.groups.get_mut(name) else { return };
        let member = GroupMember { lifecycle: Lifecycle::InService, healthy: true, protected: true };
        (group.seen.desired, group.seen.min) = (ids.len() as u32, ids.len() as u32);
        group.seen.members = ids.into_iter().map(|id| (id, member.clone())).collect();
    }

    /// What Auto Scaling says of a cluster's group.
    pub(super) fn group_of(&self, cluster: &Cluster) -> Option<Group> {
        let group = self.groups.get(cluster.declared.group.as_ref()?)?;
        let strangers = group.seen.members.keys().filter(|id| !cluster.instances.contains(*id));
        let recruits = strangers.filter_map(|id| self.recruit(id)).collect();
        Some(Group { recruits, ..group.seen.clone() })
    }

    fn recruit(&self, id: &InstanceId) -> Option<Recruit> {
        let seen = &self.instances.get(id)?.seen;
        let make = Make {
            image: seen.image.clone(),
            instance_type: seen.instance_type.clone(),
            iam_instance_profile: seen.iam_instance_profile.clone(),
            security_groups: seen.security_groups.clone(),
            key_name: seen.key_name.clone(),
            user_data: seen.user_data.clone(),
        };
        let (zone, subnet) = (seen.zone.clone(), seen.subnet.clone());
        Some(Recruit { id: id.clone(), state: seen.state, launched_at: seen.launched_at, zone, subnet, make })
    }

    /// The modelled group that an instance is a member of.
    pub(super) fn group_with(&self, id: &InstanceId) -> Option<&GroupTruth> {
        self.groups.values().find(|group| group.seen.members.contains_key(id))
    }

    /// Changes a group, which then looks around before long.
    pub(super) fn edit_group(&mut self, name: &str, edit: impl FnOnce(&mut GroupTruth)) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let before = group.seen.suspended.clone();
        edit(group);
        if !before.is_subset(&group.seen.suspended) {
            group.woken = self.now;
        }
        let cluster = group.cluster.clone();
        self.changed(&cluster);
        self.schedule(JOINS, Tick::Group(name.to_owned()));
        self.stir_group(name);
    }

    /// Something about a member has changed.
    pub(super) fn stir_group_of(&mut self, id: &InstanceId) {
        if let Some(name) = self.group_with(id).map(|group| group.seen.name.clone()) {
            self.stir_group(&name);
        }
    }

    fn stir_group(&mut self, name: &str) {
        let span = self.rng.u64(NOTICES);
        self.schedule(span, Tick::Group(name.to_owned()));
    }

    /// The group looks around, and does what its processes are for.
    pub(super) fn group_acts(&mut self, name: &str) {
        let Some(group) = self.groups.get(name).cloned() else { return };
        let runs = |process: &str| !group.seen.suspended.contains(process);
        let (mut members, mut ended) = (group.seen.members.clone(), Vec::<InstanceId>::new());
        for (id, member) in &mut members {
            let running = self.instances.get(id).is_some_and(|shell| shell.seen.state == InstanceState::Running);
            match member.lifecycle {
                Lifecycle::Joining if running => member.lifecycle = Lifecycle::InService,
                // What does not come up is ended, whatever is suspended.
                Lifecycle::Joining if !self.is_starting(id) => ended.push(id.clone()),
                Lifecycle::InService if !running && runs("HealthCheck") => member.healthy = false,
                _ => {}
            }
        }
        if runs("ReplaceUnhealthy") && runs("Terminate") {
            ended.extend(members.iter().filter(|(_, member)| !member.healthy).map(|(id, _)| id.clone()));
        }
        if runs("Terminate") {
            let stays = |id: &&InstanceId| !ended.contains(id);
            let surplus = members.keys().filter(stays).count().saturating_sub(group.seen.desired as usize);
            let open: Vec<_> = members.iter().filter(|(id, m)| stays(id) && !m.protected).collect();
            ended.extend(open.into_iter().take(surplus).map(|(id, _)| id.clone()).collect::<Vec<_>>());
        }
        members.retain(|id, _| !ended.contains(id));
        if members != group.seen.members {
            self.changed(&group.cluster);
        }
        if let Some(group) = self.groups.get_mut(name) {
            group.seen.members = members;
        }
        ended.iter().for_each(|id| self.group_terminates(name, &group.cluster, id));
        if runs("Launch") {
            self.group_fills(name);
        }
    }

    fn is_starting(&self, id: &InstanceId) -> bool {
        self.instances.get(id).is_some_and(|shell| shell.seen.state == InstanceState::Pending)
    }

    fn group_terminates(&mut self, name: &str, cluster: &ClusterName, id: &InstanceId) {
        let Some(shell) = self.instances.get_mut(id).filter(|shell| shell.seen.state.is_live()) else { return };
        shell.meddled = true;
        self.terminate_instance(id).ok();
        self.tell_group(name, cluster, "terminates", id);
    }

    fn group_fills(&mut self, name: &str) {
        let Some(group) = self.groups.get(name).cloned() else { return };
        let lacking = (group.seen.desired as usize).saturating_sub(group.seen.members.len());
        for _ in 0..lacking {
            let launched = self.group_launches(name);
            if launched.is_err() {
                return self.schedule(TRIES_AGAIN, Tick::Group(name.to_owned()));
            }
        }
    }

    /// One more instance, in the zone that has the fewest, from the group's template.
    fn group_launches(&mut self, name: &str) -> Result<(), Refusal> {
        let gone = || Refusal::new(ErrorKind::NotFound, "no such group");
        let group = self.groups.get(name).cloned().ok_or_else(gone)?;
        let Launches::Template(template) = &group.seen.launches else { return Ok(()) };
        let zone_of = |id: &InstanceId| self.instances.get(id).map(|shell| shell.seen.zone.clone());
        let in_zone = |zone: &Zone| group.seen.members.keys().filter(|id| zone_of(id).as_ref() == Some(zone)).count();
        let (zone, subnet) = group.places.iter().min_by_key(|(zone, _)| in_zone(zone)).ok_or_else(gone)?;
        let launch = launch_of(&template.version.make, zone, subnet);
        self.can_launch(&launch)?;
        let id = InstanceId::from(self.new_id("i"));
        let address = self.give_address(subnet);
        let mut shell = self.new_shell(&group.cluster, &SlotName::from(""), &launch, id.clone(), address, None);
        (shell.seen.owner, shell.seen.generation) = (None, None);
        shell.seen.auto_scaling_group = Some(name.to_owned());
        self.instances.insert(id.clone(), shell);
        let pending = latency::PENDING.draw(&mut self.rng);
        self.schedule(pending, Tick::Instance(id.clone(), 0));
        if let Some(group) = self.groups.get_mut(name) {
            let member = GroupMember { lifecycle: Lifecycle::Joining, healthy: true, protected: false };
            group.seen.members.insert(id.clone(), member);
        }
        self.tell_group(name, &group.cluster, "launches", &id);
        self.changed(&group.cluster);
        Ok(())
    }

    fn tell_group(&mut self, group: &str, cluster: &ClusterName, did: &str, id: &InstanceId) {
        let (cluster, instance) = (cluster.clone(), id.clone());
        self.tell(What::Group { cluster, group: group.to_owned(), did: did.to_owned(), instance });
    }
}

/// A launch by a group names no slot's volumes, and bears no tag of ours.
fn launch_of(make: &Make, zone: &Zone, subnet: &str) -> Launch {
    Launch {
        token: Token::from(""),
        image: make.image.clone(),
        instance_type: make.instance_type.clone(),
        zone: zone.clone(),
        subnet: subnet.to_owned(),
        iam_instance_profile: make.iam_instance_profile.clone(),
        security_groups: make.security_groups.clone(),
        key_name: make.key_name.clone(),
        user_data: None,
        user_data_digest: make.user_data.clone(),
        tags: BTreeMap::new(),
        owner: Owner::from(OWNER),
        generation: Generation::from(""),
        attempt: Attempt(0),
        volumes: BTreeMap::new(),
    }
}
