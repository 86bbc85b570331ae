//! Mutating calls: what an adapter checks before it sends one, its effect, and the record of it.

use std::collections::BTreeSet;

use super::event::What;
use super::invariants;
use super::records::Disk;
use super::truth::{Millis, Truth};
use crate::action::{ClaimEffect, CloudEffect, Effect};
use crate::ids::{Attempt, ClusterName, ImageId, InstanceId, SlotName, VolumeId};
use crate::observed::{Instance, InstanceState, Snapshot, VolumeState};
use crate::ports::{ErrorKind, Outcome, PortError};

/// A call that came to nothing.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub kind: ErrorKind,
    pub text: String,
}

impl Refusal {
    pub(super) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(super) fn while_doing(self, doing: impl Into<String>) -> PortError {
        PortError::new(doing, self.kind, self.text)
    }
}

/// The world was not as expected.
pub(super) fn changed(expected: impl Into<String>, found: impl Into<String>) -> Outcome {
    Outcome::Changed { expected: expected.into(), found: found.into() }
}

/// Who sends a call, and when it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub controller: u8,
    pub sent: Millis,
}

impl Truth {
    /// What an adapter finds when it looks before it sends: nothing that speaks against it, or the outcome.
    pub(super) fn check(&self, cluster: &ClusterName, effect: &CloudEffect) -> Result<Option<Outcome>, Refusal> {
        use InstanceState::{Stopped, Terminated};
        Ok(match effect {
            CloudEffect::Detach { volume, instance, .. } => match &self.disk(volume)?.seen.state {
                VolumeState::Available => Some(Outcome::AlreadySo),
                VolumeState::InUse(at) if at.instance == *instance => match self.instances.get(instance) {
                    Some(shell) if !matches!(shell.seen.state, Stopped | Terminated) => {
                        Some(changed("stopped or terminated", format!("{:?}", shell.seen.state)))
                    }
                    _ => None,
                },
                other => Some(changed(format!("attached to {instance}"), format!("{other:?}"))),
            },
            CloudEffect::Terminate { instance } => {
                let shell = self.shell(instance)?;
                if !shell.seen.state.is_live() {
                    Some(Outcome::AlreadySo)
                } else if !shell.seen.retired {
                    Some(changed("retired", "not retired"))
                } else if self.holds_volume(instance) {
                    Some(changed("no data volume attached", "one is"))
                } else {
                    None
                }
            }
            CloudEffect::Snapshot { volume, attempt } => {
                let disk = self.disk(volume)?;
                let taken = self.clusters.get(&disk.cluster).is_some_and(|cluster| {
                    let same = |taken: &Snapshot| taken.volume == *volume && taken.attempt == *attempt && !taken.failed;
                    cluster.snapshots.iter().any(same)
                });
                taken.then_some(Outcome::AlreadySo)
            }
            CloudEffect::CopyVolume { volume, .. } => {
                let same = |copy: &Snapshot| copy.volume == *volume && copy.copy_of.is_some();
                let has_one = self.clusters.get(cluster).is_some_and(|cluster| cluster.snapshots.iter().any(same));
                has_one.then_some(Outcome::AlreadySo)
            }
            CloudEffect::Group { group, effect } => self.check_group(group, effect)?,
            _ => None, // EC2 itself refuses what does not fit
        })
    }

    pub(super) fn holds_volume(&self, instance: &InstanceId) -> bool {
        self.volumes.values().any(|disk| disk.holder() == Some(instance))
    }

    /// One call to EC2 takes effect, or EC2 refuses it; either way it is told and judged.
    pub(super) fn apply(
        &mut self,
        sender: Sender,
        cluster: &ClusterName,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
    ) -> Result<Outcome, Refusal> {
        let objections = invariants::judge_call(self, sender, cluster, effect);
        let result = self.send(cluster, slot, effect);
        self.record(sender, cluster, slot, &Effect::Cloud(effect.clone()), &result);
        if matches!(result, Ok(Outcome::Done | Outcome::Launched(_) | Outcome::Created(_) | Outcome::Snapshotted(_))) {
            for (invariant, detail) in objections {
                self.violate(cluster, invariant, detail);
            }
        }
        invariants::judge_cluster(self, cluster);
        result
    }

    fn send(
        &mut self,
        cluster: &ClusterName,
        slot: Option<&SlotName>,
        effect: &CloudEffect,
    ) -> Result<Outcome, Refusal> {
        let slotless = || Refusal::new(ErrorKind::Invalid, "the call names no slot");
        match effect {
            CloudEffect::CreateVolume(wanted) => self.create_volume(cluster, slot.ok_or_else(slotless)?, wanted),
            CloudEffect::Launch(launch) => self.run_instances(cluster, slot.ok_or_else(slotless)?, launch),
            CloudEffect::Stop { instance } => {
                self.blame(cluster, instance);
                self.stop_instance(instance)
            }
            CloudEffect::Start { instance } => self.start_instance(instance),
            CloudEffect::Snapshot { volume, attempt } => self.create_snapshot(cluster, volume, *attempt, None),
            CloudEffect::CopyVolume { volume, of, .. } => {
                self.create_snapshot(cluster, volume, Attempt::default(), Some(of.clone()))
            }
            CloudEffect::DeleteSnapshot { snapshot } => self.delete_snapshot(snapshot),
            CloudEffect::Detach { volume, instance, .. } => self.detach_volume(volume, instance),
            CloudEffect::Attach { volume, instance, device } => self.attach_volume(volume, instance, device),
            CloudEffect::Terminate { instance } => {
                self.blame(cluster, instance);
                self.terminate_instance(instance)
            }
            CloudEffect::Retire { instance } => self.retag_instance(instance, |seen| seen.retired = true),
            CloudEffect::Tag { instance, tags } => self.retag_instance(instance, |seen| seen.tags = tags.clone()),
            CloudEffect::Reject { volumes, generation, attempt } => self.retag_volumes(volumes, |disk| {
                disk.seen.rejected = Some(generation.clone());
                disk.seen.attempt = *attempt;
            }),
            CloudEffect::Forgive { volumes, generation } => self.retag_volumes(volumes, |disk| {
                disk.seen.rejected.take_if(|rejected| rejected == generation);
            }),
            CloudEffect::Settle { volumes, generation, image, attempt } => {
                for shell in self.instances.values_mut() {
                    shell.settled |= shell.seen.devices.iter().any(|device| volumes.contains(&device.volume));
                }
                self.retag_volumes(volumes, |disk| {
                    disk.seen.generation = Some(generation.clone());
                    disk.seen.image = Some(image.clone());
                    disk.seen.attempt = *attempt;
                })
            }
            CloudEffect::RecordSlots { volumes, slots } => {
                self.retag_volumes(volumes, |disk| disk.seen.slots = slots.clone())
            }
            CloudEffect::DeleteVolume { volume } => self.delete_volume(volume),
            CloudEffect::Recruit(wanted) => self.recruit_instance(cluster, slot.ok_or_else(slotless)?, wanted),
            CloudEffect::Group { group, effect } => self.send_to_group(group, effect),
        }
    }

    /// If a slot's member goes down with this instance now, a controller did it; or whoever put an end to the cluster.
    fn blame(&mut self, cluster: &ClusterName, instance: &InstanceId) {
        let Some(shell) = self.instances.get(instance) else { return };
        let slot = shell.seen.slot.clone();
        if self.member_on(cluster, instance).is_none() {
            return;
        }
        let Some(cluster) = self.clusters.get_mut(cluster).filter(|cluster| cluster.claim.ending.is_none()) else {
            return;
        };
        if let Some(truth) = cluster.slots.get_mut(&slot) {
            truth.ours |= truth.up;
        }
    }

    fn retag_instance(&mut self, id: &InstanceId, edit: impl FnOnce(&mut Instance)) -> Result<Outcome, Refusal> {
        let mut seen = self.shell(id)?.seen.clone();
        edit(&mut seen);
        let Some(shell) = self.instances.get_mut(id).filter(|shell| shell.seen != seen) else {
            return Ok(Outcome::AlreadySo);
        };
        shell.seen = seen;
        let cluster = shell.cluster.clone();
        self.changed(&cluster);
        Ok(Outcome::Done)
    }

    fn retag_volumes(&mut self, ids: &BTreeSet<VolumeId>, edit: impl Fn(&mut Disk)) -> Result<Outcome, Refusal> {
        for id in ids {
            self.disk(id)?;
        }
        let mut outcome = Outcome::AlreadySo;
        for id in ids {
            let Some(disk) = self.volumes.get_mut(id) else { continue };
            let before = disk.seen.clone();
            edit(disk);
            if disk.seen != before {
                outcome = Outcome::Done;
                let cluster = disk.cluster.clone();
                self.changed(&cluster);
            }
        }
        Ok(outcome)
    }

    /// The claim record is replaced if it has the expected revision.
    pub(super) fn write_claim(
        &mut self,
        sender: Sender,
        name: &ClusterName,
        effect: &ClaimEffect,
    ) -> Result<Outcome, Refusal> {
        let now = self.timestamp(self.now);
        let Some(cluster) = self.clusters.get_mut(name) else {
            return Err(Refusal::new(ErrorKind::NotFound, "no such cluster in this world"));
        };
        let found = cluster.claim.revision;
        let outcome = if effect.expects() == found {
            cluster.claim = effect.apply(&cluster.claim, now);
            Outcome::Done
        } else {
            changed(format!("revision {}", effect.expects()), format!("revision {found}"))
        };
        let slot = match effect {
            ClaimEffect::Claim { claim, .. } => Some(claim.slot.clone()),
            ClaimEffect::Release { .. }
            | ClaimEffect::End { .. }
            | ClaimEffect::Revive { .. }
            | ClaimEffect::Rehearsed { .. } => None,
        };
        self.record(sender, name, slot.as_ref(), &Effect::Claim(effect.clone()), &Ok(outcome.clone()));
        Ok(outcome)
    }

    /// Tells of a call and counts it.
    pub(super) fn record(
        &mut self,
        sender: Sender,
        cluster: &ClusterName,
        slot: Option<&SlotName>,
        effect: &Effect,
        result: &Result<Outcome, Refusal>,
    ) {
        let action = effect.name().to_owned();
        let outcome = match result {
            Ok(Outcome::AlreadySo) => Some("already-so".to_owned()),
            Ok(Outcome::Changed { expected, found }) => Some(format!("changed: expected {expected}, found {found}")),
            Ok(_) => None,
            Err(refusal) => Some(refusal.kind.to_string()),
        };
        if outcome.is_none() {
            *self.calls.entry(action.clone()).or_default() += 1;
            let now = self.now;
            self.controllers.entry(sender.controller).or_default().wrote.insert(cluster.clone(), now);
        }
        let (mut instance, mut volume, mut image) = (None, None, None);
        if let Effect::Cloud(effect) = effect {
            instance = effect.instance().cloned();
            volume = effect.volume().cloned();
            image = image_of(effect);
        }
        match result {
            Ok(Outcome::Launched(id)) => instance = Some(id.clone()),
            Ok(Outcome::Created(id)) => volume = Some(id.clone()),
            _ => {}
        }
        let (cluster, slot, controller) = (cluster.clone(), slot.cloned(), sender.controller);
        self.tell(What::Action { cluster, action, controller, slot, instance, volume, image, outcome });
    }
}

fn image_of(effect: &CloudEffect) -> Option<ImageId> {
    match effect {
        CloudEffect::Launch(launch) => Some(launch.image.clone()),
        CloudEffect::Settle { image, .. } => Some(image.clone()),
        _ => None,
    }
}
