//! The planner's answers: each case is a file `tests/plan/<case>.yaml`, with a settled cluster and its differences
//! from one, and beside it the answer. `UPDATE_EXPECT=1` writes the second; a new case needs nothing but the first.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect_file;
use hermitcrab::action::{ClaimEffect, Effect};
use hermitcrab::limits::Limits;
use hermitcrab::observed::{Observation, Reading};
use hermitcrab::plan::gates::{self, GATES, GateName};
use hermitcrab::plan::steps::{SURGE, Step};
use hermitcrab::plan::{Awaited, Goal, Hazard, Look, Plan, Rank, Stall, Why, notes, select, towards};
use hermitcrab::spec::{ClusterSpec, EbsSettings, LeaderGoes, Rules};
use hermitcrab::status::status;

#[path = "plan/case.rs"]
mod case;
#[path = "plan/told.rs"]
mod told;
#[path = "plan/world.rs"]
mod world;

use case::Case;
use told::answer;
use world::World;

const CASES: &str = "tests/plan";

#[test]
fn every_case_gets_its_expected_answer() {
    for path in cases() {
        let mut told = String::new();
        for (when, goal, spec, seen) in moments(&path) {
            if !when.is_empty() {
                let _ = writeln!(told, "\n{when}");
            }
            told.push_str(&answer(goal, &spec, &seen));
        }
        let told = anonymous(&path, &told);
        expect_file![fs::canonicalize(CASES).unwrap().join(path.with_extension("txt").file_name().unwrap())]
            .assert_eq(told.trim_start());
    }
}

/// The names of an enum's variants, and which of them a value is. A new variant does not compile until it is listed.
macro_rules! variants {
    ($name:ident, $all:ident, $type:ident: $($variant:ident)*) => {
        const $all: &[&str] = &[$(stringify!($variant)),*];
        fn $name(value: &$type) -> &'static str {
            match value { $($type::$variant { .. } => stringify!($variant),)* }
        }
    };
}

variants! { awaited, AWAITED, Awaited:
Running Checks Stopped Terminated VolumeFree VolumeAttached VolumeCreated ViewsAgree PeersTold MemberBack Bake Steady Formation
NoLateStop NoLateLaunch NothingElse Joined Left Recruit SnapshotCompleted VolumeSaved VolumeCopied NothingLate }
variants! { why, WHY, Why:
Outdated Lost New Stopped AddressLost AddressFirst AddressChanged CannotStart Stuck Interrupted StepRefused NextStep Leads LaunchFailed WaitsInVain VolumeNotMade NotBackInTime TakenBack GoesOn Superseded OldLost GivesWay Proven Forming WouldPrune Memory
Tags TooSmall KeepStill OutOfStep LetGo TemplateBehind Unwanted Ahead LetGoAhead LeftOver }
variants! { stall, STALL, Stall:
VolumeMissing VolumeElsewhere VolumeTaken AddressTaken VolumeUnusable VolumeContested Contested Refused InstanceStopped Overdue Held RollbackFailed QuorumLost
ClaimForUndeclared NotFormed NothingToHealWith Ended CopyFailed NotAsExpected CapacityUnavailable VolumeNotMade VolumeNotSaved NotLaunched }
variants! { rank, RANK, Rank: Unhealthy Maintenance LeaderFirst NonVoter Follower LeaderLast }

#[test]
fn every_reason_of_a_stall_is_documented() {
    let document = fs::read_to_string("docs/desired-state.md").unwrap();
    for reason in STALL.iter().chain(&["GenerationRejected"]) {
        assert!(document.contains(&format!("\n| `{reason}` | ")), "{reason}");
    }
}

/// Every effect's name, as it is part of the interface.
const EFFECTS: &[&str] = &[
    "create-volume",
    "launch",
    "stop",
    "start",
    "snapshot-running",
    "snapshot",
    "detach",
    "attach",
    "assign-address",
    "terminate",
    "retire",
    "reject",
    "settle",
    "record-slots",
    "tag",
    "recruit",
    "record-resume",
    "suspend-processes",
    "join-group",
    "protect",
    "vouch",
    "leave-group",
    "resize-group",
    "lower-minimum",
    "resume-processes",
    "forget-resume",
    "create-template",
    "use-template",
    "transfer-leadership",
    "prepare",
    "move-member",
    "set-pruning",
    "claim",
    "mark-stop",
    "turn-back",
    "turn-forward",
    "turned",
    "release",
    "move-claim",
    "announce-launch",
    "let-go",
    "forget-launch",
    "create-again",
    "end",
    "delete-volume",
];

#[test]
fn every_word_of_the_planner_is_said_in_some_case() {
    let mut said: BTreeSet<String> = BTreeSet::new();
    for (_, goal, spec, seen) in cases().iter().flat_map(|path| moments(path)) {
        let mut say = |kind: &str, name: &str| said.insert(format!("{kind} {name}"));
        match towards(goal, &spec, &seen, &Limits::DEFAULT) {
            Plan::Settled => say("plan", "Settled"),
            Plan::Act(action, because) => {
                if let Why::Outdated { rank: place, .. } = &because {
                    say("rank", rank(place));
                }
                say("why", why(&because));
                say("effect", action.effect.name())
            }
            Plan::Wait(waiting) => say("awaited", awaited(&waiting.what)),
            Plan::Blocked(hazards) => {
                hazards.hazards.iter().fold(true, |_, hazard| say("gate", hazard.gate().as_str()))
            }
            Plan::Stalled(stalls) => stalls.all().fold(true, |_, reason| say("stall", stall(reason))),
        };
    }
    // A claimed slot is always finished first, so this one is a second lock on the same door.
    let never_alone = GateName::ClaimHeld;
    let gates: Vec<_> =
        GATES.iter().map(|gate| gate.name).filter(|name| *name != never_alone).map(GateName::as_str).collect();
    // No kind has a leader that goes first, so the test of its place in the order is one of its own.
    let ranks: Vec<_> = RANK.iter().copied().filter(|name| *name != "LeaderFirst").collect();
    let lists = [
        ("plan", &["Settled"][..]),
        ("why", WHY),
        ("awaited", AWAITED),
        ("stall", STALL),
        ("rank", &ranks),
        ("effect", EFFECTS),
        ("gate", &gates),
    ];
    let all = lists.iter().flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind} {name}")));
    let unsaid: Vec<_> = all.filter(|word| !said.contains(word)).collect();
    assert_eq!(unsaid, [""; 0], "no case in {CASES} says this");
}

/// The first moment of a case, with an application that is like this.
fn with_rules<T>(case: &str, change: impl Fn(&mut Rules), ask: impl Fn(&Look<'_>) -> T) -> T {
    let (_, _, spec, seen) = moments(&Path::new(CASES).join(case)).remove(0);
    let mut look = Look::at(&spec, &seen).look().unwrap();
    change(&mut look.rules);
    ask(&look)
}

#[test]
fn gates_about_what_an_application_does_not_have_are_not_asked() {
    let ask = |look: &Look<'_>| -> Vec<&str> {
        let findings = gates::findings(look, &look.slots[0], &look.spec.image);
        let not_asked = findings.filter(|(_, finding)| finding.value == "not asked of this application");
        not_asked
            .inspect(|(_, finding)| assert!(finding.hazard.is_none()))
            .map(|(gate, _)| gate.name.as_str())
            .collect()
    };
    let asked_of_all = with_rules("gate-no-leader.yaml", |_| (), ask);
    assert_eq!(asked_of_all, ["version-skew"]);
    let without = |rules: &mut Rules| (rules.leader, rules.pruning) = (None, None);
    assert_eq!(with_rules("gate-no-leader.yaml", without, ask), ["no-leader", "would-be-pruned", "version-skew"]);
}

#[test]
fn a_leader_goes_last_or_first_or_like_any_other() {
    let order = |look: &Look<'_>| -> Vec<String> {
        select::order(look).iter().map(|next| format!("{} {}", next.slot.spec.name, next.rank)).collect()
    };
    let with = |leader| with_rules("surge.yaml", move |rules| rules.leader = leader, order);
    assert_eq!(with(Some(LeaderGoes::Last)), ["b follower", "c follower", "a leader, so last"]);
    assert_eq!(with(Some(LeaderGoes::First)), ["a leader, so first", "b follower", "c follower"]);
    assert_eq!(with(None), ["a follower", "b follower", "c follower"]);
}

#[test]
fn quorum_is_what_the_application_needs_of_the_declared() {
    let gate = |look: &Look<'_>| {
        let mut findings = gates::findings(look, &look.slots[0], &look.spec.image);
        findings.find(|(gate, _)| gate.name == GateName::QuorumWouldBeLost).unwrap().1.hazard.is_some()
    };
    assert!(!with_rules("surge.yaml", |_| (), gate), "two of three are enough");
    assert!(with_rules("surge.yaml", |rules| rules.needed = |declared| declared, gate), "all three are needed");
}

#[test]
fn every_case_says_what_it_shows() {
    for path in cases() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{} begins with no sentence", path.display());
    }
}

/// A decision must not depend on the order in which EC2 or the members list things.
#[test]
fn an_answer_does_not_depend_on_the_order_in_which_things_are_listed() {
    for (_, goal, spec, seen) in cases().iter().flat_map(|path| moments(path)) {
        let mut turned = seen.clone();
        if let Reading::Seen { value, .. } = &mut turned.cloud {
            let view = std::sync::Arc::make_mut(value);
            view.instances.reverse();
            view.volumes.reverse();
        }
        assert_eq!(towards(goal, &spec, &seen, &Limits::DEFAULT), towards(goal, &spec, &turned, &Limits::DEFAULT));
    }
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<_> = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    cases
}

/// Each moment of a case: what has happened, what is wanted of the cluster, the spec, and what is seen.
fn moments(path: &Path) -> Vec<(String, Goal, ClusterSpec, Observation)> {
    let text = fs::read_to_string(path).unwrap();
    let case: Case = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let settled_on = case.settled_on().spec(case.slots, case.volumes);
    let mut world = World::new(&settled_on, case.blank);
    let mut desired = case.desired.clone();
    let mut moments = Vec::new();
    let mut add = |when: &str, desired: &case::Desired, changes| {
        let mut spec = desired.spec(case.slots, case.volumes);
        world.change(&spec, changes);
        let seen = world.observation(&spec);
        if desired.approved.as_deref() == Some("right") {
            spec.rollout.approved = asked_for(&spec, &seen);
        }
        moments.push((when.to_owned(), desired.goal(), spec, seen));
    };
    add("", &desired, &case.observed);
    for moment in &case.then {
        desired = moment.desired.clone().unwrap_or(desired);
        add(&moment.when, &desired, &moment.observed);
    }
    moments
}

/// The approval that is asked for.
fn asked_for(spec: &ClusterSpec, seen: &Observation) -> Option<hermitcrab::ids::PlanId> {
    let look = Look::at(spec, seen).look().unwrap();
    look.slots.iter().find_map(|slot| hermitcrab::plan::approval::needed(&look, slot))
}

/// Hashes by what they are of, so that an answer does not change with the way in which things are hashed.
fn anonymous(path: &Path, told: &str) -> String {
    let mut told = told.to_owned();
    for (_, _, spec, _) in moments(path) {
        for image in ["ami-a", "ami-b", "ami-c"] {
            let changed = if spec.instance.instance_type == "m7i.large" { "" } else { " on another type" };
            told = told.replace(&*spec.generation_on(&image.into()), &format!("gen({image}{changed})"));
        }
    }
    while let Some(start) = told.find("plan-").filter(|start| told.len() >= start + 21) {
        told.replace_range(start..start + 21, "<plan>");
    }
    told
}

#[test]
fn an_edit_of_a_volume_is_named_and_nothing_is_done_for_it() {
    let (_, goal, mut spec, mut seen) = moments(&Path::new(CASES).join("settled.yaml")).remove(0);
    let noted = |spec: &ClusterSpec, seen: &Observation| notes(&Look::at(spec, seen).look().unwrap());
    let Reading::Seen { value, .. } = &mut seen.cloud else { panic!("the cloud is seen") };
    for volume in &mut std::sync::Arc::make_mut(value).volumes {
        let key = Some("arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab".to_owned());
        volume.ebs = Some(EbsSettings { iops: Some(3_000), kms_key: key, ..EbsSettings::plain("gp3") });
    }
    assert_eq!(noted(&spec, &seen), [""; 0], "of what the file leaves out nothing is said");
    spec.volumes[0].ebs.kms_key = Some("1234abcd-12ab-34cd-56ef-1234567890ab".to_owned());
    assert_eq!(noted(&spec, &seen), [""; 0], "the key is the same by its id");
    spec.volumes[0].size_gib = 10;
    spec.volumes[0].ebs = EbsSettings { iops: Some(400), encrypted: false, ..EbsSettings::plain("io2") };
    spec.volumes[0].tags.insert("cost".to_owned(), "storage".to_owned());
    let said = "vol-a, data of a, stays as it was made; not carried out: size 20GiB → 10GiB, type gp3 → io2, iops 3000 → 400, \
                encrypted true → false, tag cost none → storage; modify the volume in EC2, or correct the file";
    assert_eq!(noted(&spec, &seen)[0], said);
    assert_eq!(noted(&spec, &seen).len(), 3, "one for each slot");
    assert_eq!(status(&spec, &seen, &Plan::Settled, None).notes, noted(&spec, &seen));
    assert_eq!(towards(goal, &spec, &seen, &Limits::DEFAULT), Plan::Settled);
}

#[test]
fn what_members_warn_of_is_said_and_holds_nothing_up() {
    let (_, goal, spec, mut seen) = moments(&Path::new(CASES).join("settled.yaml")).remove(0);
    let Reading::Seen { value, .. } = &mut seen.membership else { panic!("the members are seen") };
    value.warnings = vec!["the database of m-a is near its quota".to_owned()];
    let said = value.warnings.clone();
    assert_eq!(notes(&Look::at(&spec, &seen).look().unwrap()), said);
    let status = status(&spec, &seen, &Plan::Settled, None);
    assert_eq!((status.notes, status.answer), (said, Plan::Settled.to_string()), "all is as the file says");
    assert_eq!(towards(goal, &spec, &seen, &Limits::DEFAULT), Plan::Settled);
}

#[test]
fn a_place_that_the_file_leaves_open_and_capacity_that_it_chooses_later_are_named() {
    let (_, _, spec, seen) = moments(&Path::new(CASES).join("placement.yaml")).remove(2);
    let said = notes(&Look::at(&spec, &seen).look().unwrap());
    let launched = |instance: &str, slot: &str, is: &str| {
        format!(
            "{instance} of {slot} was launched with capacity reservation {is}; cr-0123456789abcdef0 counts from the slot's next launch on"
        )
    };
    assert_eq!(
        said,
        [
            "i-a of a has placement group spread, which the file does not declare: for a replacement EC2 chooses"
                .to_owned(),
            launched("i-a", "a", "open"),
            launched("i-b", "b", "none"),
            launched("i-c", "c", "open"),
        ]
    );
}

#[test]
fn while_one_slot_is_claimed_the_gate_refuses_every_other() {
    let (_, _, spec, seen) = moments(&Path::new(CASES).join("gate-claim-held.yaml")).remove(0);
    let look = Look::at(&spec, &seen).look().unwrap();
    let refuses = |slot| {
        let mut findings = hermitcrab::plan::gates::findings(&look, slot, &spec.image);
        findings.any(|(gate, finding)| gate.name == GateName::ClaimHeld && finding.hazard.is_some())
    };
    assert_eq!(look.slots.iter().map(refuses).collect::<Vec<_>>(), [true, false, true]);
}

/// A test or an explorer may wait less long than a controller does.
#[test]
fn a_limit_that_is_changed_changes_the_decision() {
    let (_, goal, spec, seen) = moments(&Path::new(CASES).join("gate-rollback-cooldown.yaml")).remove(0);
    let closed = |limits: &Limits| match towards(goal, &spec, &seen, limits) {
        Plan::Blocked(blocked) => blocked.hazards.iter().map(Hazard::gate).collect(),
        _ => Vec::new(),
    };
    assert_eq!(closed(&Limits::default()), [GateName::RollbackCooldown]);
    assert_eq!(closed(&Limits { late: Duration::ZERO, ..Limits::DEFAULT }), []);
}

#[test]
fn a_wait_that_lasts_longer_than_it_should_says_so() {
    let (_, goal, spec, seen) = moments(&Path::new(CASES).join("volume-in-the-making.yaml")).remove(0);
    let Plan::Wait(waiting) = towards(goal, &spec, &seen, &Limits::DEFAULT) else { panic!("it does not wait") };
    assert_eq!(waiting.overdue(waiting.since), None);
    let told = waiting.overdue(waiting.worry_at).unwrap();
    let expected = "this takes longer than expected: it began at 2026-01-05T12:00:00Z and should have been over by 2026-01-05T12:10:00Z";
    assert_eq!(told, expected);
}

/// A step is one value for the planner, the forecast and the status.
#[test]
fn the_status_names_the_step_at_which_a_replacement_stands() {
    let steps: Vec<_> = moments(&Path::new(CASES).join("surge.yaml"))
        .into_iter()
        .filter_map(|(_, goal, spec, seen)| {
            let plan = towards(goal, &spec, &seen, &Limits::DEFAULT);
            let status = status(&spec, &seen, &plan, None);
            let step = status.slots.iter().find_map(|slot| slot.step)?;
            if let Plan::Act(action, why) = &plan
                && !matches!(why, Why::Ahead { .. })
            {
                let moves = matches!(action.effect, Effect::Claim(ClaimEffect::Move { .. }));
                assert_eq!(if moves { "release" } else { action.effect.name() }, step.name());
            }
            Some(step)
        })
        .collect();
    assert!(steps.is_sorted_by_key(|step| SURGE.iter().position(|of| of == step)), "{steps:?}");
    assert_eq!(steps.first(), Some(&Step::Launch));
    assert_eq!(steps.last(), Some(&Step::Release));
}

/// Before a member of the adopted group is stopped its processes are seen suspended; the gate is a second lock.
#[test]
fn a_member_of_a_group_that_is_not_still_is_not_touched() {
    let moments = moments(&Path::new(CASES).join("group.yaml"));
    let refuses = |when: &str| {
        let (_, _, spec, seen) = moments.iter().find(|(told, ..)| told.contains(when)).unwrap();
        let look = Look::at(spec, seen).look().unwrap();
        let findings = hermitcrab::plan::gates::findings(&look, &look.slots[1], &spec.image);
        let hazards: Vec<_> = findings.filter_map(|(_, finding)| finding.hazard).map(|h| h.to_string()).collect();
        hazards.into_iter().find(|text| text.contains("belongs to"))
    };
    let told = refuses("Somebody resumes").unwrap();
    assert_eq!(told, "i-b belongs to Auto Scaling group servers, of which HealthCheck, ReplaceUnhealthy run");
    assert_eq!(refuses("suspended again"), None);
}

/// Words that a hazard and its gate's row share.
#[test]
fn every_hazard_bears_the_name_of_its_gate() {
    for (_, _, spec, seen) in cases().iter().flat_map(|path| moments(path)) {
        let Some(look) = Look::at(&spec, &seen).look() else { continue };
        for slot in &look.slots {
            let findings = hermitcrab::plan::gates::findings(&look, slot, &spec.image);
            let mismatched = |(gate, finding): (&hermitcrab::plan::gates::Gate, hermitcrab::plan::gates::Finding)| {
                finding.hazard.filter(|hazard: &Hazard| hazard.gate() != gate.name)
            };
            assert_eq!(findings.filter_map(mismatched).next(), None);
        }
    }
}
