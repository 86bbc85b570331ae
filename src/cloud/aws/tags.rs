//! Our tags: what is remembered on the resources themselves, as it is written and as it is read.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::Tag;

use crate::ids::{Attempt, ClusterName, SlotName, VolumeName};

/// Which cluster it belongs to. Whatever bears this tag is in the sweep.
pub const CLUSTER: &str = "hermitcrab:cluster";
/// Which of the cluster's slots.
pub const SLOT: &str = "hermitcrab:slot";
/// Which of the slot's volumes a volume is.
pub const VOLUME: &str = "hermitcrab:volume";
/// Which controller it belongs to.
pub const OWNER: &str = "hermitcrab:owner";
/// The generation launched, or settled.
pub const GENERATION: &str = "hermitcrab:generation";
/// The launch's number, or that of the launch that settled or failed last.
pub const ATTEMPT: &str = "hermitcrab:attempt";
/// A digest of an instance's user data.
pub const USER_DATA: &str = "hermitcrab:user-data";
/// The time at which an instance was retired.
pub const RETIRED: &str = "hermitcrab:retired";
/// The image that settled on a volume.
pub const IMAGE: &str = "hermitcrab:image";
/// The generation that failed on a volume.
pub const REJECTED: &str = "hermitcrab:rejected";
/// The cluster of the volume that a copy's snapshot was taken of.
pub const COPY_OF: &str = "hermitcrab:copy-of";
/// On an image: what its guest does.
pub const GUEST: &str = "hermitcrab-guest";
/// The value of that: a copied volume is cut off from the cluster that it was copied from, or refused.
pub const ISOLATES_COPIES: &str = "isolates-copies";
/// The slots that have ever been initialised, separated by spaces.
pub const SLOTS: &str = "hermitcrab:slots";
/// The Auto Scaling group of an instance; AWS writes it.
pub(super) const GROUP: &str = "aws:autoscaling:groupName";

/// Prefixes of the tag keys that are ours or AWS's own.
const KEPT: [&str; 2] = ["hermitcrab:", "aws:"];
/// The longest value that EC2 takes.
const LONGEST: usize = 256;

/// One resource's tags.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tags(BTreeMap<String, String>);

/// A resource bears the cluster's tag, but not those that say what it is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadTags {
    #[error("it has no {0} tag")]
    Missing(&'static str),
    #[error("its {0} tag is no number: `{1}`")]
    NoNumber(&'static str, String),
}

impl Tags {
    pub(super) fn of(tags: &[Tag]) -> Self {
        let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
        Self(tags.iter().filter_map(pair).collect())
    }

    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A name in a tag. An empty one is none.
    pub(super) fn name<T: From<String>>(&self, key: &str) -> Option<T> {
        self.get(key).filter(|value| !value.is_empty()).map(|value| T::from(value.to_owned()))
    }

    pub(super) fn required<T: From<String>>(&self, key: &'static str) -> Result<T, BadTags> {
        self.name(key).ok_or(BadTags::Missing(key))
    }

    pub(super) fn attempt(&self) -> Result<Attempt, BadTags> {
        match self.get(ATTEMPT) {
            None => Ok(Attempt::default()),
            Some(text) => text.parse().map(Attempt).map_err(|_| BadTags::NoNumber(ATTEMPT, text.to_owned())),
        }
    }

    /// The slots that have ever been initialised, from all of the tags that they are written in.
    pub(super) fn slots(&self) -> BTreeSet<SlotName> {
        let parts = self.0.iter().filter(|(key, _)| *key == SLOTS || key.starts_with(&format!("{SLOTS}:")));
        parts.flat_map(|(_, value)| value.split_whitespace()).map(SlotName::from).collect()
    }

    /// Tags that are neither ours nor AWS's own.
    pub(super) fn others(&self) -> BTreeMap<String, String> {
        let other = |key: &str| !KEPT.iter().any(|prefix| key.starts_with(prefix));
        self.0.iter().filter(|(key, _)| other(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// The tags that make a resource part of a cluster's slot.
pub(super) fn place(cluster: &ClusterName, slot: &SlotName) -> BTreeMap<String, String> {
    [(CLUSTER, cluster.to_string()), (SLOT, slot.to_string())].map(|(key, value)| (key.to_owned(), value)).into()
}

/// The tag that tells a guest the id of its slot's volume of that name: on instances, and readable within them.
pub(super) fn volume_of_guest(name: &VolumeName) -> String {
    format!("{VOLUME}:{name}")
}

/// Slots as tags. A value holds four of the longest names, so there may be `hermitcrab:slots:2` and so on beside the first
/// tag. One that is left over from a longer list does no harm: a slot is never taken for blank because of it.
pub(super) fn slots(slots: &BTreeSet<SlotName>) -> BTreeMap<String, String> {
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

/// As the SDK wants them.
pub(super) fn written(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tags: &BTreeMap<String, String>) -> Tags {
        Tags::of(&written(tags))
    }

    #[test]
    fn a_few_slots_fit_into_one_tag() {
        let some: BTreeSet<SlotName> = ["b", "a", "c"].map(SlotName::from).into();
        let tags = slots(&some);
        assert_eq!(tags, [(SLOTS.to_owned(), "a b c".to_owned())].into());
        assert_eq!(read(&tags).slots(), some);
    }

    #[test]
    fn many_slots_with_long_names_take_several_tags() {
        let many: BTreeSet<SlotName> =
            ('a'..='i').map(|letter| SlotName::from(letter.to_string().repeat(63))).collect();
        let tags = slots(&many);
        assert_eq!(tags.len(), 3);
        assert!(tags.values().all(|value| value.len() <= LONGEST));
        assert_eq!(read(&tags).slots(), many);
    }

    #[test]
    fn a_guests_volume_tag_is_not_taken_for_a_volumes_name() {
        let tags = read(&[(volume_of_guest(&"data".into()), "vol-1".to_owned())].into());
        assert_eq!(tags.name::<VolumeName>(VOLUME), None);
    }

    #[test]
    fn an_attempt_that_is_no_number_is_odd() {
        let tags = |value: &str| read(&[(ATTEMPT.to_owned(), value.to_owned())].into());
        assert_eq!(tags("7").attempt(), Ok(Attempt(7)));
        assert_eq!(tags("seven").attempt(), Err(BadTags::NoNumber(ATTEMPT, "seven".to_owned())));
        assert_eq!(Tags::default().attempt(), Ok(Attempt(0)));
    }

    #[test]
    fn tags_of_ours_and_of_aws_are_no_others() {
        let keys = ["hermitcrab:slot", "aws:autoscaling:groupName", "team"];
        let tags = read(&keys.map(|key| (key.to_owned(), "x".to_owned())).into());
        assert_eq!(tags.others(), [("team".to_owned(), "x".to_owned())].into());
    }
}
