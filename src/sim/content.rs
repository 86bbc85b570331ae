//! The content of data volumes: who formatted them, and what a member has left there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words::Payload;
use crate::ids::{ClusterName, MemberId, SlotName, VolumeName};

/// Everything on a data volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The stamp of the guest that formatted the volume; none while it is blank.
    pub stamp: Option<Stamp>,
    /// The node id that lies on it.
    pub member: Option<MemberId>,
    pub log: Log,
    /// The next server on it knows of no other.
    pub alone: bool,
    /// The number of times that the volume was formatted. Once is right.
    pub formatted: u32,
}

/// The mark that a guest writes on a volume when it formats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub cluster: ClusterName,
    pub slot: SlotName,
    pub volume: VolumeName,
}

/// The part of its log that a member has left on its volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The number of entries, from the first.
    pub entries: u64,
    pub canaries: Canaries,
}

/// The canary data of one member.
///
/// Writes are numbered like the entries of a log. A member that was away is sent the writes that it has not seen, and no
/// more: a write that it has seen and lost since does not come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canaries {
    /// The number of the last write that the member has seen.
    seen: u64,
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The number of the write that the value comes from.
    write: u64,
    value: String,
}

impl Log {
    /// Tells what the application finds when it starts on this volume.
    pub fn at_start(&self, payload: Option<&Payload>) -> Self {
        let mut log = self.clone();
        if payload == Some(&Payload::LosesData) {
            log.canaries.entries.clear();
        }
        log
    }
}

impl Canaries {
    /// Counts the writes that the member has seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Lists the values by their keys.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.entries.iter().map(|(key, entry)| (key.clone(), entry.value.clone())).collect()
    }

    /// Adds the next write.
    pub fn with(&self, key: &str, value: &str) -> Self {
        let mut next = self.clone();
        next.seen += 1;
        next.entries.insert(key.to_owned(), Entry { write: next.seen, value: value.to_owned() });
        next
    }

    /// Sees what the leader has seen beyond it. No leader has seen less, because each has the longest log of a quorum.
    pub fn follow(&mut self, leader: &Self) {
        let news = leader.entries.iter().filter(|(_, entry)| entry.write > self.seen);
        self.entries.extend(news.map(|(key, entry)| (key.clone(), entry.clone())));
        self.seen = leader.seen;
    }
}
