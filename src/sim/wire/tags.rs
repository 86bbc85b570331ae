//! Tags, as the world's records have them and as they come with requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::notes::Notes;
use super::params::Params;
use super::problem::Problem;
use super::xml::Xml;
use crate::ids::{Attempt, ClusterName, InstanceId, SlotName, VolumeName};
use crate::make::UserData;
use crate::observed::tags::{
    ADDRESS, ATTEMPT, CLUSTER, COPY_OF, GENERATION, GROUP, IMAGE, OWNER, REJECTED, RETIRED, ROOT_VOLUME, RUNNING, SLOT,
    TAKEN, USER_DATA, VOLUME, place, slots, volume_of_guest,
};
pub use crate::observed::tags::{others, slots_in, volumes_of_guest};
use crate::observed::{Instance, Origin, Settled, Snapshot, SnapshotPurpose, Taken, Volume};
use crate::sim::ec2::{Disk, Machine};
use crate::time::clock;

/// The tags of a resource.
pub type Tags = BTreeMap<String, String>;

/// As many tags as a resource takes.
const MOST: usize = 50;
/// The longest key and the longest value.
const LONGEST: [usize; 2] = [128, 256];

/// Writes tags as EC2 does.
pub fn set(tags: &Tags) -> Xml {
    let entries = tags.iter().map(|(key, value)| vec![Xml::text("key", key), Xml::text("value", value)]);
    Xml::set("tagSet", entries)
}

/// Reads a list of tags, by EC2's rules for them.
pub fn read(params: &Params, name: &str) -> Result<Tags, Problem> {
    let mut tags = Tags::new();
    for entry in params.entries(name) {
        let (key, value) = (entry.required("Key")?, entry.text("Value"));
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Problem::value("Tag keys starting with 'aws:' are reserved for internal use"));
        }
        if key.chars().count() > LONGEST[0] || value.chars().count() > LONGEST[1] {
            return Err(Problem::value(format!("Tag '{key}' exceeds the maximum length of its key or value")));
        }
        if tags.insert(key.clone(), value).is_some() {
            return Err(Problem::value(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    if tags.len() > MOST {
        return Err(Problem::new("TagLimitExceeded", "The maximum number of Tags for a resource has been reached."));
    }
    Ok(tags)
}

/// Reads the tags that a resource is to be made with, e.g. of the kind `volume`.
pub fn specified(params: &Params, kind: &str) -> Result<Tags, Problem> {
    let mut tags = Tags::new();
    for entry in params.entries("TagSpecification") {
        let (of, read) = (entry.required("ResourceType")?, read(&entry, "Tag")?);
        if of == kind {
            tags.extend(read);
        }
    }
    Ok(tags)
}

/// Finds what the tags say: an empty value says nothing.
fn said<'a>(tags: &'a Tags, key: &str) -> Option<&'a str> {
    tags.get(key).map(String::as_str).filter(|value| !value.is_empty())
}

/// Names the cluster that the tags make a resource part of; none has an empty name.
pub fn cluster(tags: &Tags) -> ClusterName {
    ClusterName::from(said(tags, CLUSTER).unwrap_or_default())
}

/// Names the slot that the tags make a resource part of; none has an empty name.
pub fn slot(tags: &Tags) -> SlotName {
    SlotName::from(said(tags, SLOT).unwrap_or_default())
}

/// Reads the number of an attempt.
pub fn attempt(tags: &Tags) -> Attempt {
    Attempt(said(tags, ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or_default())
}

/// Reads what a volume's instance did while a snapshot was taken.
pub fn taken(tags: &Tags) -> Taken {
    if said(tags, TAKEN) == Some(RUNNING) { Taken::Running } else { Taken::AtRest }
}

/// Finds a name in the tags.
pub fn name<T: for<'a> From<&'a str>>(tags: &Tags, key: &str) -> Option<T> {
    said(tags, key).map(T::from)
}

/// Writes the tags of an instance.
pub fn of_instance(cluster: &ClusterName, seen: &Instance, machine: Option<&Machine>, notes: &Notes) -> Tags {
    let mut tags = seen.tags.clone();
    tags.extend(notes.tags_of(&seen.id));
    if !seen.slot.is_empty() {
        tags.extend(place(cluster, &seen.slot));
    }
    tags.extend(seen.owner.iter().map(|owner| (OWNER.to_owned(), owner.to_string())));
    if let Origin::Launched { attempt, generation } = &seen.origin {
        tags.insert(ATTEMPT.to_owned(), attempt.to_string());
        tags.extend(generation.iter().map(|generation| (GENERATION.to_owned(), generation.to_string())));
        tags.extend(seen.make.user_data.digest().map(|digest| (USER_DATA.to_owned(), digest.clone())));
    }
    tags.extend(seen.make.root_volume.iter().map(|root| (ROOT_VOLUME.to_owned(), root.clone())));
    tags.extend(seen.fixed_address.map(|address| (ADDRESS.to_owned(), address.to_string())));
    if seen.retired {
        tags.entry(RETIRED.to_owned()).or_insert_with(|| clock(seen.state_since));
    }
    tags.extend(seen.auto_scaling_group.iter().map(|group| (GROUP.to_owned(), group.clone())));
    let volumes = machine.into_iter().flat_map(|machine| &machine.volumes);
    tags.extend(volumes.map(|(name, id)| (volume_of_guest(name), id.to_string())));
    tags
}

/// Makes the tags those of an instance.
pub fn onto_instance(tags: &Tags, machine: &mut Machine) {
    let seen = &mut machine.seen;
    let generation = name(tags, GENERATION);
    let make = Arc::make_mut(&mut seen.make);
    make.user_data = match (&generation, name::<String>(tags, USER_DATA)) {
        (None, _) => UserData::Unknown,
        (Some(_), digest) => UserData::tagged(digest),
    };
    make.root_volume = name(tags, ROOT_VOLUME);
    seen.origin = Origin::of(generation, attempt(tags));
    (seen.slot, seen.owner, seen.retired) = (slot(tags), name(tags, OWNER), tags.contains_key(RETIRED));
    seen.fixed_address = said(tags, ADDRESS).and_then(|address| address.parse().ok());
    seen.tags = others(tags);
    machine.is_told_of(volumes_of_guest(tags).collect());
    machine.cluster = cluster(tags);
}

/// Writes the tags of a volume.
pub fn of_volume(cluster: &ClusterName, seen: &Volume, notes: &Notes) -> Tags {
    let mut tags = notes.tags_of(&seen.id);
    tags.extend(seen.tags.clone());
    if !seen.slot.is_empty() {
        tags.extend(place(cluster, &seen.slot));
        tags.insert(VOLUME.to_owned(), seen.name.to_string());
    }
    tags.extend(seen.owner.iter().map(|owner| (OWNER.to_owned(), owner.to_string())));
    if !seen.slots.is_empty() {
        tags.extend(slots(&seen.slots));
    }
    if let Some(Settled { generation, image }) = &seen.settled {
        tags.insert(GENERATION.to_owned(), generation.to_string());
        tags.extend(image.iter().map(|image| (IMAGE.to_owned(), image.to_string())));
    }
    if seen.attempt != Attempt(0) {
        tags.insert(ATTEMPT.to_owned(), seen.attempt.to_string());
    }
    tags.extend(seen.rejected.iter().map(|generation| (REJECTED.to_owned(), generation.to_string())));
    tags
}

/// Makes the tags those of a volume.
pub fn onto_volume(tags: &Tags, disk: &mut Disk) {
    let seen = &mut disk.seen;
    (seen.slot, seen.owner, seen.slots) = (slot(tags), name(tags, OWNER), slots_in(tags).into());
    seen.name = name(tags, VOLUME).unwrap_or_else(|| VolumeName::from(""));
    seen.settled = name(tags, GENERATION).map(|generation| Settled { generation, image: name(tags, IMAGE) });
    (seen.attempt, seen.rejected, seen.tags) = (attempt(tags), name(tags, REJECTED), others(tags));
    disk.cluster = cluster(tags);
}

/// Writes the tags of a snapshot.
pub fn of_snapshot(cluster: &ClusterName, seen: &Snapshot, notes: &Notes) -> Tags {
    let mut tags = notes.tags_of(&seen.id);
    if !cluster.is_empty() {
        tags.insert(CLUSTER.to_owned(), cluster.to_string());
    }
    tags.extend(seen.owner.iter().map(|owner| (OWNER.to_owned(), owner.to_string())));
    match &seen.purpose {
        SnapshotPurpose::Copy { of } => tags.insert(COPY_OF.to_owned(), of.to_string()),
        SnapshotPurpose::Backup { attempt: Attempt(0), .. } => None,
        SnapshotPurpose::Backup { attempt, .. } => tags.insert(ATTEMPT.to_owned(), attempt.to_string()),
    };
    if let SnapshotPurpose::Backup { taken: Taken::Running, .. } = &seen.purpose {
        tags.insert(TAKEN.to_owned(), RUNNING.to_owned());
    }
    tags
}

/// Names the root volume of an instance, which the world does not model.
pub fn root_of(instance: &InstanceId) -> String {
    format!("vol-0{}", crate::ids::digest(instance.as_bytes()))
}
