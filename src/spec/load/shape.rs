//! The shape of a file: which fields it has and of which type, held to the JSON schema that editors use too.

use std::ops::Range;

use serde_json::Value as Json;

use super::names::nearest;
use super::report::Report;
use super::tree::{Entry, Node, Value};

/// The beginning of the advice on a value that would be text in quotes.
pub(super) const QUOTES: &str = "put it in quotes";

/// Reports all that the schema does not allow. Patterns and limits are left out: `meaning` has better words for them.
pub fn check(root: &Node, schema: &Json, report: &mut Report) {
    let here = match &*root.value {
        Value::Map(entries) => entries.first().map_or(0..0, |entry| entry.key_bytes.clone()),
        _ => root.bytes.clone(),
    };
    Checker { root: schema, report }.node(schema, root, "the file", here);
}

struct Checker<'r, 'a> {
    root: &'r Json,
    report: &'r mut Report<'a>,
}

impl<'r> Checker<'r, '_> {
    /// Checks a node. `name` is what the node is called, `at` is where to say what it lacks.
    fn node(&mut self, schema: &'r Json, node: &Node, name: &str, at: Range<usize>) {
        if self.report.is_full() {
            return;
        }
        self.report.spend(1);
        let schema = resolve(schema, self.root);
        match (expected_type(schema, &node.value), &*node.value) {
            ("object", Value::Map(entries)) => self.map(schema, entries, name, at),
            ("array", Value::List(nodes)) => {
                for node in nodes {
                    self.node(&schema["items"], node, &format!("an item of {name}"), start_of(node));
                }
            }
            (expected @ ("string" | "integer" | "boolean"), Value::Scalar { text, plain }) => {
                self.scalar(schema, expected, text, *plain, node, name);
            }
            (expected, value) => self.wrong_type(expected, &kind(value), node, name),
        }
    }

    fn map(&mut self, schema: &'r Json, entries: &[Entry], name: &str, at: Range<usize>) {
        for entry in entries {
            let label = format!("`{}`", entry.key);
            match (schema["properties"].get(&entry.key), &schema["additionalProperties"]) {
                (Some(field), _) => self.node(field, &entry.node, &label, entry.key_bytes.clone()),
                (None, Json::Bool(false)) => self.unknown_field(schema, entry, name),
                (None, rest) => self.node(rest, &entry.node, &label, entry.key_bytes.clone()),
            }
        }
        if schema["maxProperties"] == 1 {
            self.exactly_one(schema, entries, name, at.clone());
        }
        for field in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            // A field that is there but misspelt is not missing as well.
            let meant = |entry: &Entry| {
                entry.key == field || unknown(schema, &entry.key) && nearest(&entry.key, &[field]).is_some()
            };
            if !entries.iter().any(meant) {
                self.report
                    .error(at.clone(), format!("missing field `{field}` in {name}"))
                    .hint(format!("add `{field}`: {}", about(&schema["properties"][field], self.root)));
            }
        }
    }

    /// Holds a mapping to one of its fields: a part that comes in kinds, such as `application`.
    fn exactly_one(&mut self, schema: &Json, entries: &[Entry], name: &str, at: Range<usize>) {
        let kinds = fields(schema);
        let mut known = entries.iter().filter(|entry| kinds.contains(&&*entry.key));
        match (known.next(), known.next()) {
            (Some(_), None) => {}
            (Some(first), Some(second)) => {
                self.report
                    .error(second.key_bytes.clone(), format!("a second kind in {name}, after `{}`", first.key))
                    .hint(format!("keep exactly one of {}", list(&kinds)));
            }
            // A kind that is there but misspelt is not missing as well.
            (None, _) if entries.iter().any(|entry| nearest(&entry.key, &kinds).is_some()) => {}
            (None, _) => {
                self.report
                    .error(at, format!("no kind in {name}"))
                    .hint(format!("add exactly one of {}", list(&kinds)));
            }
        }
    }

    fn unknown_field(&mut self, schema: &Json, entry: &Entry, name: &str) {
        let fields = fields(schema);
        let hint = match (nearest(&entry.key, &fields), home_of(&entry.key, "", self.root, self.root)) {
            (Some(field), _) => format!("did you mean `{field}`?"),
            (None, Some(home)) => format!("`{}` belongs in `{home}`", entry.key),
            (None, None) => format!("its fields are {}", list(&fields)),
        };
        self.report.error(entry.key_bytes.clone(), format!("unknown field `{}` in {name}", entry.key)).hint(hint);
    }

    fn scalar(&mut self, schema: &Json, expected: &str, text: &str, plain: bool, node: &Node, name: &str) {
        let found = if plain { plain_type(text) } else { "text" };
        let found =
            if schema["type"].is_array() && matches!(found, "an integer" | "a number") { "text" } else { found };
        let allowed: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(word).collect();
        match (expected, found) {
            ("string", "text") if plain && is_old_boolean(text) => {
                self.report
                    .error(
                        node.bytes.clone(),
                        format!("`{text}` is a boolean to some readers of YAML and text to others"),
                    )
                    .hint(format!("{QUOTES}: \"{text}\""));
            }
            ("string", "text") if !allowed.is_empty() && !allowed.contains(&text) => {
                let hint = match nearest(text, &allowed) {
                    Some(value) if allowed.len() > 1 => format!("did you mean `{value}`?"),
                    _ if allowed.len() > 1 => format!("write one of {}", list(&allowed)),
                    _ => format!("write {}", list(&allowed)),
                };
                self.report
                    .error(node.bytes.clone(), format!("unknown {} `{text}`", name.trim_matches('`')))
                    .hint(hint);
            }
            ("string", "text") | ("integer", "an integer") | ("boolean", "a boolean") => {}
            ("boolean", "text") if is_old_boolean(text) => {
                let meant = matches!(&*text.to_lowercase(), "yes" | "on" | "y");
                self.report
                    .error(node.bytes.clone(), format!("`{text}` is no boolean in YAML 1.2"))
                    .hint(format!("write `{meant}`"));
            }
            (_, "empty") => self.wrong_type(expected, found, node, name),
            _ => self.wrong_type(expected, &format!("{found} `{text}`"), node, name),
        }
    }

    fn wrong_type(&mut self, expected: &str, found: &str, node: &Node, name: &str) {
        let written = found.split('`').nth(1).unwrap_or_default();
        let (expected, hint) = match expected {
            "object" => ("a mapping", "write its fields below it, indented".to_owned()),
            "array" => ("a list", "begin each item with `- `".to_owned()),
            "integer" => ("an integer", "write the number without quotes".to_owned()),
            "boolean" => ("`true` or `false`", "write `true` or `false`, without quotes".to_owned()),
            _ if written.is_empty() => ("text", "write a single value, or remove the field".to_owned()),
            _ if written.starts_with('0') => {
                ("text", format!("{QUOTES}, or its leading zeros are lost: \"{written}\""))
            }
            _ => ("text", format!("{QUOTES}: \"{written}\"")),
        };
        self.report.error(node.bytes.clone(), format!("{name} should be {expected}, but is {found}")).hint(hint);
    }
}

/// Finds the type that a node should have. Of a boolean or a word it is what the node comes closer to.
fn expected_type<'j>(schema: &'j Json, value: &Value) -> &'j str {
    match (&schema["type"], value) {
        (Json::Array(_), Value::Scalar { text, .. }) if plain_type(text) == "a boolean" || is_old_boolean(text) => {
            "boolean"
        }
        (Json::Array(_), _) => "string",
        (one, _) => one.as_str().unwrap_or_default(),
    }
}

/// Gives a value of an enumeration as it is written.
fn word(value: &Json) -> Option<&str> {
    match value {
        Json::Bool(true) => Some("true"),
        Json::Bool(false) => Some("false"),
        other => other.as_str(),
    }
}

/// Lists the names of a mapping's fields.
fn fields(schema: &Json) -> Vec<&str> {
    schema["properties"].as_object().into_iter().flatten().map(|(key, _)| &**key).collect()
}

/// Finds the part of the file that has such a field, somewhere below the part `name` that `schema` describes.
fn home_of(field: &str, name: &str, schema: &Json, root: &Json) -> Option<String> {
    let schema = resolve(schema, root);
    let Some(fields) = schema["properties"].as_object() else {
        return schema.get("items").and_then(|items| home_of(field, name, items, root));
    };
    if fields.contains_key(field) && !name.is_empty() {
        return Some(name.to_owned());
    }
    fields.iter().find_map(|(name, schema)| home_of(field, name, schema, root))
}

/// Follows a `$ref`. schemars wraps one in `allOf` where a description stands beside it.
fn resolve<'j>(schema: &'j Json, root: &'j Json) -> &'j Json {
    let reference = schema.get("$ref").or_else(|| schema["allOf"][0].get("$ref"));
    match reference.and_then(Json::as_str).and_then(|path| root.pointer(path.trim_start_matches('#'))) {
        Some(found) => found,
        None => schema,
    }
}

/// Finds where to say what an item lacks: at its first key.
fn start_of(node: &Node) -> Range<usize> {
    match &*node.value {
        Value::Map(entries) => entries.first().map_or(node.bytes.clone(), |entry| entry.key_bytes.clone()),
        _ => node.bytes.clone(),
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Scalar { text, plain: true } if plain_type(text) == "empty" => "empty".to_owned(),
        Value::Scalar { text, .. } => format!("`{text}`"),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

/// Says whether YAML 1.2 takes a scalar without quotes for nothing at all.
pub fn is_empty(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Says what YAML 1.2 takes a scalar without quotes for.
fn plain_type(text: &str) -> &'static str {
    match text {
        _ if is_empty(text) => "empty",
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => "a boolean",
        _ => {
            let digits = text.trim_start_matches(['-', '+']);
            let radix = [("0x", 16), ("0o", 8)]
                .into_iter()
                .find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, radix)));
            let (body, radix) = radix.unwrap_or((digits, 10));
            let integer = !body.is_empty() && body.chars().all(|digit| digit.is_digit(radix));
            let is_odd = || [".nan", ".inf", "+.inf", "-.inf"].iter().any(|odd| text.eq_ignore_ascii_case(odd));
            let number = is_odd()
                || digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
                    && digits.parse::<f64>().is_ok();
            if integer {
                "an integer"
            } else if number {
                "a number"
            } else {
                "text"
            }
        }
    }
}

/// Says whether a text was a boolean before YAML 1.2.
fn is_old_boolean(text: &str) -> bool {
    ["yes", "no", "on", "off", "y", "n"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Gives the first words of a field's description.
fn about(field: &Json, root: &Json) -> String {
    let text = field["description"].as_str().or(resolve(field, root)["description"].as_str()).unwrap_or_default();
    let end = ["; ", ". ", ": ", ", e.g."].iter().filter_map(|stop| text.find(stop)).min().unwrap_or(text.len());
    let text = text[..end].trim_end_matches('.');
    let first = text.split(' ').next().unwrap_or_default();
    if first.chars().skip(1).any(char::is_uppercase) { text.to_owned() } else { lower_first(text) }
}

fn unknown(schema: &Json, key: &str) -> bool {
    schema["properties"].get(key).is_none()
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::tree;
    use super::*;

    /// Says what is reported of a file, with lines and columns, if an application were of one of two kinds.
    fn said(text: &str) -> Vec<String> {
        let kind = json!({ "type": "object", "properties": { "port": { "type": "integer" } } });
        let kinds = json!({
            "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
            "properties": { "consul": kind, "etcd": kind },
        });
        let schema = json!({ "type": "object", "properties": { "application": kinds } });
        let mut report = Report::new(Path::new("file.yaml"), text, 100);
        let document = tree::parse(&mut report);
        check(document.root.as_ref().unwrap(), &schema, &mut report);
        let problem = |problem: &crate::spec::load::Problem| {
            let place = problem.place.as_ref().unwrap();
            let hint = problem.hint.as_deref().unwrap_or_default();
            format!("{}:{} {}; {hint}", place.line, place.column, problem.message)
        };
        report.finish().0.iter().map(problem).collect()
    }

    #[test]
    fn an_application_is_of_exactly_one_kind() {
        assert_eq!(said("application: { etcd: { port: 1 } }"), [""; 0]);
        let none = "1:1 no kind in `application`; add exactly one of `consul`, `etcd`";
        assert_eq!(said("application: {}"), [none]);
        let two = "3:3 a second kind in `application`, after `etcd`; keep exactly one of `consul`, `etcd`";
        assert_eq!(said("application:\n  etcd: {}\n  consul: {}"), [two]);
        let misspelt = "2:3 unknown field `ectd` in `application`; did you mean `etcd`?";
        assert_eq!(said("application:\n  ectd: {}"), [misspelt]);
    }
}
