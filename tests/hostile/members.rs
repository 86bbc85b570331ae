//! The property of what members say, asked over HTTP as in a real look: of recordings as `tests/applications/etcd`, `tests/applications/patroni` and
//! `tests/applications/zookeeper` have them, whatever has become of them.

use hermitcrab::observed::Health;
use hermitcrab::ports::chain;

#[path = "../applications/kinds.rs"]
mod kinds;
#[path = "../applications/phases.rs"]
#[allow(dead_code)] // of members, only the membership is asked here
mod phases;
#[path = "../tools/server.rs"]
mod server;

use super::properties::{seen_of, steers};

/// The most members that one answer may make, and the longest reason why there is none, in characters.
const MOST_MEMBERS: usize = 100;
const LONGEST_REASON: usize = 4_000;

/// Answers of members make a membership that agrees with itself, the same each time and none that the planner has no answer to,
/// or are refused in a few words. Nobody is asked who is no member.
pub fn members(bytes: &[u8]) {
    let Ok(file) = serde_json::from_slice(bytes) else { return };
    let Some(servers) = phases::servers(&file).filter(|servers| (1..=9).contains(&servers.len())) else { return };
    if !servers.keys().all(|at| at.is_ipv4() && at.is_loopback()) {
        return;
    }
    let calls = || servers.values().flat_map(|answers| answers.keys());
    let speaks = |path: &str| calls().any(|call| call.contains(path));
    phases::block_on(async {
        let running = if speaks("/v3/") {
            kinds::etcd(&servers).await
        } else if speaks("/commands/") {
            kinds::zookeeper(&servers).await
        } else {
            kinds::patroni(&servers).await
        };
        let made = running.membership().await;
        let again = running.membership().await;
        match (&made, &again) {
            (Ok(made), Ok(again)) => assert_eq!(made, again, "equal answers, another membership"),
            (Err(one), Err(other)) => assert_eq!(one.kind, other.kind),
            _ => panic!("once {made:?}, and once {again:?}"),
        }
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                let said = chain(&error);
                assert!(said.chars().count() <= LONGEST_REASON && !steers(&said), "{said:?}");
                return;
            }
        };
        assert!(made.members.len() <= MOST_MEMBERS, "{} members", made.members.len());
        match &made.leader {
            Some(leader) => {
                assert!(made.members.iter().any(|one| one.id == *leader), "{leader} leads, and is no member")
            }
            None => assert!(made.members.iter().all(|one| one.health != Health::Healthy), "healthy, and nobody leads"),
        }
        seen_of(made);
    });
}
