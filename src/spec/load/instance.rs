//! The meaning of `instance`: ids, tags and user data that EC2 will take.

use std::collections::{BTreeMap, BTreeSet};

use super::meaning::{Meaning, bytes};
use super::names;
use crate::spec::raw::{self, Spanned, Text};
use crate::spec::{COPY_OF, InstanceSpec};

/// The number of tags that a file may declare. EC2 takes 50 on an instance; twenty are kept for our own, of which each
/// volume has one.
const MOST_TAGS: usize = 30;

/// The most security groups that a network interface can be given, with the highest quota.
const MOST_GROUPS: usize = 16;

impl Meaning<'_, '_> {
    /// Says what `instance` means.
    pub fn instance(&mut self, raw: &raw::Instance) -> Option<InstanceSpec> {
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
        let tags = self.tags(raw.tags.as_ref());
        let user_data = self.user_data(&raw.user_data_file);
        let iam_instance_profile = self.profile(&raw.iam_instance_profile);
        let key_name = self.key_name(&raw.key_name);
        Some(InstanceSpec {
            instance_type: instance_type?,
            iam_instance_profile,
            security_groups: security_groups?,
            key_name,
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

    fn tags(&mut self, raw: Option<&BTreeMap<String, Spanned>>) -> Option<BTreeMap<String, String>> {
        let before = self.report.count();
        for (key, value) in raw.into_iter().flatten() {
            let at = self.root.key(&["spec", "instance", "tags", key]).unwrap_or(bytes(value));
            if let Some(prefix) = ["hermitcrab:", "aws:"].iter().find(|prefix| key.to_lowercase().starts_with(**prefix))
            {
                let owner = if *prefix == "aws:" { "AWS" } else { "the controller" };
                self.report
                    .error(at, format!("the tag prefix `{prefix}` is kept for {owner}"))
                    .hint("give the tag another name");
            } else if key == COPY_OF {
                self.report
                    .error(at, format!("the tag `{COPY_OF}` is kept for the controller"))
                    .hint("give the tag another name");
            } else if !is_shown(key) {
                self.report.error(at, format!("`{key}` cannot be shown in instance metadata")).hint(
                    "members learn who they are from the tags there, and EC2 takes none then whose name has more than \
                     letters, digits and `-_+=,.@:`, or is `.`, `..` or `_index`",
                );
            } else if key.chars().count() > 128 || value.value.chars().count() > 256 {
                self.report
                    .error(at, "the tag is too long")
                    .hint("EC2 takes 128 characters for a name and 256 for a value");
            }
        }
        if raw.map_or(0, BTreeMap::len) > MOST_TAGS {
            self.report
                .error(self.root.key(&["spec", "instance", "tags"]), format!("more than {MOST_TAGS} tags"))
                .hint("EC2 takes 50, and the controller needs some for itself");
        }
        let tags = raw.into_iter().flatten().map(|(key, value)| (key.clone(), value.value.clone())).collect();
        (self.report.count() == before).then_some(tags)
    }
}

/// Says whether EC2 takes a tag of that name on an instance whose tags are shown in its metadata;
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>.
fn is_shown(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_+=,.@:".contains(c);
    !key.is_empty() && key.chars().all(plain) && ![".", "..", "_index"].contains(&key)
}
