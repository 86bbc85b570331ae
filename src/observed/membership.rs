//! The members of the application, as they describe each other.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ids::{MemberId, SlotName};
use crate::spec::Lag;
use crate::time::Timestamp;

/// The members of one cluster, and who leads them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Everyone that the cluster now admits to, failed ones included.
    pub members: Vec<Member>,
    /// The member that leads, if there is one.
    pub leader: Option<MemberId>,
    /// The members offer to move leadership on request.
    pub can_transfer: bool,
    /// The members that may be handed leadership; none where every member that counts may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heirs: Option<BTreeSet<MemberId>>,
    pub pruning: Pruning,
    /// The version whose features all members have agreed to use, e.g. `3.4.0`, which is the oldest of theirs; none if the
    /// application agrees on none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed_version: Option<String>,
    /// The reasons that the application itself gives why no member may be replaced now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
    /// Things that hold nothing up yet and that a person should know, one sentence each with the next step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A reason of the application's why no member may be replaced: a setting under which a member would not come back as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// The setting and its effect, for a person to read.
    pub why: String,
    /// Advice to that person.
    pub hint: String,
}

impl Membership {
    /// Gives the version that nobody is older than: the agreed one, or else the oldest that a member reports.
    pub fn oldest_version(&self) -> Option<&str> {
        let reported = self.members.iter().filter_map(|member| member.version.as_deref());
        self.agreed_version.as_deref().or_else(|| reported.min_by_key(|version| numbers(version)))
    }

    /// Finds the member that sits in a slot.
    pub fn of_slot(&self, slot: &SlotName) -> Option<&Member> {
        self.members.iter().find(|member| member.slot.as_ref() == Some(slot))
    }
}

/// One member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub id: MemberId,
    /// The declared slot whose name it bears; none for a stranger.
    pub slot: Option<SlotName>,
    /// The address at which its peers find it.
    pub address: Option<IpAddr>,
    /// The vote or copy of the member is needed: a voter, or an in-sync replica. Arithmetic asks this.
    pub counts: bool,
    pub health: Health,
    /// The time since which its peers have found it as it is. They may forget with every new leader, so nothing that acts
    /// rests on it; a command that only looks has no timers of its own and shows this.
    pub stable_since: Option<Timestamp>,
    /// The distance to the leader; none if the application does not say.
    pub lag: Option<Lag>,
    /// The version that it reports, e.g. `1.20.1`.
    pub version: Option<String>,
}

/// Reads the numbers of a version, to compare it with others: `[1, 20, 1]` of `1.20.1+ent`.
fn numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+', ' ']).next().unwrap_or_default();
    core.split('.').map_while(|part| part.parse().ok()).collect()
}

/// Says whether a reported version is the expected one. Build metadata counts only as far as it is expected: `1.20.2+ent`
/// and `1.20.2+ent.fips1402` are both `1.20.2`, and the second one is `1.20.2+ent` as well.
pub fn is_version(expected: &str, found: &str) -> bool {
    let parts = |version: &'_ str| {
        let (core, build) = version.split_once('+').unwrap_or((version, ""));
        (core.trim_start_matches('v').to_owned(), build.to_owned())
    };
    let ((expected, wanted), (found, build)) = (parts(expected), parts(found));
    let is_variant = wanted.is_empty() || build == wanted || build.starts_with(&format!("{wanted}."));
    expected == found && is_variant
}

/// The health of a member. Not knowing is a third answer, and it blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    Healthy,
    /// Something is wrong, e.g. `failed`.
    Unhealthy(String),
    /// Nobody can say, e.g. because the member could not be asked.
    Unknown(String),
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.pad("healthy"),
            Self::Unhealthy(why) => write!(f, "unhealthy: {why}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// The way in which an application drops failed members from its membership, and so shrinks its quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pruning {
    /// A failed member stays in the membership.
    Never,
    /// A failed member is dropped, as long as at least this many remain.
    DownTo(usize),
}

#[cfg(test)]
mod tests {
    use super::{is_version, numbers};

    #[test]
    fn versions_are_compared_number_by_number() {
        assert_eq!(numbers("3.4.23+debian"), [3, 4, 23]);
        assert!(numbers("3.4.23") > numbers("3.4.3") && numbers("3.10.0") > numbers("3.9.9"));
    }

    #[test]
    fn build_metadata_counts_only_as_far_as_it_is_expected() {
        for found in ["1.20.2", "1.20.2+ent", "1.20.2+ent.fips1402", "v1.20.2"] {
            assert!(is_version("1.20.2", found), "{found}");
        }
        assert!(is_version("1.20.2+ent", "1.20.2+ent.fips1402") && is_version("1.20.2+ent", "1.20.2+ent"));
        assert!(is_version("1.20.2-rc1", "1.20.2-rc1+ent"));
        for found in ["1.20.2", "1.20.2+enterprise", "1.20.1+ent", "1.20.2-rc1+ent"] {
            assert!(!is_version("1.20.2+ent", found), "{found}");
        }
        for found in ["1.20.1", "1.20.20", "1.20", "1.20.2-rc1", ""] {
            assert!(!is_version("1.20.2", found), "{found}");
        }
    }
}
