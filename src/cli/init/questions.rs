//! The questions to a person, in their order; a terminal or a test puts them.

use super::draft::{Asked, Draft, FIRST, Field, Given, Need, Slot, asked};
use super::kind::{Kind, needs_addresses};
use super::objection::take;
use crate::cli::Failure;

/// One question.
#[derive(Debug)]
pub struct Question {
    /// The question's text.
    pub text: String,
    /// The answer of somebody who only presses Enter; empty for a field that may be left out.
    pub default: Option<String>,
}

/// A check of an answer, which says what is wrong with it.
pub type Check<'c> = &'c dyn Fn(&str) -> Result<(), String>;

/// A way to put questions. A question is put again until its answer passes the check.
pub trait Ask {
    /// Puts one question.
    fn ask(&mut self, question: &Question, check: Check<'_>) -> Result<String, Failure>;
}

/// Asks for every field that the draft lacks. The kind comes first, because it says which fields there are.
pub fn ask(draft: &mut Draft, asker: &mut dyn Ask) -> Result<(), Failure> {
    if !draft.has(Field::Kind) {
        text(draft, asker, &FIRST[0])?;
    }
    for asked in asked(Kind::of(draft)) {
        if !draft.has(asked.field) {
            text(draft, asker, asked)?;
        }
    }
    if !draft.has(Field::SecurityGroups) {
        let text = "Which security groups? (sg-…, separated by commas; optional)".to_owned();
        one(draft, asker, &Question { text, default: Some(String::new()) }, true, security_groups)?;
    }
    if !draft.has(Field::Slots) { slots(draft, asker) } else { Ok(()) }
}

/// Asks for one field with one text for a value.
fn text(draft: &mut Draft, asker: &mut dyn Ask, asked: &Asked) -> Result<(), Failure> {
    let default = match asked.need {
        Need::Required { .. } => None,
        Need::Default(text) => Some(text.to_owned()),
        Need::Optional => Some(String::new()),
    };
    let question = Question { text: asked.question.to_owned(), default };
    one(draft, asker, &question, asked.need == Need::Optional, |answer| Given::Text(asked.field, answer.to_owned()))
}

/// Puts one question, and adds its answer to the draft.
fn one(
    draft: &mut Draft,
    asker: &mut dyn Ask,
    question: &Question,
    optional: bool,
    given: impl Fn(&str) -> Given,
) -> Result<(), Failure> {
    let left_out = |answer: &str| optional && answer.trim().is_empty();
    let answer = asker.ask(question, &|answer| {
        if left_out(answer) { Ok(()) } else { take(&mut draft.clone(), given(answer.trim())) }
    })?;
    if left_out(&answer) { Ok(()) } else { take(draft, given(answer.trim())).map_err(Failure::new) }
}

fn security_groups(answer: &str) -> Given {
    Given::SecurityGroups(answer.split([',', ' ']).filter(|group| !group.is_empty()).map(str::to_owned).collect())
}

/// Asks for the slots, one after the other. Each answer is checked against the earlier ones.
fn slots(draft: &mut Draft, asker: &mut dyn Ask) -> Result<(), Failure> {
    let count = Question {
        text: "How many slots does it have, one a member? (1 to 9; an odd number is best)".to_owned(),
        default: Some("3".to_owned()),
    };
    let number = |answer: &str| answer.trim().parse::<usize>().ok().filter(|count| (1..=9).contains(count));
    let right = |answer: &str| number(answer).map(drop).ok_or_else(|| format!("`{answer}` is no number from 1 to 9"));
    let count = number(&asker.ask(&count, &right)?).unwrap_or_default();
    (0..count).try_for_each(|at| slot(draft, asker, at, count))
}

/// Asks for one slot: its name, zone and subnet, and its address where members need one.
fn slot(draft: &mut Draft, asker: &mut dyn Ask, at: usize, count: usize) -> Result<(), Failure> {
    let (letter, zone) = (char::from(b'a' + at as u8), char::from(b'a' + (at % 3) as u8));
    let has_address = needs_addresses(draft);
    let mut slot = Slot {
        name: format!("{}-{letter}", draft.text(Field::Name).unwrap_or_default()),
        zone: format!("{}{zone}", draft.text(Field::Region).unwrap_or_default()),
        subnet: format!("subnet-example-{letter}"),
        address: has_address.then(|| format!("10.0.{}.10", at + 1)),
        cidr: None,
    };
    let mut part = |text: &str, default: bool, part: fn(&mut Slot) -> &mut String| {
        let default = default.then(|| part(&mut slot).clone());
        let with = |answer: &str| {
            let mut slot = slot.clone();
            answer.trim().clone_into(part(&mut slot));
            Given::Slots(draft.slots.iter().cloned().chain([slot]).collect())
        };
        let question = Question { text: format!("Slot {} of {count}: {text}", at + 1), default };
        let answer = asker.ask(&question, &|answer| take(&mut draft.clone(), with(answer)))?;
        answer.trim().clone_into(part(&mut slot));
        Ok::<_, Failure>(())
    };
    part(&format!("its name, which is {}", Kind::of(draft).slot_name()), true, |slot| &mut slot.name)?;
    part("its availability zone", true, |slot| &mut slot.zone)?;
    part("its subnet, in that zone (subnet-…)", false, |slot| &mut slot.subnet)?;
    if has_address {
        let text = "its address, in that subnet, which moves with the volumes (e.g. 10.0.1.10)";
        part(text, false, |slot| slot.address.get_or_insert_default())?;
    }
    let slots = draft.slots.iter().cloned().chain([slot]).collect();
    take(draft, Given::Slots(slots)).map_err(Failure::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers in a fixed order; a refused answer is followed by the next one.
    struct Scripted {
        answers: Vec<&'static str>,
        asked: Vec<String>,
        refused: Vec<String>,
    }

    impl Ask for Scripted {
        fn ask(&mut self, question: &Question, check: Check<'_>) -> Result<String, Failure> {
            self.asked.push(question.text.clone());
            loop {
                let answer = match (self.answers.remove(0), &question.default) {
                    ("", Some(default)) => default.clone(),
                    (answer, _) => answer.to_owned(),
                };
                match check(&answer) {
                    Ok(()) => return Ok(answer),
                    Err(why) => self.refused.push(why),
                }
            }
        }
    }

    fn asked(draft: &mut Draft, answers: &[&'static str]) -> Scripted {
        let mut scripted = Scripted { answers: answers.to_vec(), asked: vec![], refused: vec![] };
        ask(draft, &mut scripted).unwrap();
        assert!(scripted.answers.is_empty(), "not asked for: {:?}", scripted.answers);
        scripted
    }

    #[test]
    fn everything_is_asked_and_what_is_wrong_is_asked_again() {
        let mut draft = Draft::default();
        let answers = [
            &[
                "redis",
                "",
                "Consul!",
                "consul",
                "us-east-1",
                "12",
                "",
                "latest",
                "ami-0aaaaaaaaaaaaaaaa",
                "",
                "v1",
                "1.20.1",
                "",
                "",
            ],
            &["20", "", "web", "sg-0aa, sg-0bb", "ten", "2", "", "", "subnet-0a", "consul-a", "", "", "subnet-0a"][..],
            &["subnet-0b"],
        ]
        .concat();
        let scripted = asked(&mut draft, &answers);
        let refused: Vec<_> = scripted.refused.iter().map(|why| why.split(';').next().unwrap()).collect();
        assert_eq!(
            refused,
            [
                "`redis` is no kind of application",
                "`Consul!` is no cluster name",
                "`12` is no account id",
                "`latest` is no image id",
                "`v1` is no version",
                "`20` is no size",
                "`web` is no security group id",
                "`ten` is no number from 1 to 9",
                "two slots with the name `consul-a`",
                "subnet `subnet-0a` cannot lie in two zones",
            ]
        );
        assert_eq!(draft.security_groups, ["sg-0aa", "sg-0bb"]);
        assert!(!draft.has(Field::Account));
        let slot = |name: &str, zone: &str, subnet: &str| Slot {
            name: name.into(),
            zone: zone.into(),
            subnet: subnet.into(),
            address: None,
            cidr: None,
        };
        assert_eq!(
            draft.slots,
            [slot("consul-a", "us-east-1a", "subnet-0a"), slot("consul-b", "us-east-1b", "subnet-0b")]
        );
    }

    #[test]
    fn what_is_known_is_not_asked() {
        let mut draft = Draft::default();
        take(&mut draft, Given::Text(Field::Kind, "consul".into())).unwrap();
        take(&mut draft, Given::Text(Field::Name, "consul".into())).unwrap();
        take(&mut draft, Given::Text(Field::Region, "us-east-1".into())).unwrap();
        take(&mut draft, Given::SecurityGroups(vec!["sg-0aa".into()])).unwrap();
        let slot =
            Slot { name: "a".into(), zone: "us-east-1a".into(), subnet: "subnet-0a".into(), address: None, cidr: None };
        take(&mut draft, Given::Slots(vec![slot])).unwrap();
        let scripted = asked(&mut draft, &["", "ami-0aaaaaaaaaaaaaaaa", "", "", "", "", ""]);
        assert_eq!(scripted.asked.len(), 7, "{:?}", scripted.asked);
    }

    /// Each kind has questions of its own, and members that need addresses are asked for theirs.
    #[test]
    fn a_kind_asks_for_what_it_has() {
        let place = ["one", "us-east-1", "", "ami-0aaaaaaaaaaaaaaaa"];
        let (slot, rest) = (["1", "", "", "subnet-0a"], ["", "", "", ""]);
        for (kind, own, address) in [
            ("etcd", &["3.5", "3.5.16"][..], &["10.0.1", "10.0.1.10"][..]),
            ("patroni", &["main", "15", "15.18"], &[]),
            ("zookeeper", &["3.8", "3.8.4"], &["10.0.1.10"]),
            ("command", &["adapters/x", "most", "one", "last", "fixed", ""], &["10.0.1.10"]),
            ("command", &["adapters/x", "one", "none", "any", "1.2.3"], &[]),
        ] {
            let answers = [&[kind][..], &place, own, &rest, &slot, address].concat();
            let mut draft = Draft::default();
            asked(&mut draft, &answers);
            assert_eq!(draft.slots[0].address.is_some(), !address.is_empty(), "{kind}");
            assert!(!draft.has(Field::Datacenter), "{kind}");
        }
    }
}
