//! The meaning of tags: what EC2 takes, and what neither the controller nor AWS keeps for itself.

use std::collections::BTreeMap;
use std::ops::Range;

use super::meaning::{Meaning, bytes};
use crate::spec::COPY_OF;
use crate::spec::raw::Spanned;

/// The number of tags that a file may declare for one resource. EC2 takes 50; twenty are kept for our own, of which an
/// instance has one for each volume.
const MOST_TAGS: usize = 30;

/// The tags of a resource as they are written.
pub type WrittenTags = Option<BTreeMap<String, Spanned>>;

/// The resources that tags are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// Instances, where a guest reads them.
    Instances,
    /// Volumes and snapshots, which no guest reads.
    Volumes,
}

impl Meaning<'_, '_> {
    /// Says what tags mean that stand at a path, or anywhere within a list.
    pub fn tags(&mut self, path: &[&str], raw: &WrittenTags, bearer: Bearer) -> Option<BTreeMap<String, String>> {
        let before = self.report.count();
        for (key, value) in raw.iter().flatten() {
            let at = self.place(&[path, &[key.as_str()]].concat(), path).unwrap_or(bytes(value));
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
            } else if bearer == Bearer::Instances && !is_shown(key) {
                self.report.error(at, format!("`{key}` cannot be shown in instance metadata")).hint(
                    "members learn who they are from the tags there, and EC2 takes none then whose name has more than \
                     letters, digits and `-_+=,.@:`, or is `.`, `..` or `_index`",
                );
            } else if !is_taken(key) {
                self.report
                    .error(at, format!("`{key}` is no name of a tag"))
                    .hint("a name has letters, digits, spaces and `+-=._:/@,`, at least one of them");
            } else if key.chars().count() > 128 || value.value.chars().count() > 256 {
                self.report
                    .error(at, "the tag is too long")
                    .hint("EC2 takes 128 characters for a name and 256 for a value");
            }
        }
        let tags = raw.iter().flatten().map(|(key, value)| (key.clone(), value.value.clone())).collect();
        self.count_tags(path, raw, &tags);
        (self.report.count() == before).then_some(tags)
    }

    /// Adds tags to those that every resource bears. Of two of one name the narrower one counts.
    pub fn with_shared(
        &mut self,
        path: &[&str],
        raw: &WrittenTags,
        shared: &BTreeMap<String, String>,
        own: BTreeMap<String, String>,
    ) -> Option<BTreeMap<String, String>> {
        let before = self.report.count();
        let mut all = shared.clone();
        all.extend(own);
        if raw.as_ref().is_some_and(|raw| raw.len() <= MOST_TAGS) && shared.len() <= MOST_TAGS {
            self.count_tags(path, raw, &all);
        }
        (self.report.count() == before).then_some(all)
    }

    /// Finds a key of the file. Within a list there is no path to one.
    fn place(&self, key: &[&str], path: &[&str]) -> Option<Range<usize>> {
        if path.is_empty() { None } else { self.root.key(key) }
    }

    fn count_tags(&mut self, path: &[&str], raw: &WrittenTags, tags: &BTreeMap<String, String>) {
        if tags.len() <= MOST_TAGS {
            return;
        }
        let first = raw.iter().flatten().next().map(|(_, value)| bytes(value));
        let at = self.place(path, path).or(first);
        self.report
            .error(at, format!("more than {MOST_TAGS} tags"))
            .hint("EC2 takes 50, and the controller needs some for itself; the cluster's tags count for each resource");
    }
}

/// Says whether EC2 takes a tag of that name on an instance whose tags are shown in its metadata;
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>.
fn is_shown(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_+=,.@:".contains(c);
    !key.is_empty() && key.chars().all(plain) && ![".", "..", "_index"].contains(&key)
}

/// Says whether every service of AWS takes a tag of that name. Others than these EC2 takes as well, and other services do not.
fn is_taken(key: &str) -> bool {
    !key.trim().is_empty() && key.chars().all(|c| c.is_alphanumeric() || " +-=._:/@,".contains(c))
}
