//! The claim record: the one thing about a cluster that is written with compare-and-set.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{Attempt, ClusterName, Generation, ImageId, InstanceId, MemberId, SlotName, VolumeId, VolumeName};
use crate::time::Timestamp;

use super::Instance;

/// The record of one cluster, as every controller of it reads and writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimRecord {
    /// A number that changes with every write; a write names the revision that it replaces.
    pub revision: u64,
    /// The claim, while a slot may be disrupted.
    pub held: Option<Claim>,
    /// The launch for the slot that comes next, while it is nobody's yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Ahead>,
    /// The highest attempt ever made for this cluster.
    pub last_attempt: Attempt,
    /// The slots that have ever been initialised: a second memory beside the volumes' tags.
    pub initialised: BTreeSet<SlotName>,
    /// The time at which a replacement was last taken back, or dropped while a launch may have been on its way. For a
    /// while after it no new one begins.
    pub taken_back_at: Option<Timestamp>,
    /// The instances that a claim had stopped when it gave way, and when that was. One that is still stopped since is
    /// started again, or its replacement taken up again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stopped: BTreeMap<InstanceId, Timestamp>,
    /// The end of the cluster, from the moment that a person wants it. Nothing else is done to the cluster then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// The tries to create a volume that came to nothing, by slot and name of the volume.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub creations: BTreeMap<String, FailedCreation>,
    /// The number of times that the cluster was created anew after it had been destroyed with its data.
    #[serde(skip_serializing_if = "is_zero")]
    pub rebuilt: u32,
    /// The verdicts of the latest rehearsals, one for each generation, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rehearsed: Vec<Rehearsed>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl ClaimRecord {
    /// Names a slot's volume among the creations, e.g. `consul-a/data`.
    pub fn creation_key(slot: &SlotName, name: &VolumeName) -> String {
        format!("{slot}/{name}")
    }
}

/// The tries to create one volume that came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FailedCreation {
    /// The number of all such tries. The next one has a token of its own.
    pub number: u32,
    /// The number of such tries in a row with one request.
    pub in_a_row: u32,
    /// The digest of what was asked for last.
    pub request: String,
    /// The time of the latest such try.
    pub at: Timestamp,
    /// The latest outcome in words.
    pub why: String,
}

/// "This slot may be disrupted, to this end." A claim has no expiry and is no lease: whoever plans, only the claimed slot
/// may be touched, and the claim moves only when that slot is settled again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    pub slot: SlotName,
    /// The number of the launch, which is a part of its token.
    pub attempt: Attempt,
    /// The number of launches that were tried under this claim before this one.
    pub tries: u32,
    #[serde(flatten)]
    pub purpose: Purpose,
    /// The member that must come back as itself; none where nobody knows of one.
    pub member: Option<MemberId>,
    /// The generation that the slot is brought to.
    pub generation: Generation,
    /// The image of that generation.
    pub image: ImageId,
    /// The version that members were expected to report on that image when the slot was claimed, if the spec was about it and said
    /// so, e.g. `1.20.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The instance that takes the place, where the adopted group has launched one by itself. Then nothing else is launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recruit: Option<InstanceId>,
    /// The digest of what is to be launched, as it was when the slot was claimed. What has changed since is launched under
    /// another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The instances that a stop was sent to under this claim, or is about to be. The claim says so before the call is
    /// made, so that no other controller drops it while a stop may still take effect.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stops: BTreeSet<InstanceId>,
    /// The volume that got stuck on its way to a new instance under this claim, and for which that one was discarded. What is to
    /// blame is EBS, and not the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<VolumeId>,
    /// The old instance was stopped already when this was claimed, and could not be started. Its member is expected back
    /// once its volumes are at another instance, however long there is none to be had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stranded: bool,
    /// The way that the replacement goes. What is right on one way alone is done only while the claim says that way: to start
    /// the old instance again, say, or to take its volumes away from it.
    #[serde(default, skip_serializing_if = "Way::is_first")]
    pub way: Way,
    /// The claim has only begun to say so, and a call may be on its way that was sent before. Until it has arrived, nothing is
    /// done that is right on one way alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub turning: bool,
    /// The time of the claim to this attempt.
    pub since: Timestamp,
}

impl Claim {
    /// Gives the instance that is replaced, if one is.
    pub fn old(&self) -> Option<&InstanceId> {
        match &self.purpose {
            Purpose::Replace { old } => Some(old),
            Purpose::Fill => None,
        }
    }

    /// Says whether that instance was launched, or recruited, under this attempt.
    pub fn launched(&self, instance: &Instance) -> bool {
        instance.attempt() == Some(self.attempt) && Some(&instance.id) != self.old()
    }
}

/// A launch for a slot before it is claimed, while the slot before it waits for its new member. The record says so before the launch is sent, and
/// until the slot's own claim takes the launch over or the instance is seen gone: at every moment the instance is somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ahead {
    pub slot: SlotName,
    /// The number of the launch, which the slot's claim takes over, so that its token is the same.
    pub attempt: Attempt,
    /// The generation that the slot is to be brought to.
    pub generation: Generation,
    /// The image of that generation.
    pub image: ImageId,
    /// The digest of what is launched. Where that has changed, another launch is wanted.
    pub request: String,
    /// The launch is wanted no more: no claim takes it over, and its instance goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub let_go: bool,
}

impl Ahead {
    /// Says whether that instance came of this launch.
    pub fn launched(&self, instance: &Instance) -> bool {
        instance.slot == self.slot && instance.attempt() == Some(self.attempt)
    }

    /// Says whether that claim takes the launch over.
    pub fn is_taken_over_by(&self, claim: &Claim) -> bool {
        claim.slot == self.slot && claim.attempt == self.attempt
    }
}

/// The way that a claimed replacement goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// To the new instance.
    #[default]
    Forward,
    /// To the old instance again, or to an early end. Whatever the spec wants, it goes on so until the slot is settled, unless
    /// the old instance cannot serve.
    Back,
    /// To the new instance after all. Only what has failed there is taken back once more.
    ForwardAgain,
}

impl Way {
    /// Says whether it is the way on which every replacement begins.
    pub fn is_first(&self) -> bool {
        *self == Self::Forward
    }
}

/// The end to which a slot is claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredPurpose", into = "StoredPurpose")]
pub enum Purpose {
    /// Another instance takes the place of this one.
    Replace { old: InstanceId },
    /// The slot is given an instance, because it has lost its own or never had one.
    Fill,
}

/// A purpose as records have always had it.
#[derive(Serialize, Deserialize)]
struct StoredPurpose {
    old: Option<InstanceId>,
}

impl Purpose {
    /// Names the purpose of a claim about a slot that has this instance, or none.
    pub fn of(old: Option<InstanceId>) -> Self {
        old.map_or(Self::Fill, |old| Self::Replace { old })
    }
}

impl From<StoredPurpose> for Purpose {
    fn from(stored: StoredPurpose) -> Self {
        Self::of(stored.old)
    }
}

impl From<Purpose> for StoredPurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Replace { old } => Self { old: Some(old) },
            Purpose::Fill => Self { old: None },
        }
    }
}

/// The end of a cluster, as a person wants it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    pub since: Timestamp,
    /// The number on the last snapshots, so that none is taken twice.
    pub attempt: Attempt,
    pub remains: Remains,
}

/// The data that is left of a cluster that is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remains {
    /// The volumes, and a last snapshot of each.
    Volumes,
    /// The last snapshots alone.
    Snapshots,
    /// No data at all.
    Nothing,
}

/// The verdict on a generation that was tried on a throw-away copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsed {
    /// The generation that the cluster itself would be brought to.
    pub generation: Generation,
    /// The image that the copy was created at.
    pub from: ImageId,
    /// The image of that generation.
    pub to: ImageId,
    /// The time at which the rehearsal was over.
    pub at: Timestamp,
    /// The name of the copy, e.g. `consul-prod-rehearsal-1767609000`.
    pub copy: ClusterName,
    /// The differences between the copy and the cluster, for a person to read.
    pub unlike: Vec<String>,
    pub verdict: Verdict,
}

/// The proof that a rehearsal has given. One that was broken off proves nothing, and has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Nothing speaks against the generation.
    Passed,
    /// These findings do.
    Failed { findings: Vec<String> },
}
