//! Our tags: what is remembered on the resources themselves, as it is written and as it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use aws_sdk_ec2::types::Tag;

use crate::ids::{Attempt, SlotName, VolumeId};
use crate::observed::{Taken, tags};

pub use crate::observed::tags::{
    ADDRESS, ATTEMPT, CLUSTER, COPY_OF, GENERATION, GUEST, IMAGE, ISOLATES_COPIES, OWNER, REJECTED, RETIRED, REVISION,
    ROOT_VOLUME, RUNNING, SLOT, TAKEN, USER_DATA, VOLUME,
};
pub(super) use crate::observed::tags::{GROUP, place, settled, slots, volume_of_guest};

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
    #[error("its {0} tag is no IPv4 address: `{1}`")]
    NoAddress(&'static str, String),
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

    /// Reads what a volume's instance did while a snapshot was taken.
    pub(super) fn taken(&self) -> Taken {
        if self.get(TAKEN) == Some(RUNNING) { Taken::Running } else { Taken::AtRest }
    }

    pub(super) fn attempt(&self) -> Result<Attempt, BadTags> {
        match self.get(ATTEMPT) {
            None => Ok(Attempt::default()),
            Some(text) => text.parse().map(Attempt).map_err(|_| BadTags::NoNumber(ATTEMPT, text.to_owned())),
        }
    }

    /// The fixed address of the member.
    pub(super) fn address(&self) -> Result<Option<Ipv4Addr>, BadTags> {
        let Some(text) = self.get(ADDRESS) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| BadTags::NoAddress(ADDRESS, text.to_owned()))
    }

    /// The volumes that a guest is told of.
    pub(super) fn volumes_of_guest(&self) -> Vec<VolumeId> {
        tags::volumes_of_guest(&self.0).map(|(_, id)| id).filter(|id| !id.is_empty()).collect()
    }

    /// The slots that have ever been initialised, from all of the tags that they are written in.
    pub(super) fn slots(&self) -> BTreeSet<SlotName> {
        tags::slots_in(&self.0)
    }

    /// Tags that are neither ours nor AWS's own.
    pub(super) fn others(&self) -> BTreeMap<String, String> {
        tags::others(&self.0)
    }
}

/// As the SDK wants them.
pub(super) fn written(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VolumeName;
    use crate::observed::tags::LONGEST;

    fn read(tags: &BTreeMap<String, String>) -> Tags {
        Tags::of(&written(tags))
    }

    #[test]
    fn a_few_slots_fit_into_one_tag() {
        let some: BTreeSet<SlotName> = ["b", "a", "c"].map(SlotName::from).into();
        let tags = slots(&some);
        assert_eq!(tags, [(tags::SLOTS.to_owned(), "a b c".to_owned())].into());
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
