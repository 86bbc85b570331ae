//! Settings that are written as one of a few words: one table for the schema, which offers them, and for the reader.

use super::{Addresses, Approval, Leads, Needed, OnFailure, Rehearsal, SnapshotBeforeReplace, Strategy, WindowKind};

/// A setting that is written as one word.
pub trait Word: Copy + 'static {
    /// Every word with its value, e.g. `("surge", Strategy::Surge)`. The first is meant where the file says nothing.
    const WORDS: &'static [(&'static str, Self)];

    /// Lists the words.
    fn words() -> Vec<&'static str> {
        Self::WORDS.iter().map(|(word, _)| *word).collect()
    }

    /// Gives the value of a word, if it is one of the table's.
    fn meant(written: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == written).map(|(_, value)| *value)
    }

    /// Gives the word of a value.
    fn word(self) -> &'static str
    where
        Self: PartialEq,
    {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| *word)
    }
}

impl Word for Strategy {
    const WORDS: &'static [(&'static str, Self)] = &[("surge", Self::Surge), ("recreate", Self::Recreate)];
}

impl Word for OnFailure {
    const WORDS: &'static [(&'static str, Self)] = &[("rollback", Self::Rollback), ("hold", Self::Hold)];
}

impl Word for Approval {
    const WORDS: &'static [(&'static str, Self)] =
        &[("never", Self::Never), ("canary", Self::Canary), ("everySlot", Self::EverySlot)];
}

impl Word for Rehearsal {
    const WORDS: &'static [(&'static str, Self)] = &[("optional", Self::Optional), ("required", Self::Required)];
}

impl Word for WindowKind {
    const WORDS: &'static [(&'static str, Self)] = &[("allow", Self::Allow), ("deny", Self::Deny)];
}

impl Word for Needed {
    const WORDS: &'static [(&'static str, Self)] =
        &[("quorum", Self::Quorum), ("one", Self::One), ("all-but-one", Self::AllButOne)];
}

impl Word for Leads {
    const WORDS: &'static [(&'static str, Self)] =
        &[("last", Self::Last), ("first", Self::First), ("none", Self::None)];
}

impl Word for Addresses {
    const WORDS: &'static [(&'static str, Self)] = &[("fixed", Self::Fixed), ("any", Self::Any)];
}

/// The first two are booleans in the file.
impl Word for SnapshotBeforeReplace {
    const WORDS: &'static [(&'static str, Self)] =
        &[("false", Self::Never), ("true", Self::AtRest), ("running", Self::Running), ("stopped", Self::Stopped)];
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    /// Plan ids are made from the words, so a value is written with the word that it is read from.
    fn written_as_read<T: Word + Serialize>() {
        for (word, value) in T::WORDS {
            assert_eq!(serde_json::to_value(value).unwrap(), serde_json::json!(word));
        }
    }

    #[test]
    fn a_value_is_written_with_the_word_that_it_is_read_from() {
        written_as_read::<Strategy>();
        written_as_read::<OnFailure>();
        written_as_read::<Approval>();
        written_as_read::<Rehearsal>();
        written_as_read::<WindowKind>();
        written_as_read::<Needed>();
        written_as_read::<Leads>();
        written_as_read::<Addresses>();
        for (word, value) in SnapshotBeforeReplace::WORDS {
            assert_eq!(serde_json::to_string(value).unwrap().trim_matches('"'), *word);
        }
    }

    #[test]
    fn a_word_that_is_not_in_the_table_means_nothing() {
        assert_eq!(Strategy::meant("recreate"), Some(Strategy::Recreate));
        assert_eq!(Strategy::meant("inPlace"), None);
    }
}
