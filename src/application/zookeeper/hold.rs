//! The reasons of ZooKeeper's own why no server may be replaced now.

use super::read::Answers;
use crate::observed::{Blocker, Member};

/// The number of waiting requests at which a server turns clients away (`zookeeper.globalOutstandingLimit`, by default).
const MOST_WAITING: u64 = 1_000;

/// Lists them.
pub(super) fn blockers(answers: &Answers, members: &[Member]) -> Vec<Blocker> {
    let said = answers.all.iter().filter_map(|(at, answer)| Some((at, answer.monitor.as_ref()?)));
    let mut blockers: Vec<_> = members.iter().filter_map(without_a_vote).collect();
    for (at, monitor) in said {
        if monitor.digest_mismatches_count > 0 {
            blockers.push(Blocker {
                why: format!("the server at {at} has found its data to be others than the leader's"),
                hint: "a moved volume would bring the damage along: stop that server, empty its `version-2` folders, and start it, so that it is sent everything anew".to_owned(),
            });
        }
        if monitor.outstanding_requests >= MOST_WAITING {
            blockers.push(Blocker {
                why: format!("{} requests wait at the server at {at}, which turns clients away", monitor.outstanding_requests),
                hint: "wait until it has dealt with them, or see to its disk and its clients: the others would have to take its share".to_owned(),
            });
        }
    }
    blockers
}

/// Names a server in a declared slot that has no vote. None is given one by itself, so the proof of its return, which asks for a vote,
/// would never come, and a good image would be taken back.
fn without_a_vote(member: &Member) -> Option<Blocker> {
    let slot = member.slot.as_ref().filter(|_| !member.counts)?;
    Some(Blocker {
        why: format!(
            "the server of {slot} is an observer, or was taken out of the ensemble: it has no vote, and gets none by itself"
        ),
        hint: "make it a voter, in the servers' files or by `reconfig`, or declare the slots of voters alone"
            .to_owned(),
    })
}
