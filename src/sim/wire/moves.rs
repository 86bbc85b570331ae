//! Calls that make, move, copy and delete volumes and snapshots.

use std::collections::btree_map::Entry;

use super::asked::Asked;
use super::changes::place_of;
use super::facts::known_zones;
use super::listing::is_id;
use super::notes::Made;
use super::params::Params;
use super::problem::Problem;
use super::tags::{self, Tags};
use super::volumes;
use super::xml::Xml;
use crate::action::{CloudEffect, CreateVolume};
use crate::ids::{ClusterName, InstanceId, Owner, SnapshotId, Token, VolumeId, VolumeName, Zone};
use crate::observed::tags::{ATTEMPT, CLUSTER, COPY_OF, OWNER, TAKEN, VOLUME};
use crate::observed::{AttachmentPhase, InstanceState, SnapshotState, VolumeState};
use crate::ports::Outcome;
use crate::sim::ec2::Bucket;
use crate::sim::time::instant;
use crate::spec::EbsSettings;

/// `AttachVolume`.
pub fn attach(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (volume, instance) = (volume_id(&params)?, instance_id(&params.required("InstanceId")?)?);
    let device = params.required("Device")?;
    asked.begin(Bucket::Change, "attach", true)?;
    can_attach(asked, &volume, &instance, &device)?;
    let (cluster, slot) = place_of(asked, &instance)?;
    let effect = CloudEffect::Attach { volume: volume.clone(), instance: instance.clone(), device: device.clone() };
    asked.change(&cluster, Some(&slot), &effect)?;
    let since = asked.face.written(instant(asked.state.now));
    Ok(volumes::attachment(&volume, &instance, &device, "attaching", &since, false))
}

/// Refuses what EC2 refuses, in its order and its words.
fn can_attach(asked: &Asked, volume: &VolumeId, to: &InstanceId, device: &str) -> Result<(), Problem> {
    let region = &asked.state.region;
    let (machine, disk) = (region.machine(to)?, region.disk(volume)?);
    match &disk.seen.state {
        VolumeState::Available => {}
        VolumeState::InUse(_) => {
            return Err(Problem::new("VolumeInUse", format!("{volume} is already attached to an instance")));
        }
        other => return Err(incorrect(format!("Volume '{volume}' is not 'available' but '{other}'."))),
    }
    if !matches!(machine.seen.state, InstanceState::Running | InstanceState::Stopped) {
        return Err(incorrect(format!("Instance '{to}' is not 'running' but '{}'.", machine.seen.state)));
    }
    let is_root = device == super::instances::ROOT_DEVICE;
    let taken = machine.seen.devices.iter().any(|there| there.device == device);
    let is_coming = region.volumes.values().any(|disk| match &disk.seen.state {
        VolumeState::InUse(at) => at.instance == *to && at.device == device,
        _ => false,
    });
    if is_root || taken || is_coming {
        let text = format!("Invalid value '{device}' for unixDevice. Attachment point {device} is already in use");
        return Err(Problem::value(text));
    }
    Ok(())
}

fn incorrect(text: String) -> Problem {
    Problem::new("IncorrectState", text)
}

fn volume_id(params: &Params) -> Result<VolumeId, Problem> {
    let id = params.required("VolumeId")?;
    if is_id(&id, "vol") { Ok(VolumeId::from(id)) } else { Err(malformed("InvalidVolumeID.Malformed", &id)) }
}

fn instance_id(id: &str) -> Result<InstanceId, Problem> {
    if is_id(id, "i") { Ok(InstanceId::from(id)) } else { Err(malformed("InvalidInstanceID.Malformed", id)) }
}

fn malformed(code: &str, id: &str) -> Problem {
    Problem::new(code, format!("Invalid id: \"{id}\""))
}

/// `DetachVolume`. Force makes it no faster here.
pub fn detach(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let volume = volume_id(&params)?;
    let instance = params.take("InstanceId").map(|id| instance_id(&id)).transpose()?;
    let device = params.take("Device");
    params.flag("Force")?;
    asked.begin(Bucket::Change, "detach", true)?;
    let at = match &asked.state.region.disk(&volume)?.seen.state {
        VolumeState::InUse(at) => at.clone(),
        other => return Err(incorrect(format!("Volume '{volume}' is in the '{other}' state."))),
    };
    if instance.is_some_and(|named| named != at.instance) || device.is_some_and(|named| named != at.device) {
        let text = format!("{volume} is not attached so");
        return Err(Problem::new("InvalidAttachment.NotFound", text));
    }
    if at.phase == AttachmentPhase::Detaching {
        return Err(incorrect(format!("Volume '{volume}' is in the 'detaching' state.")));
    }
    let (cluster, slot) = place_of(asked, &at.instance)?;
    let effect =
        CloudEffect::Detach { volume: volume.clone(), instance: at.instance.clone(), device: at.device.clone() };
    if let Outcome::Changed { found, .. } = asked.change(&cluster, Some(&slot), &effect)? {
        return Err(incorrect(format!("The instance of '{volume}' is '{found}'.")));
    }
    let since = asked.face.written(at.since);
    Ok(volumes::attachment(&volume, &at.instance, &at.device, "detaching", &since, false))
}

/// `CreateVolume`.
pub fn create(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let tags = tags::specified(&params, "volume")?;
    let (mut wanted, made) = wanted(&params, &tags)?;
    asked.begin(Bucket::CreateVolume, "create-volume", true)?;
    if !known_zones(asked).contains(&*wanted.zone) {
        let text = format!("The zone '{}' does not exist.", wanted.zone);
        return Err(Problem::new("InvalidZone.NotFound", text));
    }
    if let Some(snapshot) = &wanted.snapshot {
        wanted.size_gib = size_from(asked, snapshot, wanted.size_gib)?;
    }
    if wanted.token.is_empty() {
        wanted.token = Token::from(asked.state.chance.id("token"));
    } else {
        asked.claim_token(&format!("volume/{}/{}", wanted.zone, wanted.token))?;
    }
    let (cluster, slot) = (tags::cluster(&tags), wanted.slot.clone());
    let Outcome::Created(id) = asked.change(&cluster, Some(&slot), &CloudEffect::CreateVolume(wanted))? else {
        return Err(Problem::new("InternalError", "nothing was created"));
    };
    if let Entry::Vacant(entry) = asked.notes.volumes.entry(id.clone()) {
        entry.insert(Made { at: instant(asked.state.now), ..made });
        asked.notes.tags.insert(id.to_string(), tags::others(&tags));
        if let Some(disk) = asked.state.region.volumes.get_mut(&id) {
            tags::onto_volume(&tags, disk); // of what the tags do not say, nothing is known
        }
    }
    Ok(volumes::described_now(asked, &id).unwrap_or_default())
}

fn wanted(params: &Params, tags: &Tags) -> Result<(CreateVolume, Made), Problem> {
    let snapshot: Option<SnapshotId> = params.take("SnapshotId").map(SnapshotId::from);
    let size: Option<u32> = params.parsed("Size")?;
    if size.is_none() && snapshot.is_none() {
        let text = "The request must contain the parameter size or snapshotId";
        return Err(Problem::new("MissingParameter", text));
    }
    if params.flag("MultiAttachEnabled")? == Some(true) {
        return Err(Problem::new("UnsupportedOperation", "Volumes of the simulated world have one instance"));
    }
    let ebs = EbsSettings {
        volume_type: params.take("VolumeType").unwrap_or_else(|| "gp2".to_owned()),
        iops: params.parsed("Iops")?,
        throughput: params.parsed("Throughput")?,
        encrypted: params.flag("Encrypted")?.unwrap_or(false),
        kms_key: params.take("KmsKeyId"),
    };
    let wanted = CreateVolume {
        token: Token::from(params.text("ClientToken")),
        slot: tags::slot(tags),
        name: tags::name(tags, VOLUME).unwrap_or_else(|| VolumeName::from("")),
        zone: Zone::from(params.required("AvailabilityZone")?),
        size_gib: size.unwrap_or_default(),
        ebs,
        tags: tags::others(tags),
        snapshot: snapshot.clone(),
        owner: tags::name(tags, OWNER).unwrap_or_else(|| Owner::from("")),
        slots: tags::slots_in(tags),
        number: 0,
    };
    Ok((wanted, Made { snapshot, ..Made::default() }))
}

/// Gives the size of a volume from a snapshot, which is usable only when it is completed.
fn size_from(asked: &Asked, id: &SnapshotId, wanted: u32) -> Result<u32, Problem> {
    let all = asked.state.region.clusters.values().flat_map(|holdings| &holdings.snapshots);
    let missing = || Problem::new("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."));
    let snapshot = all.into_iter().find(|snapshot| snapshot.id == *id).ok_or_else(missing)?;
    match snapshot.state {
        SnapshotState::Completed => {}
        SnapshotState::Pending | SnapshotState::Failed => {
            return Err(incorrect(format!("Snapshot is in invalid state - {id}")));
        }
    }
    if wanted > 0 && wanted < snapshot.size_gib {
        return Err(Problem::value(format!("The size of a volume cannot be smaller than its snapshot's, {id}")));
    }
    Ok(wanted.max(snapshot.size_gib))
}

/// `DeleteVolume`.
pub fn delete(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let volume = volume_id(&asked.params())?;
    asked.begin(Bucket::Change, "delete-volume", true)?;
    let disk = asked.state.region.disk(&volume)?;
    let (cluster, slot) = (disk.cluster.clone(), disk.seen.slot.clone());
    if let VolumeState::InUse(at) = &disk.seen.state {
        let text = format!("Volume {volume} is currently attached to {}", at.instance);
        return Err(Problem::new("VolumeInUse", text));
    }
    if let Outcome::Changed { found, .. } =
        asked.change(&cluster, Some(&slot), &CloudEffect::DeleteVolume { volume })?
    {
        return Err(incorrect(format!("The volume is '{found}'.")));
    }
    Ok(vec![Xml::text("return", true)])
}

/// `ModifyVolume`, of the size: the world modifies nothing else.
pub fn grow(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (volume, size) = (volume_id(&params)?, params.parsed("Size")?);
    if ["VolumeType", "Iops", "Throughput", "MultiAttachEnabled"].iter().any(|other| params.take(other).is_some()) {
        return Err(Problem::new("UnsupportedOperation", "Volumes of the simulated world only grow"));
    }
    asked.begin(Bucket::Change, "grow", true)?;
    let disk = asked.state.region.disk(&volume)?;
    let (cluster, slot, from_gib) = (disk.cluster.clone(), disk.seen.slot.clone(), disk.seen.size_gib);
    let instance = disk.holder().cloned().unwrap_or_else(|| InstanceId::from(""));
    let to_gib = size.unwrap_or(from_gib);
    let effect = CloudEffect::Grow { volume: volume.clone(), instance, from_gib, to_gib };
    if let Outcome::Changed { found, .. } = asked.change(&cluster, Some(&slot), &effect)? {
        let text = format!("You cannot modify volume {volume}: there is {found}");
        return Err(Problem::new("IncorrectModificationState", text));
    }
    Ok(vec![Xml::group("volumeModification", volumes::modification_now(asked, &volume))])
}

/// `CreateSnapshot`.
pub fn snapshot(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let (volume, tags) = (volume_id(&params)?, tags::specified(&params, "snapshot")?);
    params.take("Description");
    let slot = tags::slot(&tags);
    let effect = match tags::name::<ClusterName>(&tags, COPY_OF) {
        Some(of) => {
            let name = tags::name(&tags, VOLUME).unwrap_or_else(|| VolumeName::from(""));
            CloudEffect::CopyVolume { volume, of, slot: slot.clone(), name }
        }
        None => CloudEffect::Snapshot {
            volume,
            slot: slot.clone(),
            attempt: tags::attempt(&tags),
            taken: tags::taken(&tags),
        },
    };
    asked.begin(Bucket::CreateVolume, effect.name(), true)?;
    let cluster = tags::cluster(&tags);
    let Outcome::Snapshotted(id) = asked.change(&cluster, Some(&slot), &effect)? else {
        return Err(Problem::new("InternalError", "no snapshot was begun"));
    };
    let kept = |key: &String| [CLUSTER, OWNER, ATTEMPT, COPY_OF, TAKEN].contains(&key.as_str());
    asked.notes.tags.insert(id.to_string(), tags.into_iter().filter(|(key, _)| !kept(key)).collect());
    Ok(volumes::snapshot_now(asked, &cluster, &id))
}

/// `DeleteSnapshot`.
pub fn delete_snapshot(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let snapshot = SnapshotId::from(asked.params().required("SnapshotId")?);
    asked.begin(Bucket::Change, "delete-snapshot", true)?;
    let holds = |snapshots: &[crate::observed::Snapshot]| snapshots.iter().any(|known| known.id == snapshot);
    let mut clusters = asked.state.region.clusters.iter();
    let of = clusters.find(|(_, holdings)| holds(&holdings.snapshots)).map(|(name, _)| name.clone());
    let of = of.unwrap_or_else(|| ClusterName::from(""));
    asked.change(&of, None, &CloudEffect::DeleteSnapshot { snapshot })?;
    Ok(vec![Xml::text("return", true)])
}
