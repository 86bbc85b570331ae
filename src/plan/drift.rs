//! In what way an instance differs from what the spec wants it to be.

use std::fmt;

use serde::Serialize;

use crate::observed::Instance;
use crate::spec::{ClusterSpec, SlotSpec};

/// A named difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Drift {
    pub field: Field,
    pub is: String,
    pub wanted: String,
}

/// What differs. The facts themselves are compared, not a tag that we once set, so an adopted instance is judged
/// by the same rule as one that we launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Field {
    Image,
    InstanceType,
    IamInstanceProfile,
    SecurityGroups,
    KeyName,
    Subnet,
    UserData,
}

/// Every difference for which an instance must be replaced. Security groups that are left out are the VPC's choice, so
/// whatever it chose is right. Tags are not among them: they are mended in place,
/// for a stateful member is not taken down over a label.
pub fn drifts(spec: &ClusterSpec, slot: &SlotSpec, instance: &Instance) -> Vec<Drift> {
    let wanted = &spec.instance;
    let none = || "none".to_owned();
    let optional = |value: &Option<String>| value.clone().unwrap_or_else(none);
    let mut drifts = Vec::new();
    let mut differs = |differs: bool, field, is: &dyn Fn() -> String, wanted: &dyn Fn() -> String| {
        if differs {
            drifts.push(Drift { field, is: is(), wanted: wanted() });
        }
    };
    differs(instance.image != spec.image, Field::Image, &|| instance.image.to_string(), &|| spec.image.to_string());
    differs(
        instance.instance_type != wanted.instance_type,
        Field::InstanceType,
        &|| instance.instance_type.clone(),
        &|| wanted.instance_type.clone(),
    );
    differs(
        instance.iam_instance_profile != wanted.iam_instance_profile,
        Field::IamInstanceProfile,
        &|| optional(&instance.iam_instance_profile),
        &|| optional(&wanted.iam_instance_profile),
    );
    differs(
        !wanted.security_groups.is_empty() && instance.security_groups != wanted.security_groups,
        Field::SecurityGroups,
        &|| joined(&instance.security_groups),
        &|| joined(&wanted.security_groups),
    );
    differs(instance.key_name != wanted.key_name, Field::KeyName, &|| optional(&instance.key_name), &|| {
        optional(&wanted.key_name)
    });
    differs(instance.subnet != slot.subnet, Field::Subnet, &|| instance.subnet.clone(), &|| slot.subnet.clone());
    // An adopted instance has no digest to compare with: EC2 does not list user data.
    let digest = wanted.user_data_digest();
    differs(
        instance.generation.is_some() && instance.user_data != digest,
        Field::UserData,
        &|| optional(&instance.user_data),
        &|| optional(&digest),
    );
    drifts
}

/// Whether the declared tags are all there. Tags beyond them are nobody's business.
pub fn tags_differ(spec: &ClusterSpec, instance: &Instance) -> bool {
    spec.instance.tags.iter().any(|(key, value)| instance.tags.get(key) != Some(value))
}

fn joined<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Image => "image",
            Self::InstanceType => "instance type",
            Self::IamInstanceProfile => "instance profile",
            Self::SecurityGroups => "security groups",
            Self::KeyName => "key name",
            Self::Subnet => "subnet",
            Self::UserData => "user data",
        })
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → {}", self.field, self.is, self.wanted)
    }
}
