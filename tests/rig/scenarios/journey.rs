//! The two ends of the journey: a rehearsal before a rollout, and a cluster's destruction. Both with a person's credentials.

use std::fs;
use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;

use super::LIMIT;
use crate::Stage;
use crate::cluster::{CLUSTER, Rig};
use crate::consul;
use crate::controller::Controller;
use crate::ec2::PERSON;
use crate::process::Signal;
use crate::until;
use crate::world::tag;

pub fn all(stage: &Stage) -> Vec<Trial> {
    vec![
        stage.scenario("journey::a_good_image_is_rehearsed", 3, a_good_image),
        stage.scenario("journey::an_image_that_loses_data_is_found_out", 3, an_image_that_loses_data),
        stage.scenario("journey::an_image_that_never_joins_is_found_out", 3, an_image_that_never_joins),
        stage.scenario("journey::a_rehearsal_is_interrupted", 3, an_interrupted_one),
        stage.scenario("journey::what_a_killed_rehearsal_leaves_is_swept", 3, a_killed_one),
        stage.scenario("journey::a_cluster_is_destroyed", 3, a_cluster_is_destroyed),
    ]
}

impl Rig {
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

    pub(super) async fn snapshots(&self) -> usize {
        let told = self.person.call("DescribeSnapshots", &[("Owner.1", "self")]).await.unwrap();
        told.matches("hermitcrab:attempt").count()
    }

    /// Of a rehearsal nothing is left, whatever came of it.
    async fn nothing_is_left(&self) {
        assert_eq!(self.what_is_there().await, (0, 0));
        assert_eq!(self.snapshots().await, 0);
        // That data goes is wrong anywhere else.
        while self.truth.excuse("was deleted").is_some() {}
        let claims = fs::read_dir(self.dir.join("claims")).unwrap().map(|entry| entry.unwrap().file_name());
        let records = claims.map(|name| name.to_string_lossy().into_owned());
        let own = format!("{CLUSTER}.claim.json");
        let records: Vec<_> = records.filter(|name| name.ends_with(".claim.json") && *name != own).collect();
        assert_eq!(records, [""; 0], "claim records");
    }

    /// What the latest rehearsal has come to, as the cluster's own record has it; null without one.
    fn recorded(&self) -> serde_json::Value {
        let stored = fs::read(self.dir.join("claims").join(format!("{CLUSTER}.claim.json"))).unwrap_or_default();
        let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap_or_default();
        stored["record"]["rehearsed"][0]["verdict"].clone()
    }

    /// Waits until so many servers of the copy run.
    async fn servers_run(&self, count: usize) {
        let run = async || (self.hypervisor.addresses().len() >= count).then_some(());
        until("servers of the copy to run", Duration::from_secs(180), run).await;
    }
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
    // It may not take a moment either.
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
    assert!(ended.code == Some(0) && ended.said.contains("left alone, as it is "), "{}", ended.said);
    assert_eq!(rig.what_is_there().await, (instances, volumes));
    let ended = sweep("1s").ended(LIMIT).await;
    assert!(ended.code == Some(0) && ended.said.contains(": destroyed"), "{}", ended.said);
    rig.nothing_is_left().await;
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
    assert!(daemon.code == Some(3) && daemon.said.contains("put an end to it"), "{}", daemon.said);
    assert_eq!(rig.effects().len(), 0, "a controller leaves it alone");

    let ended = destroy().ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(rig.what_is_there().await, (0, 3), "the volumes stay");
    assert_eq!(rig.snapshots().await, 3);
}
