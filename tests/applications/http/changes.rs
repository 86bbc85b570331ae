//! How servers are asked for a change: of their leader, and of how far they prune.

use hermitcrab::action::MemberEffect;
use hermitcrab::ids::MemberId;
use hermitcrab::ports::{ErrorKind, Outcome};
use serde_json::{Value, json};

use super::{Cluster, address, block_on, calm, fails};

const AUTOPILOT: &str = "/v1/operator/autopilot/configuration";

fn transfer(from: u8, to: u8) -> MemberEffect {
    let id = |nth: u8| {
        let (first, middle) = (nth.to_string().repeat(8), ["aaaa-4aaa-8aaa", "bbbb-4bbb-8bbb", "cccc-4ccc-8ccc"]);
        MemberId::from(format!("{first}-{}-00000000000{nth}", middle[usize::from(nth) - 1]))
    };
    MemberEffect::TransferLeadership { from: id(from), to: id(to) }
}

const TRANSFER: &str = "POST /v1/operator/raft/transfer-leader";

#[test]
fn leadership_is_moved_by_asking_the_leader() {
    block_on(async {
        let mut recorded = calm();
        recorded.script.insert(TRANSFER.to_owned(), (200, json!({ "Success": true })));
        let (port, asked) = recorded.serve().await;
        assert_eq!(Cluster::at(port).change(&transfer(3, 1)).await.unwrap(), Outcome::Done);
        let asked = asked.lock().unwrap();
        let sent: Vec<_> = asked.iter().filter(|(_, call, _, _)| call.starts_with("POST")).collect();
        assert_eq!((sent.len(), sent[0].0), (1, address(3)));
        assert_eq!(sent[0].1, format!("{TRANSFER}?id=11111111-aaaa-4aaa-8aaa-000000000001"));
    });
}

#[test]
fn leadership_that_has_moved_meanwhile_is_left_where_it_is() {
    block_on(async {
        let (port, asked) = calm().serve().await;
        let cluster = Cluster::at(port);
        assert_eq!(cluster.change(&transfer(1, 3)).await.unwrap(), Outcome::AlreadySo);
        let outcome = cluster.change(&transfer(1, 2)).await.unwrap();
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        assert!(!asked.lock().unwrap().iter().any(|(_, call, _, _)| call.starts_with("POST")));
    });
}

#[test]
fn servers_that_do_not_offer_to_move_leadership_are_not_asked_again() {
    block_on(async {
        let (port, _) = calm().serve().await;
        let cluster = Cluster::at(port);
        assert!(cluster.ask().await.unwrap().can_transfer);
        let outcome = cluster.change(&transfer(3, 1)).await.unwrap();
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        assert!(!cluster.ask().await.unwrap().can_transfer);
    });
}

#[test]
fn pruning_is_set_without_touching_anything_else() {
    block_on(async {
        let mut recorded = calm();
        recorded.body(AUTOPILOT)["FromTheFuture"] = json!({ "kept": [1, null] });
        let mut wanted = recorded.body(AUTOPILOT).clone();
        wanted["MinQuorum"] = json!(5);
        let index = wanted["ModifyIndex"].clone();
        recorded.script.insert(format!("PUT {AUTOPILOT}"), (200, json!(true)));
        let (port, asked) = recorded.serve().await;
        let outcome = Cluster::at(port).change(&MemberEffect::SetPruning { down_to: 5 }).await.unwrap();
        assert_eq!(outcome, Outcome::Done);
        let asked = asked.lock().unwrap();
        let (_, call, _, body) = asked.iter().find(|(_, call, _, _)| call.starts_with("PUT")).unwrap();
        assert_eq!(*call, format!("PUT {AUTOPILOT}?cas={index}"));
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), wanted);
    });
}

#[test]
fn pruning_that_somebody_else_sets_at_the_same_time_is_looked_at_again() {
    block_on(async {
        let mut recorded = calm();
        recorded.script.insert(format!("PUT {AUTOPILOT}"), (200, json!(false)));
        let (port, asked) = recorded.serve().await;
        let outcome = Cluster::at(port).change(&MemberEffect::SetPruning { down_to: 5 }).await.unwrap();
        assert!(matches!(outcome, Outcome::Changed { .. }), "{outcome:?}");
        let outcome = Cluster::at(port).change(&MemberEffect::SetPruning { down_to: 3 }).await.unwrap();
        assert_eq!(outcome, Outcome::AlreadySo);
        assert_eq!(asked.lock().unwrap().iter().filter(|(_, call, _, _)| call.starts_with("PUT")).count(), 1);
    });
}

#[test]
fn a_token_that_may_only_look_is_told_what_a_change_takes() {
    block_on(async {
        let mut recorded = calm();
        recorded.script.insert(format!("PUT {AUTOPILOT}"), (403, json!("Permission denied")));
        recorded.script.insert(TRANSFER.to_owned(), (403, json!("Permission denied")));
        let (port, _) = recorded.serve().await;
        for effect in [MemberEffect::SetPruning { down_to: 5 }, transfer(3, 1)] {
            let error = Cluster::at(port).change(&effect).await.unwrap_err();
            fails(error, ErrorKind::Denied, &["operator = \"write\""]);
        }
    });
}
