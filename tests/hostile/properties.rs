//! Properties that hold of whatever others write: one function for each reader, which panics where one does not hold. `tests/hostile.rs`
//! tries mutations of a corpus, and `fuzz/` looks for inputs by what they make the program do.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Component, Path};

use hermitcrab::application::command::{read as by_program, wire};
use hermitcrab::application::consul::read::{Answers, membership};
use hermitcrab::application::consul::wire::Agents;
use hermitcrab::cli::image::manifest;
use hermitcrab::cli::init::terraform;
use hermitcrab::cli::output::rows;
use hermitcrab::controller::Controller;
use hermitcrab::coordination::{Local, lease};
use hermitcrab::daemon::git::entries;
use hermitcrab::event::Listeners;
use hermitcrab::history::latest::Latest;
use hermitcrab::history::{read, rollout, soak};
use hermitcrab::http::consul::Entry;
use hermitcrab::ids::{ClusterName, MemberId};
use hermitcrab::limits::Limits;
use hermitcrab::observed::{ClaimRecord, CloudView, Health, Membership, Observation, Reading};
use hermitcrab::picture::svg;
use hermitcrab::plan::{Goal, Plan, towards};
use hermitcrab::ports::{Clock, Coordination, Seat};
use hermitcrab::sim::executor::block_on;
use hermitcrab::sim::{FaultLevel, Payload, World};
use hermitcrab::simulate;
use hermitcrab::simulate::script::Story;
use hermitcrab::spec::load::check;
use hermitcrab::spec::{ApplicationSpec, ClusterSpec, render};
use hermitcrab::time::after;
use serde_json::Value;
use tempfile::TempDir;

/// The most units of work for each byte of a desired-state file, so that the work grows with the file and with nothing else.
const WORK_A_BYTE: u64 = 400;
const DECLARED: &str = include_str!("../../desired-state/prod/consul.yaml");
const PATH: &str = "prod/consul.yaml";
/// A cluster that a program speaks for.
const COMMAND: &str = include_str!("../fixtures/command.yaml");

/// Says whether something steers a terminal, or a runner of workflows, instead of being read.
pub fn steers(text: &str) -> bool {
    let is_odd =
        |c: char| c.is_control() && c != '\n' || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
    text.contains(is_odd)
}

/// Desired state is read to an end, with work that grows with the file, and reported harmlessly.
pub fn desired_state(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let loaded = check(Path::new(PATH), &text);
    let file = loaded.files.values().next().unwrap();
    assert!(file.work <= WORK_A_BYTE * (bytes.len() as u64 + 100), "{} units of work", file.work);
    assert_eq!(file.spec.is_some(), !loaded.has_errors());
    assert!(!steers(&render::text(&loaded, false)), "the report steers a terminal");
    let stray = render::github(&loaded).lines().find(|line| !line.starts_with("::")).map(str::to_owned);
    assert_eq!(stray, None, "a line that is no command");
    serde_json::from_str::<Value>(&render::json(&loaded)).unwrap();
    if let Some(spec) = &file.spec {
        let again = check(Path::new(PATH), &text);
        assert_eq!(again.specs().next().unwrap().1.generation(), spec.generation());
        assert!(!spec.slots.is_empty() && !spec.volumes.is_empty());
    }
}

/// A manifest of Packer's names an image, or is refused.
pub fn manifest_of_packer(bytes: &[u8]) {
    if let Ok(image) = manifest::image(&String::from_utf8_lossy(bytes), "us-east-1", None) {
        assert_eq!(hermitcrab::spec::load::why_no_image(&image), None, "{image} is no image");
    }
}

/// Terraform's outputs are read or refused.
pub fn outputs_of_terraform(bytes: &[u8]) {
    let _ = terraform::read(&String::from_utf8_lossy(bytes));
}

/// A story is read, or refused with a place that it has.
pub fn story(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(mistake) = Story::parse(&text) {
        let line = text.lines().nth(mistake.line.max(1) - 1).unwrap_or_default();
        assert!(mistake.column <= line.chars().count() + 1, "{mistake}");
    }
}

fn declared() -> ClusterSpec {
    check(Path::new(PATH), DECLARED).specs().next().unwrap().1.clone()
}

/// A settled world of the declared cluster, with another image committed.
pub fn outdated() -> (ClusterSpec, World) {
    let mut spec = declared();
    let world = World::new(7, FaultLevel::None);
    world.register_image(&spec.image, Payload::Good { version: simulate::version(&spec) });
    world.settle(&spec);
    spec.image = "ami-0bbbbbbbbbbbbbbbb".into();
    world.register_image(&spec.image, Payload::Good { version: simulate::version(&spec) });
    (spec, world)
}

thread_local! {
    /// A folder for what is read from files.
    static FOLDER: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().unwrap());
    /// An outdated cluster, and what is seen of it.
    static SEEN: LazyCell<(ClusterSpec, Observation)> = LazyCell::new(|| {
        let (spec, world) = outdated();
        let controller = Controller::new(world.controller(0), Listeners::default(), simulate::settings(0));
        let seen = block_on(&world, controller.look(&spec));
        assert!(seen.cloud.seen().is_some() && seen.membership.seen().is_some(), "the world was not seen");
        (spec, seen)
    });
}

/// A saved world is read or refused. One that is read can be looked at, and time passes in it.
pub fn world(bytes: &[u8]) {
    let path = FOLDER.with(|folder| folder.path().join("world.json"));
    fs::write(&path, bytes).unwrap();
    let Ok(world) = World::load(&path) else { return };
    let spec = declared();
    world.declare(&spec);
    world.advance_to(after(world.now(), std::time::Duration::from_secs(60)));
    let controller = Controller::new(world.controller(0), Listeners::default(), simulate::settings(0));
    let seen = block_on(&world, controller.look(&spec));
    answered(&spec, &seen);
}

/// The answers of Consul servers, as `tests/applications/consul` has them, make a membership or are refused.
pub fn consul(bytes: &[u8]) {
    let Ok(file) = serde_json::from_slice::<BTreeMap<String, Value>>(bytes) else { return };
    let Some(answers) = answers(&file) else { return };
    let spec = declared();
    let how = spec.application.consul().unwrap();
    let made = membership(&spec, how, &answers);
    assert_eq!(made, membership(&spec, how, &answers));
    let Ok(made) = made else { return };
    assert!(made.members.len() <= 100);
    if let Some(leader) = &made.leader {
        assert!(made.members.iter().any(|member| member.id == *leader), "{leader} leads, and is no member");
    } else {
        assert!(made.members.iter().all(|member| member.health != Health::Healthy), "healthy, and nobody leads");
    }
    seen_of(made);
}

/// There is an answer to a membership, whoever has made it.
pub fn seen_of(made: Membership) {
    let (spec, seen) = seen();
    answered(&spec, &Observation { membership: with_value(&seen.membership, made), ..seen });
}

fn answers(file: &BTreeMap<String, Value>) -> Option<Answers> {
    let body = |path: &str| file.get(&format!("GET /v1/{path}"))?.get("body").cloned();
    let leaders: BTreeMap<String, String> = serde_json::from_value(file.get("leaders")?.clone()).ok()?;
    let health = body("operator/autopilot/health").and_then(|health| health.get("Servers").cloned());
    Some(Answers {
        leaders: leaders.into_iter().collect(),
        health: health.and_then(|health| serde_json::from_value(health).ok()),
        raft: serde_json::from_value(body("operator/raft/configuration")?).ok()?,
        autopilot: body("operator/autopilot/configuration").and_then(|settings| serde_json::from_value(settings).ok()),
        gossip: serde_json::from_value::<Agents>(body("agent/members")?).ok()?.0,
        ..Answers::default()
    })
}

/// The answers of a user's program are read, each by the form of its verb, or refused in a few words; a membership agrees with
/// itself, and with the rules.
pub fn adapter(bytes: &[u8]) {
    let refused = [
        wire::answer::<wire::Description>(bytes).err(),
        wire::answer::<wire::Transferred>(bytes).err(),
        wire::answer::<wire::Written>(bytes).err(),
        wire::answer::<wire::Canaries>(bytes).err(),
    ];
    assert!(refused.iter().flatten().count() >= refused.len() - 1, "one answer to two verbs");
    let Ok(said) = wire::answer::<wire::Members>(bytes) else { return };
    let loaded = check(Path::new("command.yaml"), COMMAND);
    let spec = loaded.specs().next().unwrap().1;
    let ApplicationSpec::Command(how) = &spec.application else { panic!("not of a program") };
    let declared: Vec<_> = spec.slots.iter().map(|slot| slot.name.clone()).collect();
    let seats = declared.iter().zip(1..).map(|(slot, nth)| Seat {
        slot: slot.clone(),
        instance: format!("i-{nth}").as_str().into(),
        address: IpAddr::from([127, 77, 0, nth]),
    });
    match by_program::membership(&declared, &how.rules, &seats.collect::<Vec<_>>(), said) {
        Ok(made) => {
            let leads = |id: &MemberId| made.members.iter().any(|member| member.id == *id);
            assert!(made.leader.as_ref().is_none_or(leads), "a leader that is no member");
            assert!(made.blockers.iter().all(|one| one.why.chars().count() <= 1_001 && !one.why.contains('\u{1b}')));
            seen_of(made);
        }
        Err(why) => assert!(why.chars().count() <= 1_000 && !steers(&why), "{why:?}"),
    }
}

/// A listing of git's leads nowhere else: only plain paths below the folder are taken, within the bounds, and contents are cut as they
/// were listed.
pub fn tree(bytes: &[u8]) {
    let (listed, contents) = bytes.split_at(bytes.windows(2).position(|two| two == b"\0\0").unwrap_or(bytes.len()));
    let Ok(taken) = entries::choose(listed) else { return };
    assert!(taken.len() <= entries::MOST_FILES);
    assert!(taken.iter().map(|entry| entry.size).sum::<u64>() <= entries::LARGEST_TREE);
    for entry in &taken {
        let is_plain = |part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
        assert!(entry.path.components().all(is_plain), "{}", entry.path.display());
        assert!(entry.path.components().next().is_some(), "a file without a name");
    }
    if let Some(cut) = entries::contents(&taken, contents.strip_prefix(b"\0\0").unwrap_or_default()) {
        let sizes = cut.iter().map(|content| content.len() as u64);
        assert!(sizes.eq(taken.iter().map(|entry| entry.size)));
    }
}

/// A log of events is read line by line, whatever its lines are; what is made of them is shown harmlessly.
pub fn events(bytes: &[u8]) {
    let folder = FOLDER.with(|folder| folder.path().join("events"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("events-000000000001.jsonl"), bytes).unwrap();
    let found = read::read(&folder).unwrap();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!(found.records.len() + found.skipped.len() <= lines);
    assert!(!found.skipped.iter().any(|line| steers(line) || line.contains('\n')), "{:?}", found.skipped);
    let table = rows(["WHAT"], found.records.iter().map(|record| [record.words()]));
    assert!(!steers(&table), "{table:?}");
    let rollouts = rollout::rollouts(&found.records);
    for rollout in &rollouts {
        let drawn = svg(rollout, &found.records);
        assert!(!steers(&drawn) && !drawn.contains("<script"), "{drawn}");
        soak::soak(&found.records, &rollout.cluster, "ami-0bbbbbbbbbbbbbbbb", Still.now());
    }
    serde_json::to_string(&rollout::document(rollouts)).unwrap();
    let kept = found.records.len();
    let latest = Latest::resume(found.records);
    assert!(latest.of(None).count() <= kept);
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> hermitcrab::time::Timestamp {
        hermitcrab::time::Timestamp::UNIX_EPOCH
    }

    async fn sleep(&self, _: std::time::Duration) {}
}

/// The record of a claim is read or refused. Whatever it says, there is one answer.
pub fn claim(bytes: &[u8]) {
    let path = FOLDER.with(|folder| folder.path().to_owned());
    let cluster = ClusterName::from("consul-prod");
    fs::write(path.join("consul-prod.claim.json"), bytes).unwrap();
    let claims = Local::open(&path, Still).unwrap();
    let Ok(record) = futures_util::FutureExt::now_or_never(claims.read(&cluster)).unwrap() else { return };
    let (spec, seen) = seen();
    answered(&spec, &Observation { claim: with_value(&seen.claim, record), ..seen });
}

/// The record of a lease, in a bucket or in Consul, names a holder in a few words that steer nothing, or is refused.
pub fn lease(bytes: &[u8]) {
    let in_bucket = lease::holder_in_bucket(bytes).ok().flatten();
    let entry = serde_json::from_slice::<Entry>(bytes).ok();
    let in_consul = entry.and_then(|entry| Some(lease::shown(&entry.bytes().ok()?)));
    // A lock in a folder has the name alone.
    for holder in [in_bucket, in_consul, Some(lease::shown(bytes))].into_iter().flatten() {
        assert!(holder.chars().count() <= 2_100, "{} characters", holder.chars().count());
        assert!(!steers(&holder) && !holder.contains('\n'), "{holder:?}");
    }
}

/// Whatever was seen, there is an answer: the same for the same facts, and none that changes anything while the cluster is
/// frozen.
pub fn observation(bytes: &[u8]) {
    let Ok((cloud, members, record)) = serde_json::from_slice::<(CloudView, Membership, ClaimRecord)>(bytes) else {
        return;
    };
    let (spec, seen) = seen();
    let seen = Observation {
        cloud: with_value(&seen.cloud, cloud.into()),
        membership: with_value(&seen.membership, members),
        claim: with_value(&seen.claim, record),
        ..seen
    };
    answered(&spec, &seen);
}

/// Facts about an outdated cluster, as `observation` reads it.
pub fn facts() -> Vec<u8> {
    let (_, seen) = seen();
    let (cloud, members, record) = (seen.cloud.seen(), seen.membership.seen(), seen.claim.seen());
    serde_json::to_vec(&(&**cloud.unwrap(), members.unwrap(), record.unwrap())).unwrap()
}

fn seen() -> (ClusterSpec, Observation) {
    SEEN.with(|seen| (**seen).clone())
}

fn with_value<T, U>(reading: &Reading<T>, value: U) -> Reading<U> {
    let Reading::Seen { begun, .. } = reading else { panic!("the world was not seen") };
    Reading::Seen { begun: *begun, value }
}

fn answered(spec: &ClusterSpec, seen: &Observation) {
    let answer = |spec| towards(Goal::AsDeclared, spec, seen, &Limits::DEFAULT);
    let plan = answer(spec);
    assert_eq!(plan, answer(spec));
    assert!(!plan.to_string().is_empty());
    let frozen = answer(&ClusterSpec { freeze: true, ..spec.clone() });
    assert!(!matches!(frozen, Plan::Act(..)), "{frozen:?}");
}
