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
    Zookeeper,
    Command,
}

impl Word for Kind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("consul", Self::Consul),
        ("etcd", Self::Etcd),
        ("patroni", Self::Patroni),
        ("zookeeper", Self::Zookeeper),
        ("command", Self::Command),
    ];
}

impl Kind {
    /// Returns the kind of a draft: Consul where nobody has said so yet.
    pub fn of(draft: &Draft) -> Self {
        draft.text(Field::Kind).and_then(Self::meant).unwrap_or(Self::Consul)
    }

    /// Lists the fields that only some kinds have, as this kind asks for them.
    pub fn fields(self) -> &'static [Asked] {
        match self {
            Self::Consul => &CONSUL,
            Self::Etcd => &ETCD,
            Self::Patroni => &PATRONI,
            Self::Zookeeper => &ZOOKEEPER,
            Self::Command => &COMMAND,
        }
    }

    /// Names the members of a cluster of this kind: a single one, and several.
    pub fn members(self) -> (&'static str, &'static str) {
        match self {
            Self::Consul => ("Consul server", "Consul servers"),
            Self::Etcd => ("etcd member", "etcd members"),
            Self::Patroni => ("member of PostgreSQL under Patroni", "members of PostgreSQL under Patroni"),
            Self::Zookeeper => ("ZooKeeper server", "ZooKeeper servers"),
            Self::Command => ("member", "members"),
        }
    }

    /// Says what a slot's name is to its member.
    pub fn slot_name(self) -> &'static str {
        match self {
            Self::Consul => "its member's node name",
            Self::Etcd => "its member's `--name`",
            Self::Patroni => "its member's `name` in Patroni's configuration",
            Self::Zookeeper => "what people call its member, whom the others know by number and address",
            Self::Command => "the name by which the program knows its member",
        }
    }
}

/// Gives the number of members that must be healthy, of so many that are declared.
pub fn needed(draft: &Draft) -> fn(usize) -> usize {
    match Kind::of(draft) {
        Kind::Consul | Kind::Etcd | Kind::Zookeeper => quorum,
        Kind::Patroni => Needed::ONE,
        Kind::Command => draft.text(Field::Needed).and_then(Needed::meant).unwrap_or_default().of(),
    }
}

/// Says whether each slot of a new cluster must have an address of its own: members of etcd begin with those of all others.
pub fn needs_addresses(draft: &Draft) -> bool {
    match Kind::of(draft) {
        Kind::Consul | Kind::Patroni => false,
        Kind::Etcd | Kind::Zookeeper => true,
        Kind::Command => draft.text(Field::Addresses).and_then(Addresses::meant) == Some(Addresses::Fixed),
    }
}

const VERSION: &str = "--application-version VERSION";

const CONSUL: [Asked; 2] = [
    Asked {
        field: Field::Datacenter,
        question: "What is the name of Consul's datacenter?",
        need: Need::Default("dc1"),
    },
    Asked {
        field: Field::Version,
        question: "Which Consul version is in the image? (e.g. 1.20.1; optional)",
        need: Need::Optional,
    },
];

const ETCD: [Asked; 1] = [Asked {
    field: Field::Version,
    question: "Which etcd version is in the image? (e.g. 3.5.16)",
    need: Need::Required { flag: VERSION, what: "the etcd version in the image, e.g. 3.5.16", example: "3.5.16" },
}];

const PATRONI: [Asked; 2] = [
    Asked {
        field: Field::Scope,
        question: "What is the cluster called in Patroni's own configuration? (`scope`)",
        need: Need::Required {
            flag: "--scope NAME",
            what: "the cluster's name in Patroni's own configuration",
            example: "main",
        },
    },
    Asked {
        field: Field::Version,
        question: "Which PostgreSQL version is in the image? (e.g. 15.18)",
        need: Need::Required {
            flag: VERSION,
            what: "the PostgreSQL version in the image, e.g. 15.18",
            example: "15.18",
        },
    },
];

const ZOOKEEPER: [Asked; 1] = [Asked {
    field: Field::Version,
    question: "Which ZooKeeper version is in the image? (e.g. 3.8.4)",
    need: Need::Required { flag: VERSION, what: "the ZooKeeper version in the image, e.g. 3.8.4", example: "3.8.4" },
}];

const COMMAND: [Asked; 5] = [
    Asked {
        field: Field::Program,
        question: "Which program speaks to the members? (its path from the file that is written)",
        need: Need::Required {
            flag: "--program PATH",
            what: "the program that speaks to the members, by its path from the file that is written",
            example: "adapters/example",
        },
    },
    Asked {
        field: Field::Needed,
        question: "How many members must be healthy? (quorum, one or all-but-one)",
        need: Need::Required {
            flag: "--needed WORD",
            what: "the members that must be healthy: quorum, one or all-but-one",
            example: "quorum",
        },
    },
    Asked {
        field: Field::Leader,
        question: "When is the leader's turn? (last, first, or none where no member leads)",
        need: Need::Required {
            flag: "--leader WORD",
            what: "the leader's place in the order of replacements: last, first, or none where no member leads",
            example: "none",
        },
    },
    Asked {
        field: Field::Addresses,
        question: "At which addresses may members come back? (fixed or any)",
        need: Need::Required {
            flag: "--addresses WORD",
            what: "the addresses at which members may come back: fixed or any",
            example: "any",
        },
    },
    Asked {
        field: Field::Version,
        question: "Which version of the application is in the image? (optional)",
        need: Need::Optional,
    },
];
