//! From what EC2 answers to what was observed. Nothing here asks, waits or looks at a clock.
//!
//! Two things can be wrong with an answer. A resource whose *tags* make no sense is left out, with a warning: what is
//! missing from a look is never taken for gone. A *word* of EC2's that we do not know holds the resource's cluster, because
//! nothing may be decided on a cluster that we do not understand; other clusters go on.

use std::net::IpAddr;

use aws_sdk_ec2::primitives::DateTime;

use super::tags::BadTags;
use crate::input::text;
use crate::time::Timestamp;

mod addresses;
mod beyond;
mod facts;
mod group;
mod instance;
mod last_look;
mod status;
mod volume;
#[cfg(test)]
mod words;

pub(super) use addresses::{address_facts, used_addresses};
pub(super) use beyond::beyond;
pub(super) use facts::{architectures, image, impaired_volume, impaired_zone, is_xen};
pub(super) use group::{RESUME, adopted_group, joined};
pub(super) use instance::{group, instance, interface, life_cycle, make, placement, root_device};
pub(super) use last_look::{instance_facts, snapshot_facts, volume_facts};
pub(super) use status::{Status, status};
pub(super) use volume::{VolumeWarnings, is_in_hand, settings, snapshot, volume, volume_state};

/// Reason for which a resource could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// Tags that make no sense.
    #[error("{0}")]
    BadTags(#[from] BadTags),
    /// A word of EC2's that we do not know.
    #[error("{0}")]
    UnknownWord(String),
}

/// The most characters that are shown of a word that is not known.
const LONGEST_WORD: usize = 100;

impl Unreadable {
    /// Names the part that is odd, where a part of something larger is.
    fn of(self, part: &str) -> Self {
        match self {
            Self::UnknownWord(why) => Self::UnknownWord(format!("{part}: {why}")),
            Self::BadTags(_) => self,
        }
    }
}

/// A field that EC2 never leaves out.
fn given<'a>(value: Option<&'a str>, field: &str) -> Result<&'a str, Unreadable> {
    value.ok_or_else(|| Unreadable::UnknownWord(format!("it has no {field}")))
}

fn unknown_word(field: &str, word: impl std::fmt::Display) -> Unreadable {
    let word = text::cut(&word.to_string(), LONGEST_WORD);
    Unreadable::UnknownWord(format!("its {field} is `{word}`, which is not known here"))
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

fn address(text: &str) -> Result<IpAddr, Unreadable> {
    text.parse().map_err(|_| unknown_word("private address", text))
}
