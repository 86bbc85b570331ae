//! The meaning of `instance`: ids, tags and user data that EC2 will take.

use std::collections::{BTreeMap, BTreeSet};

use super::ebs::WrittenEbs;
use super::meaning::{Meaning, bytes};
use super::names;
use super::tags::Bearer;
use crate::make::{CapacityReservation, Placement, SHARED};
use crate::spec::raw::{self, Spanned, Text};
use crate::spec::{InstanceSpec, RootVolumeSpec};

/// The tenancy of an instance on a host of this account alone, in EC2's word.
const DEDICATED: &str = "dedicated";
/// The most security groups that a network interface can be given, with the highest quota.
const MOST_GROUPS: usize = 16;

impl Meaning<'_, '_> {
    /// Says what `instance` means.
    pub fn instance(
        &mut self,
        raw: &raw::Instance,
        region: Option<&str>,
        shared: &BTreeMap<String, String>,
    ) -> Option<InstanceSpec> {
        let is_type = |text: &str| {
            text.split_once('.').is_some_and(|(family, size)| names::is_id(family, "") && names::is_id(size, ""))
        };
        let instance_type = self.valid(
            &raw.instance_type,
            is_type,
            |text| format!("`{text}` is no instance type"),
            |_| "an instance type is written like `m7i.large`".to_owned(),
        );
        self.count_groups(raw.security_groups.as_deref().unwrap_or_default());
        let security_groups = raw.security_groups.iter().flatten();
        let security_groups: Option<BTreeSet<_>> = security_groups.map(|group| self.security_group(group)).collect();
        let path = ["spec", "instance", "tags"];
        let own = self.tags(&path, &raw.tags, Bearer::Instances);
        let tags = own.and_then(|own| self.with_shared(&path, &raw.tags, shared, own));
        let user_data = self.user_data(&raw.user_data_file);
        let iam_instance_profile = self.profile(&raw.iam_instance_profile);
        let key_name = self.key_name(&raw.key_name);
        let before = self.report.count();
        let placement = raw.placement.as_ref().map(|raw| self.placement(raw)).unwrap_or_default();
        let capacity_reservation = self.capacity_reservation(&raw.capacity_reservation);
        let root_volume = raw.root_volume.as_ref().and_then(|raw| self.root_volume(raw, region));
        if self.report.count() > before {
            return None;
        }
        Some(InstanceSpec {
            instance_type: instance_type?,
            iam_instance_profile,
            security_groups: security_groups?,
            key_name,
            placement,
            capacity_reservation,
            root_volume,
            user_data,
            tags: tags?,
        })
    }

    /// Reads the name of an instance profile, as `CreateInstanceProfile` takes it.
    fn profile(&mut self, text: &Text) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        self.valid(
            text,
            |name| (1..=128).contains(&name.len()) && name.chars().all(plain),
            |name| match name.starts_with("arn:") {
                true => "an ARN where a name belongs".to_owned(),
                false => format!("`{name}` is no name of an instance profile"),
            },
            |name| match name.starts_with("arn:") {
                true => format!("give the instance profile's name: `{}`", name.rsplit('/').next().unwrap_or_default()),
                false => "a name has 1 to 128 letters, digits and `_+=,.@-`; its path is no part of it".to_owned(),
            },
        )
    }

    /// Reads the name of a key pair, as `CreateKeyPair` takes it.
    fn key_name(&mut self, text: &Text) -> Option<String> {
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        self.valid(
            text,
            |name| (1..=255).contains(&name.len()) && name.chars().all(plain) && name.trim() == name,
            |name| format!("`{name}` is no name of a key pair"),
            |_| "a name has 1 to 255 ASCII characters, and no space at its ends".to_owned(),
        )
    }

    fn root_volume(&mut self, raw: &raw::RootVolume, region: Option<&str>) -> Option<RootVolumeSpec> {
        let settings = WrittenEbs {
            size: &raw.size,
            volume_type: &raw.volume_type,
            iops: &raw.iops,
            throughput: &raw.throughput,
            encrypted: &raw.encrypted,
            kms_key: &raw.kms_key,
        };
        self.ebs(&settings, region).map(|(size_gib, ebs)| RootVolumeSpec { size_gib, ebs })
    }

    fn placement(&mut self, raw: &raw::Placement) -> Placement {
        let tenancy = self.valid(
            &raw.tenancy,
            |text| [SHARED, DEDICATED].contains(&text),
            |text| match text {
                "host" => "instances on a dedicated host are not replaced here".to_owned(),
                _ => format!("`{text}` is no tenancy"),
            },
            |text| match text {
                "host" => "a host has room for few instances, and nothing here finds one with room for a replacement; \
                           `dedicated` keeps other accounts off the hardware as well"
                    .to_owned(),
                _ => format!("it is `{SHARED}` or `{DEDICATED}`"),
            },
        );
        Placement { tenancy, group: self.placement_group(&raw.group) }
    }

    /// Reads the name of a placement group, as `CreatePlacementGroup` takes it.
    fn placement_group(&mut self, text: &Text) -> Option<String> {
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        self.valid(
            text,
            |name| (1..=255).contains(&name.len()) && name.chars().all(plain) && !names::is_hex_id(name, "pg-"),
            |name| match names::is_hex_id(name, "pg-") {
                true => "an id where a name belongs".to_owned(),
                false => format!("`{name}` is no name of a placement group"),
            },
            |_| "give the group's name, which has 1 to 255 ASCII characters".to_owned(),
        )
    }

    fn capacity_reservation(&mut self, text: &Text) -> Option<CapacityReservation> {
        let [none, open] = CapacityReservation::WORDS;
        let written = self.valid(
            text,
            |text| CapacityReservation::WORDS.contains(&text) || names::is_hex_id(text, "cr-"),
            |text| format!("`{text}` is no capacity reservation"),
            |_| format!("it is `{none}`, `{open}`, or the id of one, `cr-` and 17 hexadecimal digits"),
        )?;
        Some(CapacityReservation::from(written))
    }

    fn count_groups(&mut self, groups: &[Spanned]) {
        if groups.len() > MOST_GROUPS {
            self.report
                .error(
                    self.root.key(&["spec", "instance", "securityGroups"]),
                    format!("{} security groups", groups.len()),
                )
                .hint(format!("EC2 takes 5 at an interface, and at most {MOST_GROUPS} where the quota was raised"));
        }
    }

    fn security_group(&mut self, group: &Spanned) -> Option<String> {
        if names::is_id(&group.value, "sg-") {
            return Some(group.value.clone());
        }
        self.report
            .error(bytes(group), format!("`{}` is no security group id", group.value))
            .hint("give the group's id, `sg-…`, not its name");
        None
    }
}
