//! The facts of the world, as the judge wants them.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{Cluster, MemberRecord, Sender, State};
use crate::action::CloudEffect;
use crate::ids::{ClusterName, InstanceId, SlotName, VolumeId};
use crate::observed::VolumeState;
use crate::sim::ec2::{Disk, Machine};
use crate::sim::judge::{
    Earlier, Facts, GroupFacts, InstanceFacts, LostFacts, ReplacementFacts, Sent, SlotFacts, VolumeFacts,
};
use crate::sim::time::moment;

impl State {
    /// Collects what matters of a cluster, and of what a call for it names, by the slots that its sender knows of.
    pub(super) fn facts(&self, name: &ClusterName, effect: Option<&CloudEffect>, by: Option<u8>) -> Option<Facts> {
        let cluster = self.clusters.get(name)?;
        let (declared, declared_since) = cluster.slots_of(by);
        let holdings = self.region.clusters.get(name)?;
        let named = effect.and_then(CloudEffect::instance);
        let groups = self.groups_named(named, effect);
        let held = self.claims.get(name).and_then(|claim| claim.held.as_ref());
        let members = groups.values().flat_map(|group| group.seen.members.keys());
        let holder = match effect {
            Some(CloudEffect::AssignAddress { address, .. }) => self.region.holder_of(*address),
            _ => None,
        };
        let holder = holder.map(|machine| &machine.seen.id);
        let ids = holdings.instances.iter().chain(members).chain(named).chain(holder);
        let machines = ids.filter_map(|id| Some((id, self.region.instances.get(id)?)));
        let instances =
            machines.map(|(id, machine)| (id.clone(), instance_facts(machine, holdings.instances.contains(id))));
        Some(Facts {
            cluster: name.clone(),
            needed: cluster.members.needed(declared.len()),
            declared,
            declared_since,
            earlier: effect
                .and_then(|effect| self.region.had_token(effect))
                .map(|(cluster, same)| Earlier { cluster: cluster.clone(), same }),
            slots: cluster.slots.iter().map(|slot| self.slot_facts(cluster, slot)).collect(),
            instances: instances.collect(),
            volumes: self.volumes_named(name, named, effect.and_then(CloudEffect::volume)),
            snapshots: holdings.snapshots.clone(),
            saved: self.region.saved_of(name).map(|(id, saved)| (id.clone(), saved.content.log.entries)).collect(),
            groups: groups.clone(),
            ending: self.claims.get(name).and_then(|claim| claim.ending.clone()),
            disrupted_beside: self.disrupted_beside(name, cluster),
            claimed: held.map(|held| held.slot.clone()),
            announced: held.map(|held| held.stops.clone()).unwrap_or_default(),
            ahead: self.claims.get(name).and_then(|claim| {
                let ahead = claim.ahead.as_ref()?;
                Some((ahead.slot.clone(), ahead.attempt))
            }),
            knows_claims: self.knows_claims(),
            lost: match effect {
                Some(CloudEffect::Launch(launch)) => self.lost(name, &launch.slot),
                _ => None,
            },
            shown: cluster.shown,
            replacement: self.replacement(name),
            leads: cluster.members.leads_since(self.now),
            unled: cluster.members.unled(),
            looked_for: cluster.members.looked_for(),
        })
    }

    fn disrupted_beside(&self, name: &ClusterName, cluster: &Cluster) -> BTreeSet<(ClusterName, SlotName)> {
        let is_tied = |(other, its): &(&ClusterName, &Cluster)| {
            cluster.declared.depends_on.contains(*other) || its.declared.depends_on.contains(name)
        };
        let others = self.clusters.iter().filter(is_tied);
        let down = others.flat_map(|(other, its)| {
            let down = its.slots.iter().filter(|(_, member)| member.stopped_by_us && !member.up);
            down.map(|(slot, _)| (other.clone(), slot.clone()))
        });
        down.collect()
    }

    fn lost(&self, name: &ClusterName, slot: &SlotName) -> Option<LostFacts> {
        let holdings = self.region.clusters.get(name)?;
        let instances = holdings.instances.iter().filter_map(|id| self.region.instances.get(id));
        let of_slot: Vec<_> = instances.filter(|machine| machine.seen.slot == *slot).collect();
        if of_slot.iter().any(|machine| machine.seen.state.is_live()) {
            return None;
        }
        let disks = holdings.volumes.iter().filter_map(|id| self.region.disk(id).ok());
        let image = |disk: &Disk| disk.seen.settled.as_ref()?.image.clone();
        let (own, beside): (Vec<_>, Vec<_>) = disks.partition(|disk| disk.seen.slot == *slot);
        Some(LostFacts {
            since: of_slot.iter().map(|machine| moment(machine.seen.state_since)).max().unwrap_or_default(),
            settled: own.iter().find_map(|disk| image(disk)).filter(|image| self.region.images.contains_key(image))?,
            rejected: own.iter().filter_map(|disk| disk.seen.rejected.clone()).collect(),
            settled_beside: beside.into_iter().filter_map(image).collect(),
        })
    }

    fn replacement(&self, name: &ClusterName) -> Option<ReplacementFacts> {
        let claim = self.claims.get(name)?.held.as_ref()?;
        Some(ReplacementFacts {
            old: claim.old()?.clone(),
            way: claim.way,
            turning: claim.turning,
            since: self.claims.turned(name),
        })
    }

    /// Collects what the world knows of a sender.
    pub(super) fn sent(&self, sender: Sender, cluster: &ClusterName) -> Sent {
        let controller = self.controllers.get(&sender.controller);
        let wrote = controller.and_then(|controller| controller.wrote.get(cluster).copied());
        // One that was started anew while the call was on its way may have written since.
        let wrote = wrote.filter(|wrote| *wrote <= sender.sent);
        Sent { at: sender.sent, wrote, looked: controller.and_then(|controller| controller.swept) }
    }

    fn slot_facts(&self, cluster: &Cluster, (name, record): (&SlotName, &MemberRecord)) -> (SlotName, SlotFacts) {
        let facts = SlotFacts {
            up: record.up,
            since: record.since,
            was_up: record.was_up,
            stopped_by_us: record.stopped_by_us,
            healthy_on: cluster.members.healthy_voter(name, self.now).cloned(),
        };
        (name.clone(), facts)
    }

    fn groups_named(&self, named: Option<&InstanceId>, effect: Option<&CloudEffect>) -> BTreeMap<String, GroupFacts> {
        let asked = match effect {
            Some(CloudEffect::Group { group, .. }) => self.region.groups.get(group),
            _ => None,
        };
        let with = named.and_then(|id| self.region.group_with(id));
        let groups = asked.into_iter().chain(with);
        let facts = groups.map(|group| GroupFacts { seen: group.seen.clone(), resumed: group.resumed });
        facts.map(|facts| (facts.seen.name.clone(), facts)).collect()
    }

    fn volumes_named(
        &self,
        cluster: &ClusterName,
        held_by: Option<&InstanceId>,
        named: Option<&VolumeId>,
    ) -> BTreeMap<VolumeId, VolumeFacts> {
        let matters = |id: &VolumeId, disk: &Disk| {
            disk.cluster == *cluster || named == Some(id) || held_by.is_some() && disk.holder() == held_by
        };
        let volumes = self.region.volumes.iter().filter(|(id, disk)| matters(id, disk));
        volumes.map(|(id, disk)| (id.clone(), volume_facts(disk))).collect()
    }
}

fn instance_facts(machine: &Machine, serves: bool) -> InstanceFacts {
    InstanceFacts {
        cluster: machine.cluster.clone(),
        slot: machine.seen.slot.clone(),
        serves,
        owned: machine.seen.owner.is_some(),
        state: machine.seen.state,
        retired: machine.seen.retired,
        attempt: machine.seen.attempt(),
        settled: machine.settled,
        proven: machine.proven,
        interfered: machine.interfered,
        by_hand: machine.by_hand,
        end_refused: machine.end_refused,
        volumes: machine.volumes.values().cloned().collect(),
        serves_at: machine.seen.member_address(),
        addresses: machine.seen.interface.iter().flat_map(|own| own.secondary.iter().copied()).collect(),
    }
}

fn volume_facts(disk: &Disk) -> VolumeFacts {
    let holder = disk.holder().cloned();
    let is_attached = holder.as_ref().is_some_and(|holder| disk.is_attached_to(holder));
    VolumeFacts {
        cluster: disk.cluster.clone(),
        slot: disk.seen.slot.clone(),
        holder,
        attached: is_attached.then_some(disk.arrived),
        size_gib: disk.seen.size_gib,
        entries: disk.content.log.entries,
        deleted: disk.seen.state == VolumeState::Deleted,
        modified: disk.modification.since.filter(|_| disk.seen.is_being_modified()),
    }
}
