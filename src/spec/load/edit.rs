//! One field of a file's text set to another value, or taken away, as a person would do who edits the file.
//!
//! The text is read and written anew without its comments. Scalars keep their quotes, so that nothing changes its type.

use std::path::Path;

use super::report::Report;
use super::tree::{self, Node, Value};

/// A reason for which a field cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text, or the new value, is no YAML.
    #[error("{0}")]
    NotYaml(String),
    /// The path leads into nothing.
    #[error("there is no `{0}` in the file")]
    NoSuchField(String),
}

/// A node that can be changed.
#[derive(Clone, Debug)]
enum Tree {
    Scalar { text: String, plain: bool },
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// Sets the field at a path to a value in YAML, and makes it if it is not there. A path begins below `spec` unless it says
/// otherwise, and an item of a list is called by its name, e.g. `slots.consul-b.subnet`.
pub fn set(text: &str, path: &str, value: &str) -> Result<String, EditError> {
    let (mut tree, value) = (parse(text)?, parse(value)?);
    tree.put(&whole(path), value).ok_or_else(|| EditError::NoSuchField(path.to_owned()))?;
    Ok(tree.text())
}

/// Takes the field at a path away.
pub fn remove(text: &str, path: &str) -> Result<String, EditError> {
    let mut tree = parse(text)?;
    tree.take(&whole(path)).ok_or_else(|| EditError::NoSuchField(path.to_owned()))?;
    Ok(tree.text())
}

/// The path from the root of the file.
fn whole(path: &str) -> Vec<&str> {
    let path: Vec<_> = path.split('.').collect();
    match path.first() {
        Some(&("apiVersion" | "kind" | "metadata" | "spec")) => path,
        _ => [vec!["spec"], path].concat(),
    }
}

fn parse(text: &str) -> Result<Tree, EditError> {
    let mut report = Report::new(Path::new(""), text, 1);
    let root = tree::parse(&mut report).root;
    let (problems, _) = report.finish();
    match (root, problems.into_iter().next()) {
        (_, Some(problem)) => Err(EditError::NotYaml(problem.message)),
        (root, None) => Ok(root.map_or_else(|| Tree::Map(Vec::new()), |root| Tree::of(&root))),
    }
}

impl Tree {
    fn of(node: &Node) -> Self {
        match &*node.value {
            Value::Scalar { text, plain } => Self::Scalar { text: text.clone(), plain: *plain },
            Value::List(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Map(entries) => {
                Self::Map(entries.iter().map(|entry| (entry.key.clone(), Self::of(&entry.node))).collect())
            }
        }
    }

    /// Puts a value at a path, with every mapping on the way.
    fn put(&mut self, path: &[&str], value: Self) -> Option<()> {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return Some(());
        };
        match self {
            Self::Map(entries) => {
                let at = entries.iter().position(|(key, _)| key == first).unwrap_or_else(|| {
                    entries.push(((*first).to_owned(), Self::Map(Vec::new())));
                    entries.len() - 1
                });
                entries[at].1.put(rest, value)
            }
            Self::List(items) => match items.iter_mut().position(|item| item.is_called(first)) {
                Some(at) => items[at].put(rest, value),
                None if rest.is_empty() => {
                    items.push(value);
                    Some(())
                }
                None => None,
            },
            Self::Scalar { .. } => None,
        }
    }

    fn take(&mut self, path: &[&str]) -> Option<()> {
        let (first, rest) = path.split_first()?;
        let found = match self {
            Self::Map(entries) => entries.iter().position(|(key, _)| key == first),
            Self::List(items) => items.iter().position(|item| item.is_called(first)),
            Self::Scalar { .. } => None,
        }?;
        match (self, rest.is_empty()) {
            (Self::Map(entries), true) => drop(entries.remove(found)),
            (Self::List(items), true) => drop(items.remove(found)),
            (Self::Map(entries), false) => entries[found].1.take(rest)?,
            (Self::List(items), false) => items[found].take(rest)?,
            (Self::Scalar { .. }, _) => return None,
        }
        Some(())
    }

    /// Says whether an item of a list bears a name.
    fn is_called(&self, name: &str) -> bool {
        let Self::Map(entries) = self else { return false };
        let is_name =
            |(key, value): &(String, Self)| key == "name" && matches!(value, Self::Scalar { text, .. } if text == name);
        entries.iter().any(is_name)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        self.write(0, &mut text);
        text
    }

    /// Writes a node in block style, from the beginning of a line.
    fn write(&self, indent: usize, text: &mut String) {
        let margin = " ".repeat(indent);
        match self {
            Self::Scalar { .. } => text.push_str(&format!("{margin}{}\n", self.short())),
            Self::List(items) => {
                for item in items {
                    item.write_after(&format!("{margin}-"), indent, text);
                }
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    value.write_after(&format!("{margin}{}:", quoted(key)), indent, text);
                }
            }
        }
    }

    fn write_after(&self, lead: &str, indent: usize, text: &mut String) {
        if self.is_short() {
            text.push_str(&format!("{lead} {}\n", self.short()));
        } else {
            text.push_str(&format!("{lead}\n"));
            self.write(indent + 2, text);
        }
    }

    fn is_short(&self) -> bool {
        match self {
            Self::Scalar { .. } => true,
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
        }
    }

    fn short(&self) -> String {
        match self {
            Self::Scalar { text, plain: true } if !text.contains('\n') => text.clone(),
            Self::Scalar { text, .. } => quoted(text),
            Self::List(_) => "[]".to_owned(),
            Self::Map(_) => "{}".to_owned(),
        }
    }
}

/// Text in double quotes, as JSON and YAML write it alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::spec::load::{check, load};

    const FILE: &str = "desired-state/prod/consul.yaml";

    fn spec(text: &str) -> crate::spec::ClusterSpec {
        let loaded = check(Path::new(FILE), text);
        let problems: Vec<_> = loaded.problems().map(|problem| problem.message.clone()).collect();
        loaded.specs().next().unwrap_or_else(|| panic!("{problems:?}\n{text}")).1.clone()
    }

    fn text() -> String {
        load(&[PathBuf::from(FILE)]).files.values().next().unwrap().text.to_string()
    }

    #[test]
    fn a_file_that_is_written_anew_means_the_same() {
        let same = set(&text(), "suspend", "false").unwrap();
        assert_eq!(spec(&same), spec(&text()));
    }

    #[test]
    fn fields_of_every_depth_are_set_and_taken_away() {
        let text = set(&text(), "slots.consul-b.subnet", "subnet-0123456789abcdef0").unwrap();
        let text = set(&text, "rollout.onFailure", "hold").unwrap();
        let text = set(&text, "instance.tags.team", "\"yes\"").unwrap();
        let text = set(&text, "volumes.data.device", "/dev/sdg").unwrap();
        let edited = spec(&text);
        assert_eq!(edited.slots[1].subnet, "subnet-0123456789abcdef0");
        assert_eq!(edited.rollout.on_failure, crate::spec::OnFailure::Hold);
        assert_eq!(edited.instance.tags["team"], "yes");
        assert_eq!(edited.volumes[0].device, "/dev/sdg");
        assert_eq!(spec(&remove(&text, "slots.consul-b").unwrap()).slots.len(), 2);
    }

    #[test]
    fn a_list_takes_a_further_item() {
        let slot = "{name: consul-d, zone: us-east-1a, subnet: subnet-0123456789abcdef0}";
        assert_eq!(spec(&set(&text(), "slots.consul-d", slot).unwrap()).slots.len(), 4);
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(
            remove(&text(), "slots.consul-x").unwrap_err().to_string(),
            "there is no `slots.consul-x` in the file"
        );
        assert!(set(&text(), "image.x.y", "1").is_err());
        assert!(set(&text(), "windows", "[a").is_err());
    }
}
