//! The make of an instance: the settings that it is launched with, and in what two makes differ.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{Generation, ImageId, digest};
use crate::input::text;

mod placement;

pub use placement::{CapacityReservation, Placement, SHARED, left_to_ec2};

/// The settings that make an instance what it is, apart from its place and its tags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Make {
    pub image: ImageId,
    /// E.g. `m7i.large`.
    pub instance_type: String,
    /// The name of the instance profile and not its ARN, e.g. `consul-server`.
    pub iam_instance_profile: Option<String>,
    /// The ids of the security groups, e.g. `sg-0a1b2c3d`. A make that is wanted and has none leaves the choice to the VPC.
    pub security_groups: BTreeSet<String>,
    /// The name of the SSH key pair, e.g. `operations`.
    pub key_name: Option<String>,
    #[serde(default, skip_serializing_if = "Placement::is_left_open")]
    pub placement: Placement,
    /// None where EC2 chooses, which takes any open one that fits. It is no difference, and no part of a generation: where the
    /// capacity of an instance came from says nothing of what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_reservation: Option<CapacityReservation>,
    /// The root volume as it was asked for, e.g. `30GiB gp3 encrypted`; none where it is as the image has it. Of an instance,
    /// from the tag that its launch gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume: Option<String>,
    pub user_data: UserData,
}

impl Make {
    /// Hashes it. The parts and their order never change under the prefix `v1-`, because instances in service carry the
    /// hash in a tag. So a part that came later is hashed only where it was chosen.
    pub fn generation(&self) -> Generation {
        let mut parts = vec![serde_json::json!([
            self.image,
            self.instance_type,
            self.iam_instance_profile,
            self.security_groups,
            self.key_name,
            self.user_data.digest(),
        ])];
        if !self.placement.is_left_open() {
            parts.push(serde_json::json!({ "placement": self.placement }));
        }
        if let Some(root_volume) = &self.root_volume {
            parts.push(serde_json::json!({ "rootVolume": root_volume }));
        }
        let parts: String = parts.iter().map(ToString::to_string).collect();
        Generation::from(format!("v1-{}", digest(parts.as_bytes())))
    }
}

/// The user data of an instance, as far as it can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<String>", into = "Option<String>")]
pub enum UserData {
    /// No user data.
    Absent,
    /// A digest of the text, e.g. `9f86d081884c7d65`.
    Digest(String),
    /// Anything: EC2 does not list user data with instances, and nobody has tagged this one with a digest.
    Unknown,
}

impl UserData {
    /// Digests a text.
    pub fn of(text: Option<&str>) -> Self {
        text.map_or(Self::Absent, |text| Self::Digest(digest(text.as_bytes())))
    }

    /// Takes a digest from a tag that is set wherever there is user data.
    pub fn tagged(digest: Option<String>) -> Self {
        digest.map_or(Self::Absent, Self::Digest)
    }

    /// Gives the digest, if there is one.
    pub fn digest(&self) -> Option<&String> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// The word that stands for [`UserData::Unknown`] where a digest would stand. No digest looks like it.
const UNKNOWN: &str = "unknown";

impl From<Option<String>> for UserData {
    fn from(written: Option<String>) -> Self {
        match written.as_deref() {
            None => Self::Absent,
            Some(UNKNOWN) => Self::Unknown,
            Some(digest) => Self::Digest(digest.to_owned()),
        }
    }
}

impl From<UserData> for Option<String> {
    fn from(user_data: UserData) -> Self {
        match user_data {
            UserData::Absent => None,
            UserData::Digest(digest) => Some(digest),
            UserData::Unknown => Some(UNKNOWN.to_owned()),
        }
    }
}

/// A named difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    pub field: Field,
    /// The value that was found, e.g. `ami-0aa11bb22cc33dd44`, or `none`.
    pub is: String,
    pub wanted: String,
}

/// The settings in which an instance can differ from what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    Image,
    InstanceType,
    IamInstanceProfile,
    SecurityGroups,
    KeyName,
    Tenancy,
    PlacementGroup,
    RootVolume,
    /// The place of the slot, which is no part of a make.
    Subnet,
    /// The slot's fixed address, which is no part of a make either.
    Address,
    UserData,
}

/// Names every difference between a make that was found and the one that is wanted. Unknown user data differs from nothing,
/// and nothing from what is left to EC2.
pub fn differences(found: &Make, wanted: &Make) -> Vec<Drift> {
    let groups_matter = !wanted.security_groups.is_empty();
    let is_told_by_tags = found.user_data != UserData::Unknown; // so is the root volume
    let root_volume = || drift(Field::RootVolume, &found.root_volume, &wanted.root_volume, or_image);
    let groups = || drift(Field::SecurityGroups, &found.security_groups, &wanted.security_groups, joined);
    let user_data = || drift(Field::UserData, &found.user_data, &wanted.user_data, ToString::to_string);
    let (found_at, wanted_at) = (&found.placement, &wanted.placement);
    let tenancy = || drift(Field::Tenancy, &found_at.tenancy(), &wanted_at.tenancy(), ToString::to_string);
    let placement_group = || drift(Field::PlacementGroup, &found_at.group, &wanted_at.group, or_none);
    let all = [
        drift(Field::Image, &found.image, &wanted.image, ToString::to_string),
        drift(Field::InstanceType, &found.instance_type, &wanted.instance_type, Clone::clone),
        drift(Field::IamInstanceProfile, &found.iam_instance_profile, &wanted.iam_instance_profile, or_none),
        groups_matter.then(groups).flatten(),
        drift(Field::KeyName, &found.key_name, &wanted.key_name, or_none),
        wanted_at.tenancy.is_some().then(tenancy).flatten(),
        wanted_at.group.is_some().then(placement_group).flatten(),
        is_told_by_tags.then(root_volume).flatten(),
        is_told_by_tags.then(user_data).flatten(),
    ];
    all.into_iter().flatten().collect()
}

/// Names a difference in one setting, if there is one.
pub fn drift<T: PartialEq>(field: Field, found: &T, wanted: &T, said: fn(&T) -> String) -> Option<Drift> {
    (found != wanted).then(|| Drift { field, is: said(found), wanted: said(wanted) })
}

fn or_none(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| "none".to_owned())
}

fn or_image(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| "as the image has it".to_owned())
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Absent => "none",
            Self::Digest(digest) => digest,
            Self::Unknown => UNKNOWN,
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Image => "image",
            Self::InstanceType => "instance type",
            Self::IamInstanceProfile => "instance profile",
            Self::SecurityGroups => "security groups",
            Self::KeyName => "key name",
            Self::Tenancy => "tenancy",
            Self::PlacementGroup => "placement group",
            Self::RootVolume => "root volume",
            Self::Subnet => "subnet",
            Self::Address => "address",
            Self::UserData => "user data",
        })
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → {}", self.field, text::clean(&self.is), self.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make() -> Make {
        Make {
            image: "ami-a".into(),
            instance_type: "m7i.large".to_owned(),
            iam_instance_profile: Some("consul-server".to_owned()),
            security_groups: ["sg-1".to_owned()].into(),
            key_name: None,
            placement: Placement::default(),
            capacity_reservation: None,
            root_volume: None,
            user_data: UserData::of(Some("#!/bin/sh\n")),
        }
    }

    fn differing(found: Make, wanted: &Make) -> Vec<String> {
        differences(&found, wanted).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_setting_that_differs_is_named() {
        let found = Make {
            image: "ami-b".into(),
            instance_type: "m7i.xlarge".to_owned(),
            iam_instance_profile: None,
            security_groups: BTreeSet::new(),
            key_name: Some("operations".to_owned()),
            placement: Placement::default(),
            capacity_reservation: None,
            root_volume: None,
            user_data: UserData::Absent,
        };
        let digest = digest(b"#!/bin/sh\n");
        assert_eq!(
            differing(found, &make()),
            [
                "image ami-b → ami-a",
                "instance type m7i.xlarge → m7i.large",
                "instance profile none → consul-server",
                "security groups  → sg-1",
                "key name operations → none",
                &format!("user data none → {digest}"),
            ]
        );
        assert_eq!(differing(make(), &make()), [""; 0]);
    }

    #[test]
    fn a_place_differs_only_where_it_was_chosen() {
        let placed = |tenancy: Option<&str>, group: Option<&str>| Make {
            placement: Placement { tenancy: tenancy.map(str::to_owned), group: group.map(str::to_owned) },
            ..make()
        };
        let dedicated = || placed(Some("dedicated"), Some("spread"));
        assert_eq!(differing(make(), &dedicated()), ["tenancy default → dedicated", "placement group none → spread"]);
        assert_eq!(differing(dedicated(), &make()), [""; 0]);
        assert_eq!(left_to_ec2(&dedicated(), &make()), ["tenancy dedicated", "placement group spread"]);
        assert_eq!(left_to_ec2(&dedicated(), &dedicated()), [""; 0]);
        assert_eq!(differing(make(), &placed(Some(SHARED), None)), [""; 0], "a host that is shared anyway");
        assert_ne!(make().generation(), dedicated().generation());
        let reserved = Make { capacity_reservation: Some(CapacityReservation::Avoided), ..make() };
        assert_eq!(reserved.generation(), make().generation());
        assert_eq!(differing(reserved, &make()), [""; 0]);
    }

    #[test]
    fn a_root_volume_differs_only_where_a_launch_has_told_of_it() {
        let large = || Make { root_volume: Some("30GiB gp3".to_owned()), ..make() };
        assert_eq!(differing(make(), &large()), ["root volume as the image has it → 30GiB gp3"]);
        assert_eq!(differing(large(), &make()), ["root volume 30GiB gp3 → as the image has it"]);
        assert_eq!(
            differing(Make { user_data: UserData::Unknown, ..make() }, &large()),
            [""; 0],
            "somebody else's launch"
        );
        assert_ne!(make().generation(), large().generation());
    }

    #[test]
    fn user_data_that_nobody_knows_and_groups_that_nobody_names_differ_from_nothing() {
        let wanted = Make { security_groups: BTreeSet::new(), ..make() };
        assert_eq!(differing(Make { user_data: UserData::Unknown, ..make() }, &wanted), [""; 0]);
    }
}
