//! What is known of a cluster that is about to be declared; each thing is checked as `validate` would, the moment it is known.

use std::collections::BTreeMap;
use std::path::Path;

use crate::spec::load::{Severity, check};

use super::compose::compose;

/// What can be said of the new cluster, in the order in which it is checked: what others are measured against comes first.
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

/// A seat of the new cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    pub name: String,
    pub zone: String,
    pub subnet: String,
}

/// One thing that somebody said.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    Text(Field, String),
    SecurityGroups(Vec<String>),
    Slots(Vec<Slot>),
}

/// All that is known, and right as far as it goes.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub texts: BTreeMap<Field, String>,
    pub security_groups: Vec<String>,
    pub slots: Vec<Slot>,
}

/// What has no default, with the flag that gives it and what it is.
pub const REQUIRED: [(Field, &str, &str); 4] = [
    (Field::Name, "--name NAME", "what the cluster is called, e.g. consul-prod"),
    (Field::Region, "--region REGION", "the AWS region, e.g. us-east-1"),
    (Field::Image, "--image AMI or --manifest JSON", "what the instances run first"),
    (Field::Slots, "--slot NAME=ZONE:SUBNET, once a slot", "the seats of the cluster; three is a good start"),
];

/// What is written where nobody says otherwise.
pub const DEFAULTS: [(Field, &str); 3] =
    [(Field::Datacenter, "dc1"), (Field::InstanceType, "m7i.large"), (Field::VolumeSize, "20GiB")];

impl Given {
    /// What it is about.
    pub fn field(&self) -> Field {
        match self {
            Self::Text(field, _) => *field,
            Self::SecurityGroups(_) => Field::SecurityGroups,
            Self::Slots(_) => Field::Slots,
        }
    }
}

impl Draft {
    /// Adds what was said; or says why it cannot be so, and is as before.
    pub fn take(&mut self, given: Given) -> Result<(), String> {
        let mut next = self.clone();
        match given {
            Given::Text(field, text) => drop(next.texts.insert(field, text)),
            Given::SecurityGroups(groups) => next.security_groups = groups,
            Given::Slots(slots) => next.slots = slots,
        }
        match next.objection() {
            Some(objection) => Err(objection),
            None => {
                *self = next;
                Ok(())
            }
        }
    }

    /// The text of that field.
    pub fn text(&self, field: Field) -> Option<&str> {
        self.texts.get(&field).map(String::as_str)
    }

    /// Whether anybody has said it.
    pub fn has(&self, field: Field) -> bool {
        match field {
            Field::Slots => !self.slots.is_empty(),
            Field::SecurityGroups => !self.security_groups.is_empty(),
            _ => self.texts.contains_key(&field),
        }
    }

    /// The same with every default filled in.
    pub fn with_defaults(mut self) -> Self {
        for (field, text) in DEFAULTS {
            self.texts.entry(field).or_insert_with(|| text.to_owned());
        }
        self
    }

    /// What `validate` would say first of the file, with an example in the place of what is not known yet.
    fn objection(&self) -> Option<String> {
        let text = compose(&self.exemplified(), Path::new("example.yaml"));
        let loaded = check(Path::new("example.yaml"), &text);
        let problem = loaded.problems().find(|problem| problem.severity == Severity::Error)?;
        let hint = problem.hint.iter().map(|hint| format!("; {hint}"));
        Some(problem.message.clone() + &hint.collect::<String>())
    }

    /// A whole draft to which nobody would object for what is not known yet.
    fn exemplified(&self) -> Self {
        let mut whole = self.clone().with_defaults();
        // Without a region, slots can only be held against the one that they are in.
        let region = self.slots.first().map(|slot| slot.zone.trim_end_matches(|c: char| c.is_ascii_lowercase()));
        let region = region.filter(|region| !region.is_empty()).unwrap_or("us-east-1").to_owned();
        let region = whole.texts.entry(Field::Region).or_insert(region).clone();
        for (field, text) in [(Field::Name, "example"), (Field::Image, "ami-00000000000000000")] {
            whole.texts.entry(field).or_insert_with(|| text.to_owned());
        }
        if whole.slots.is_empty() {
            whole.slots.push(Slot { name: "example".into(), zone: format!("{region}a"), subnet: "subnet-0".into() });
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(draft: &Draft, given: Given) -> String {
        draft.clone().take(given).unwrap_err()
    }

    fn text(field: Field, text: &str) -> Given {
        Given::Text(field, text.to_owned())
    }

    #[test]
    fn each_thing_is_refused_in_the_words_of_validate() {
        let draft = Draft::default();
        assert_eq!(
            refused(&draft, text(Field::Region, "us-east-1a")),
            "`us-east-1a` is no region; `us-east-1a` is a zone; its region is `us-east-1`"
        );
        assert!(refused(&draft, text(Field::Name, "Consul")).starts_with("`Consul` is no cluster name; "));
        assert!(refused(&draft, text(Field::Image, "latest")).starts_with("`latest` is no image id; "));
        assert!(refused(&draft, text(Field::VolumeSize, "20GB")).ends_with("write `20GiB`"));
        let arn = "arn:aws:iam::123456789012:instance-profile/consul";
        assert!(refused(&draft, text(Field::InstanceProfile, arn)).ends_with("`consul`"));
        assert!(
            refused(&draft, Given::SecurityGroups(vec!["web".into()])).starts_with("`web` is no security group id")
        );
    }

    #[test]
    fn nothing_that_is_said_can_break_out_of_its_place() {
        let draft = Draft::default();
        for nasty in ["a\nb: c", "\"", "'", "x # y", "- x", "{", "&a", "*a", "!t", "\u{7}", "no", "012", "~", " "] {
            let mut taken = draft.clone();
            taken.take(text(Field::Datacenter, nasty)).unwrap();
            let loaded = check(Path::new("x.yaml"), &compose(&taken.exemplified(), Path::new("x.yaml")));
            let (_, spec) = loaded.specs().next().unwrap();
            assert_eq!(spec.application.consul().unwrap().datacenter, nasty);
        }
    }

    #[test]
    fn slots_are_held_against_the_region_if_it_is_known() {
        let slots =
            |zone: &str| Given::Slots(vec![Slot { name: "a".into(), zone: zone.into(), subnet: "subnet-0aaa".into() }]);
        let mut draft = Draft::default();
        draft.take(slots("eu-west-1a")).unwrap();
        assert!(refused(&draft, text(Field::Region, "us-east-1")).starts_with("zone `eu-west-1a` is not in region"));
        draft.take(text(Field::Region, "eu-west-1")).unwrap();
        assert!(refused(&draft, slots("eu-central-1a")).starts_with("zone `eu-central-1a` is not in region"));
    }
}
