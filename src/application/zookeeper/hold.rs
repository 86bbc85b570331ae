//! The reasons of ZooKeeper's own why no server may be replaced now.

use super::read::Answers;
use crate::observed::Blocker;

/// The number of waiting requests at which a server turns clients away (`zookeeper.globalOutstandingLimit`, by default).
const MOST_WAITING: u64 = 1_000;

/// Lists them.
pub(super) fn blockers(answers: &Answers) -> Vec<Blocker> {
    let said = answers.all.iter().filter_map(|(at, answer)| Some((at, answer.monitor.as_ref()?)));
    let mut blockers = Vec::new();
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
