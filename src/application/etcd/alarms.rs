//! Alarms: a member that has no space left stops all writes, and one with other data than the rest stops itself.
//!
//! Each member says in its status which alarms are raised, so nothing is written in order to ask: `etcdctl alarm list` goes
//! through the log.

use std::collections::BTreeSet;

use super::read::{Answers, id};
use crate::input::text;
use crate::observed::Blocker;

/// The error of a member that sees no leader, which is told of in another way.
const NO_LEADER: &str = "etcdserver: no leader";
/// The most characters that are shown of an error of another form.
const LONGEST: usize = 100;

/// Lists the reasons why no member may be replaced. An error of a form that is not known here is one too.
pub(super) fn blockers(answers: &Answers) -> Vec<Blocker> {
    let errors = answers.statuses.iter().flat_map(|(_, status)| &status.errors);
    let errors: BTreeSet<&str> = errors.map(|error| error.trim()).filter(|error| *error != NO_LEADER).collect();
    errors.into_iter().map(|error| blocker(answers, error)).collect()
}

/// Words an alarm, e.g. `memberID:10501334649042878790 alarm:NOSPACE`. A member with the number 0 is left out of it.
fn blocker(answers: &Answers, error: &str) -> Blocker {
    let part = |name: &str| error.split_whitespace().find_map(|part| part.strip_prefix(name));
    let Some(alarm) = part("alarm:") else {
        let why = format!("a member reports `{}`", text::cut(error, LONGEST));
        return Blocker { why, hint: "repair that first: `etcdctl endpoint status` shows who reports it".to_owned() };
    };
    let number = part("memberID:").and_then(|number| number.parse::<u64>().ok());
    let name = number.map(|number| {
        let listed = answers.members.iter().find(|listed| listed.id == number).map(|listed| listed.name.clone());
        listed.unwrap_or_else(|| id(number).to_string())
    });
    let of = name.map_or_else(String::new, |name| format!(" of {}", text::cut(&name, LONGEST)));
    let hint = match alarm {
        "NOSPACE" => {
            "nothing can be written: compact, defragment, raise `--quota-backend-bytes` if need be, and then `etcdctl alarm disarm`"
        }
        "CORRUPT" => {
            "a moved volume would bring the damage along: remove that member, add it again with an empty data directory, and then `etcdctl alarm disarm`"
        }
        _ => "see to its cause, and then `etcdctl alarm disarm`",
    };
    Blocker { why: format!("the alarm {}{of} is raised", text::cut(alarm, LONGEST)), hint: hint.to_owned() }
}
