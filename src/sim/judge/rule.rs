//! The names of the safety rules, and their sentences.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A safety rule. The serialised name is short and stable, e.g. "S1".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// Never more than one member down by our hand, and never fewer healthy voters than a quorum of the declared.
    #[serde(rename = "S1")]
    Quorum,
    /// Each disruptive call rests on readings that began after the sender's last write.
    #[serde(rename = "S2")]
    FreshReadings,
    /// No data volume is lost, and no instance is terminated that has one.
    #[serde(rename = "S3")]
    VolumesConserved,
    /// A data volume is detached only from an instance that is stopped or terminated.
    #[serde(rename = "S4")]
    DetachedWhenDown,
    /// A volume meets only instances of its own slot, and a member only its own cluster.
    #[serde(rename = "S5")]
    OwnVolumes,
    /// An instance that was launched ahead is given nothing before its slot is claimed.
    #[serde(rename = "ahead")]
    EmptyAhead,
    /// At most one live replacement in a slot, and in a cluster one more instance running than declared.
    #[serde(rename = "S6")]
    OneReplacement,
    /// A slot that has lost its instance is given back what settled there last.
    #[serde(rename = "heal")]
    HealedAsItWas,
    /// The old instance outlives the proof of the new one, and is terminated only once it is retired.
    #[serde(rename = "S7")]
    OldOutlivesProof,
    /// A call changes only what belongs to the cluster that it is sent for.
    #[serde(rename = "S8")]
    OwnResources,
    /// A request that is sent twice makes one thing.
    #[serde(rename = "S9")]
    OneEffect,
    /// Data are deleted only at the end of their cluster, and only as somebody has said.
    #[serde(rename = "end")]
    DeletedAtTheEnd,
    /// A volume only grows, where its member serves with it, and alone in its cluster.
    #[serde(rename = "growth")]
    GrownWhereItServes,
    /// An adopted group is held still while its members are replaced, and then goes on as before.
    #[serde(rename = "group")]
    GroupHeldStill,
    /// A member that leads is stopped only after leadership was handed over, where the application can do that.
    #[serde(rename = "S11")]
    LeaderLast,
    /// A slot that the file does not declare any more is left alone.
    #[serde(rename = "S12")]
    LeftAlone,
    /// Of two clusters of which one stands on the other, only one has a member down by our hand.
    #[serde(rename = "apart")]
    OneOfTwo,
    /// A member is stopped only in the slot that the claim names, and only once the claim says so.
    #[serde(rename = "S15")]
    ClaimedStop,
    /// A replacement goes the way that the claim says.
    #[serde(rename = "way")]
    OneWay,
    /// A slot's fixed address is moved only from an instance of the slot that is stopped or gone.
    #[serde(rename = "S19")]
    AddressAtRest,
    /// A member gets its volume elsewhere only after the others were told where it is to be found, where somebody leads them.
    #[serde(rename = "told")]
    ToldFirst,
    /// A client token never serves two requests.
    #[serde(rename = "S16")]
    TokenOfOne,
    /// Nothing is done, tried or waited for without end and without a name.
    #[serde(rename = "S17")]
    NoLoop,
    /// A controller mends what it may mend, also under a claim.
    #[serde(rename = "S18")]
    Mended,
    /// The time of other machines never blocks or permits anything.
    #[serde(rename = "S20")]
    OwnTime,
    /// A token of one cluster never counts for another.
    #[serde(rename = "S21")]
    OwnTokens,
    /// A member that comes back is who it was.
    #[serde(rename = "identity")]
    SameMember,
    /// A member that comes back knows what it knew.
    #[serde(rename = "data")]
    SameData,
}

impl Rule {
    /// Says whether it can be judged only by whoever knows the claims.
    pub fn rests_on_claims(self) -> bool {
        matches!(self, Self::ClaimedStop | Self::OneWay | Self::DeletedAtTheEnd | Self::EmptyAhead)
    }

    /// Gives the short name, which outputs use, e.g. "S1".
    pub fn name(self) -> &'static str {
        match self {
            Self::Quorum => "S1",
            Self::FreshReadings => "S2",
            Self::VolumesConserved => "S3",
            Self::DetachedWhenDown => "S4",
            Self::OwnVolumes => "S5",
            Self::EmptyAhead => "ahead",
            Self::OneReplacement => "S6",
            Self::HealedAsItWas => "heal",
            Self::OldOutlivesProof => "S7",
            Self::OwnResources => "S8",
            Self::OneEffect => "S9",
            Self::DeletedAtTheEnd => "end",
            Self::GrownWhereItServes => "growth",
            Self::GroupHeldStill => "group",
            Self::LeaderLast => "S11",
            Self::LeftAlone => "S12",
            Self::OneOfTwo => "apart",
            Self::ClaimedStop => "S15",
            Self::OneWay => "way",
            Self::AddressAtRest => "S19",
            Self::ToldFirst => "told",
            Self::TokenOfOne => "S16",
            Self::NoLoop => "S17",
            Self::Mended => "S18",
            Self::OwnTime => "S20",
            Self::OwnTokens => "S21",
            Self::SameMember => "identity",
            Self::SameData => "data",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quorum => "only one member is down by our hand, and the others are a quorum of the declared",
            Self::FreshReadings => "a disruptive call rests on readings that began after the sender's last write",
            Self::VolumesConserved => "no data volume is lost, and no instance is terminated that has one",
            Self::DetachedWhenDown => "a data volume is detached only from an instance that is stopped or terminated",
            Self::OwnVolumes => "a volume meets only instances of its own slot, and a member only its own cluster",
            Self::EmptyAhead => "an instance that was launched ahead is given nothing before its slot is claimed",
            Self::OneReplacement => {
                "a slot has one live replacement at most, and a cluster one instance more running than declared"
            }
            Self::HealedAsItWas => "a slot that has lost its instance is given back what settled there last",
            Self::OldOutlivesProof => "the old instance is retired and terminated only after the new one was proven",
            Self::OwnResources => "a call changes only what belongs to its cluster",
            Self::OneEffect => "a request that is sent twice makes one thing",
            Self::DeletedAtTheEnd => "data are deleted only at the end of their cluster, as somebody has said",
            Self::GrownWhereItServes => {
                "a volume only grows, where its member serves with it, and alone in its cluster"
            }
            Self::GroupHeldStill => "an adopted group is held still during a replacement, and then goes on as before",
            Self::LeaderLast => "a member that leads is stopped only after leadership was handed over",
            Self::LeftAlone => "what the file does not declare any more is left alone",
            Self::OneOfTwo => "of two clusters of which one stands on the other, one has a member down by our hand",
            Self::ClaimedStop => "a member is stopped only in the slot that the claim names, once the claim says so",
            Self::OneWay => "a replacement goes the way that the claim says",
            Self::AddressAtRest => "a fixed address is moved only from an instance of its slot that is stopped or gone",
            Self::TokenOfOne => "a client token never serves two requests",
            Self::NoLoop => "nothing is done, tried or waited for without end and without a name",
            Self::Mended => "a controller mends what it may mend, also under a claim",
            Self::ToldFirst => {
                "a member gets its volume elsewhere only after the others were told where it is to be found"
            }
            Self::OwnTime => "the time of other machines never blocks or permits anything",
            Self::OwnTokens => "a token of one cluster never counts for another",
            Self::SameMember => "a member that comes back is who it was",
            Self::SameData => "a member that comes back knows what it knew",
        })
    }
}

/// A rule that is broken, with what was seen.
pub type Objection = (Rule, String);
