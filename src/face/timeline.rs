//! The replacement under way as a time line: which steps are done, which one is taken now, and which are to come.

use crate::event::Pass;
use crate::plan::steps::{HEAL, Scope, Step, TAKE_BACK, replacing, timed};
use crate::spec::ClusterSpec;
use crate::status::{Phase, Role};
use crate::time::{Timestamp, clock, elapsed};

use super::document::{self, StepState};
use super::state::Cluster;

/// Lists the steps of the claimed slot's replacement; none while nothing is claimed.
pub fn steps(cluster: &Cluster, pass: &Pass, now: Timestamp) -> Vec<document::Step> {
    let Some(claimed) = pass.status.slots.iter().find(|slot| slot.claimed) else { return Vec::new() };
    let seen = cluster.steps.as_ref().map_or(&[][..], |(_, steps)| steps.as_slice());
    let leads = claimed.role == Role::Leader;
    let transfers =
        leads || claimed.step == Some(Step::Transfer) || seen.iter().any(|(step, _)| *step == Step::Transfer);
    let rows = rows(list(pass), &pass.spec, transfers);
    let position = claimed.step.and_then(|step| rows.iter().position(|row| row.step == step));
    let row = |(index, row): (usize, &Row)| {
        let begun = seen.iter().find(|(step, _)| *step == row.step).map(|(_, begun)| *begun);
        let state = match position {
            Some(position) if index < position => StepState::Done,
            Some(position) if index == position => StepState::Now,
            _ => StepState::ToCome,
        };
        let begun = begun.filter(|_| state != StepState::ToCome);
        let ended = match state {
            StepState::Done => seen.iter().map(|(_, at)| *at).filter(|at| Some(*at) > begun).min(),
            StepState::Now | StepState::ToCome => Some(now),
        };
        document::Step {
            action: row.step.to_string(),
            state,
            forecast_seconds: row.takes,
            begun: begun.map(clock),
            took_seconds: begun.zip(ended).map(|(begun, ended)| elapsed(ended, begun).as_secs()),
            member_down: row.down,
        }
    };
    rows.iter().enumerate().map(row).collect()
}

/// The list that the claimed slot goes by.
fn list(pass: &Pass) -> &'static [Step] {
    let replaces = pass.seen.claim.seen().and_then(|record| record.held.as_ref()).and_then(|claim| claim.old());
    match (pass.status.phase, replaces) {
        (Phase::RollingBack, _) => TAKE_BACK,
        (_, None) => HEAL,
        (_, Some(_)) => replacing(pass.spec.rollout.strategy),
    }
}

struct Row {
    step: Step,
    takes: u64,
    down: bool,
}

/// The steps that are taken, each once, and the proof as a step of its own, which is a wait.
fn rows(list: &'static [Step], spec: &ClusterSpec, transfers: bool) -> Vec<Row> {
    let taken = timed(list, spec, Scope { transfers, lacking: 0 });
    let row = |step: &Step| {
        let is_taken = taken.iter().find(|timed| timed.step == *step);
        let takes = if *step == Step::Prove { step.takes() + spec.rollout.bake_time } else { step.takes() };
        let down = is_taken.is_some_and(|timed| timed.down) || *step == Step::Prove;
        (is_taken.is_some() || *step == Step::Prove).then_some(Row { step: *step, takes: takes.as_secs(), down })
    };
    list.iter().filter_map(row).collect()
}
