//! The outputs of Terraform for a new cluster, as `terraform output -json` writes them; pure, so that each defect can be tried.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::input::text::without_mark;
use crate::spec::words::Word;

use super::draft::{Field, Given, Slot};
use super::kind::Kind;

/// An output that Terraform should have.
struct Expected {
    name: &'static str,
    field: Field,
    /// A description of the right value, e.g. "the AWS region, as text".
    is: &'static str,
    read: fn(&Value) -> Option<Given>,
    /// Whether the output may be null, and so left out by Terraform.
    optional: bool,
    /// The kind of application whose ground alone has the output, if it is not every kind's.
    only: Option<Kind>,
}

const EXPECTED: [Expected; 10] = [
    optional("application", Field::Kind, "the kind of application, as text", |value| text(Field::Kind, value)),
    required("cluster", Field::Name, "the cluster's name, as text", |value| text(Field::Name, value)),
    required("region", Field::Region, "the AWS region, as text", |value| text(Field::Region, value)),
    required("account", Field::Account, "the account's twelve digits, as text", |value| text(Field::Account, value)),
    Expected {
        only: Some(Kind::Consul),
        ..required("datacenter", Field::Datacenter, "Consul's datacenter, as text", |value| {
            text(Field::Datacenter, value)
        })
    },
    required("member_instance_profile", Field::InstanceProfile, "the name of the members' instance profile", |value| {
        text(Field::InstanceProfile, value)
    }),
    required("member_security_groups", Field::SecurityGroups, "a list of `sg-…` ids, at least one", groups),
    required(
        "slots",
        Field::Slots,
        "a map from each slot's name to its `zone`, `subnet` and, if it has one, `address` with the subnet's `cidr`",
        slots,
    ),
    optional("kms_key", Field::KmsKey, "the key for the volumes, as text, or null", |value| text(Field::KmsKey, value)),
    optional("auto_scaling_group", Field::AutoScalingGroup, "the group's name, as text, or null", |value| {
        text(Field::AutoScalingGroup, value)
    }),
];

const fn required(name: &'static str, field: Field, is: &'static str, read: fn(&Value) -> Option<Given>) -> Expected {
    Expected { name, field, is, read, optional: false, only: None }
}

const fn optional(name: &'static str, field: Field, is: &'static str, read: fn(&Value) -> Option<Given>) -> Expected {
    Expected { name, field, is, read, optional: true, only: None }
}

/// One output as it was read.
#[derive(Debug, PartialEq)]
pub struct Read {
    /// The output's name.
    pub name: &'static str,
    /// The field that the output is for.
    pub field: Field,
    /// A description of the right value.
    pub is: &'static str,
    /// The value, or what is wrong with it.
    pub given: Result<Given, &'static str>,
}

/// The reason why a text holds no outputs at all.
#[derive(Debug, thiserror::Error)]
pub enum TerraformError {
    #[error("the text is not what `terraform output -json` writes")]
    NotOutputs(#[source] serde_json::Error),
    #[error("line {line} is not JSON: `{text}`")]
    Beside { line: usize, text: String },
    #[error("Terraform has no outputs")]
    NoOutputs,
}

impl TerraformError {
    /// Says what to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotOutputs(_) => "run `terraform output -json` in infra/, without the name of an output",
            Self::Beside { .. } => {
                "keep only what Terraform prints itself; in GitHub Actions, `terraform_wrapper: false` for setup-terraform \
                 leaves it alone"
            }
            Self::NoOutputs => "run `terraform apply` in infra/ first, and `terraform output -json` there",
        }
    }
}

/// One output in the JSON. Terraform adds its type, and whether it is a secret.
#[derive(Deserialize)]
struct Output {
    value: Value,
}

/// Says whether an output gives the field.
pub fn gives(field: Field) -> bool {
    EXPECTED.iter().any(|expected| expected.field == field)
}

/// Reads each of the expected outputs. Other outputs are ignored.
pub fn read(json: &str) -> Result<Vec<Read>, TerraformError> {
    let json = without_mark(json);
    let outputs: BTreeMap<String, Output> = serde_json::from_str(json).map_err(|error| why_not(json, error))?;
    if outputs.is_empty() {
        return Err(TerraformError::NoOutputs);
    }
    // Without a word it is Consul's ground, as it always was before there was a choice.
    let kind =
        outputs.get("application").and_then(|output| output.value.as_str()).map_or(Some(Kind::Consul), Kind::meant);
    let read = |expected: &Expected| {
        let value = outputs.get(expected.name).map(|output| &output.value).filter(|value| !value.is_null());
        let given = match value {
            None if expected.optional => return None,
            None => Err("is missing"),
            Some(value) => (expected.read)(value).ok_or("is not usable"),
        };
        Some(Read { name: expected.name, field: expected.field, is: expected.is, given })
    };
    let is_there = |expected: &&Expected| expected.only.is_none() || expected.only == kind;
    Ok(EXPECTED.iter().filter(is_there).filter_map(read).collect())
}

/// Names the line that somebody else has written before or after the outputs, if that is what is wrong.
fn why_not(json: &str, error: serde_json::Error) -> TerraformError {
    let lines: Vec<&str> = json.lines().collect();
    let begins = lines.iter().position(|line| line.starts_with('{'));
    let ends = lines.iter().rposition(|line| line.starts_with('}'));
    let Some((begins, ends)) = begins.zip(ends).filter(|(begins, ends)| begins < ends) else {
        return TerraformError::NotOutputs(error);
    };
    let is_beside = |(index, line): &(usize, &&str)| (*index < begins || *index > ends) && !line.trim().is_empty();
    match lines.iter().enumerate().find(is_beside) {
        Some((index, line)) => TerraformError::Beside { line: index + 1, text: line.chars().take(80).collect() },
        None => TerraformError::NotOutputs(error),
    }
}

fn text(field: Field, value: &Value) -> Option<Given> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    Some(Given::Text(field, text.to_owned()))
}

fn groups(value: &Value) -> Option<Given> {
    let groups: Option<Vec<_>> = value.as_array()?.iter().map(|group| Some(group.as_str()?.to_owned())).collect();
    groups.filter(|groups| !groups.is_empty()).map(Given::SecurityGroups)
}

fn slots(value: &Value) -> Option<Given> {
    let slot = |(name, slot): (&String, &Value)| {
        let text = |key: &str| Some(slot.get(key)?.as_str()?.to_owned());
        let if_any = |key: &str| match slot.get(key) {
            None | Some(Value::Null) => Some(None),
            Some(_) => text(key).map(Some),
        };
        let (address, cidr) = (if_any("address")?, if_any("cidr")?);
        Some(Slot { name: name.clone(), zone: text("zone")?, subnet: text("subnet")?, address, cidr })
    };
    let slots: Option<Vec<_>> = value.as_object()?.iter().map(slot).collect();
    slots.filter(|slots| !slots.is_empty()).map(Given::Slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outputs of Consul's ground, with a word for what it is.
    fn outputs() -> Value {
        serde_json::from_str(include_str!("../../../tests/fixtures/terraform-outputs.json")).unwrap()
    }

    fn defects(outputs: &Value) -> Vec<String> {
        let read = read(&outputs.to_string()).unwrap();
        read.iter().filter_map(|read| Some(format!("{} {}", read.name, read.given.as_ref().err()?))).collect()
    }

    #[test]
    fn every_output_is_read() {
        let read = read(&outputs().to_string()).unwrap();
        assert_eq!(read.len(), EXPECTED.len());
        assert!(read.iter().all(|read| read.given.is_ok()), "{read:#?}");
        let slots = read.iter().find(|read| read.name == "slots").unwrap();
        let Ok(Given::Slots(slots)) = &slots.given else { panic!("{slots:?}") };
        assert_eq!(slots[1].name, "consul-b");
    }

    #[test]
    fn what_is_missing_is_named_unless_it_may_be() {
        for expected in EXPECTED {
            let mut without = outputs();
            without.as_object_mut().unwrap().remove(expected.name);
            let mut null = outputs();
            null[expected.name]["value"] = Value::Null;
            for outputs in [without, null] {
                let wanted = if expected.optional { vec![] } else { vec![format!("{} is missing", expected.name)] };
                assert_eq!(defects(&outputs), wanted);
            }
        }
    }

    #[test]
    fn what_is_something_else_is_named() {
        for wrong in [serde_json::json!(12), serde_json::json!([]), serde_json::json!({}), serde_json::json!("")] {
            for expected in EXPECTED {
                let mut outputs = outputs();
                outputs[expected.name]["value"] = wrong.clone();
                assert_eq!(defects(&outputs), [format!("{} is not usable", expected.name)]);
            }
        }
        let mut outputs = outputs();
        outputs["slots"]["value"]["consul-b"].as_object_mut().unwrap().remove("subnet");
        assert_eq!(defects(&outputs), ["slots is not usable"]);
        for field in ["address", "cidr"] {
            let mut outputs = self::outputs();
            outputs["slots"]["value"]["consul-b"][field] = serde_json::json!(12);
            assert_eq!(defects(&outputs), ["slots is not usable"], "{field}");
        }
    }

    #[test]
    fn an_address_comes_with_the_block_that_it_is_checked_by() {
        let mut outputs = outputs();
        let slots = &mut outputs["slots"]["value"];
        for (number, name) in ["consul-a", "consul-b", "consul-c"].iter().enumerate() {
            slots[name]["address"] = format!("10.64.{number}.16").into();
            slots[name]["cidr"] = format!("10.64.{number}.0/24").into();
        }
        let read = read(&outputs.to_string()).unwrap();
        let Some(Ok(Given::Slots(slots))) = read.into_iter().find(|one| one.name == "slots").map(|one| one.given)
        else {
            panic!("no slots")
        };
        let given = |slot: &Slot| (slot.address.clone().unwrap(), slot.cidr.clone().unwrap());
        assert_eq!(given(&slots[1]), ("10.64.1.16".to_owned(), "10.64.1.0/24".to_owned()));
    }

    #[test]
    fn what_others_write_around_the_outputs_is_named_with_its_line() {
        let text = include_str!("../../../tests/fixtures/terraform-outputs.json");
        assert!(read(&format!("\u{feff}{text}")).is_ok(), "a byte-order mark is no part of the text");
        let said = |text: &str| read(text).unwrap_err().to_string();
        let before = said(&format!("[command]/usr/bin/terraform-bin output -json\n{text}"));
        assert_eq!(before, "line 1 is not JSON: `[command]/usr/bin/terraform-bin output -json`");
        let after = said(&format!("{}\n::debug::Terraform exited with code 0.\n", text.trim_end()));
        assert!(after.ends_with("is not JSON: `::debug::Terraform exited with code 0.`"), "{after}");
    }

    #[test]
    fn what_is_no_outputs_is_said_to_be_none() {
        assert!(matches!(read("{}"), Err(TerraformError::NoOutputs)));
        for json in ["", "\"us-east-1\"", "{\"region\": \"us-east-1\"}"] {
            assert!(matches!(read(json), Err(TerraformError::NotOutputs(_))), "{json}");
        }
    }
}
