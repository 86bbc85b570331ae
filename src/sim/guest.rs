//! The guest of an instance: what it does with its volumes when they are all there, and which member starts on them.

use std::collections::BTreeMap;

use super::content::{Content, Log, Stamp};
use super::words::Payload;
use crate::ids::{ClusterName, MemberId, SlotName, VolumeName};
use crate::spec::COPY_OF;

/// Everything that a guest knows of itself.
#[derive(Clone, Copy)]
pub struct Guest<'a> {
    pub cluster: &'a ClusterName,
    pub slot: &'a SlotName,
    pub tags: &'a BTreeMap<String, String>,
    /// The behaviour that the image gives its member.
    pub payload: Option<&'a Payload>,
}

/// The outcome of mounting volumes.
pub struct Mounted {
    /// The content of each volume afterwards.
    pub contents: BTreeMap<VolumeName, Content>,
    /// The volumes that are somebody else's, with the stamps that say so. With any of these nothing starts.
    pub foreign: Vec<(VolumeName, Stamp)>,
    pub starts: Option<Starts>,
}

/// The member that starts.
pub struct Starts {
    /// The volume that its node id lies on, or will.
    pub home: VolumeName,
    /// The node id, where there is one already.
    pub member: Option<MemberId>,
    pub log: Log,
    /// The member knows of no other.
    pub alone: bool,
}

impl Guest<'_> {
    /// Mounts the volumes, and starts the member if every stamp is its own.
    pub fn mount(&self, contents: BTreeMap<VolumeName, Content>) -> Mounted {
        let mut contents: BTreeMap<_, _> =
            contents.into_iter().map(|(name, content)| (name.clone(), self.isolated(&name, content))).collect();
        let foreign = self.foreign(&contents);
        if !foreign.is_empty() {
            return Mounted { contents, foreign, starts: None };
        }
        for (name, content) in contents.iter_mut().filter(|(_, content)| content.stamp.is_none()) {
            content.stamp = Some(self.stamp(name));
            content.formatted += 1;
        }
        let starts = if self.payload == Some(&Payload::NeverJoins) { None } else { self.starts(&mut contents) };
        Mounted { contents, foreign, starts }
    }

    fn stamp(&self, volume: &VolumeName) -> Stamp {
        Stamp { cluster: self.cluster.clone(), slot: self.slot.clone(), volume: volume.clone() }
    }

    /// Cuts a copy of another cluster's volume off from that cluster, and stamps it anew, if the instance's tag says so.
    fn isolated(&self, name: &VolumeName, mut content: Content) -> Content {
        let Some(of) = self.tags.get(COPY_OF) else { return content };
        let is_copy = |stamp: &Stamp| *of == *stamp.cluster && stamp.volume == *name;
        if content.stamp.as_ref().is_some_and(is_copy) {
            (content.stamp, content.member, content.alone) = (Some(self.stamp(name)), None, true);
        }
        content
    }

    fn foreign(&self, contents: &BTreeMap<VolumeName, Content>) -> Vec<(VolumeName, Stamp)> {
        let stamps = contents.iter().filter_map(|(name, content)| Some((name, content.stamp.as_ref()?)));
        let foreign = stamps.filter(|(name, stamp)| **stamp != self.stamp(name));
        foreign.map(|(name, stamp)| (name.clone(), stamp.clone())).collect()
    }

    /// Starts the member on its home. A copy begins alone only once.
    fn starts(&self, contents: &mut BTreeMap<VolumeName, Content>) -> Option<Starts> {
        let home = home(contents)?;
        let content = contents.get_mut(&home)?;
        let alone = std::mem::take(&mut content.alone);
        Some(Starts { home, member: content.member.clone(), log: content.log.at_start(self.payload), alone })
    }
}

/// Finds the volume that a member's node id lies on: the one that has one, or else the first.
pub fn home(contents: &BTreeMap<VolumeName, Content>) -> Option<VolumeName> {
    let with_id = contents.iter().find(|(_, content)| content.member.is_some());
    with_id.or_else(|| contents.first_key_value()).map(|(name, _)| name.clone())
}
