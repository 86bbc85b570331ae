//! The world's side of applications: when members look around, and what is told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::state::{Cluster, MemberRecord, State, Tick};
use crate::action::MemberEffect;
use crate::ids::{ClusterName, SlotName, Zone};
use crate::observed::{Health, Membership};
use crate::ports::{ErrorKind, Outcome, Seat};
use crate::sim::event::{SlotLine, UpDown, What};
use crate::sim::words::Refusal;

impl State {
    /// Lets a cluster's members look around now, and again when they must. Call after every change to an application.
    pub fn stir(&mut self, name: &ClusterName) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        let due = cluster.members.step(now, &mut self.chance.rng);
        let sooner = due.filter(|due| cluster.next_look.is_none_or(|next| next <= now || *due < next));
        if let Some(due) = sooner {
            cluster.next_look = Some(due);
            self.schedule(due - now, Tick::Members(name.clone()));
        }
        self.watch_members(name);
    }

    /// Lets the members look around if that is due, and was not done sooner.
    pub fn members_look(&mut self, name: &ClusterName) {
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        if cluster.next_look == Some(self.now) {
            cluster.next_look = None;
            self.stir(name);
        }
    }

    /// Looks at each slot's member, and tells and counts what changed.
    fn watch_members(&mut self, name: &ClusterName) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        let mut told = Vec::new();
        for (slot, record) in &mut cluster.slots {
            let healthy_on = cluster.members.healthy_voter(slot, now);
            if let Some(machine) = healthy_on.and_then(|instance| self.region.instances.get_mut(instance)) {
                machine.proven = true;
            }
            if record.up != healthy_on.is_some() {
                record.turn(now);
                told.push((slot.clone(), if record.up { UpDown::Up } else { UpDown::Down }));
            }
        }
        for (slot, state) in told {
            self.tell(What::Member { cluster: name.clone(), slot, state });
        }
    }

    /// Finds a cluster, if any of its members can be reached at a seat.
    fn reached(&self, name: &ClusterName, seats: &[Seat]) -> Result<&Cluster, Refusal> {
        let is_reached = |cluster: &Cluster| {
            cluster.hidden_until <= self.now
                && cluster.members.answer_at(seats, |slot| cluster.is_hidden(slot, self.now))
        };
        self.clusters.get(name).filter(|cluster| is_reached(cluster)).ok_or_else(no_answer)
    }

    fn reached_mut(&mut self, name: &ClusterName, seats: &[Seat]) -> Result<&mut Cluster, Refusal> {
        self.reached(name, seats)?;
        self.clusters.get_mut(name).ok_or_else(no_answer)
    }

    /// Asks the members of each other, by the slots that whoever asks goes by. Members that hear of no leader vouch for nobody.
    pub fn membership(
        &self,
        name: &ClusterName,
        slots: &BTreeSet<SlotName>,
        seats: &[Seat],
    ) -> Result<Membership, Refusal> {
        let cluster = self.reached(name, seats)?;
        let said = cluster.members.membership(slots, self.now);
        let hears = cluster.members.know_leader(seats, |slot| cluster.is_hidden(slot, self.now));
        Ok(if hears { said } else { without_leader(said) })
    }

    /// Says whether the claims can be read and written.
    pub fn claims_answer(&self) -> Result<(), Refusal> {
        self.claims.answers(self.now)?;
        let keeper = self.claims.kept_by.as_ref().and_then(|name| self.clusters.get(name));
        let lost = |keeper: &Cluster| keeper.hidden_until > self.now || !keeper.members.have_leader();
        if keeper.is_some_and(lost) { Err(no_answer()) } else { Ok(()) }
    }

    /// Lists the addresses at which the claims are kept, where a cluster's own members keep them.
    pub fn claims_kept_at(&self) -> Vec<IpAddr> {
        let keeper = self.claims.kept_by.as_ref().and_then(|name| self.clusters.get(name));
        keeper.map(|keeper| keeper.members.addresses()).unwrap_or_default()
    }

    /// Carries out a request to the application.
    pub fn change_member(
        &mut self,
        name: &ClusterName,
        seats: &[Seat],
        effect: &MemberEffect,
    ) -> Result<Outcome, Refusal> {
        let now = self.now;
        self.reached(name, seats)?;
        let cluster = self.clusters.get_mut(name).ok_or_else(no_answer)?;
        let outcome = cluster.members.change(effect, now, &mut self.chance.rng)?;
        self.stir(name);
        Ok(outcome)
    }

    /// Writes canary data.
    pub fn write_canary(&mut self, name: &ClusterName, seats: &[Seat], key: &str, value: &str) -> Result<(), Refusal> {
        let now = self.now;
        self.reached_mut(name, seats)?.members.write_canary(key, value, now)
    }

    /// Reads canary data.
    pub fn canaries(&self, name: &ClusterName, seats: &[Seat]) -> Result<BTreeMap<String, String>, Refusal> {
        self.reached(name, seats)?.members.canaries()
    }

    /// Forgets a cluster that has lost its last volume: servers that begin in its place found another.
    pub(super) fn begin_anew(&mut self, name: &ClusterName) {
        let Some(cluster) = self.clusters.get_mut(name) else { return };
        if cluster.members.is_empty() && self.region.has_no_volumes(name) {
            (cluster.members, cluster.next_look) = (cluster.members.anew(), None);
            cluster.slots.iter_mut().for_each(|(_, slot)| (slot.member, slot.applied) = (None, 0));
        }
    }

    /// Tells the transcript's first line for a cluster.
    pub fn tell_world(&mut self, name: &ClusterName) {
        let Some(cluster) = self.clusters.get(name) else { return };
        let lines = cluster.declared.slots.iter().map(|(slot, zone)| self.slot_line(name, cluster, slot, zone));
        let slots = lines.collect();
        self.tell(What::World { cluster: name.clone(), slots });
    }

    fn slot_line(&self, name: &ClusterName, cluster: &Cluster, slot: &SlotName, zone: &Zone) -> SlotLine {
        let holdings = self.region.clusters.get(name);
        let ids = holdings.into_iter().flat_map(|holdings| &holdings.instances);
        let machines = ids.filter_map(|id| self.region.instances.get(id));
        let mut live = machines.filter(|machine| machine.seen.slot == *slot && machine.seen.state.is_live());
        let machine = live.next_back();
        let disks = holdings.into_iter().flat_map(|holdings| &holdings.volumes);
        let disks = disks.filter_map(|id| self.region.volumes.get(id)).filter(|disk| disk.seen.slot == *slot);
        SlotLine {
            slot: slot.clone(),
            zone: zone.clone(),
            instance: machine.map(|machine| machine.seen.id.clone()),
            image: machine.map(|machine| machine.seen.make.image.clone()),
            volumes: disks.map(|disk| disk.seen.id.clone()).collect(),
            role: cluster.members.role(slot).to_owned(),
        }
    }
}

impl MemberRecord {
    /// Notes that the member began or ceased to be a healthy voter. The time before it first was one is not counted.
    fn turn(&mut self, now: u64) {
        if !self.up && self.was_up {
            self.down += now.saturating_sub(self.since);
        }
        self.up = !self.up;
        self.since = now;
        self.was_up = true;
        self.stopped_by_us &= !self.up;
    }
}

/// Gives what members say of each other who hear of no leader.
fn without_leader(mut said: Membership) -> Membership {
    if said.leader.take().is_some() {
        for member in &mut said.members {
            (member.health, member.lag) = (Health::Unknown("no leader to ask".to_owned()), None);
        }
    }
    said
}

fn no_answer() -> Refusal {
    Refusal::new(ErrorKind::Unreachable, "no member answers")
}
