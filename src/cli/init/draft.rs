//! The fields of a cluster that is about to be declared, as far as they are known.

use std::collections::BTreeMap;

/// A field of the new cluster, in the order in which fields are checked: a field that others are compared with comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Name,
    Region,
    Account,
    Image,
    Datacenter,
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

/// The fields without a default, each with the flag that gives it and a description.
pub const REQUIRED: [(Field, &str, &str); 4] = [
    (Field::Name, "--name NAME", "the name of the cluster, e.g. consul-prod"),
    (Field::Region, "--region REGION", "the AWS region, e.g. us-east-1"),
    (Field::Image, "--image AMI or --manifest JSON", "the first image of the instances"),
    (Field::Slots, "--slot NAME=ZONE:SUBNET[:ADDRESS], once a slot", "the slots of the cluster; three is a good start"),
];

/// The values of fields that nobody gives.
pub const DEFAULTS: [(Field, &str); 3] =
    [(Field::Datacenter, "dc1"), (Field::InstanceType, "m7i.large"), (Field::VolumeSize, "20GiB")];

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
        for (field, text) in DEFAULTS {
            self.texts.entry(field).or_insert_with(|| text.to_owned());
        }
        self
    }
}
