//! EBS volumes: they move from one state to the next as EC2 has them do.

use std::sync::Arc;

use super::happened::{Due, Happened, Span};
use super::records::{Disk, Modification};
use super::records::{Spent, TOKEN_LIFE};
use super::region::{Fresh, Region, token_key};
use crate::action::CreateVolume;
use crate::ids::{Attempt, ClusterName, InstanceId, VolumeId};
use crate::observed::{Attachment, AttachmentPhase, Device, InstanceState, Volume, VolumeState};
use crate::ports::{ErrorKind, Outcome};
use crate::sim::content::Content;
use crate::sim::time::Millis;
use crate::sim::words::{Refusal, changed};
use crate::spec::EbsSettings;
use crate::spec::ebs::Objection;

/// Deleted volumes are shown for about a minute.
const SHOWN_DELETED: Millis = 60_000;
/// EBS modifies a volume once in six hours.
const BETWEEN_MODIFICATIONS: Millis = 6 * 3_600_000;
/// Data volumes an instance can have (Nitro: 28 shared with network interfaces and the root volume).
const ATTACHMENT_LIMIT: usize = 26;

impl Region {
    /// Frees a volume because its instance is gone.
    pub(super) fn release(&mut self, id: &VolumeId) {
        let Some(disk) = self.volumes.get_mut(id) else { return };
        disk.turn += 1;
        let deleted = disk.delete_on_termination;
        disk.seen.state = if deleted { VolumeState::Deleted } else { VolumeState::Available };
        let cluster = disk.cluster.clone();
        self.drop_device(id);
        if deleted {
            self.volume_vanishes(id);
            self.happens(Happened::DeletedWithInstance(cluster.clone(), id.clone()));
        }
        self.changed(&cluster);
    }

    /// Shows a deleted volume for a minute longer.
    fn volume_vanishes(&mut self, id: &VolumeId) {
        let turn = self.volumes.get(id).map_or(0, |disk| disk.turn);
        self.begins(Due::Volume(id.clone(), turn), Span::Exactly(SHOWN_DELETED));
    }

    fn drop_device(&mut self, volume: &VolumeId) {
        let Some(cluster) = self.volumes.get(volume).map(|disk| disk.cluster.clone()) else { return };
        for machine in self.instances.values_mut() {
            if machine.seen.devices.iter().any(|device| device.volume == *volume) {
                machine.seen.devices.retain(|device| device.volume != *volume);
                machine.proven = false;
            }
        }
        self.changed(&cluster);
    }

    /// Brings a volume to its next state.
    pub(super) fn volume_turns(&mut self, id: &VolumeId, turn: u32) {
        let Some(disk) = self.volumes.get_mut(id).filter(|disk| disk.turn == turn) else { return };
        let cluster = disk.cluster.clone();
        match &mut disk.seen.state {
            VolumeState::Creating if self.troubles.volumes_vanish => {
                disk.turn += 1;
                disk.seen.state = VolumeState::Deleted;
                self.volume_vanishes(id);
            }
            VolumeState::Creating => disk.seen.state = VolumeState::Available,
            VolumeState::InUse(at) if at.phase == AttachmentPhase::Attaching => {
                at.phase = AttachmentPhase::Attached;
                disk.arrived = self.now;
                let (instance, device) = (at.instance.clone(), at.device.clone());
                let device = Device { volume: id.clone(), device, delete_on_termination: disk.delete_on_termination };
                self.attached(&instance, device);
            }
            VolumeState::InUse(_) => {
                disk.seen.state = VolumeState::Available;
                self.drop_device(id);
            }
            VolumeState::Deleted => {
                if let Some(holdings) = self.clusters.get_mut(&cluster) {
                    holdings.volumes.remove(id);
                }
                self.volumes.remove(id);
            }
            _ => {}
        }
        self.changed(&cluster);
    }

    /// `CreateVolume`.
    pub(super) fn create_volume(
        &mut self,
        cluster: &ClusterName,
        wanted: &CreateVolume,
        fresh: Fresh,
    ) -> Result<Outcome, Refusal> {
        let key = token_key(&wanted.zone, &wanted.token);
        if let Some(spent) = self.created.get(&key).filter(|spent| self.now.saturating_sub(spent.at) < TOKEN_LIFE) {
            if spent.request != *wanted {
                return Err(Refusal::new(ErrorKind::TokenSpent, "IdempotentParameterMismatch"));
            }
            return match self.disk(&spent.made) {
                Ok(_) => Ok(Outcome::Created(spent.made.clone())),
                // EC2 says so of a volume that was deleted since, by a person or because its key may not be used.
                Err(_) => Err(Refusal::new(ErrorKind::TokenSpent, "IdempotentParameterMismatch: already deleted")),
            };
        }
        if let Some(objection) = wanted.ebs.objections(wanted.size_gib).first() {
            return Err(Refusal::new(ErrorKind::Invalid, refusal_of(*objection, &wanted.ebs, wanted.size_gib)));
        }
        let id = VolumeId::from(fresh("vol"));
        let mut disk = Disk::blank(cluster, wanted, id.clone());
        if let Some(made) = &mut disk.seen.ebs {
            made.encrypted |= self.ebs_defaults.encrypts_all;
        }
        if let Some(snapshot) = &wanted.snapshot {
            disk.content = Content { alone: false, ..self.saved(snapshot)?.content.clone() };
        }
        self.created
            .insert(key, Spent { cluster: cluster.clone(), request: wanted.clone(), made: id.clone(), at: self.now });
        self.volumes.insert(id.clone(), disk);
        if let Some(holdings) = self.clusters.get_mut(cluster) {
            holdings.volumes.insert(id.clone());
        }
        self.begins(Due::Volume(id.clone(), 0), Span::Create);
        self.changed(cluster);
        Ok(Outcome::Created(id))
    }

    /// `AttachVolume`.
    pub(super) fn attach_volume(&mut self, id: &VolumeId, to: &InstanceId, device: &str) -> Result<Outcome, Refusal> {
        if let Some(outcome) = self.cannot_attach(id, to, device)? {
            return Ok(outcome);
        }
        let since = self.timestamp();
        let (instance, device) = (to.clone(), device.to_owned());
        let attachment = Attachment { instance, device, phase: AttachmentPhase::Attaching, since };
        self.volume_moves(id, VolumeState::InUse(attachment), Span::Attach);
        Ok(Outcome::Done)
    }

    /// Finds what speaks against attaching a volume, in EC2's order.
    fn cannot_attach(&self, id: &VolumeId, to: &InstanceId, device: &str) -> Result<Option<Outcome>, Refusal> {
        let invalid = |text: &str| Err(Refusal::new(ErrorKind::Invalid, text));
        let (machine, disk) = (self.machine(to)?, self.disk(id)?);
        if disk.holder() == Some(to) {
            return Ok(Some(Outcome::AlreadySo));
        }
        if disk.seen.state != VolumeState::Available {
            return Ok(Some(changed("available", disk.seen.state.to_string())));
        }
        if disk.seen.zone != machine.seen.zone {
            return invalid("InvalidVolume.ZoneMismatch");
        }
        if !matches!(machine.seen.state, InstanceState::Running | InstanceState::Stopped) {
            return Ok(Some(changed("running or stopped", machine.seen.state.to_string())));
        }
        if disk.key_revoked {
            return Err(Refusal::new(ErrorKind::Denied, "CustomerKeyHasBeenRevoked"));
        }
        if machine.seen.devices.iter().any(|taken| taken.device == device) {
            return invalid("Attachment point is already in use");
        }
        if machine.seen.devices.len() >= ATTACHMENT_LIMIT {
            return invalid("AttachmentLimitExceeded");
        }
        Ok(None)
    }

    /// `DetachVolume`, without force.
    pub(super) fn detach_volume(&mut self, id: &VolumeId, from: &InstanceId) -> Result<Outcome, Refusal> {
        let mut attachment = match &self.disk(id)?.seen.state {
            VolumeState::Available => return Ok(Outcome::AlreadySo),
            VolumeState::InUse(at) if at.instance == *from => at.clone(),
            other => return Ok(changed(format!("attached to {from}"), other.to_string())),
        };
        if attachment.phase == AttachmentPhase::Detaching {
            return Ok(Outcome::AlreadySo);
        }
        if self.machine(from).is_ok_and(|machine| machine.seen.state == InstanceState::ShuttingDown) {
            return Ok(changed("stopped or terminated", InstanceState::ShuttingDown.to_string()));
        }
        attachment.phase = AttachmentPhase::Detaching;
        self.volume_moves(id, VolumeState::InUse(attachment), Span::Detach);
        Ok(Outcome::Done)
    }

    /// `ModifyVolume`, of the size alone.
    pub(super) fn modify_volume(&mut self, id: &VolumeId, to_gib: u32) -> Result<Outcome, Refusal> {
        let now = self.now;
        let disk = self.disk(id)?;
        if !matches!(disk.seen.state, VolumeState::Available | VolumeState::InUse(_)) {
            return Ok(changed("available or in use", disk.seen.state.to_string()));
        }
        if disk.seen.is_being_modified() {
            return Ok(changed("no modification under way", "one"));
        }
        if to_gib < disk.seen.size_gib {
            let text = "InvalidParameterValue: New size cannot be smaller than existing size";
            return Err(Refusal::new(ErrorKind::Invalid, text));
        }
        let ebs = disk.seen.ebs.clone().unwrap_or_else(|| EbsSettings::plain("gp3"));
        if let Some(objection) = ebs.objections(to_gib).first() {
            return Err(Refusal::new(ErrorKind::Invalid, refusal_of(*objection, &ebs, to_gib)));
        }
        if disk.modification.since.is_some_and(|since| now.saturating_sub(since) < BETWEEN_MODIFICATIONS) {
            let text = "VolumeModificationRateExceeded: You've reached the maximum modification rate per volume limit. \
                        Wait at least 6 hours between modifications per EBS volume.";
            return Err(Refusal::new(ErrorKind::Invalid, text));
        }
        let Some(disk) = self.volumes.get_mut(id) else { return Ok(Outcome::AlreadySo) };
        let number = disk.modification.number + 1;
        disk.modification = Modification { number, since: Some(now), to_gib: Some(to_gib) };
        disk.seen.modifying = true;
        let cluster = disk.cluster.clone();
        self.begins(Due::Modified(id.clone(), number), Span::Modify);
        self.changed(&cluster);
        Ok(Outcome::Done)
    }

    /// Shows the new size of a volume, and later that EBS is done with it.
    pub(super) fn volume_modified(&mut self, id: &VolumeId, number: u32) {
        let is_latest = |disk: &&mut Disk| disk.modification.number == number;
        let Some(disk) = self.volumes.get_mut(id).filter(is_latest) else { return };
        let cluster = disk.cluster.clone();
        match disk.modification.to_gib.take() {
            Some(to_gib) => {
                (disk.seen.size_gib, disk.seen.modifying, disk.seen.optimizing) = (to_gib, false, true);
                self.begins(Due::Modified(id.clone(), number), Span::Optimize);
            }
            None => disk.seen.optimizing = false,
        }
        self.changed(&cluster);
    }

    fn volume_moves(&mut self, id: &VolumeId, to: VolumeState, span: Span) {
        let Some(disk) = self.volumes.get_mut(id) else { return };
        disk.turn += 1;
        disk.seen.state = to;
        let (turn, cluster) = (disk.turn, disk.cluster.clone());
        self.begins(Due::Volume(id.clone(), turn), span);
        self.changed(&cluster);
    }

    /// `DeleteVolume`.
    pub(super) fn delete_volume(&mut self, id: &VolumeId) -> Result<Outcome, Refusal> {
        let disk = self.disk(id)?;
        if disk.seen.state != VolumeState::Available {
            return Ok(changed("available", disk.seen.state.to_string()));
        }
        let cluster = disk.cluster.clone();
        self.volume_moves(id, VolumeState::Deleted, Span::Exactly(SHOWN_DELETED));
        self.happens(Happened::VolumeDeleted(cluster));
        Ok(Outcome::Done)
    }

    /// Deletes a volume wherever it is. EC2 deletes only what is not attached; this is the accident that it does not
    /// prevent.
    pub fn lose_volume(&mut self, id: &VolumeId) {
        let Some(disk) = self.volumes.get_mut(id) else { return };
        let holder = disk.holder().cloned();
        disk.turn += 1;
        disk.seen.state = VolumeState::Deleted;
        self.volume_vanishes(id);
        self.drop_device(id);
        let Some(holder) = holder else { return };
        if let Some(machine) = self.instances.get_mut(&holder) {
            machine.interfered = true;
        }
        self.happens(Happened::GuestDown(holder));
    }

    /// Copies a volume as a snapshot of it restores it: the same content and the same tags, attached to nothing.
    pub fn copy_volume(&mut self, id: &VolumeId, fresh: Fresh) -> Option<VolumeId> {
        let mut copy = self.disk(id).ok()?.clone();
        let id = VolumeId::from(fresh("vol"));
        (copy.turn, copy.seen.id, copy.seen.state) = (0, id.clone(), VolumeState::Available);
        let cluster = copy.cluster.clone();
        self.volumes.insert(id.clone(), copy);
        if let Some(holdings) = self.clusters.get_mut(&cluster) {
            holdings.volumes.insert(id.clone());
        }
        self.changed(&cluster);
        Some(id)
    }

    /// Finds a volume that is not deleted.
    pub fn disk(&self, id: &VolumeId) -> Result<&Disk, Refusal> {
        let found = self.volumes.get(id).filter(|disk| disk.seen.state != VolumeState::Deleted);
        found.ok_or_else(|| Refusal::new(ErrorKind::NotFound, "InvalidVolume.NotFound"))
    }

    /// Says whether nothing is left of a cluster's volumes but what is still shown as deleted.
    pub fn has_no_volumes(&self, cluster: &ClusterName) -> bool {
        let volumes = self.clusters.get(cluster).into_iter().flat_map(|holdings| &holdings.volumes);
        volumes.into_iter().all(|id| self.disk(id).is_err())
    }

    /// Says whether an instance has a volume in the phase `attached`.
    pub fn is_attached(&self, volume: &VolumeId, to: &InstanceId) -> bool {
        self.volumes.get(volume).is_some_and(|disk| disk.is_attached_to(to))
    }

    fn attached(&mut self, id: &InstanceId, device: Device) {
        let Some(machine) = self.instances.get_mut(id) else { return };
        machine.seen.devices.push(device);
        machine.proven = false;
        self.happens(Happened::GuestLooks(id.clone()));
    }
}

impl Disk {
    /// Says whether what is on it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.seen.ebs.as_ref().is_none_or(|ebs| ebs.encrypted)
    }

    /// The volume that a call asks for, with nothing on it.
    pub fn blank(cluster: &ClusterName, wanted: &CreateVolume, id: VolumeId) -> Self {
        let seen = Volume {
            id,
            slot: wanted.slot.clone(),
            name: wanted.name.clone(),
            owner: Some(wanted.owner.clone()),
            slots: Arc::new(wanted.slots.clone()),
            settled: None,
            attempt: Attempt(0),
            rejected: None,
            state: VolumeState::Creating,
            zone: wanted.zone.clone(),
            size_gib: wanted.size_gib,
            ebs: Some(shown(&wanted.ebs, wanted.size_gib)),
            tags: wanted.tags.clone(),
            impaired: None,
            modifying: false,
            optimizing: false,
        };
        let (turn, arrived, delete_on_termination, key_revoked) = (0, 0, false, false);
        let (content, modification) = (Content::default(), Modification::default());
        Self {
            seen: seen.into(),
            cluster: cluster.clone(),
            turn,
            arrived,
            delete_on_termination,
            content,
            key_revoked,
            modification,
        }
    }
}

/// The IOPS that a gp2 volume has for each GiB, and the least and the most of them.
const GP2_IOPS: [u32; 3] = [3, 100, 16_000];

/// Fills in what EBS shows where nothing was asked for.
pub(super) fn shown(asked: &EbsSettings, size_gib: u32) -> EbsSettings {
    let offer = asked.offer();
    let [per_gib, least, most] = GP2_IOPS;
    let by_size = || (asked.volume_type == "gp2").then(|| (per_gib * size_gib).clamp(least, most));
    let by_type = || offer?.iops?.default;
    let throughput = || offer?.throughput.map(|[least, _]| least);
    EbsSettings {
        iops: asked.iops.or_else(by_type).or_else(by_size),
        throughput: asked.throughput.or_else(throughput),
        ..asked.clone()
    }
}

/// Words an objection as EC2 does, behind its code.
pub(super) fn refusal_of(objection: Objection, asked: &EbsSettings, size_gib: u32) -> String {
    let kind = &asked.volume_type;
    let iops = asked.iops.unwrap_or_default();
    match objection {
        Objection::UnknownType => format!("UnknownVolumeType: Unsupported volume type '{kind}' for volume creation."),
        Objection::Size { least, most } => format!(
            "InvalidParameterValue: Volume of {size_gib}GiB is invalid. {kind} volumes must be between {least} and {most} GiB in size."
        ),
        Objection::IopsNotTaken => {
            format!("InvalidParameterCombination: The parameter iops is not supported for {kind} volumes.")
        }
        Objection::IopsMissing => {
            format!("MissingParameter: The request must contain the parameter iops for {kind} volumes.")
        }
        Objection::Iops { least, most } => {
            format!("InvalidParameterValue: Volume iops of {iops} is invalid. {kind} volumes have {least} to {most}.")
        }
        Objection::IopsForSize { per_gib, .. } => format!(
            "InvalidParameterValue: Iops to volume size ratio of {iops} to {size_gib} is too high; maximum is {per_gib}"
        ),
        Objection::ThroughputNotTaken => {
            "InvalidParameterCombination: throughput can only be specified for volumeType gp3.".to_owned()
        }
        Objection::Throughput { least, most } => {
            format!("InvalidParameterValue: Throughput must be between {least} and {most} MiBps.")
        }
        Objection::ThroughputForIops { .. } => {
            "InvalidParameterValue: Throughput (MiBps) to iops ratio is too high; maximum is 0.250000 MiBps per iops"
                .to_owned()
        }
        Objection::KeyWithoutEncryption => {
            "InvalidParameterDependency: The parameter KmsKeyId requires the parameter Encrypted to be set.".to_owned()
        }
    }
}
