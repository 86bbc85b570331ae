//! The two ends of the journey: a rehearsal before a rollout, and a cluster's destruction. Both with a person's credentials.

use std::collections::BTreeSet;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;

use super::LIMIT;
use crate::Harness;
use crate::cluster::Rig;
use crate::consul::{self, CLUSTER};
use crate::controller::Controller;
use crate::ec2::PERSON;
use crate::process::Signal;
use crate::until;
use crate::world::tag;

/// A copy has no fixed addresses, so a rehearsal takes no longer where the cluster has none either.
pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.without_addresses("journey::a_good_image_is_rehearsed", 3, a_good_image),
        harness.without_addresses("journey::an_image_that_loses_data_is_found_out", 3, an_image_that_loses_data),
        harness.without_addresses("journey::an_image_that_never_joins_is_found_out", 3, an_image_that_never_joins),
        harness.without_addresses("journey::a_rehearsal_is_interrupted", 3, an_interrupted_one),
        harness.without_addresses("journey::what_a_killed_rehearsal_leaves_is_swept", 3, a_killed_one),
        harness.scenario("journey::one_with_data_reaches_nothing", 3, one_with_data),
        harness.scenario("journey::a_cluster_is_destroyed", 3, a_cluster_is_destroyed),
    ]
}

impl Rig {
    /// The Raft servers of the cluster and its term, as each of its own servers has them; and a key that is in it.
    async fn state_of(&self, address: &str) -> (BTreeSet<String>, String, Option<String>) {
        let get = async |path: &str| {
            let answer = reqwest::get(consul::url(address, path)).await.unwrap();
            if answer.status().is_success() { answer.text().await.ok() } else { None }
        };
        let raft: serde_json::Value =
            serde_json::from_str(&get("operator/raft/configuration?stale").await.unwrap()).unwrap();
        let servers = raft["Servers"].as_array().unwrap().iter().map(|server| server["Address"].to_string());
        let stats: serde_json::Value = serde_json::from_str(&get("agent/self").await.unwrap()).unwrap();
        let term = stats["Stats"]["raft"]["term"].to_string();
        (servers.collect(), term, get("kv/of-the-cluster?raw&stale").await)
    }

    fn rehearse(&self, image: &str, arguments: &[&str]) -> Controller {
        let images = ["--from", &self.v1, "--image", image];
        self.command(PERSON, "rehearse", "desired-state/consul.yaml", &[&images, arguments].concat())
    }

    /// Live instances, and volumes, of whatever cluster.
    pub(super) async fn what_is_there(&self) -> (usize, usize) {
        let there = self.inventory().await;
        let live = there.instances.iter().filter(|one| !["terminated", "shutting-down"].contains(&&*one.state));
        let volumes = there.volumes.iter().filter(|volume| !tag(&volume.tags, "cluster").is_empty());
        (live.count(), volumes.count())
    }

    fn elections_of_the_cluster(&self) -> usize {
        self.hypervisor.said(|slot| !is_of_a_copy(slot)).matches("cluster leadership acquired").count()
    }

    pub(super) async fn snapshots(&self) -> usize {
        let told = self.person.call("DescribeSnapshots", &[("Owner.1", "self")]).await.unwrap();
        told.matches("hermitcrab:attempt").count()
    }

    /// Of a rehearsal nothing is left, whatever came of it.
    async fn nothing_is_left(&self) {
        assert_eq!(self.what_is_there().await, (0, 0));
        assert_eq!(self.snapshots().await, 0);
        // Deleted data are a violation in any other scenario.
        while self.truth.excuse("was deleted").is_some() {}
        let claims = fs::read_dir(self.dir.join("claims")).unwrap().map(|entry| entry.unwrap().file_name());
        let records = claims.map(|name| name.to_string_lossy().into_owned());
        let records: Vec<_> = records.filter(|name| name.ends_with(".claim.json") && *name != own_record()).collect();
        assert_eq!(records, [""; 0], "claim records");
    }

    /// Reads the result of the latest rehearsal from the cluster's own record; null without one.
    fn recorded(&self) -> serde_json::Value {
        let stored = fs::read(self.dir.join("claims").join(own_record())).unwrap_or_default();
        let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap_or_default();
        stored["record"]["rehearsed"][0]["verdict"].clone()
    }

    /// Waits until so many servers of the copy run.
    async fn servers_run(&self, count: usize) {
        let run = async || (self.hypervisor.addresses().len() >= count).then_some(());
        until("servers of the copy to run", Duration::from_secs(180), run).await;
    }
}

/// Names the file of the cluster's claim record, by name, region and account.
fn own_record() -> String {
    format!("{CLUSTER}@us-east-1@123456789012.claim.json")
}

async fn a_good_image(rig: Rc<Rig>) {
    rig.desire(&rig.v2, &[]);
    let ended = rig.rehearse(&rig.v2, &["--max-stall", "60s", "-o", "json"]).ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let report = &ended.said[ended.said.rfind("\n{\n").unwrap()..];
    let report: serde_json::Value = serde_json::from_str(report).unwrap_or_else(|error| panic!("{error}: {report}"));
    assert_eq!((&report["passed"], &report["writesLost"]), (&true.into(), &0.into()), "{report}");
    assert!(report["writesAcknowledged"].as_u64().unwrap() > 100, "{report}");
    let downs = report["memberDownSeconds"].as_object().unwrap();
    assert!(downs.len() == 3 && downs.values().all(|down| down.as_f64().unwrap() > 5.0), "{report}");
    assert_eq!(rig.recorded(), "passed");
    rig.nothing_is_left().await;
}

async fn an_image_that_loses_data(rig: Rc<Rig>) {
    rig.desire(&rig.v2, &[]);
    // A limit that no rollout keeps.
    let rehearsal = rig.rehearse(&rig.v2, &["--max-down", "1s"]);
    let back = async || rig.truth.downs().iter().any(|down| down.to.is_some()).then_some(());
    until("the first member to be back on the new image", LIMIT, back).await;
    let address = rig.hypervisor.addresses().remove(0);
    let url = consul::url(&address, "kv/hermitcrab-canary/?recurse");
    reqwest::Client::new().delete(url).send().await.unwrap().error_for_status().unwrap();
    let ended = rehearsal.ended(LIMIT).await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("acknowledged writes were missing, first after"), "{}", ended.said);
    assert!(ended.said.contains(", and may be for 1s"), "{}", ended.said);
    rig.nothing_is_left().await;
}

async fn an_image_that_never_joins(rig: Rc<Rig>) {
    rig.desire(&rig.bad, &[("joinDeadline: 3m", "joinDeadline: 30s")]);
    let ended = rig.rehearse(&rig.bad, &[]).ended(LIMIT).await;
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("has failed in rehearsal-consul-"), "{}", ended.said);
    assert!(rig.recorded()["failed"]["findings"][0].is_string(), "{}", rig.recorded());
    rig.nothing_is_left().await;
}

async fn an_interrupted_one(rig: Rc<Rig>) {
    rig.desire(&rig.v2, &[]);
    let rehearsal = rig.rehearse(&rig.v2, &[]);
    rig.servers_run(1).await;
    rehearsal.signal(Signal::Int);
    let ended = rehearsal.ended(LIMIT).await;
    assert_eq!(ended.code, Some(130), "{}", ended.said);
    assert!(ended.said.contains("broken off"), "{}", ended.said);
    assert_eq!(rig.recorded(), serde_json::Value::Null);
    rig.nothing_is_left().await;
}

async fn a_killed_one(rig: Rc<Rig>) {
    rig.desire(&rig.v2, &[]);
    let rehearsal = rig.rehearse(&rig.v2, &[]);
    rig.servers_run(2).await;
    rehearsal.kill();
    rehearsal.ended(Duration::from_secs(10)).await;
    let (instances, volumes) = rig.what_is_there().await;
    assert!(instances >= 2 && volumes >= 2, "{instances} instances, {volumes} volumes");
    let sweep = |age| rig.command(PERSON, "rehearse", "desired-state", &["--sweep", "--older-than", age]);
    let ended = sweep("1h").ended(LIMIT).await;
    assert!(ended.code == Some(0) && ended.said.contains("left alone, because it is only "), "{}", ended.said);
    assert_eq!(rig.what_is_there().await, (instances, volumes));
    let ended = sweep("1s").ended(LIMIT).await;
    assert!(ended.code == Some(0) && ended.said.contains(": destroyed"), "{}", ended.said);
    rig.nothing_is_left().await;
}

/// Real servers begin with the data of others that run, and neither side ever hears of the other.
async fn one_with_data(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    let own = rig.hypervisor.addresses_of(CLUSTER);
    let http = reqwest::Client::new();
    http.put(consul::url(&own[0], "kv/of-the-cluster")).body("data").send().await.unwrap().error_for_status().unwrap();
    let mut before = Vec::new();
    for address in &own {
        let has_it = async || Some(rig.state_of(address).await).filter(|(.., data)| data.as_deref() == Some("data"));
        before.push(until("every server to have the data", LIMIT, has_it).await);
    }
    let (leader, elections) = (rig.hypervisor.leader(), rig.elections_of_the_cluster());

    rig.desire(&rig.v2, &[]);
    let rehearsal = rig.rehearse(&rig.v2, &["--with-data"]);
    let copy = async || rig.hypervisor.clusters().into_iter().find(|cluster| cluster != CLUSTER);
    let copy = until("a server of the copy to run", LIMIT, copy).await;
    let whole = async || {
        let addresses = rig.hypervisor.addresses_of(&copy);
        let mut with_data = 0;
        for address in &addresses {
            let answer = http.get(consul::url(address, "kv/of-the-cluster?raw&stale")).send().await.ok()?;
            with_data += usize::from(answer.status().is_success() && answer.text().await.ok()? == "data");
        }
        (with_data == 3).then_some(addresses)
    };
    let copies = until("every server of the copy to have the cluster's data", LIMIT, whole).await;
    assert!(copies.iter().all(|address| !own.contains(address)), "{copies:?}");
    let ended = rehearsal.ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("changed      data of consul-"), "{}", ended.said);

    assert_eq!(rig.hypervisor.addresses_of(CLUSTER), own);
    for (address, before) in own.iter().zip(before) {
        assert_eq!(rig.state_of(address).await, before, "{address}");
    }
    assert_eq!((rig.hypervisor.leader(), rig.elections_of_the_cluster()), (leader, elections));
    let (theirs, its) = (rig.hypervisor.said(is_of_a_copy), rig.hypervisor.said(|slot| !is_of_a_copy(slot)));
    assert!(theirs.contains("deleted peers.json file after successful recovery"), "it recovered nothing");
    assert!(!its.contains("rehearsal-consul-"), "the cluster has heard of its copy");
    assert!(copies.iter().all(|address| !its.contains(&format!("{address}:"))), "the cluster has heard of its copy");
    assert!(own.iter().all(|address| !theirs.contains(&format!("{address}:"))), "the copy has called the cluster");

    assert_eq!(rig.what_is_there().await, (3, 3), "the cluster's own");
    let told = rig.person.call("DescribeSnapshots", &[("Owner.1", "self")]).await.unwrap();
    assert!(!told.contains("hermitcrab:copy-of"), "{told}");
    while rig.truth.excuse("was deleted").is_some() {}
}

fn is_of_a_copy(slot: &str) -> bool {
    slot.starts_with("rehearsal-")
}

async fn a_cluster_is_destroyed(rig: Rc<Rig>) {
    rig.settled_on(&rig.v1).await;
    let destroy = || rig.command(PERSON, "destroy", "desired-state/consul.yaml", &["--confirm", CLUSTER]);
    let ended = destroy().ended(LIMIT).await;
    assert!(ended.code == Some(1) && ended.said.contains("is protected"), "{}", ended.said);
    assert_eq!(rig.what_is_there().await, (3, 3));

    rig.desire(&rig.v1, &[("  volumes:\n", "  deletionProtection: false\n  volumes:\n")]);
    let killed = destroy();
    let stops = async || killed.said().contains(" stop i-").then_some(());
    until("the first member to be stopped", LIMIT, stops).await;
    killed.kill();
    killed.ended(Duration::from_secs(10)).await;

    let daemon = rig.controller("rig", &[]).ended(LIMIT).await;
    assert!(daemon.code == Some(3) && daemon.said.contains("ordered its destruction"), "{}", daemon.said);
    assert_eq!(rig.effects().len(), 0, "a controller leaves it alone");

    let ended = destroy().ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(rig.what_is_there().await, (0, 3), "the volumes stay");
    assert_eq!(rig.snapshots().await, 3);
}
