//! The checks of what the controller is allowed to do.

use std::collections::BTreeMap;

use super::checks::Check;
use crate::cloud::permissions::{Allowed, Asked};

/// Reports the granted permissions in one check, each missing one in a check of its own, and those of which nobody can say
/// by the reason.
pub fn permissions(asked: &[Asked]) -> Vec<Check> {
    let allowed = asked.iter().filter(|asked| asked.answer == Allowed::Yes).count();
    let others = asked.iter().filter_map(|Asked { action, why, answer }| match answer {
        Allowed::Yes | Allowed::CannotBeAsked(_) | Allowed::Unknown(_) => None,
        Allowed::No(said) => {
            let hint = format!("allow `{action}`, to {why}; `hermitcrab iam-policy` prints the whole policy");
            Some(Check::bad(*action, said, hint))
        }
    });
    let summary = (allowed > 0).then(|| Check::good("permissions", format!("{allowed} of {} allowed", asked.len())));
    summary.into_iter().chain(others).chain(undecided(asked)).chain(not_asked(asked)).collect()
}

/// Reports the permissions that nobody decided on: those for the same reason together.
fn undecided(asked: &[Asked]) -> Vec<Check> {
    let mut by_reason = Vec::<(&str, Vec<&str>)>::new();
    for Asked { action, answer, .. } in asked {
        let Allowed::Unknown(why) = answer else { continue };
        match by_reason.iter_mut().find(|(known, _)| known == why) {
            Some((_, actions)) => actions.push(action),
            None => by_reason.push((why, vec![action])),
        }
    }
    let check = |(why, actions): (&str, Vec<&str>)| match actions.as_slice() {
        [one] => Check::unknown(*one, why, "ask again once EC2 answers"),
        several => {
            let found = format!("{} of {} could not be asked about: {why}", several.len(), asked.len());
            Check::unknown("permissions", found, "mend that first, and ask again")
        }
    };
    by_reason.into_iter().map(check).collect()
}

fn not_asked(asked: &[Asked]) -> Vec<Check> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for asked in asked {
        if let Allowed::CannotBeAsked(why) = asked.answer {
            *reasons.entry(why).or_default() += 1;
        }
    }
    reasons
        .into_iter()
        .map(|(why, count)| Check::open("permissions", format!("{count} not asked about: {why}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::checks::Verdict;

    #[test]
    fn what_is_not_allowed_is_named_with_what_it_is_for() {
        let asked = |action, answer| Asked { action, why: "take a member down", answer };
        let checks = permissions(&[
            asked("ec2:DescribeInstances", Allowed::Yes),
            asked("ec2:StopInstances", Allowed::No("UnauthorizedOperation".to_owned())),
            asked("ec2:StartInstances", Allowed::Unknown("no answer".to_owned())),
            asked("ec2:AttachVolume", Allowed::CannotBeAsked("nothing is there yet")),
            asked("ec2:DetachVolume", Allowed::CannotBeAsked("nothing is there yet")),
        ]);
        let told: Vec<_> = checks.iter().map(|check| (check.what.as_str(), check.verdict)).collect();
        let expected = [
            ("permissions", Verdict::Good),
            ("ec2:StopInstances", Verdict::Bad),
            ("ec2:StartInstances", Verdict::Unknown),
            ("permissions", Verdict::Open),
        ];
        assert_eq!(told, expected);
        assert_eq!(checks[0].found, "1 of 5 allowed");
        assert_eq!(checks[3].found, "2 not asked about: nothing is there yet");
        assert!(checks[1].hint.as_ref().unwrap().contains("take a member down"));
    }

    #[test]
    fn what_keeps_every_permission_from_being_asked_about_is_said_once() {
        let asked = |action| Asked { action, why: "look", answer: Allowed::Unknown("no-credentials: none".to_owned()) };
        let checks = permissions(&[asked("ec2:DescribeInstances"), asked("ec2:DescribeVolumes")]);
        let told: Vec<_> = checks.iter().map(|check| (check.what.as_str(), check.found.as_str())).collect();
        assert_eq!(told, [("permissions", "2 of 2 could not be asked about: no-credentials: none")]);
    }
}
