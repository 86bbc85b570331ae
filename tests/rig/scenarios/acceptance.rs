//! The acceptance kit at work, as somebody with an account would run it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::cluster::Rig;
use crate::ec2::PERSON;
use crate::ground::{Ground, Tools, know_images};
use crate::process::{Process, Signal};
use crate::recorded::Recorded;
use crate::{Harness, authorised, until};

/// Longer than everything takes together.
const LIMIT: Duration = Duration::from_secs(25 * 60);
const ACCOUNT: &str = "123456789012";
/// The questions that only an account can answer, as the findings of the first day number them.
const QUESTIONS: [&str; 17] =
    ["A1", "A2", "A4", "A8", "A12", "B1", "B2", "B3", "C6", "D4", "D5", "D6", "E2", "E3", "F5", "F6", "F7"];

pub fn all(harness: &Harness) -> Vec<Trial> {
    vec![
        harness.with_tools("acceptance::everything_is_done_once_and_nothing_is_left", everything),
        harness.with_tools("acceptance::a_copy_with_data_is_rehearsed_by_a_role_of_its_own", rehearsal),
    ]
}

/// A desk, and a host whose commands are the controller's; the kit will work in these folders.
fn prepare(rig: &Rc<Rig>, tools: &Tools, works: &[PathBuf]) -> Ground {
    let ground = Ground::prepare(rig, tools);
    rig.proxy.record_calls();
    let host = rig.dir.join("host");
    let environment = ground.with("HOME", &host.display().to_string()).environment("controller");
    rig.proxy.has_an_agent(Agent::new(host, environment));
    let manifests = works.iter().flat_map(|work| ["v1", "v2"].map(|name| work.join(format!("manifest-{name}.json"))));
    know_images(rig, manifests.collect());
    ground
}

async fn everything(rig: Rc<Rig>, tools: Tools) {
    let works = ["acc-rig", "acc-end"].map(|name| rig.dir.join(name));
    let ground = prepare(&rig, &tools, &works);
    // The rehearsal takes as long as all the rest, and has a run of its own.
    let kit = |rig: &Rig, ground: &Ground, account: &str, name: &str| kit(rig, ground, account, name, &["rehearse"]);

    let before = rig.proxy.calls().len();
    let (code, said) = kit(&rig, &ground, "210987654321", "acc-other").ended().await;
    assert!(code == Some(1) && said.contains("these are credentials of account 123456789012"), "{said}");
    assert!(!rig.dir.join("acc-other").exists());
    let asked: BTreeSet<_> = rig.proxy.calls()[before..].iter().map(|call| call.action.clone()).collect();
    assert_eq!(asked, ["GetCallerIdentity".to_owned()].into(), "of another account nothing was asked but whose it is");

    let [whole, ended] = ["acc-rig", "acc-end"].map(|name| kit(&rig, &ground, ACCOUNT, name));
    is_taken_down_after_a_signal(ended, &rig).await;
    let (code, said) = whole.ended().await;
    let told = fs::read_to_string(works[0].join("report.md")).unwrap_or_default();
    // Some answers of moto's are wrong, and the kit says so.
    assert_eq!(code, Some(1), "{said}\n{told}");
    says_all_that_it_should(&report(&works[0]));
    let there = rig.inventory().await;
    assert!(there.instances.iter().all(|instance| instance.state == "terminated"), "{:?}", there.instances);
    assert_eq!(there.volumes.len(), 0, "{:?}", there.volumes);
    let images = rig.person.call("DescribeImages", &[("Owner.1", "self")]).await.unwrap();
    assert!(!images.contains("<key>consul-version</key>"), "{images}");
    // The kit deletes, as a person, what hermitcrab keeps.
    while rig.truth.excuse("was deleted").is_some() {}
    // Whoever destroys a cluster stops all three members of it, by the controller's hand here.
    for _ in 0..4 {
        rig.truth.excuse("was stopped while").expect("both clusters were destroyed");
    }
    what_was_called_is_allowed(&rig, &works[0]);
}

/// The role that the ground has for rehearsals makes a copy with the cluster's data, has it upgraded, and takes it away.
async fn rehearsal(rig: Rc<Rig>, tools: Tools) {
    let works = [rig.dir.join("acc-copy")];
    let ground = prepare(&rig, &tools, &works);
    let run = kit(&rig, &ground, ACCOUNT, "acc-copy", &["upgrade", "bad-image", "heal", "group"]);
    let (code, said) = run.ended().await;
    let told = fs::read_to_string(works[0].join("report.md")).unwrap_or_default();
    // One answer of moto's is wrong, and the kit says so.
    assert_eq!(code, Some(1), "{said}\n{told}");
    let report = report(&works[0]);
    let rows = |list: &str, of: &str, name: &str| -> Vec<Value> {
        report[list].as_array().unwrap().iter().filter(|row| row[of] == name).cloned().collect()
    };
    let steps = rows("steps", "step", "rehearse");
    assert!(steps.len() == 1 && steps[0]["outcome"] == "ok", "{report}");
    let answers = rows("checks", "finding", "A5, C2");
    assert!(answers.len() == 1 && answers[0]["verdict"] == "ok", "{report}");
    assert_eq!(report["leftBehind"], json!([]), "{report}");
    assert_eq!(rig.inventory().await.volumes.len(), 0, "of the copy nothing is left either");
    // In the end a rehearsal stops all members of its copy, and so does whoever destroys the cluster. The rest is the kit's.
    while rig.truth.excuse("was stopped while").is_some() {}
    while rig.truth.excuse("was deleted").is_some() {}

    let is_its =
        |call: &Recorded| ![PERSON, "controller"].contains(&&*call.who) && is_in_the_printed_policy(&call.action);
    let calls: Vec<_> = rig.proxy.recorded().into_iter().filter(is_its).collect();
    let actions = authorised::actions(&calls);
    for action in ["ec2:RunInstances", "ec2:CreateSnapshot", "ec2:DeleteSnapshot", "ec2:DeleteVolume"] {
        assert!(actions.contains(action), "{actions:?}");
    }
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": statements(&works[0], "acc-copy", "rehearsal_policy"),
    });
    authorised::is_allowed(&calls, &policy);
}

/// The calls to S3 and STS are allowed by policies beside the printed one.
fn is_in_the_printed_policy(action: &str) -> bool {
    !action.starts_with("s3:") && !action.starts_with("sts:")
}

/// The statements of a policy that a ground has put out.
fn statements(work: &Path, cluster: &str, output: &str) -> Vec<Value> {
    let outputs = fs::read(work.join(cluster).join("infra/outputs.json")).unwrap();
    let outputs: Value = serde_json::from_slice(&outputs).unwrap();
    let policy: Value = serde_json::from_str(outputs[output]["value"].as_str().unwrap()).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

/// Each step of the run has its line, each of EC2's steps its times, and each question its answer.
fn says_all_that_it_should(report: &Value) {
    assert_eq!(report["leftBehind"], json!([]), "{report}");
    let rows = |list: &str| report[list].as_array().unwrap().clone();
    assert!(rows("steps").iter().all(|step| step["outcome"] == "ok"), "{report}");
    let wrong = rows("checks").into_iter().filter(|check| check["verdict"] == "wrong");
    // moto finds no log group by its ARN, and calls what is to be written there failed; and its groups make no role.
    let wrong: BTreeSet<_> = wrong.map(|check| check["finding"].as_str().unwrap().to_owned()).collect();
    assert_eq!(wrong, ["E2", "E3"].map(str::to_owned).into(), "{report}");
    let done: BTreeSet<_> =
        report["steps"].as_array().unwrap().iter().map(|one| one["step"].as_str().unwrap()).collect();
    for step in
        ["account", "images", "ground", "create", "upgrade", "bad-image", "heal", "group", "destroy", "take down"]
    {
        assert!(done.contains(step), "no {step} in {done:?}");
    }
    for step in ["launch", "status checks", "stop", "detach", "attach", "boot of the member", "member down"] {
        assert!(
            report["timings"][step]["median"].as_f64().is_some_and(|took| took > 0.0),
            "{step}: {}",
            report["timings"]
        );
    }
    let asked: BTreeSet<_> = (report["checks"].as_array().unwrap().iter())
        .flat_map(|check| check["finding"].as_str().unwrap().split(", "))
        .collect();
    let missing: Vec<_> = QUESTIONS.iter().filter(|question| !asked.contains(*question)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {asked:?}");
}

/// A run that is told to end while its ground is made, or has been, takes down what it has made, and says so.
async fn is_taken_down_after_a_signal(run: Run, rig: &Rig) {
    let made = async || run.said().contains("ground       ok").then_some(());
    until("the ground to be made", LIMIT, made).await;
    run.process.signal(Signal::Term);
    let work = run.work.clone();
    let (code, said) = run.ended().await;
    assert_eq!(code, Some(1), "{said}");
    let report = report(&work);
    assert_eq!((&report["good"], &report["leftBehind"]), (&json!(false), &json!([])), "{report}");
    let networks = rig.person.call("DescribeVpcs", &[]).await.unwrap();
    assert!(!networks.contains("<value>acc-end</value>"), "{networks}");
}

/// Holds that the calls of the kit's controllers are allowed by the policies of the grounds.
fn what_was_called_is_allowed(rig: &Rig, work: &Path) {
    let both = ["acc-rig", "acc-rig-g"].map(|cluster| statements(work, cluster, "controller_policy")).concat();
    let policy = json!({ "Version": "2012-10-17", "Statement": both });
    let is_its = |call: &Recorded| call.who == "controller" && is_in_the_printed_policy(&call.action);
    let calls: Vec<_> = rig.proxy.recorded().into_iter().filter(is_its).collect();
    let actions = authorised::actions(&calls);
    assert!(
        actions.contains("autoscaling:UpdateAutoScalingGroup") && actions.contains("ec2:StartInstances"),
        "{actions:?}"
    );
    authorised::is_allowed(&calls, &policy);
}

fn report(work: &Path) -> Value {
    serde_json::from_slice(&fs::read(work.join("report.json")).unwrap()).unwrap()
}

/// A run of the kit.
struct Run {
    process: Process,
    work: PathBuf,
    log: PathBuf,
}

/// Starts the kit, without some of its parts.
fn kit(rig: &Rig, ground: &Ground, account: &str, name: &str, without: &[&str]) -> Run {
    let (work, log) = (rig.dir.join(name), rig.dir.join(format!("{name}.log")));
    let version = format!("consul_version={}", rig.programs[0].version);
    let [one, other] = [0, 128].map(|third| rig.half(third));
    let folder = work.display().to_string();
    let options = [
        ("--account", account),
        ("--region", "us-east-1"),
        ("--program", "bin/hermitcrab"),
        ("--builder-cidr", "127.0.0.1/32"),
        ("--name", name),
        ("--work", &folder),
        ("--packer-var", &version),
        ("--join-deadline", "2m"),
        ("--network", &one),
        ("--network", &other),
    ];
    let mut words = vec!["deploy/acceptance/acceptance.py"];
    words.extend(options.iter().flat_map(|(option, value)| [*option, *value]));
    words.extend(without.iter().flat_map(|part| ["--without", *part]));
    Run { process: ground.start(PERSON, &ground.folder, "python3", &words, &log), work, log }
}

impl Run {
    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    async fn ended(mut self) -> (Option<i32>, String) {
        let status = until("the kit to end", LIMIT, async || self.process.ended()).await;
        (status.code(), self.said())
    }
}
