//! Records the result of a rehearsal where every controller of the cluster finds it.

use std::error::Error;

use serde::Serialize;

use crate::action::{ClaimEffect, Effect};
use crate::cli::Failure;
use crate::cli::cloud::{self, Environment};
use crate::ids::Generation;
use crate::input::text;
use crate::observed::{Rehearsed, Verdict};
use crate::ports::{Outcome, chain};
use crate::rehearsal::{Judgement, Report};
use crate::spec::{self, ClusterSpec};

/// Attempts to write the record, where somebody else writes at the same time.
const TRIES: usize = 5;
/// The findings against an image that are recorded; the report has all of them.
const FINDINGS: usize = 3;
/// The characters of a finding that are recorded.
const LONGEST: usize = 200;

/// The record of a rehearsal of one generation.
pub struct Record {
    generation: Generation,
    kept: Kept,
}

enum Kept {
    Written,
    /// Nothing, because the rehearsal was interrupted and proves nothing. An earlier record still holds.
    Nothing,
    Failed(Failure),
}

/// A rehearsal that no controller knows of.
#[derive(Debug, thiserror::Error)]
#[error("the rehearsal is not recorded")]
struct NotRecorded {
    source: Box<dyn Error>,
}

/// Records the result for the cluster itself, with the generation of its spec.
pub fn record(environment: &Environment, spec: &ClusterSpec, report: &Report) -> Record {
    let generation = spec.generation();
    if report.judgement == Judgement::Interrupted {
        return Record { generation, kept: Kept::Nothing };
    }
    let rehearsed = Rehearsed {
        generation: generation.clone(),
        from: report.from.clone(),
        to: report.to.clone(),
        at: environment.now(),
        copy: report.copy.clone(),
        unlike: report.changed.clone(),
        verdict: verdict(report),
    };
    let mut kept = Kept::Failed(Failure::new("the claim record was changed by somebody else at each attempt"));
    for _ in 0..TRIES {
        kept = match write(environment, spec, &rehearsed) {
            Ok(true) => return Record { generation, kept: Kept::Written },
            Ok(false) => kept,
            Err(failure) => Kept::Failed(failure),
        };
    }
    Record { generation, kept }
}

/// Writes the record; `false` if somebody else has changed the claim record. A write whose answer was lost may have taken
/// effect, so that the record is read first.
fn write(environment: &Environment, spec: &ClusterSpec, rehearsed: &Rehearsed) -> Result<bool, Failure> {
    let (_, record) = environment.see(spec)?;
    if record.rehearsed.contains(rehearsed) {
        return Ok(true);
    }
    let effect = ClaimEffect::Rehearsed { rehearsed: rehearsed.clone(), expects: record.revision };
    let outcome = environment.act(spec, None, Effect::Claim(effect))?;
    Ok(!matches!(outcome, Outcome::Changed { .. }))
}

fn verdict(report: &Report) -> Verdict {
    if report.judgement == Judgement::Passed {
        return Verdict::Passed;
    }
    let short = |finding: &String| finding.chars().take(LONGEST).collect();
    Verdict::Failed { findings: report.findings.iter().take(FINDINGS).map(short).collect() }
}

/// The report for programs, with the generation and whether the result is recorded.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Beside<'a> {
    #[serde(flatten)]
    report: &'a Report,
    generation: &'a Generation,
    recorded: bool,
}

impl Record {
    /// Writes a line for a terminal.
    pub fn text(&self, cloud: &cloud::Args) -> String {
        format!("  {:12} {}\n", "recorded", self.told(cloud))
    }

    /// Writes a row for a comment on a pull request.
    pub fn markdown(&self, cloud: &cloud::Args) -> String {
        format!("| recorded | {} |\n", self.told(cloud))
    }

    fn told(&self, cloud: &cloud::Args) -> String {
        match &self.kept {
            Kept::Written => format!("for {}, in {}", self.generation, place(cloud)),
            Kept::Nothing => "no: an interrupted rehearsal proves nothing".to_owned(),
            Kept::Failed(failure) => format!("no: {}", chain(&*failure.error)),
        }
    }

    /// Puts the record beside the report, for programs.
    pub fn beside<'a>(&'a self, report: &'a Report) -> Beside<'a> {
        Beside { report, generation: &self.generation, recorded: matches!(self.kept, Kept::Written) }
    }

    /// Fails if the file requires a rehearsal, and the result could not be recorded.
    pub fn conclude(self, spec: &ClusterSpec) -> Result<(), Failure> {
        match (self.kept, spec.rollout.rehearsal) {
            (Kept::Failed(failure), spec::Rehearsal::Required) => {
                Err(Failure::new(NotRecorded { source: failure.error })
                    .hint("check that the claims can be written, and rehearse again: the file requires a rehearsal"))
            }
            (Kept::Failed(_), spec::Rehearsal::Optional) | (Kept::Written | Kept::Nothing, _) => Ok(()),
        }
    }
}

/// Names the place of the record.
fn place(cloud: &cloud::Args) -> String {
    match (&cloud.world, cloud.cloud) {
        (Some(world), _) => text::path(world),
        (None, Some(cloud::Kind::Simulated)) => "a world that is not saved".to_owned(),
        (None, Some(cloud::Kind::Aws) | None) => cloud.aws.place().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{Budget, Changes, Rehearsal, copy, name};
    use crate::sim::{FaultLevel, World};

    const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

    /// Makes a settled cluster, its spec with another image, and a rehearsal of that image on another instance type.
    fn rehearsed() -> (Environment, ClusterSpec, Rehearsal) {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        let old = loaded.specs().next().unwrap().1.clone();
        let world = World::new(1, FaultLevel::None);
        world.settle(&old);
        let spec = ClusterSpec { image: NEW.into(), ..old.clone() };
        let environment = Environment::simulated(vec![spec.clone()], world, None);
        let mut copy = copy(&spec, name(&spec.name, environment.now()));
        let changes = Changes { instance_type: Some("t3.small".to_owned()), ..Changes::default() };
        let changed = changes.make(&mut copy).unwrap();
        let part = std::time::Duration::from_secs(3_600);
        let budget = Budget { member_down: None, write_stall: None, part };
        (environment, spec, Rehearsal { original: old.name, copy, changed, from: old.image, budget })
    }

    fn report(rehearsal: &Rehearsal, judgement: Judgement, findings: &[String]) -> Report {
        Report { judgement, findings: findings.to_vec(), ..Report::of(rehearsal) }
    }

    fn known(environment: &Environment, spec: &ClusterSpec) -> (u64, Vec<Rehearsed>) {
        let (_, record) = environment.see(spec).unwrap();
        (record.revision, record.rehearsed)
    }

    #[test]
    fn it_is_written_down_for_the_cluster_as_it_is_to_be_and_not_for_the_copy() {
        let (environment, spec, rehearsal) = rehearsed();
        let before = known(&environment, &spec).0;
        let kept = record(&environment, &spec, &report(&rehearsal, Judgement::Passed, &[])).kept;
        assert!(matches!(kept, Kept::Written));
        let (revision, known) = known(&environment, &spec);
        let [rehearsed] = &known[..] else { panic!("{known:?}") };
        assert_eq!(revision, before + 1);
        assert_eq!(rehearsed.generation, spec.generation());
        assert_ne!(rehearsed.generation, rehearsal.copy.generation());
        assert_eq!(rehearsed.unlike, ["instance type m7i.large → t3.small"]);
        assert_eq!(rehearsed.verdict, Verdict::Passed);
    }

    #[test]
    fn of_what_speaks_against_an_image_enough_is_kept_and_no_more() {
        let (environment, spec, rehearsal) = rehearsed();
        let findings: Vec<_> = (0..9).map(|nth| format!("{nth}{}", "ü".repeat(999))).collect();
        record(&environment, &spec, &report(&rehearsal, Judgement::Failed, &findings));
        let Verdict::Failed { findings } = known(&environment, &spec).1.remove(0).verdict else { panic!("it passed") };
        assert_eq!(findings.iter().map(|finding| finding.chars().count()).collect::<Vec<_>>(), [LONGEST; FINDINGS]);
    }

    #[test]
    fn one_that_was_broken_off_leaves_what_was_known() {
        let (environment, spec, rehearsal) = rehearsed();
        record(&environment, &spec, &report(&rehearsal, Judgement::Passed, &[]));
        let before = known(&environment, &spec);
        let broken_off =
            report(&rehearsal, Judgement::Interrupted, &["the rollout did not come to its end: broken off".to_owned()]);
        assert!(matches!(record(&environment, &spec, &broken_off).kept, Kept::Nothing));
        assert_eq!(known(&environment, &spec), before);
    }

    #[test]
    fn a_write_of_which_no_answer_came_is_not_made_twice() {
        let (environment, spec, rehearsal) = rehearsed();
        record(&environment, &spec, &report(&rehearsal, Judgement::Passed, &[]));
        let (revision, known_before) = known(&environment, &spec);
        assert!(write(&environment, &spec, &known_before[0]).unwrap());
        assert_eq!(known(&environment, &spec).0, revision);
    }

    #[test]
    fn what_cannot_be_written_is_an_error_where_the_file_requires_it() {
        let (environment, spec, rehearsal) = rehearsed();
        let mut spec = ClusterSpec { name: "nowhere".into(), ..spec };
        let made = |spec: &ClusterSpec| record(&environment, spec, &report(&rehearsal, Judgement::Passed, &[]));
        let (optional, required) = (made(&spec), made(&spec));
        assert!(optional.conclude(&spec).is_ok());
        spec.rollout.rehearsal = spec::Rehearsal::Required;
        let failure = required.conclude(&spec).unwrap_err();
        assert_eq!(
            chain(&*failure.error),
            "the rehearsal is not recorded: write the claim: no such cluster in this world"
        );
        assert!(failure.hint.is_some());
    }
}
