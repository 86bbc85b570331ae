//! Members that a user's program speaks to, in a desired-state file: as written, as meant, and the rules that it states.
//!
//! The rules stand in the file, because plans are made and files are checked where no program may be run: in the pull request
//! that brings the program along, for one. The program says them too when it is asked to describe itself, and must agree.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Lag, LeaderGoes, NO_FIXED_ADDRESSES, Rules, SlotLimits, exactly_one};
use crate::spec::load::meaning::{Meaning, boolean};
use crate::spec::quorum;
use crate::spec::raw::{Spanned, Text};
use crate::spec::words::Word;

/// The largest number of slots.
pub(super) const MOST: usize = 9;
/// The reason to keep each member at one address.
const WHY_ADDRESSES: &str = "`rules.addresses` is `fixed`: these members know each other by address";

/// A program that speaks to the members, and the rules of its kind of application.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, rename = "Command")]
pub struct Written {
    /// The program, by its path relative to this file, e.g. `../../adapters/mongodb`. No shell reads it, and it is looked for in no
    /// other place. It must lie in the folder that `--adapters` names where the controller runs.
    #[schemars(required, with = "String")]
    pub program: Text,
    /// The arguments of the program, one item each. Secrets belong in `files`.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("default" = [], "maxItems" = 100))]
    pub args: Option<Vec<Spanned>>,
    /// The time after which the program and all that it has started are killed, e.g. `20s`; at most `25s`, because an older
    /// answer is no ground for a decision.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = "20s"))]
    pub timeout: Text,
    /// Files that the program is told the paths of, by name, such as one with a password. Relative to this file; hermitcrab does
    /// not read them.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub files: Option<BTreeMap<String, Spanned>>,
    /// The rules of this kind of application. The program's answer to `describe` must say the same.
    #[schemars(required)]
    pub rules: Option<WrittenRules>,
    /// The program writes canary data and reads them, so that a rehearsal can tell whether any were lost.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    pub canaries: Text,
    /// The version that a member on the desired image must report, e.g. `7.0.5`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub version: Text,
}

/// The rules of a kind of application, as far as they differ from kind to kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, rename = "CommandRules")]
pub struct WrittenRules {
    /// The members that must be healthy for the application to work: a `quorum` of the declared, `one`, or `all-but-one`.
    #[schemars(required, with = "String", extend("enum" = Needed::words()))]
    pub needed: Text,
    /// The place of the leader in the order of replacements: `last`, after leadership has moved away where the members can do
    /// that, or `first`; `none` where no member leads.
    #[schemars(required, with = "String", extend("enum" = Leads::words()))]
    pub leader: Text,
    /// The addresses at which members may come back: `fixed`, where each slot needs an `address`, or `any`.
    #[schemars(required, with = "String", extend("enum" = Addresses::words()))]
    pub addresses: Text,
    /// The distance to the leader, or to the rest, with which a member still counts as caught up.
    #[schemars(required)]
    pub lag_limit: Option<WrittenLag>,
    /// The time for which every member must have been healthy before one is taken down, e.g. `20s`.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = "20s"))]
    pub stabilization: Text,
    /// A new cluster serves only when all of its first members are there.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    pub forms_together: Text,
    /// The program is told of each healthy member that is about to be stopped for its replacement, e.g. to have it write to its disk
    /// what it would have to read again from a log.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    pub prepares: Text,
}

/// A distance in the one unit that the application counts in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, rename = "LagLimit", transform = exactly_one)]
pub struct WrittenLag {
    /// Entries of a log, or messages.
    #[schemars(required, with = "u64")]
    pub entries: Text,
    /// Bytes of a log.
    #[schemars(required, with = "u64")]
    pub bytes: Text,
    /// The time since the member had everything, e.g. `10s`.
    #[schemars(required, with = "String")]
    pub age: Text,
}

/// A program that speaks to the members, and the rules of its kind of application.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandSpec {
    /// The program. Where it lies differs from machine to machine, so it is no part of what a plan is identified by.
    #[serde(skip_serializing)]
    pub program: String,
    /// The arguments of the program.
    pub args: Vec<String>,
    /// The time after which it is killed.
    pub timeout: Duration,
    /// Files that it is told the paths of, by name.
    #[serde(skip_serializing)]
    pub files: BTreeMap<String, String>,
    /// The rules that the file states.
    pub rules: CommandRules,
    /// The program writes canary data, and reads them.
    pub canaries: bool,
    /// The version that a member on the desired image must report.
    pub version: Option<String>,
}

/// The rules that a file states, and that the program must agree to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandRules {
    pub needed: Needed,
    pub leader: Leads,
    pub addresses: Addresses,
    pub lag_limit: Lag,
    pub stabilization: Duration,
    pub forms_together: bool,
    pub prepares: bool,
}

/// The number of the declared members that have to be healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needed {
    /// More than half.
    #[default]
    Quorum,
    /// One, because each has everything.
    One,
    /// All but one, because each has something that few others have.
    AllButOne,
}

/// The place of the leader in the order of replacements, if a member leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leads {
    /// After all others.
    Last,
    /// Before all other healthy members.
    First,
    /// No member leads.
    None,
}

/// The addresses at which members may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addresses {
    /// The one of the slot, which is fixed.
    Fixed,
    /// Whichever the new instance has.
    Any,
}

impl Needed {
    /// The arithmetic of [`Needed::One`].
    pub const ONE: fn(usize) -> usize = one;

    /// Gives the arithmetic.
    pub fn of(self) -> fn(usize) -> usize {
        match self {
            Self::Quorum => quorum,
            Self::One => Self::ONE,
            Self::AllButOne => all_but_one,
        }
    }
}

fn one(_: usize) -> usize {
    1
}

/// Counts all but one of the members. A single member is needed itself.
fn all_but_one(members: usize) -> usize {
    members.saturating_sub(1).max(1)
}

impl Written {
    /// Says what is meant, or reports why that cannot be said.
    pub(super) fn meant(&self, meaning: &mut Meaning<'_, '_>) -> Option<CommandSpec> {
        let program = meaning.program(&self.program);
        let args = meaning.arguments(self.args.as_deref().unwrap_or_default());
        let timeout = meaning.span(&self.timeout, 20, 1..=25, "timeout");
        let files = meaning.named_files(self.files.as_ref());
        let rules = self.rules.as_ref().and_then(|rules| rules.meant(meaning));
        let version = meaning.version(&self.version);
        if self.version.is_some() {
            version.as_ref()?;
        }
        let canaries = boolean(&self.canaries, false);
        Some(CommandSpec {
            program: program?,
            args: args?,
            timeout: timeout?,
            files: files?,
            rules: rules?,
            canaries,
            version,
        })
    }

    /// Says how many slots make sense with these rules. Where a word of them is not known, a quorum is assumed.
    pub(super) fn slots(&self) -> SlotLimits {
        let word = |text: fn(&WrittenRules) -> &Text| Some(text(self.rules.as_ref()?).as_ref()?.value.as_str());
        let needed = word(|rules| &rules.needed).and_then(Needed::meant).unwrap_or_default();
        let addresses = word(|rules| &rules.addresses).and_then(Addresses::meant);
        SlotLimits {
            needed: needed.of(),
            more_tolerate_more: needed != Needed::AllButOne,
            most: MOST,
            why_no_more: "a rollout goes through them one by one; declare another cluster for the rest",
            why_addresses: (addresses == Some(Addresses::Fixed)).then_some(WHY_ADDRESSES),
            why_no_rehearsal: (addresses == Some(Addresses::Fixed)).then_some(NO_FIXED_ADDRESSES),
        }
    }
}

impl WrittenRules {
    fn meant(&self, meaning: &mut Meaning<'_, '_>) -> Option<CommandRules> {
        let lag_limit = self.lag_limit.as_ref().and_then(|limit| limit.meant(meaning));
        let stabilization = meaning.span(&self.stabilization, 20, 1..=3_600, "stabilization");
        Some(CommandRules {
            needed: meaning.word(self.needed.as_ref()?)?,
            leader: meaning.word(self.leader.as_ref()?)?,
            addresses: meaning.word(self.addresses.as_ref()?)?,
            lag_limit: lag_limit?,
            stabilization: stabilization?,
            forms_together: boolean(&self.forms_together, false),
            prepares: boolean(&self.prepares, false),
        })
    }
}

impl WrittenLag {
    fn meant(&self, meaning: &mut Meaning<'_, '_>) -> Option<Lag> {
        match (&self.entries, &self.bytes, &self.age) {
            (Some(count), ..) => meaning.count(count).map(Lag::Entries),
            (None, Some(count), _) => meaning.count(count).map(Lag::Bytes),
            (None, None, age @ Some(_)) => meaning.span(age, 0, 0..=3_600, "age").map(Lag::Age),
            (None, None, None) => None,
        }
    }
}

impl CommandSpec {
    /// Says what these members are like.
    pub(super) fn rules(&self) -> Rules {
        let rules = &self.rules;
        Rules {
            needed: rules.needed.of(),
            leader: match rules.leader {
                Leads::Last => Some(LeaderGoes::Last),
                Leads::First => Some(LeaderGoes::First),
                Leads::None => None,
            },
            lag_limit: rules.lag_limit,
            stabilization: rules.stabilization,
            pruning: None,
            forms_together: rules.forms_together,
            prepares: rules.prepares,
            moves_members: false,
            observers: false,
            version: self.version.clone(),
            version_steps: None,
            why_addresses: (rules.addresses == Addresses::Fixed).then_some(WHY_ADDRESSES),
            why_no_rehearsal: (rules.addresses == Addresses::Fixed).then_some(NO_FIXED_ADDRESSES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Needed;

    #[test]
    fn a_single_member_is_always_needed() {
        let needed = |needed: Needed| [1, 2, 3, 6].map(needed.of());
        assert_eq!(needed(Needed::Quorum), [1, 2, 2, 4]);
        assert_eq!(needed(Needed::One), [1, 1, 1, 1]);
        assert_eq!(needed(Needed::AllButOne), [1, 1, 2, 5]);
    }
}
