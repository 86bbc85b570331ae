//! Names of our tags on AWS's resources, and how what takes several tags is written.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Attempt, ClusterName, Generation, ImageId, SlotName, VolumeId, VolumeName};

/// The cluster that a resource belongs to. Whatever bears this tag is in the sweep.
pub const CLUSTER: &str = "hermitcrab:cluster";
/// The slot of the cluster.
pub const SLOT: &str = "hermitcrab:slot";
/// The name of a volume among the slot's.
pub const VOLUME: &str = "hermitcrab:volume";
/// The controller that a resource belongs to.
pub const OWNER: &str = "hermitcrab:owner";
/// The generation launched, or settled.
pub const GENERATION: &str = "hermitcrab:generation";
/// The launch's number, or that of the launch that settled or failed last.
pub const ATTEMPT: &str = "hermitcrab:attempt";
/// A digest of an instance's user data.
pub const USER_DATA: &str = "hermitcrab:user-data";
/// The root volume that an instance was launched with, in words, where it is not as the image has it.
pub const ROOT_VOLUME: &str = "hermitcrab:root-volume";
/// The time at which an instance was retired.
pub const RETIRED: &str = "hermitcrab:retired";
/// The image that settled on a volume.
pub const IMAGE: &str = "hermitcrab:image";
/// The beginning of the commit that was in force when something settled: on its volumes, and on the instance that proved itself.
/// People read it, and nothing decides by it.
pub const REVISION: &str = "hermitcrab:revision";
/// The generation that failed on a volume.
pub const REJECTED: &str = "hermitcrab:rejected";
/// The cluster of the volume that a copy's snapshot was taken of.
pub const COPY_OF: &str = "hermitcrab:copy-of";
/// On a snapshot: `running` where the volume's instance ran meanwhile; none where nothing wrote to it any more.
pub const TAKEN: &str = "hermitcrab:taken";
/// The value of that.
pub const RUNNING: &str = "running";
/// On an image: what its guest does.
pub const GUEST: &str = "hermitcrab-guest";
/// The value of that: a copied volume is cut off from the cluster that it was copied from, or refused.
pub const ISOLATES_COPIES: &str = "isolates-copies";
/// The fixed address that an instance's guest waits for: on instances, and readable within them.
pub const ADDRESS: &str = "hermitcrab:address";
/// The slots that have ever been initialised, separated by spaces.
pub const SLOTS: &str = "hermitcrab:slots";
/// The Auto Scaling group of an instance; AWS writes it.
pub const GROUP: &str = "aws:autoscaling:groupName";

/// The longest value that EC2 takes.
pub const LONGEST: usize = 256;
/// The prefixes of the keys that are ours or AWS's own.
const KEPT: [&str; 2] = ["hermitcrab:", "aws:"];

/// Lists the tags that make a resource part of a cluster's slot.
pub fn place(cluster: &ClusterName, slot: &SlotName) -> BTreeMap<String, String> {
    [(CLUSTER, cluster.to_string()), (SLOT, slot.to_string())].map(|(key, value)| (key.to_owned(), value)).into()
}

/// Lists the tags that record what proved itself.
pub fn settled(generation: &Generation, image: &ImageId, attempt: Attempt) -> BTreeMap<String, String> {
    let marks = [(GENERATION, generation.to_string()), (IMAGE, image.to_string()), (ATTEMPT, attempt.to_string())];
    marks.map(|(key, value)| (key.to_owned(), value)).into()
}

/// Names the tag that tells a guest the id of its slot's volume of that name: on instances, and readable within them.
pub fn volume_of_guest(name: &VolumeName) -> String {
    format!("{VOLUME}:{name}")
}

/// Reads the volumes that a guest is told of.
pub fn volumes_of_guest(tags: &BTreeMap<String, String>) -> impl Iterator<Item = (VolumeName, VolumeId)> + '_ {
    let named = tags.iter().filter_map(|(key, id)| Some((key.strip_prefix(VOLUME)?.strip_prefix(':')?, id)));
    named.map(|(name, id)| (VolumeName::from(name), VolumeId::from(id.as_str())))
}

/// Writes slots as tags. A value holds four of the longest names, so there may be `hermitcrab:slots:2` and so on beside the
/// first tag. One that is left over from a longer list does no harm: a slot is never taken for blank because of it.
pub fn slots(slots: &BTreeSet<SlotName>) -> BTreeMap<String, String> {
    let mut values = vec![String::new()];
    for slot in slots {
        let last = values.len() - 1;
        if !values[last].is_empty() && values[last].len() + 1 + slot.len() > LONGEST {
            values.push(slot.to_string());
        } else {
            let space = if values[last].is_empty() { "" } else { " " };
            values[last].push_str(&format!("{space}{slot}"));
        }
    }
    let key = |index: usize| if index == 0 { SLOTS.to_owned() } else { format!("{SLOTS}:{}", index + 1) };
    values.into_iter().enumerate().map(|(index, value)| (key(index), value)).collect()
}

/// Reads the slots that have ever been initialised, from all of the tags that they are written in.
pub fn slots_in(tags: &BTreeMap<String, String>) -> BTreeSet<SlotName> {
    let parts = tags.iter().filter(|(key, _)| *key == SLOTS || key.starts_with(&format!("{SLOTS}:")));
    parts.flat_map(|(_, value)| value.split_whitespace()).map(SlotName::from).collect()
}

/// Gives the tags that are neither ours nor AWS's own.
pub fn others(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_other = |key: &str| !KEPT.iter().any(|prefix| key.starts_with(prefix));
    tags.iter().filter(|(key, _)| is_other(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}
