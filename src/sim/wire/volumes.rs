//! `DescribeVolumes`, `DescribeVolumeStatus`, `DescribeVolumesModifications` and `DescribeSnapshots`.

use super::asked::Asked;
use super::instances::{self, ROOT_DEVICE};
use super::listing::{Filters, Ids, Listed, Page};
use super::problem::Problem;
use super::tags::{self, Tags};
use super::xml::Xml;
use crate::ids::{ClusterName, VolumeId};
use crate::observed::{Shared, Snapshot, SnapshotState, Volume, VolumeState};
use crate::sim::ec2::Bucket;
use crate::sim::time::instant;
use crate::spec::EbsSettings;

const FILTERS: [&str; 9] = [
    "volume-id",
    "status",
    "availability-zone",
    "snapshot-id",
    "volume-type",
    "size",
    "attachment.instance-id",
    "attachment.status",
    "attachment.device",
];
const STATUS_FILTERS: [&str; 2] = ["volume-status.status", "availability-zone"];
const MODIFICATION_FILTERS: [&str; 2] = ["modification-state", "volume-id"];
const SNAPSHOT_FILTERS: [&str; 5] = ["snapshot-id", "volume-id", "status", "owner-id", "volume-size"];
/// EC2's limits of a page.
const PAGES: [usize; 2] = [5, 1_000];

/// `DescribeVolumes`.
pub fn describe(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "VolumeId", "vol", "InvalidVolumeID.Malformed")?;
    let filters = Filters::read(&params, &FILTERS)?;
    let page = Page::read(&params, &ids, &filters, PAGES)?;
    asked.begin(Bucket::Describe, "look", false)?;
    let mut all: Vec<Listed> = all(asked).iter().map(|(of, seen)| listed(asked, of, seen)).collect();
    all.extend(instances::all(asked).iter().filter_map(|shown| root(asked, shown)));
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let found = ids.pick(all, "InvalidVolume.NotFound")?.into_iter().filter(|listed| filters.find(listed));
    Ok(page.cut("volumeSet", found.collect(), |listed| listed.xml))
}

/// Lists all data volumes as they are shown now, each with its cluster.
fn all(asked: &mut Asked) -> Vec<(ClusterName, Shared<Volume>)> {
    let names: Vec<ClusterName> = asked.state.region.clusters.keys().cloned().collect();
    let views = names.iter().map(|name| (name, asked.state.view_shown(name)));
    views
        .flat_map(|(name, view)| view.volumes.iter().map(|seen| (name.clone(), seen.clone())).collect::<Vec<_>>())
        .collect()
}

/// Lists one volume as it is.
pub fn described_now(asked: &Asked, id: &VolumeId) -> Option<Vec<Xml>> {
    let disk = asked.state.region.volumes.get(id)?;
    Some(listed(asked, &disk.cluster, &disk.seen).xml)
}

/// Names a state in EC2's words.
fn word(state: &VolumeState) -> &'static str {
    match state {
        VolumeState::Creating => "creating",
        VolumeState::Available => "available",
        VolumeState::InUse(_) | VolumeState::Shared(_) => "in-use",
        VolumeState::Deleted => "deleting",
        VolumeState::Error => "error",
    }
}

fn listed(asked: &Asked, cluster: &ClusterName, seen: &Volume) -> Listed {
    let tags = tags::of_volume(cluster, seen, asked.notes);
    let made = asked.notes.volumes.get(&seen.id).cloned().unwrap_or_default();
    let ebs = seen.ebs.clone().unwrap_or_else(|| EbsSettings::plain("gp3"));
    let snapshot = made.snapshot.map(|id| id.to_string()).unwrap_or_default();
    let status = word(&seen.state);
    let mut facts = vec![
        ("volume-id", seen.id.to_string()),
        ("status", status.to_owned()),
        ("availability-zone", seen.zone.to_string()),
        ("snapshot-id", snapshot.clone()),
        ("volume-type", ebs.volume_type.clone()),
        ("size", seen.size_gib.to_string()),
    ];
    let attachments = attachments(asked, seen, &mut facts);
    let mut xml = vec![
        Xml::text("volumeId", &seen.id),
        Xml::text("size", seen.size_gib),
        Xml::text("snapshotId", snapshot),
        Xml::text("availabilityZone", &seen.zone),
        Xml::text("status", status),
        Xml::text("createTime", asked.face.written(made.at)),
        Xml::text("volumeType", &ebs.volume_type),
        Xml::text("encrypted", ebs.encrypted),
        Xml::text("multiAttachEnabled", false),
        Xml::set("attachmentSet", attachments),
        tags::set(&tags),
    ];
    xml.extend(ebs.iops.map(|iops| Xml::text("iops", iops)));
    xml.extend(ebs.throughput.map(|throughput| Xml::text("throughput", throughput)));
    xml.extend(ebs.encrypted.then(|| Xml::text("kmsKeyId", key_of(asked, &seen.zone, ebs.kms_key.as_deref()))));
    Listed { id: seen.id.to_string(), xml, facts, tags }
}

/// Names a key as EBS shows it, by its ARN. Where none was asked for, the account has a default one.
fn key_of(asked: &Asked, zone: &str, named: Option<&str>) -> String {
    let id = named.unwrap_or("00000000-0000-0000-0000-0000000000eb");
    let region = zone.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let kind = if id.starts_with("alias/") { "" } else { "key/" };
    match id.starts_with("arn:") {
        true => id.to_owned(),
        false => format!("arn:aws:kms:{region}:{}:{kind}{id}", asked.face.account),
    }
}

fn attachments(asked: &Asked, seen: &Volume, facts: &mut Vec<(&'static str, String)>) -> Vec<Vec<Xml>> {
    let VolumeState::InUse(at) = &seen.state else { return Vec::new() };
    facts.extend([
        ("attachment.instance-id", at.instance.to_string()),
        ("attachment.status", at.phase.to_string()),
        ("attachment.device", at.device.clone()),
    ]);
    let ends_with_it = asked.state.region.volumes.get(&seen.id).is_some_and(|disk| disk.delete_on_termination);
    let since = asked.face.written(at.since);
    vec![attachment(&seen.id, &at.instance, &at.device, &at.phase.to_string(), &since, ends_with_it)]
}

/// Writes an attachment.
pub fn attachment(volume: &str, to: &str, device: &str, status: &str, since: &str, ends_with_it: bool) -> Vec<Xml> {
    vec![
        Xml::text("volumeId", volume),
        Xml::text("instanceId", to),
        Xml::text("device", device),
        Xml::text("status", status),
        Xml::text("attachTime", since),
        Xml::text("deleteOnTermination", ends_with_it),
    ]
}

/// Lists the root volume of an instance: it is there for as long as the instance is.
fn root(asked: &Asked, shown: &instances::Shown) -> Option<Listed> {
    let seen = shown.machine.as_ref().map(|machine| &machine.seen).filter(|seen| seen.state.is_live())?;
    let (id, since) = (tags::root_of(&seen.id), asked.face.written(seen.launched_at));
    let tags = asked.notes.tags_of(&id);
    let (size, ebs) = asked.state.region.root_shown(&seen.id);
    let mut xml = vec![
        Xml::text("volumeId", &id),
        Xml::text("size", size),
        Xml::text("availabilityZone", &seen.zone),
        Xml::text("status", "in-use"),
        Xml::text("createTime", &since),
        Xml::text("volumeType", &ebs.volume_type),
        Xml::text("encrypted", ebs.encrypted),
        Xml::text("multiAttachEnabled", false),
        Xml::set("attachmentSet", [attachment(&id, &seen.id, ROOT_DEVICE, "attached", &since, true)]),
        tags::set(&tags),
    ];
    xml.extend(ebs.iops.map(|iops| Xml::text("iops", iops)));
    xml.extend(ebs.throughput.map(|throughput| Xml::text("throughput", throughput)));
    xml.extend(ebs.encrypted.then(|| Xml::text("kmsKeyId", key_of(asked, &seen.zone, ebs.kms_key.as_deref()))));
    let facts = vec![
        ("volume-id", id.clone()),
        ("status", "in-use".to_owned()),
        ("availability-zone", seen.zone.to_string()),
        ("attachment.instance-id", seen.id.to_string()),
        ("attachment.status", "attached".to_owned()),
        ("attachment.device", ROOT_DEVICE.to_owned()),
    ];
    Some(Listed { id, xml, facts, tags })
}

/// `DescribeVolumeStatus`.
pub fn statuses(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "VolumeId", "vol", "InvalidVolumeID.Malformed")?;
    let filters = Filters::read(&params, &STATUS_FILTERS)?;
    let page = Page::read(&params, &ids, &filters, PAGES)?;
    asked.begin(Bucket::Describe, "look", false)?;
    let all = all(asked)
        .iter()
        .filter(|(_, seen)| seen.state != VolumeState::Deleted)
        .map(|(_, seen)| status(seen))
        .collect();
    let found = ids.pick(all, "InvalidVolume.NotFound")?.into_iter().filter(|listed| filters.find(listed));
    Ok(page.cut("volumeStatusSet", found.collect(), |listed| listed.xml))
}

fn status(seen: &Volume) -> Listed {
    let word = if seen.impaired.is_some() { "impaired" } else { "ok" };
    // The trouble is told as EBS has it: `io-enabled failed`.
    let trouble = seen.impaired.as_deref().and_then(|why| why.rsplit_once(' ')).unwrap_or(("io-enabled", "passed"));
    let detail = vec![Xml::text("name", trouble.0), Xml::text("status", trouble.1)];
    let xml = vec![
        Xml::text("volumeId", &seen.id),
        Xml::text("availabilityZone", &seen.zone),
        Xml::group("volumeStatus", [Xml::text("status", word), Xml::set("details", [detail])]),
        Xml::group("eventsSet", []),
        Xml::group("actionsSet", []),
    ];
    let facts = vec![("volume-status.status", word.to_owned()), ("availability-zone", seen.zone.to_string())];
    Listed { id: seen.id.to_string(), xml, facts, tags: Tags::new() }
}

/// `DescribeVolumesModifications`.
pub fn modifications(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "VolumeId", "vol", "InvalidVolumeID.Malformed")?;
    let filters = Filters::read(&params, &MODIFICATION_FILTERS)?;
    let page = Page::read(&params, &ids, &filters, [1, 500])?;
    asked.begin(Bucket::Describe, "look", false)?;
    let all = all(asked);
    let all =
        all.iter().filter(|(_, seen)| seen.is_being_modified()).map(|(_, seen)| modification(asked, seen)).collect();
    let found = ids.pick(all, "InvalidVolumeModification.NotFound")?;
    let found = found.into_iter().filter(|listed| filters.find(listed)).collect();
    Ok(page.cut("volumeModificationSet", found, |listed| listed.xml))
}

/// Describes the modification of a volume that was just asked for.
pub fn modification_now(asked: &Asked, id: &VolumeId) -> Vec<Xml> {
    let disk = asked.state.region.volumes.get(id);
    disk.map(|disk| modification(asked, &disk.seen).xml).unwrap_or_default()
}

fn modification(asked: &Asked, seen: &Volume) -> Listed {
    let word = if seen.modifying { "modifying" } else { "optimizing" };
    let made = asked.state.region.volumes.get(&seen.id).map(|disk| disk.modification.clone()).unwrap_or_default();
    let mut xml = vec![
        Xml::text("volumeId", &seen.id),
        Xml::text("modificationState", word),
        Xml::text("originalSize", seen.size_gib),
        Xml::text("targetSize", made.to_gib.unwrap_or(seen.size_gib)),
        Xml::text("progress", 0),
    ];
    xml.extend(made.since.map(|since| Xml::text("startTime", asked.face.written(instant(since)))));
    let facts = vec![("modification-state", word.to_owned()), ("volume-id", seen.id.to_string())];
    Listed { id: seen.id.to_string(), xml, facts, tags: Tags::new() }
}

/// `DescribeSnapshots`.
pub fn snapshots(asked: &mut Asked) -> Result<Vec<Xml>, Problem> {
    let params = asked.params();
    let ids = Ids::read(&params, "SnapshotId", "snap", "InvalidSnapshotID.Malformed")?;
    let filters = Filters::read(&params, &SNAPSHOT_FILTERS)?;
    let page = Page::read(&params, &ids, &filters, PAGES)?;
    let owners = params.list("Owner");
    asked.begin(Bucket::Describe, "look", false)?;
    let ours = owners.is_empty() || owners.iter().any(|owner| asked.face.is_account(owner));
    let all = all_snapshots(asked).iter().map(|(of, seen)| snapshot_listed(asked, of, seen)).collect();
    let found = ids.pick(all, "InvalidSnapshot.NotFound")?.into_iter();
    let found = found.filter(|listed| ours && filters.find(listed)).collect();
    Ok(page.cut("snapshotSet", found, |listed| listed.xml))
}

fn all_snapshots(asked: &mut Asked) -> Vec<(ClusterName, Snapshot)> {
    let names: Vec<ClusterName> = asked.state.region.clusters.keys().cloned().collect();
    let views = names.iter().map(|name| (name, asked.state.view_shown(name)));
    let all = views
        .flat_map(|(name, view)| view.snapshots.iter().map(|seen| (name.clone(), seen.clone())).collect::<Vec<_>>());
    all.collect()
}

fn snapshot_listed(asked: &Asked, cluster: &ClusterName, seen: &Snapshot) -> Listed {
    let tags = tags::of_snapshot(cluster, seen, asked.notes);
    let (status, progress) = match seen.state {
        SnapshotState::Pending => ("pending", "0%"),
        SnapshotState::Completed => ("completed", "100%"),
        SnapshotState::Failed => ("error", "0%"),
    };
    let mut xml = vec![
        Xml::text("snapshotId", &seen.id),
        Xml::text("volumeId", &seen.volume),
        Xml::text("status", status),
        Xml::text("progress", progress),
        Xml::text("ownerId", &asked.face.account),
        Xml::text("volumeSize", seen.size_gib),
        Xml::text("encrypted", asked.state.region.volumes.get(&seen.volume).is_none_or(|disk| disk.is_encrypted())),
        tags::set(&tags),
    ];
    xml.extend(seen.begun.map(|begun| Xml::text("startTime", asked.face.written(begun))));
    let facts = vec![
        ("snapshot-id", seen.id.to_string()),
        ("volume-id", seen.volume.to_string()),
        ("status", status.to_owned()),
        ("owner-id", asked.face.account.clone()),
        ("volume-size", seen.size_gib.to_string()),
    ];
    Listed { id: seen.id.to_string(), xml, facts, tags }
}

/// Describes a snapshot that was just begun.
pub fn snapshot_now(asked: &Asked, cluster: &ClusterName, id: &str) -> Vec<Xml> {
    let holdings = asked.state.region.clusters.get(cluster);
    let found = holdings.and_then(|holdings| holdings.snapshots.iter().find(|snapshot| *snapshot.id == *id));
    found.map(|seen| snapshot_listed(asked, cluster, seen).xml).unwrap_or_default()
}
