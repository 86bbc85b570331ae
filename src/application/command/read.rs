//! From a program's answers to what the planner knows, decided on data alone. An answer that contradicts itself, the declared
//! slots or the rules is refused as a whole: nothing of it can be relied on.

use std::collections::BTreeSet;
use std::time::Duration;

use super::wire::{self, Distance};
use crate::ids::{MemberId, SlotName};
use crate::input::text;
use crate::observed::{Blocker, Health, Member, Membership, Pruning};
use crate::ports::Seat;
use crate::spec::words::Word;
use crate::spec::{Addresses, CommandRules, Lag, Leads, Needed};
use crate::time::Human;

/// The most characters of an id, a version or a name.
const LONGEST_NAME: usize = 256;
/// The most characters that are kept of a reason.
const LONGEST_REASON: usize = 1_000;
/// The most reasons to hold that are kept.
const MOST_BLOCKERS: usize = 20;

/// Says where a program's rules differ from those of the file, if they do, with both values.
pub(super) fn disagreement(stated: &CommandRules, described: &wire::Rules) -> Option<String> {
    let described = rules(described);
    let pairs = [
        ("needed", word(stated.needed), word(described.needed)),
        ("leader", word(stated.leader), word(described.leader)),
        ("addresses", word(stated.addresses), word(described.addresses)),
        ("lagLimit", stated.lag_limit.to_string(), described.lag_limit.to_string()),
        ("stabilization", Human(stated.stabilization).to_string(), Human(described.stabilization).to_string()),
        ("formsTogether", stated.forms_together.to_string(), described.forms_together.to_string()),
        ("prepares", stated.prepares.to_string(), described.prepares.to_string()),
    ];
    let differ = pairs.into_iter().filter(|(_, file, program)| file != program);
    let said: Vec<_> = differ
        .map(|(rule, file, program)| format!("`{rule}` is {file} in the file and {program} in the program"))
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Gives the word of a rule as it stands in a file.
fn word<T: Word + PartialEq>(value: T) -> String {
    T::WORDS.iter().find(|(_, other)| *other == value).map_or("", |(word, _)| *word).to_owned()
}

/// Reads the rules that a program describes.
pub(super) fn rules(described: &wire::Rules) -> CommandRules {
    CommandRules {
        needed: match described.needed {
            wire::Needed::Quorum => Needed::Quorum,
            wire::Needed::One => Needed::One,
            wire::Needed::AllButOne => Needed::AllButOne,
        },
        leader: match described.leader {
            wire::Leads::Last => Leads::Last,
            wire::Leads::First => Leads::First,
            wire::Leads::None => Leads::None,
        },
        addresses: match described.addresses {
            wire::Addresses::Fixed => Addresses::Fixed,
            wire::Addresses::Any => Addresses::Any,
        },
        lag_limit: lag(described.lag_limit),
        stabilization: Duration::from_secs(described.stabilization.into()),
        forms_together: described.forms_together,
        prepares: described.prepares,
    }
}

fn lag(distance: Distance) -> Lag {
    match distance {
        Distance::Entries(count) => Lag::Entries(count),
        Distance::Bytes(count) => Lag::Bytes(count),
        Distance::Seconds(count) => Lag::Age(Duration::from_secs(count.into())),
    }
}

/// Reads a membership, or says why the answer is refused.
pub fn membership(
    declared: &[SlotName],
    rules: &CommandRules,
    seats: &[Seat],
    said: wire::Members,
) -> Result<Membership, String> {
    if said.members.len() > super::MOST_MEMBERS {
        return Err(format!("it lists {} members, more than {}", said.members.len(), super::MOST_MEMBERS));
    }
    if said.members.is_empty() {
        return Err("it lists no member: end with 1 where none can be asked".to_owned());
    }
    let (mut ids, mut slots) = (BTreeSet::new(), BTreeSet::new());
    for member in &said.members {
        if !ids.insert(name("id", &member.id)?) {
            return Err(format!("it lists the member {} twice", text::clean(&member.id)));
        }
        let Some(slot) = &member.slot else { continue };
        if !slots.insert(slot) {
            return Err(format!("it gives the slot {} two members", text::cut(slot, LONGEST_NAME)));
        }
    }
    let leader = match (&said.leader, rules.leader) {
        (None, _) => None,
        (Some(_), Leads::None) => return Err("it names a leader, and by its rules nobody leads".to_owned()),
        (Some(leader), _) if !ids.contains(leader.as_str()) => {
            return Err(format!("{} leads, and is not listed", text::cut(leader, LONGEST_NAME)));
        }
        (Some(leader), _) => Some(MemberId::from(leader.as_str())),
    };
    let agreed_version = said.agreed_version.as_deref().map(|version| name("agreed version", version)).transpose()?;
    let mut blockers: Vec<Blocker> = said.blockers.iter().take(MOST_BLOCKERS).map(blocker).collect();
    if said.blockers.len() > MOST_BLOCKERS {
        let more = format!("{} more reasons are not shown", said.blockers.len() - MOST_BLOCKERS);
        blockers.push(Blocker { why: more, hint: "see to the others first".to_owned() });
    }
    let members = said.members.iter().map(|said| member(declared, rules, seats, said)).collect::<Result<_, _>>()?;
    Ok(Membership {
        members,
        leader,
        can_transfer: said.can_transfer && rules.leader == Leads::Last,
        heirs: None,
        pruning: Pruning::Never,
        agreed_version: agreed_version.map(str::to_owned),
        warnings: Vec::new(),
        blockers,
    })
}

/// Checks the length of a name.
fn name<'a>(what: &str, name: &'a str) -> Result<&'a str, String> {
    match name.chars().count() {
        1..=LONGEST_NAME => Ok(name),
        0 => Err(format!("it gives an empty {what}")),
        _ => Err(format!("the {what} that it gives has more than {LONGEST_NAME} characters")),
    }
}

fn blocker(said: &wire::Blocker) -> Blocker {
    Blocker { why: text::cut(&said.why, LONGEST_REASON), hint: text::cut(&said.hint, LONGEST_REASON) }
}

fn member(declared: &[SlotName], rules: &CommandRules, seats: &[Seat], said: &wire::Member) -> Result<Member, String> {
    let id = MemberId::from(said.id.as_str());
    let slot = match &said.slot {
        None => None,
        Some(slot) => {
            let declared = declared.iter().find(|declared| ***declared == **slot);
            let undeclared =
                || format!("it puts {id} in the slot {}, which is not declared", text::cut(slot, LONGEST_NAME));
            Some(declared.ok_or_else(undeclared)?.clone())
        }
    };
    let lag = said.lag.map(lag);
    if let Some(lag) = lag
        && std::mem::discriminant(&lag) != std::mem::discriminant(&rules.lag_limit)
    {
        return Err(format!("it says that {id} is {lag} behind, and by its rules the limit is {}", rules.lag_limit));
    }
    let version = said.version.as_deref().map(|version| name("version", version)).transpose()?;
    Ok(Member {
        health: health(seats, slot.as_ref(), said, &id)?,
        id,
        slot,
        address: said.address,
        counts: said.counts,
        stable_since: None,
        lag,
        version: version.map(str::to_owned),
    })
}

/// Reads a member's health. One that is said to be healthy at an address where no instance of its slot is was taken for another.
fn health(seats: &[Seat], slot: Option<&SlotName>, said: &wire::Member, id: &MemberId) -> Result<Health, String> {
    let why = said.why.as_deref().map(str::trim).filter(|why| !why.is_empty());
    let why = why.map(|why| text::cut(why, LONGEST_REASON));
    match (said.health, why) {
        (wire::Health::Healthy, _) => {
            let is_its = |seat: &Seat, at| Some(&seat.slot) == slot && seat.address == at;
            let elsewhere = said.address.filter(|at| slot.is_some() && !seats.iter().any(|seat| is_its(seat, *at)));
            Ok(elsewhere.map_or(Health::Healthy, |at| {
                Health::Unknown(format!("its peers have it at {at}, where no instance of its slot is"))
            }))
        }
        (wire::Health::Unhealthy, Some(why)) => Ok(Health::Unhealthy(why)),
        (wire::Health::Unknown, Some(why)) => Ok(Health::Unknown(why)),
        (wire::Health::Unhealthy | wire::Health::Unknown, None) => {
            Err(format!("it does not say why {id} is not healthy"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const RULES: CommandRules = CommandRules {
        needed: Needed::Quorum,
        leader: Leads::Last,
        addresses: Addresses::Any,
        lag_limit: Lag::Entries(100),
        stabilization: Duration::from_secs(20),
        forms_together: false,
        prepares: false,
    };

    fn read(rules: &CommandRules, members: Value, leader: Option<&str>) -> Result<Membership, String> {
        let said = json!({ "protocol": 1, "members": members, "leader": leader, "canTransfer": true });
        membership(&["a".into(), "b".into()], rules, &[], serde_json::from_value(said).unwrap())
    }

    fn member(id: &str, with: Value) -> Value {
        let mut member = json!({ "id": id, "counts": true, "health": "healthy" });
        member.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        member
    }

    #[test]
    fn a_member_without_a_slot_is_a_stranger_and_one_without_an_address_is_kept() {
        let membership =
            read(&RULES, json!([member("1", json!({})), member("2", json!({ "slot": "a" }))]), None).unwrap();
        let slots: Vec<_> = membership.members.iter().map(|member| member.slot.as_deref()).collect();
        assert_eq!(slots, [None, Some("a")]);
        assert!(membership.members.iter().all(|member| member.address.is_none() && member.lag.is_none()));
    }

    #[test]
    fn an_answer_that_cannot_be_true_is_refused_as_a_whole() {
        let leaderless = CommandRules { leader: Leads::None, ..RULES };
        let one = || json!([member("1", json!({}))]);
        let many: Vec<_> =
            (0..=crate::application::command::MOST_MEMBERS).map(|id| member(&id.to_string(), json!({}))).collect();
        for (rules, members, leader, why) in [
            (&RULES, json!([]), None, "it lists no member"),
            (&RULES, json!(many), None, "it lists 101 members, more than 100"),
            (&RULES, json!([member("", json!({}))]), None, "it gives an empty id"),
            (&RULES, json!([member(&"x".repeat(257), json!({}))]), None, "more than 256 characters"),
            (&RULES, one(), Some("2"), "2 leads, and is not listed"),
            (&leaderless, one(), Some("1"), "by its rules nobody leads"),
            (&RULES, json!([member("1", json!({ "version": "" }))]), None, "it gives an empty version"),
            (
                &RULES,
                json!([member("1", json!({ "lag": { "seconds": 1 } }))]),
                None,
                "by its rules the limit is 100 entries",
            ),
        ] {
            let refused = read(rules, members, leader).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn leadership_is_never_moved_where_the_leader_does_not_go_last() {
        for (leads, moves) in [(Leads::Last, true), (Leads::First, false)] {
            let rules = CommandRules { leader: leads, ..RULES };
            let membership = read(&rules, json!([member("1", json!({}))]), Some("1")).unwrap();
            assert_eq!(membership.can_transfer, moves, "{leads:?}");
        }
    }
}
