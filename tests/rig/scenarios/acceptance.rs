//! The acceptance kit at work, as somebody with an account would run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::Harness;
use crate::agent::Agent;
use crate::cluster::Rig;
use crate::ec2::PERSON;
use crate::ground::{Ground, Tools, know_images};
use crate::process::Process;
use crate::until;

/// Longer than everything takes together.
const LIMIT: Duration = Duration::from_secs(25 * 60);
const NAME: &str = "acc-rig";

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![harness.with_tools("acceptance::everything_is_done_once_and_nothing_is_left", everything)]
}

async fn everything(rig: Rc<Rig>, tools: Tools) {
    let ground = Ground::prepare(&rig, &tools);
    let work = rig.dir.join("acceptance");
    rig.proxy.record_calls();
    let host = rig.dir.join("host");
    let mut environment = ground.environment("controller");
    environment.push(("HOME".to_owned(), host.display().to_string()));
    rig.proxy.has_an_agent(Agent::new(host, environment));
    know_images(&rig, ["v1", "v2"].map(|name| work.join(format!("manifest-{name}.json"))).to_vec());

    let refused = kit(&rig, &ground, "210987654321", &work).ended(&rig).await;
    assert_eq!(refused.0, Some(1), "{}", refused.1);
    assert!(refused.1.contains("these are credentials of account 123456789012"), "{}", refused.1);
    assert!(!work.exists());

    let ended = kit(&rig, &ground, "123456789012", &work).ended(&rig).await;
    let report = fs::read_to_string(work.join("report.md")).unwrap_or_default();
    println!("{report}");
    assert_eq!(ended.0, Some(0), "{}\n{report}", ended.1);
    let report: Value = serde_json::from_str(&fs::read_to_string(work.join("report.json")).unwrap()).unwrap();
    assert_eq!((&report["good"], &report["leftBehind"]), (&true.into(), &serde_json::json!([])), "{report}");
}

/// A run of the kit.
struct Run {
    process: Process,
    log: PathBuf,
}

fn kit(rig: &Rig, ground: &Ground, account: &str, work: &Path) -> Run {
    let log = rig.dir.join(format!("kit-{account}.log"));
    let version = format!("consul_version={}", rig.programs[0].version);
    let [one, other] = [0, 128].map(|third| rig.half(third));
    let words = [
        "deploy/acceptance/acceptance.py",
        "--account",
        account,
        "--region",
        "us-east-1",
        "--program",
        "bin/hermitcrab",
        "--builder-cidr",
        "127.0.0.1/32",
        "--name",
        NAME,
        "--work",
        work.to_str().unwrap(),
        "--packer-var",
        &version,
        "--network",
        &one,
        "--network",
        &other,
    ];
    Run { process: ground.start(PERSON, &ground.folder, "python3", &words, &log), log }
}

impl Run {
    async fn ended(mut self, _rig: &Rig) -> (Option<i32>, String) {
        let status = until("the kit to end", LIMIT, async || self.process.ended()).await;
        (status.code(), fs::read_to_string(&self.log).unwrap())
    }
}
