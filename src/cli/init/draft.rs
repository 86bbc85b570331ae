//! The fields of a cluster that is about to be declared, as far as they are known.

use std::collections::BTreeMap;

use super::kind::Kind;

/// A field of the new cluster, in the order in which fields are checked: a field that others are compared with comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Kind,
    Name,
    Region,
    Account,
    Image,
    Datacenter,
    Scope,
    Program,
    Needed,
    Leader,
    Addresses,
    Version,
    InstanceType,
    InstanceProfile,
    SecurityGroups,
    VolumeSize,
    KmsKey,
    AutoScalingGroup,
    Slots,
}

/// A slot of the new cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    pub name: String,
    pub zone: String,
    pub subnet: String,
    /// The fixed address of its member, e.g. `10.0.1.10`.
    pub address: Option<String>,
    /// The block of the subnet, e.g. `10.0.1.0/24`, by which the address is checked without AWS.
    pub cidr: Option<String>,
}

/// A value for one field, from a flag, an output of Terraform or an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    Text(Field, String),
    SecurityGroups(Vec<String>),
    Slots(Vec<Slot>),
}

/// The fields that are known. Each of them has passed the checks of `validate`.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub texts: BTreeMap<Field, String>,
    pub security_groups: Vec<String>,
    pub slots: Vec<Slot>,
}

/// A field with one text for a value, and how a person is asked for it.
#[derive(Debug)]
pub struct Asked {
    pub field: Field,
    pub question: &'static str,
    pub need: Need,
}

/// The need for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Required {
        /// The flag that gives it, with its value.
        flag: &'static str,
        /// A description of the right value.
        what: &'static str,
        /// A valid value, for checks of the other fields while this one is not known.
        example: &'static str,
    },
    /// The value where nobody gives one.
    Default(&'static str),
    Optional,
}

/// The fields of every kind that are asked for before the kind's own.
pub const FIRST: [Asked; 5] = [
    Asked {
        field: Field::Kind,
        question: "Which application does it run? (consul, etcd, patroni, zookeeper, or command for any other)",
        need: Need::Default("consul"),
    },
    Asked {
        field: Field::Name,
        question: "What is the name of the cluster?",
        need: Need::Required {
            flag: "--name NAME",
            what: "the name of the cluster, e.g. consul-prod",
            example: "example",
        },
    },
    Asked {
        field: Field::Region,
        question: "In which AWS region is it?",
        need: Need::Required { flag: "--region REGION", what: "the AWS region, e.g. us-east-1", example: "us-east-1" },
    },
    Asked {
        field: Field::Account,
        question: "In which AWS account? (twelve digits; a guard, optional)",
        need: Need::Optional,
    },
    Asked {
        field: Field::Image,
        question: "Which image do its instances run first? (ami-…)",
        need: Need::Required {
            flag: "--image AMI or --manifest JSON",
            what: "the first image of the instances",
            example: "ami-00000000000000000",
        },
    },
];

/// The fields of every kind that are asked for after the kind's own.
pub const LAST: [Asked; 3] = [
    Asked { field: Field::InstanceType, question: "Which instance type?", need: Need::Default("m7i.large") },
    Asked {
        field: Field::InstanceProfile,
        question: "Which instance profile? (its name; optional)",
        need: Need::Optional,
    },
    Asked {
        field: Field::VolumeSize,
        question: "How large is each member's data volume?",
        need: Need::Default("20GiB"),
    },
];

/// The flag for slots, and a description of them.
pub const SLOTS: (&str, &str) =
    ("--slot NAME=ZONE:SUBNET[:ADDRESS], once a slot", "the slots of the cluster; three is a good start");

/// Lists every field with one text for a value that a cluster of a kind has, in the order of the questions.
pub fn asked(kind: Kind) -> impl Iterator<Item = &'static Asked> {
    FIRST.iter().chain(kind.fields()).chain(&LAST)
}

impl Given {
    /// Returns the field that the value is for.
    pub fn field(&self) -> Field {
        match self {
            Self::Text(field, _) => *field,
            Self::SecurityGroups(_) => Field::SecurityGroups,
            Self::Slots(_) => Field::Slots,
        }
    }
}

impl Draft {
    /// Returns the draft with one more field known.
    pub fn with(&self, given: Given) -> Self {
        let mut next = self.clone();
        match given {
            Given::Text(field, text) => drop(next.texts.insert(field, text)),
            Given::SecurityGroups(groups) => next.security_groups = groups,
            Given::Slots(slots) => next.slots = slots,
        }
        next
    }

    /// Returns the text of a field.
    pub fn text(&self, field: Field) -> Option<&str> {
        self.texts.get(&field).map(String::as_str)
    }

    /// Says whether the field is known.
    pub fn has(&self, field: Field) -> bool {
        match field {
            Field::Slots => !self.slots.is_empty(),
            Field::SecurityGroups => !self.security_groups.is_empty(),
            _ => self.texts.contains_key(&field),
        }
    }

    /// Fills in every default.
    pub fn with_defaults(mut self) -> Self {
        for asked in asked(Kind::of(&self)) {
            if let Need::Default(text) = asked.need {
                self.texts.entry(asked.field).or_insert_with(|| text.to_owned());
            }
        }
        self
    }
}
