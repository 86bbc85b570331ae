//! The kinds of application that a first file can declare, and what each kind has of its own: fields, words, instance tags.

use crate::spec::words::Word;
use crate::spec::{Addresses, Needed, quorum};

use super::draft::{Asked, Draft, Field, Need};

/// A kind of application, as `spec.application` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Consul,
    Etcd,
    Patroni,
    Command,
}

impl Kind {
    /// The words for the kinds, in the order in which they are offered.
    pub const WORDS: [&'static str; 4] = ["consul", "etcd", "patroni", "command"];

    /// Finds the kind of that name.
    pub fn named(word: &str) -> Option<Self> {
        let kinds = [Self::Consul, Self::Etcd, Self::Patroni, Self::Command];
        Self::WORDS.iter().zip(kinds).find(|(known, _)| **known == word).map(|(_, kind)| kind)
    }

    /// Returns the kind of a draft: Consul where nobody has said so yet.
    pub fn of(draft: &Draft) -> Self {
        draft.text(Field::Kind).and_then(Self::named).unwrap_or(Self::Consul)
    }

    /// Lists the fields that only some kinds have, as this kind asks for them.
    pub fn fields(self) -> &'static [Asked] {
        match self {
            Self::Consul => &CONSUL,
            Self::Etcd => &ETCD,
            Self::Patroni => &PATRONI,
            Self::Command => &COMMAND,
        }
    }

    /// Names the members of a cluster of this kind: a single one, and several.
    pub fn members(self) -> (&'static str, &'static str) {
        match self {
            Self::Consul => ("Consul server", "Consul servers"),
            Self::Etcd => ("etcd member", "etcd members"),
            Self::Patroni => ("member of PostgreSQL under Patroni", "members of PostgreSQL under Patroni"),
            Self::Command => ("member", "members"),
        }
    }

    /// Says what a slot's name is to its member.
    pub fn slot_name(self) -> &'static str {
        match self {
            Self::Consul => "its member's node name",
            Self::Etcd => "its member's `--name`",
            Self::Patroni => "its member's `name` in Patroni's configuration",
            Self::Command => "the name by which the program knows its member",
        }
    }
}

/// Gives the number of members that must be healthy, of so many that are declared.
pub fn needed(draft: &Draft) -> fn(usize) -> usize {
    match Kind::of(draft) {
        Kind::Consul | Kind::Etcd => quorum,
        Kind::Patroni => Needed::ONE,
        Kind::Command => draft.text(Field::Needed).and_then(Needed::meant).unwrap_or_default().of(),
    }
}

/// Says whether each slot must have an address of its own.
pub fn needs_addresses(draft: &Draft) -> bool {
    match Kind::of(draft) {
        Kind::Consul | Kind::Patroni => false,
        Kind::Etcd => true,
        Kind::Command => draft.text(Field::Addresses).and_then(Addresses::meant) == Some(Addresses::Fixed),
    }
}

const VERSION: &str = "--application-version VERSION";

const CONSUL: [Asked; 2] = [
    Asked {
        field: Field::Datacenter,
        flag: "--datacenter NAME",
        what: "the name of Consul's datacenter",
        question: "What is the name of Consul's datacenter?",
        need: Need::Default("dc1"),
        example: "dc1",
    },
    Asked {
        field: Field::Version,
        flag: VERSION,
        what: "the Consul version in the image",
        question: "Which Consul version is in the image? (e.g. 1.20.1; optional)",
        need: Need::Optional,
        example: "1.20.1",
    },
];

const ETCD: [Asked; 1] = [Asked {
    field: Field::Version,
    flag: VERSION,
    what: "the etcd version in the image, e.g. 3.5.16",
    question: "Which etcd version is in the image? (e.g. 3.5.16)",
    need: Need::Required,
    example: "3.5.16",
}];

const PATRONI: [Asked; 2] = [
    Asked {
        field: Field::Scope,
        flag: "--scope NAME",
        what: "the cluster's name in Patroni's own configuration",
        question: "What is the cluster called in Patroni's own configuration? (`scope`)",
        need: Need::Required,
        example: "main",
    },
    Asked {
        field: Field::Version,
        flag: VERSION,
        what: "the PostgreSQL version in the image, e.g. 15.18",
        question: "Which PostgreSQL version is in the image? (e.g. 15.18)",
        need: Need::Required,
        example: "15.18",
    },
];

const COMMAND: [Asked; 5] = [
    Asked {
        field: Field::Program,
        flag: "--program PATH",
        what: "the program that speaks to the members, by its path from the file that is written",
        question: "Which program speaks to the members? (its path from the file that is written)",
        need: Need::Required,
        example: "adapters/example",
    },
    Asked {
        field: Field::Needed,
        flag: "--needed WORD",
        what: "the members that must be healthy: quorum, one or all-but-one",
        question: "How many members must be healthy? (quorum, one or all-but-one)",
        need: Need::Required,
        example: "quorum",
    },
    Asked {
        field: Field::Leader,
        flag: "--leader WORD",
        what: "the leader's place in the order of replacements: last, first, or none where no member leads",
        question: "When is the leader's turn? (last, first, or none where no member leads)",
        need: Need::Required,
        example: "none",
    },
    Asked {
        field: Field::Addresses,
        flag: "--addresses WORD",
        what: "the addresses at which members may come back: fixed or any",
        question: "At which addresses may members come back? (fixed or any)",
        need: Need::Required,
        example: "any",
    },
    Asked {
        field: Field::Version,
        flag: VERSION,
        what: "the application's version in the image",
        question: "Which version of the application is in the image? (optional)",
        need: Need::Optional,
        example: "1.0.0",
    },
];
