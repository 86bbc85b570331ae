//! The readings of answers of real Consul servers, as they were recorded in each phase of a roll (`tests/applications/consul`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::future::Future;
use std::path::Path;

use expect_test::{Expect, expect, expect_file};
use hermitcrab::application::Applications;
use hermitcrab::ids::InstanceId;
use hermitcrab::observed::{Health, Membership};
use hermitcrab::ports::{ErrorKind, Members, PortError, Seat, chain};
use hermitcrab::spec::{ClusterSpec, ConsulSpec, HttpSpec, Scheme};
use serde_json::json;

use crate::member::line;
use crate::recorded::Recorded;

const HEALTH: &str = "/v1/operator/autopilot/health";
const RAFT: &str = "/v1/operator/raft/configuration";
const MEMBERS: &str = "/v1/agent/members";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Three slots, `consul-a` to `consul-c`, of servers that speak plain HTTP.
fn spec(port: u16) -> ClusterSpec {
    let loaded = hermitcrab::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
    let mut spec = loaded.specs().next().unwrap().1.clone();
    let consul = spec.application.consul_mut().unwrap();
    *consul = ConsulSpec { token_file: None, ..consul.clone() };
    consul.http = HttpSpec { port, scheme: Scheme::Http, ca_file: None, ..consul.http.clone() };
    spec
}

fn seats(recorded: &Recorded, spec: &ClusterSpec) -> Vec<Seat> {
    let seat = |(nth, address): (usize, &std::net::IpAddr)| Seat {
        slot: spec.slots[nth % spec.slots.len()].name.clone(),
        instance: InstanceId::from(format!("i-{nth}")),
        address: *address,
    };
    recorded.leaders.keys().enumerate().map(seat).collect()
}

fn ask(recorded: &Recorded) -> Result<Membership, PortError> {
    block_on(async {
        let (port, _) = recorded.serve().await;
        let spec = spec(port);
        Applications::default().membership(&spec, &seats(recorded, &spec)).await
    })
}

/// Tells a membership as a person reads it: one line a member, with the first digits of its id.
fn told(membership: &Membership) -> String {
    let leader = membership.leader.as_ref().map_or("nobody", |leader| &leader[..8]);
    let transfer = if membership.can_transfer { "can move" } else { "cannot move" };
    let mut text = format!("{leader} leads, {transfer}; pruning {:?}\n", membership.pruning);
    for member in &membership.members {
        writeln!(text, "{}", line(member, 8)).unwrap();
    }
    text
}

#[track_caller]
fn comes_to(recorded: &Recorded, expected: Expect) {
    expected.assert_eq(&told(&ask(recorded).map_err(|error| chain(&error)).unwrap()));
}

/// Each recording `tests/applications/consul/<phase>.json` comes to what `tests/applications/membership/<phase>.txt` says.
#[test]
fn every_recorded_phase_comes_to_its_membership() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/applications");
    let mut phases = BTreeSet::new();
    for entry in fs::read_dir(folder.join("consul")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            phases.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(phases.len() > 20, "{phases:?}");
    for phase in phases {
        let said = match ask(&Recorded::phase(&phase)) {
            Ok(membership) => told(&membership),
            Err(error) => format!("{}: {}\n", error.kind, chain(&error)),
        };
        let file = fs::read_to_string(folder.join(format!("consul/{phase}.json"))).unwrap();
        let file: serde_json::Value = serde_json::from_str(&file).unwrap();
        let text = format!("# {}\n{said}", file["story"].as_str().unwrap());
        expect_file![folder.join(format!("membership/{phase}.txt"))].assert_eq(&text);
    }
}

/// The servers in calm, of which some see others lead. `""` is nobody, and one that is not named does not answer.
fn calm_seen(views: [(u8, &str); 2], agree: &[u8]) -> Recorded {
    let mut steady = Recorded::phase("steady");
    let address = |nth: u8| std::net::IpAddr::from([127, 77, 0, nth]);
    let agree = agree.iter().map(|nth| (*nth, "127.77.0.3:8300"));
    steady.leaders = views.into_iter().chain(agree).map(|(nth, view)| (address(nth), view.to_owned())).collect();
    steady
}

#[test]
fn servers_that_see_different_leaders_have_none() {
    let split = calm_seen([(1, "127.77.0.1:8300"), (2, "")], &[3]);
    comes_to(
        &split,
        expect![[r#"
        nobody leads, cannot move; pruning DownTo(0)
        consul-a 11111111 127.77.0.1 voter -? entries 1.8.7 unknown: 127.77.0.1 sees 127.77.0.1:8300 lead, others 127.77.0.3:8300
        consul-b 22222222 127.77.0.2 voter -? entries 1.8.7 unknown: 127.77.0.1 sees 127.77.0.1:8300 lead, others 127.77.0.3:8300
        consul-c 33333333 127.77.0.3 voter -? entries 1.8.7 unknown: 127.77.0.1 sees 127.77.0.1:8300 lead, others 127.77.0.3:8300
    "#]],
    );
}

#[test]
fn a_quorum_outvotes_a_server_that_sees_itself_lead_and_does_not_vouch_for_it() {
    let cut_off = calm_seen([(1, "127.77.0.1:8300"), (9, "127.77.0.9:8300")], &[2, 3]);
    comes_to(
        &cut_off,
        expect![[r#"
        33333333 leads, cannot move; pruning DownTo(0)
        consul-a 11111111 127.77.0.1 voter -0 entries 1.8.7 unknown: it sees 127.77.0.1:8300 lead
        consul-b 22222222 127.77.0.2 voter -0 entries 1.8.7 healthy
        consul-c 33333333 127.77.0.3 voter -0 entries 1.8.7 healthy
    "#]],
    );
}

#[test]
fn a_server_that_sees_no_leader_contradicts_nobody_and_is_not_vouched_for() {
    comes_to(
        &calm_seen([(1, ""), (9, "")], &[2, 3]),
        expect![[r#"
        33333333 leads, cannot move; pruning DownTo(0)
        consul-a 11111111 127.77.0.1 voter -0 entries 1.8.7 unknown: it sees no leader
        consul-b 22222222 127.77.0.2 voter -0 entries 1.8.7 healthy
        consul-c 33333333 127.77.0.3 voter -0 entries 1.8.7 healthy
    "#]],
    );
}

#[test]
fn one_server_alone_is_not_believed_about_the_leader_of_three() {
    let mut steady = Recorded::phase("steady");
    steady.leaders = BTreeMap::from_iter(steady.leaders.into_iter().take(1));
    comes_to(
        &steady,
        expect![[r#"
        nobody leads, cannot move; pruning DownTo(0)
        consul-a 11111111 127.77.0.1 voter -? entries 1.8.7 unknown: fewer than two servers could be asked whether 127.77.0.3:8300 leads
        consul-b 22222222 127.77.0.2 voter -? entries 1.8.7 unknown: fewer than two servers could be asked whether 127.77.0.3:8300 leads
        consul-c 33333333 127.77.0.3 voter -? entries 1.8.7 unknown: fewer than two servers could be asked whether 127.77.0.3:8300 leads
    "#]],
    );
}

#[test]
fn autopilot_and_raft_that_name_different_leaders_have_none() {
    let mut steady = Recorded::phase("steady");
    for server in steady.body(HEALTH)["Servers"].as_array_mut().unwrap() {
        server["Leader"] = json!(server["Name"] == "consul-a");
    }
    let membership = ask(&steady).unwrap();
    assert_eq!(membership.leader, None);
    assert!(membership.members.iter().all(|member| matches!(&member.health, Health::Unknown(_))));
}

/// Changes what gossip says of `consul-a` in calm, and gives that member's health.
fn health_of_a(path: &str, field: &str, value: serde_json::Value) -> Health {
    let mut steady = Recorded::phase("steady");
    let body = steady.body(path);
    let list = if body.is_array() { body } else { &mut body["Servers"] };
    let is_a = |entry: &&mut serde_json::Value| {
        entry["Name"] == "consul-a" || entry["Node"] == "consul-a" || entry["ID"].to_string().starts_with("\"1111")
    };
    list.as_array_mut().unwrap().iter_mut().find(is_a).unwrap()[field] = value;
    let membership = ask(&steady).unwrap();
    membership.members.into_iter().find(|member| member.id.starts_with("1111")).unwrap().health
}

#[test]
fn a_server_is_healthy_only_if_raft_autopilot_and_gossip_agree() {
    let unknown = |why: &str| Health::Unknown(why.to_owned());
    assert_eq!(health_of_a(MEMBERS, "Status", json!(1)), Health::Healthy);
    assert_eq!(health_of_a(MEMBERS, "Status", json!(4)), Health::Unhealthy("gossip says failed".to_owned()));
    assert_eq!(health_of_a(MEMBERS, "Status", json!(2)), Health::Unhealthy("gossip says leaving".to_owned()));
    assert_eq!(health_of_a(MEMBERS, "Status", json!(3)), unknown("gossip does not know it"));
    let moved = unknown("raft has it at 127.77.0.1:8300, gossip at 127.77.0.9");
    assert_eq!(health_of_a(MEMBERS, "Addr", json!("127.77.0.9")), moved);
    let renamed = unknown("raft calls it consul-a, gossip consul-x");
    assert_eq!(health_of_a(MEMBERS, "Name", json!("consul-x")), renamed);
    let nameless = unknown("raft calls it (unknown), gossip consul-a");
    assert_eq!(health_of_a(RAFT, "Node", json!("(unknown)")), nameless);
    let taken = unknown("33333333-cccc-4ccc-8ccc-000000000003 has the same address");
    assert_eq!(health_of_a(RAFT, "Address", json!("127.77.0.3:8300")), taken);
    let silent = Health::Unhealthy("last contact 900ms, 0 log entries behind".to_owned());
    let mut steady = Recorded::phase("steady");
    let verdicts = steady.body(HEALTH)["Servers"].as_array_mut().unwrap();
    let verdict = verdicts.iter_mut().find(|verdict| verdict["Name"] == "consul-a").unwrap();
    (verdict["Healthy"], verdict["LastContact"]) = (json!(false), json!("900ms"));
    assert_eq!(ask(&steady).unwrap().members[0].health, silent);
}

#[test]
fn an_answer_that_lists_more_servers_than_anybody_has_counts_for_none() {
    for path in [RAFT, HEALTH] {
        let mut steady = Recorded::phase("steady");
        let servers = steady.body(path)["Servers"].as_array_mut().unwrap();
        let more = (0..98).map(|nth| {
            let mut one = servers[0].clone();
            one["ID"] = json!(format!("{nth}"));
            one
        });
        let all: Vec<_> = servers.iter().cloned().chain(more).collect();
        *servers = all;
        match ask(&steady) {
            Ok(made) => {
                let is_known = |member: &hermitcrab::observed::Member| !matches!(member.health, Health::Unknown(_));
                assert!(made.members.len() == 3 && !made.members.iter().any(is_known), "{path}: {made:?}");
            }
            Err(error) => assert!(chain(&error).contains("more than 100 servers"), "{path}: {}", chain(&error)),
        }
    }
}

#[test]
fn servers_of_another_datacenter_are_not_the_declared_ones() {
    let mut steady = Recorded::phase("steady");
    for agent in steady.body(MEMBERS).as_array_mut().unwrap() {
        agent["Tags"]["dc"] = json!("dc2");
    }
    let error = ask(&steady).unwrap_err();
    let says = "the servers are of datacenter dc2, and the spec says dc1: correct `datacenter`";
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(chain(&error).contains(says), "{}", chain(&error));
}

/// The servers in calm, as the Enterprise edition, with settings of autopilot.
fn enterprise(settings: &[(&str, serde_json::Value)]) -> Recorded {
    let mut steady = Recorded::phase("steady");
    for verdict in steady.body(HEALTH)["Servers"].as_array_mut().unwrap() {
        verdict["Version"] = json!("1.20.2+ent");
    }
    let autopilot = steady.body("/v1/operator/autopilot/configuration");
    settings.iter().for_each(|(name, value)| autopilot[*name] = value.clone());
    steady
}

/// The application's reasons why no member may be replaced, where this version is expected.
fn blockers(recorded: &Recorded, version: Option<&str>) -> Vec<String> {
    block_on(async {
        let (port, _) = recorded.serve().await;
        let mut spec = spec(port);
        spec.application.consul_mut().unwrap().version = version.map(str::to_owned);
        let membership = Applications::default().membership(&spec, &seats(recorded, &spec)).await.unwrap();
        membership.blockers.into_iter().map(|blocker| blocker.why).collect()
    })
}

#[test]
fn settings_of_the_enterprise_edition_that_keep_a_server_from_voting_are_reasons_not_to_begin() {
    let none: Vec<String> = Vec::new();
    let on = "autopilot's upgrade migration is on";
    let migrates = blockers(&enterprise(&[]), None);
    assert!(migrates.len() == 1 && migrates[0].starts_with(on), "{migrates:?}");
    assert!(blockers(&enterprise(&[]), Some("1.21.0"))[0].starts_with(on), "another version waits for its vote");
    assert_eq!(blockers(&enterprise(&[]), Some("1.20.2")), none, "the same version does not");
    assert_eq!(blockers(&enterprise(&[("DisableUpgradeMigration", json!(true))]), None), none);
    let by_tag = enterprise(&[("UpgradeVersionTag", json!("build"))]);
    assert!(blockers(&by_tag, Some("1.20.2"))[0].contains("`build`"), "nobody knows the tag of the new server");
    let off = ("DisableUpgradeMigration", json!(true));
    let zones = enterprise(&[off, ("RedundancyZoneTag", json!("zone"))]);
    assert!(blockers(&zones, None)[0].contains("redundancy zones (`zone`)"));
}

#[test]
fn the_community_edition_shows_the_same_settings_and_they_do_nothing() {
    let mut steady = Recorded::phase("steady");
    steady.body("/v1/operator/autopilot/configuration")["RedundancyZoneTag"] = json!("zone");
    assert_eq!(blockers(&steady, None), Vec::<String>::new());
}

#[test]
fn a_read_replica_is_named() {
    for tag in ["read_replica", "nonvoter"] {
        let mut steady = Recorded::phase("steady");
        steady.body(MEMBERS)[0]["Tags"][tag] = json!("1");
        let told = blockers(&steady, None);
        assert!(told.len() == 1 && told[0].ends_with("is a read replica, which never votes"), "{told:?}");
    }
}
