//! The revision of desired state that is in force, and how its source stands: plain data.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The number of characters of a commit's id that tell it from others, for people.
const SHORT: usize = 12;

/// A commit of desired state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// The whole id of the commit.
    pub id: String,
    /// The name that led to it, e.g. `main`.
    pub reference: String,
    /// The author's name.
    pub author: String,
    /// The first line of the commit's message.
    pub subject: String,
    /// The moment of the commit, by the clock of whoever made it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub committed_at: Timestamp,
    /// The name of whoever signed it, as the file of allowed signers has it; none where nobody asked for signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<String>,
}

impl Revision {
    /// The beginning of the id, e.g. `1a2b3c4d5e6f`.
    pub fn short(&self) -> &str {
        short(&self.id)
    }
}

/// The revision in words, e.g. `1a2b3c4d5e6f of main, by Ada: Roll consul-prod`.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}, by {}: {}", self.short(), self.reference, self.author, self.subject)
    }
}

/// The beginning of a commit's id.
pub fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// The standing of a source of revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The revision in force; none before the first.
    pub revision: Option<Revision>,
    /// The reason why nothing newer was taken at the latest attempt; none if it went well.
    pub trouble: Option<SourceTrouble>,
    /// Whether only signed commits are taken.
    pub verifies: bool,
    /// The commit that was in force before, where the one in force does not descend from it: the branch was rewritten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewritten_from: Option<String>,
}

impl Standing {
    /// The beginning of the id of the revision in force, to be written where only letters and digits are sure to be taken.
    pub fn mark(&self) -> Option<String> {
        let id = self.revision.as_ref()?.short();
        (!id.is_empty() && id.chars().all(|one| one.is_ascii_alphanumeric())).then(|| id.to_owned())
    }

    /// The trouble that a person has to hear of: any that does not pass by itself, and one that lasts.
    pub fn lasting_trouble(&self) -> Option<&SourceTrouble> {
        self.trouble.as_ref().filter(|trouble| trouble.reason != Reason::Unreachable || trouble.times >= LASTING)
    }
}

/// Everything that became different between two looks at a source.
#[derive(Debug)]
pub struct Difference<'s> {
    /// There was trouble, and there is none any more.
    pub is_usable_again: bool,
    /// The revision that came into force.
    pub revision: Option<&'s Revision>,
    /// The commit that was in force before, if that revision does not descend from it.
    pub rewritten_from: Option<&'s str>,
}

impl Standing {
    /// Says what is different from the look before.
    pub fn since(&self, before: Option<&Self>) -> Difference<'_> {
        let is_other = before.and_then(|before| before.revision.as_ref()) != self.revision.as_ref();
        Difference {
            is_usable_again: self.trouble.is_none() && before.is_some_and(|before| before.trouble.is_some()),
            revision: self.revision.as_ref().filter(|_| is_other),
            rewritten_from: self.rewritten_from.as_deref().filter(|_| is_other),
        }
    }
}

/// The number of attempts in a row that fail before a source that cannot be reached is more than a hiccup.
const LASTING: u32 = 3;

/// A reason why a source has given nothing newer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceTrouble {
    pub reason: Reason,
    /// The reason in words.
    pub message: String,
    /// The number of attempts in a row that ended in this way.
    pub times: u32,
}

/// The kinds of trouble with a source, each one CamelCase word; part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reason {
    /// The server did not answer, or not in time, or refused, or the repository is gone.
    Unreachable,
    /// The branch, or whatever `ref` names, is not there.
    RefMissing,
    /// The folder is not in the commit.
    PathMissing,
    /// Nobody who is allowed to has signed the commit.
    NotVerified,
    /// The commit does not descend from the one in force, and signatures were asked for.
    Rewritten,
    /// The folder holds more than is taken.
    TooLarge,
    /// The source cannot be kept here: git is missing, or the disk is full.
    Unusable,
}

impl Reason {
    /// The word for it, e.g. `NotVerified`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::RefMissing => "RefMissing",
            Self::PathMissing => "PathMissing",
            Self::NotVerified => "NotVerified",
            Self::Rewritten => "Rewritten",
            Self::TooLarge => "TooLarge",
            Self::Unusable => "Unusable",
        }
    }
}

/// The trouble in words, e.g. `NotVerified: 1a2b3c4d5e6f of main is not signed by …`.
impl fmt::Display for SourceTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.word(), self.message)
    }
}
