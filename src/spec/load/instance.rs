//! The meaning of `instance`: ids, tags and user data that EC2 will take.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::Spanned;

use super::find::cause;
use super::meaning::{Meaning, bytes, written};
use super::names;
use crate::input::file::{self, Refusal};
use crate::spec::InstanceSpec;
use crate::spec::raw::{self, Text};

/// The number of tags that a file may declare. EC2 takes 50 on an instance; twenty are kept for our own, of which each
/// volume has one.
const MOST_TAGS: usize = 30;

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
        let security_groups = raw.security_groups.iter().flatten();
        let security_groups: Option<BTreeSet<_>> = security_groups.map(|group| self.security_group(group)).collect();
        let tags = self.tags(raw.tags.as_ref());
        let user_data = self.user_data(&raw.user_data_file);
        let iam_instance_profile = self.profile(&raw.iam_instance_profile);
        Some(InstanceSpec {
            instance_type: instance_type?,
            iam_instance_profile,
            security_groups: security_groups?,
            key_name: written(&raw.key_name).map(str::to_owned),
            user_data,
            tags: tags?,
        })
    }

    fn profile(&mut self, text: &Text) -> Option<String> {
        self.valid(
            text,
            |name| !name.starts_with("arn:"),
            |_| "an ARN where a name belongs".to_owned(),
            |arn| format!("give the instance profile's name: `{}`", arn.rsplit('/').next().unwrap_or_default()),
        )
    }

    fn security_group(&mut self, group: &Spanned<String>) -> Option<String> {
        if names::is_id(&group.value, "sg-") {
            return Some(group.value.clone());
        }
        self.report
            .error(bytes(group), format!("`{}` is no security group id", group.value))
            .hint("give the group's id, `sg-…`, not its name");
        None
    }

    fn tags(&mut self, raw: Option<&BTreeMap<String, Spanned<String>>>) -> Option<BTreeMap<String, String>> {
        let before = self.report.count();
        for (key, value) in raw.into_iter().flatten() {
            let at = self.root.key(&["spec", "instance", "tags", key]).unwrap_or(bytes(value));
            if let Some(prefix) = ["hermitcrab:", "aws:"].iter().find(|prefix| key.to_lowercase().starts_with(**prefix))
            {
                let owner = if *prefix == "aws:" { "AWS" } else { "the controller" };
                self.report
                    .error(at, format!("the tag prefix `{prefix}` is kept for {owner}"))
                    .hint("give the tag another name");
            } else if key.contains(['/', ' ']) {
                self.report
                    .error(at, format!("`{key}` cannot be shown in instance metadata"))
                    .hint("members learn who they are from the tags there, and EC2 shows none with `/` or a space in its name");
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

    fn user_data(&mut self, text: &Text) -> Option<String> {
        let text = text.as_ref()?;
        let path = self.found.folder.join(&text.value);
        let read = file::read_below(&path, &self.found.root, file::USER_DATA);
        let problem = match read.map(String::from_utf8) {
            Ok(Ok(user_data)) => return Some(user_data),
            Ok(Err(_)) => ("the user data is not UTF-8".to_owned(), "save the file as UTF-8"),
            Err(error) => match Refusal::of(&error) {
                Some(Refusal::TooLarge { .. }) => (
                    "the user data is larger than 16 KiB".to_owned(),
                    "EC2 takes no more; let a short script fetch the rest",
                ),
                Some(Refusal::LeadsOut { .. }) => (
                    format!("cannot read the user data: {}", cause(&error)),
                    "user data is read from the folder of desired state alone, because instances show it to whoever is on them",
                ),
                Some(Refusal::NotRegular) | None => {
                    (format!("cannot read the user data: {}", cause(&error)), "the path is relative to this file")
                }
            },
        };
        self.report.error(bytes(text), problem.0).hint(problem.1);
        None
    }
}
