//! The differences between an instance and its spec.

use std::collections::BTreeSet;
use std::fmt;

use crate::ids::ImageId;
use crate::observed::{Instance, Make};
use crate::spec::{ClusterSpec, SlotSpec};

/// A named difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    pub field: Field,
    pub is: String,
    pub wanted: String,
}

/// The field that differs. The facts themselves are compared, not a tag that we once set, so an adopted instance is
/// judged by the same rule as one that we launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Image,
    InstanceType,
    IamInstanceProfile,
    SecurityGroups,
    KeyName,
    Subnet,
    UserData,
}

/// The facts that are compared.
struct Facts<'a> {
    image: &'a ImageId,
    instance_type: &'a String,
    iam_instance_profile: Option<&'a String>,
    security_groups: &'a BTreeSet<String>,
    key_name: Option<&'a String>,
    /// None where it is not known: EC2 does not list user data, so an adopted instance has no digest to compare with.
    user_data: Option<Option<&'a String>>,
}

/// Every difference for which an instance must be replaced. Tags are not among them: they are mended in place,
/// for a stateful member is not taken down over a label.
pub fn drifts(spec: &ClusterSpec, slot: &SlotSpec, instance: &Instance) -> Vec<Drift> {
    let facts = Facts {
        image: &instance.image,
        instance_type: &instance.instance_type,
        iam_instance_profile: instance.iam_instance_profile.as_ref(),
        security_groups: &instance.security_groups,
        key_name: instance.key_name.as_ref(),
        user_data: instance.generation.as_ref().map(|_| instance.user_data.as_ref()),
    };
    let mut drifts = between(spec, &spec.image, &facts);
    if instance.subnet != slot.subnet {
        let (field, is, wanted) = (Field::Subnet, instance.subnet.clone(), slot.subnet.clone());
        drifts.push(Drift { field, is, wanted });
    }
    drifts
}

/// How what a group launches differs from what the spec would launch from that image.
pub fn of_make(spec: &ClusterSpec, image: &ImageId, make: &Make) -> Vec<Drift> {
    let facts = Facts {
        image: &make.image,
        instance_type: &make.instance_type,
        iam_instance_profile: make.iam_instance_profile.as_ref(),
        security_groups: &make.security_groups,
        key_name: make.key_name.as_ref(),
        user_data: Some(make.user_data.as_ref()),
    };
    between(spec, image, &facts)
}

/// Security groups that are left out are the VPC's choice, so whatever it chose is right.
fn between(spec: &ClusterSpec, image: &ImageId, found: &Facts<'_>) -> Vec<Drift> {
    let wanted = &spec.instance;
    let none = || "none".to_owned();
    let optional = |value: Option<&String>| value.cloned().unwrap_or_else(none);
    let mut drifts = Vec::new();
    let mut differs = |differs: bool, field, is: &dyn Fn() -> String, wanted: &dyn Fn() -> String| {
        if differs {
            drifts.push(Drift { field, is: is(), wanted: wanted() });
        }
    };
    differs(found.image != image, Field::Image, &|| found.image.to_string(), &|| image.to_string());
    differs(
        *found.instance_type != wanted.instance_type,
        Field::InstanceType,
        &|| found.instance_type.clone(),
        &|| wanted.instance_type.clone(),
    );
    differs(
        found.iam_instance_profile != wanted.iam_instance_profile.as_ref(),
        Field::IamInstanceProfile,
        &|| optional(found.iam_instance_profile),
        &|| optional(wanted.iam_instance_profile.as_ref()),
    );
    differs(
        !wanted.security_groups.is_empty() && *found.security_groups != wanted.security_groups,
        Field::SecurityGroups,
        &|| joined(found.security_groups),
        &|| joined(&wanted.security_groups),
    );
    differs(found.key_name != wanted.key_name.as_ref(), Field::KeyName, &|| optional(found.key_name), &|| {
        optional(wanted.key_name.as_ref())
    });
    let digest = wanted.user_data_digest();
    differs(
        found.user_data.is_some_and(|user_data| user_data != digest.as_ref()),
        Field::UserData,
        &|| optional(found.user_data.flatten()),
        &|| optional(digest.as_ref()),
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
