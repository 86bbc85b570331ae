//! Clusters in the shape of Kubernetes resources, as YAML: for people and programs that know how to read those.

use serde::Serialize;
use serde_json::{Value, json};

use crate::input::text;
use crate::status::{Condition, Status};

use crate::cli::Failure;

/// Renders a YAML document for each cluster.
pub(super) fn render(clusters: &[Status]) -> Result<String, Failure> {
    let mut all = String::new();
    for (index, status) in clusters.iter().enumerate() {
        if index > 0 {
            all.push_str("---\n");
        }
        write(&resource(status)?, 0, &mut all);
    }
    Ok(all)
}

/// Makes a resource: what `status -o json` says of the cluster, under `status`, with conditions named as Kubernetes does.
fn resource(status: &Status) -> Result<Value, Failure> {
    let mut said = serde_json::to_value(status)?;
    let conditions: Vec<_> = status.conditions.iter().map(|condition| named(condition, status)).collect();
    if let Some(said) = said.as_object_mut() {
        said.remove("cluster");
        said.remove("environment");
        said.insert("observedGeneration".to_owned(), serde_json::to_value(&status.generation)?);
        said.insert("conditions".to_owned(), Value::Array(conditions));
    }
    Ok(json!({
        "apiVersion": "hermitcrab/v1",
        "kind": "Cluster",
        "metadata": { "name": status.cluster, "labels": { "environment": status.environment } },
        "status": said,
    }))
}

fn named(condition: &Condition, status: &Status) -> Value {
    json!({
        "type": condition.kind,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": condition.last_transition,
        "observedGeneration": status.generation,
    })
}

/// Writes a value as YAML in blocks. Strings are written as JSON has them, which YAML reads as what they are.
fn write(value: &Value, depth: usize, all: &mut String) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                indent(depth, all);
                all.push_str(name);
                all.push(':');
                nested(value, depth + 1, all);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(depth, all);
                all.push('-');
                nested(item, depth + 1, all);
            }
        }
        scalar => {
            indent(depth, all);
            all.push_str(&written(scalar));
            all.push('\n');
        }
    }
}

/// Writes a value behind its name or its dash.
fn nested(value: &Value, depth: usize, all: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            all.push('\n');
            write(value, depth, all);
        }
        Value::Array(items) if !items.is_empty() => {
            all.push('\n');
            write(value, depth, all);
        }
        scalar => {
            all.push(' ');
            all.push_str(&written(scalar));
            all.push('\n');
        }
    }
}

fn indent(depth: usize, all: &mut String) {
    all.extend(std::iter::repeat_n("  ", depth));
}

fn written(value: &impl Serialize) -> String {
    text::clean_json(&serde_json::to_string(value).unwrap_or_default())
}
