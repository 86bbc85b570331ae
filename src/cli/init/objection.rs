//! The checks of `validate` on a draft that is not complete yet, the moment a field becomes known.

use std::path::Path;

use crate::input::text;
use crate::spec::load::{Severity, check};
use crate::spec::words::Word;

use super::compose::compose;
use super::draft::{Draft, Field, Given, Need, Slot, asked};
use super::kind::{Kind, needs_addresses};

/// Adds a field to the draft. Leaves the draft as it is if `validate` would refuse the field, and returns the refusal.
pub fn take(draft: &mut Draft, given: Given) -> Result<(), String> {
    if let Given::Text(Field::Kind, word) = &given
        && Kind::meant(word).is_none()
    {
        let word = text::argument(word);
        return Err(format!("`{word}` is no kind of application; write one of {}", Kind::words().join(", ")));
    }
    let next = draft.with(given);
    match refusal(&next) {
        Some(refusal) => Err(refusal),
        None => {
            *draft = next;
            Ok(())
        }
    }
}

/// Returns the first error of `validate` in the file, which has an example for each field that is not known yet.
fn refusal(draft: &Draft) -> Option<String> {
    let path = Path::new("example.yaml");
    let loaded = check(path, &compose(&exemplified(draft), path));
    let problem = loaded.problems().find(|problem| problem.severity == Severity::Error)?;
    let hint = problem.hint.iter().map(|hint| format!("; {hint}"));
    Some(problem.message.clone() + &hint.collect::<String>())
}

/// Fills in a valid example for each field that is not known yet.
fn exemplified(draft: &Draft) -> Draft {
    let mut whole = draft.clone().with_defaults();
    // Without a region, slots can only be compared with the region that their zones are in.
    let region = draft.slots.first().map(|slot| slot.zone.trim_end_matches(|c: char| c.is_ascii_lowercase()));
    let region = region.filter(|region| !region.is_empty()).unwrap_or("us-east-1").to_owned();
    let region = whole.texts.entry(Field::Region).or_insert(region).clone();
    for asked in asked(Kind::of(draft)) {
        if let Need::Required { example, .. } = asked.need {
            whole.texts.entry(asked.field).or_insert_with(|| example.to_owned());
        }
    }
    if whole.slots.is_empty() {
        whole.slots.push(Slot {
            name: "example".into(),
            zone: format!("{region}a"),
            subnet: "subnet-0".into(),
            address: needs_addresses(draft).then(|| "10.0.0.10".into()),
            cidr: None,
        });
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(draft: &Draft, given: Given) -> String {
        take(&mut draft.clone(), given).unwrap_err()
    }

    fn text(field: Field, text: &str) -> Given {
        Given::Text(field, text.to_owned())
    }

    #[test]
    fn each_thing_is_refused_in_the_words_of_validate() {
        let draft = Draft::default();
        assert_eq!(
            refused(&draft, text(Field::Region, "us-east-1a")),
            "`us-east-1a` is no region; `us-east-1a` is a zone; its region is `us-east-1`"
        );
        assert!(refused(&draft, text(Field::Name, "Consul")).starts_with("`Consul` is no cluster name; "));
        assert!(refused(&draft, text(Field::Image, "latest")).starts_with("`latest` is no image id; "));
        assert!(refused(&draft, text(Field::VolumeSize, "20GB")).ends_with("write `20GiB`"));
        let arn = "arn:aws:iam::123456789012:instance-profile/consul";
        assert!(refused(&draft, text(Field::InstanceProfile, arn)).ends_with("`consul`"));
        assert!(
            refused(&draft, Given::SecurityGroups(vec!["web".into()])).starts_with("`web` is no security group id")
        );
    }

    #[test]
    fn nothing_that_is_said_can_break_out_of_its_place() {
        let draft = Draft::default();
        for nasty in ["a\nb: c", "\"", "'", "x # y", "- x", "{", "&a", "*a", "!t", "\u{7}", "no", "012", "~", " "] {
            let mut taken = draft.clone();
            if take(&mut taken, text(Field::Datacenter, nasty)).is_err() {
                continue;
            }
            let loaded = check(Path::new("x.yaml"), &compose(&exemplified(&taken), Path::new("x.yaml")));
            let (_, spec) = loaded.specs().next().unwrap();
            assert_eq!(spec.application.consul().unwrap().datacenter, nasty);
        }
    }

    #[test]
    fn slots_are_held_against_the_region_if_it_is_known() {
        let slots = |zone: &str| {
            Given::Slots(vec![Slot {
                name: "a".into(),
                zone: zone.into(),
                subnet: "subnet-0aaa".into(),
                address: None,
                cidr: None,
            }])
        };
        let mut draft = Draft::default();
        take(&mut draft, slots("eu-west-1a")).unwrap();
        assert!(refused(&draft, text(Field::Region, "us-east-1")).starts_with("zone `eu-west-1a` is not in region"));
        take(&mut draft, text(Field::Region, "eu-west-1")).unwrap();
        assert!(refused(&draft, slots("eu-central-1a")).starts_with("zone `eu-central-1a` is not in region"));
    }
}
