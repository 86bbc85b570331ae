//! Fills the documents from what the daemon has told.

use crate::controller::convergence::Convergence;
use crate::event::{Acted, Pass};
use crate::history::record::Record;
use crate::history::rollout;
use crate::ids::ClusterName;
use crate::input::text;
use crate::picture;
use crate::plan::Plan;
use crate::ports::Outcome;
use crate::spec::load;
use crate::status::{Attention, ConditionKind, ConditionStatus, SlotStatus, Status};
use crate::time::{Timestamp, clock, elapsed};

use super::document::{
    BrokenFile, Cluster, Daemon, Events, FORMAT_VERSION, File, FileState, Files, Fleet, LastAction, Lease, Problem,
    Quorum, Repository, Setback, SlotCount, StepCount, Summary,
};
use super::state::{self, State};
use super::{slots, timeline};

/// A look at the state at one moment.
pub struct Report<'s> {
    pub state: &'s State,
    pub now: Timestamp,
    /// Whether the daemon acts only while it holds a lease.
    pub uses_lease: bool,
}

impl Report<'_> {
    /// Reports the whole fleet, the most urgent clusters first.
    pub fn fleet(&self) -> Fleet {
        let mut clusters: Vec<_> = self.state.clusters.values().map(|cluster| self.summary(cluster)).collect();
        clusters.sort_by(|a, b| (a.attention, &a.cluster).cmp(&(b.attention, &b.cluster)));
        Fleet { format_version: FORMAT_VERSION, daemon: self.daemon(), clusters }
    }

    /// Reports the daemon itself.
    pub fn daemon(&self) -> Daemon {
        let started = self.state.started.as_ref();
        let read = self.state.read.as_ref();
        Daemon {
            version: env!("CARGO_PKG_VERSION"),
            at: clock(self.now),
            started_at: started.map(|started| clock(started.at)),
            source: started.map(|started| text::argument(&started.source)),
            repository: self.state.source.as_ref().map(|source| Repository {
                standing: (*source.standing).clone(),
                fetched_at: source.good_at.map(clock),
            }),
            observe_only: started.is_some_and(|started| started.observe_only),
            stopped: self.state.stopped.clone(),
            lease: match (self.uses_lease, started, self.state.lease_lost) {
                (false, ..) => Lease::NotUsed,
                (true, None, _) => Lease::Awaited,
                (true, Some(_), true) => Lease::Lost,
                (true, Some(_), false) => Lease::Held,
            },
            files: Files {
                read_at: read.map(|read| clock(read.at)),
                count: read.map_or(0, |read| read.count),
                broken: self.state.broken.keys().map(|path| self.broken(path)).collect(),
            },
        }
    }

    fn broken(&self, path: &std::path::Path) -> BrokenFile {
        BrokenFile {
            path: text::path(path),
            cluster: self.state.broken.get(path).and_then(Option::as_ref).map(ToString::to_string),
            problems: self.state.problems(path).iter().map(problem).collect(),
        }
    }

    /// Reports one cluster in one row.
    pub fn summary(&self, cluster: &state::Cluster) -> Summary {
        let (spec, status) = (&cluster.spec, cluster.pass.as_ref().map(|pass| &pass.status));
        Summary {
            cluster: spec.name.to_string(),
            environment: spec.environment.clone(),
            region: spec.region.clone(),
            application: spec.application.kind().to_owned(),
            attention: self.attention(cluster),
            remarks: self.remarks(cluster),
            phase: status.map_or_else(|| "unknown".to_owned(), |status| status.phase.to_string()),
            since: cluster.phase.map(|(_, since)| clock(since)),
            since_seconds: cluster.phase.map(|(_, since)| elapsed(self.now, since).as_secs()),
            answer: status.map_or_else(|| "not looked at yet".to_owned(), |status| status.answer.clone()),
            images: status.map(|status| images(status)).unwrap_or_default(),
            wanted: spec.image.to_string(),
            slots: SlotCount {
                declared: spec.slots.len(),
                current: status.map_or(0, |status| status.progress.updated),
            },
            step: cluster.pass.as_ref().and_then(|pass| step(cluster, pass, self.now)),
            quorum: quorum(spec.needed(), status.map(|status| &**status)),
            observed_at: cluster.pass.as_ref().map(|pass| clock(pass.seen.now)),
            age_seconds: cluster.pass.as_ref().map(|pass| elapsed(self.now, pass.seen.now).as_secs()),
        }
    }

    /// Judges how much a person is needed: as a look does, and by what only the daemon knows.
    fn attention(&self, cluster: &state::Cluster) -> Attention {
        let is_idle = cluster.pass.as_ref().is_some_and(|pass| matches!(pass.plan, Plan::Act(..)))
            && self.state.started.as_ref().is_some_and(|started| started.observe_only);
        let looked = cluster.pass.as_ref().map_or(Attention::NotSeen, |pass| pass.status.attention);
        let known = match cluster.convergence() {
            Some(Convergence::Broken | Convergence::Stalled) => Attention::Stalled,
            Some(Convergence::NeedsPerson) => Attention::NeedsPerson,
            _ if cluster.file != state::File::Current || is_idle => Attention::NeedsPerson,
            None | Some(Convergence::UnderWay | Convergence::Settled) => Attention::Settled,
        };
        looked.min(known)
    }

    /// Says what the daemon knows and a plan does not.
    fn remarks(&self, cluster: &state::Cluster) -> Vec<String> {
        let is_act = cluster.pass.as_ref().is_some_and(|pass| matches!(pass.plan, Plan::Act(..)));
        let observes = self.state.started.as_ref().is_some_and(|started| started.observe_only);
        let file = match cluster.file {
            state::File::Current => None,
            state::File::LastGood => Some("the file is broken: its last good version stays in force"),
            state::File::Orphaned => Some("no file declares the cluster any more: nothing of it is changed"),
        };
        let remarks = [
            file,
            cluster
                .is_broken
                .then_some("an internal assertion broke: the cluster is left alone until its spec changes"),
            (observes && is_act).then_some("the daemon only observes: nothing is done"),
            self.state.lease_lost.then_some("the lease is lost: nothing more is begun until it is held again"),
        ];
        remarks.into_iter().flatten().map(str::to_owned).collect()
    }

    /// Reports everything about one cluster.
    pub fn cluster(&self, name: &str) -> Option<Cluster> {
        let name = ClusterName::from(name);
        let cluster = self.state.clusters.get(&name)?;
        let pass = cluster.pass.as_ref();
        Some(Cluster {
            format_version: FORMAT_VERSION,
            daemon: self.daemon(),
            summary: self.summary(cluster),
            file: File {
                path: self.state.path(&name).map(text::path),
                state: match cluster.file {
                    state::File::Current => FileState::Current,
                    state::File::LastGood => FileState::LastGood,
                    state::File::Orphaned => FileState::Orphaned,
                },
            },
            setbacks: pass.map(|pass| setbacks(pass)).unwrap_or_default(),
            last_action: cluster.acted.as_ref().map(|(at, acted)| last_action(*at, acted)),
            slots: pass.map(|pass| slots::slots(pass)).unwrap_or_default(),
            steps: pass.map(|pass| timeline::steps(cluster, pass, self.now)).unwrap_or_default(),
            status: pass.map(|pass| (*pass.status).clone()),
        })
    }

    /// Reports the latest events that are newer than that number; of one cluster, or all.
    pub fn events(&self, of: Option<&str>, after: u64) -> Events {
        let past = &self.state.past;
        let events = past.of(of).filter(|record| record.id > after).cloned().collect();
        Events { format_version: FORMAT_VERSION, forgotten: past.forgotten(), events }
    }

    /// Reports the latest events of a cluster, the newest first, and no more than that many.
    pub fn newest(&self, cluster: &str, most: usize) -> Vec<Record> {
        self.state.past.of(Some(cluster)).rev().take(most).cloned().collect()
    }

    /// Reports the rollouts that the latest events tell of; of one cluster, or all.
    pub fn history(&self, of: Option<&str>) -> rollout::Document {
        rollout::document(rollout::rollouts(self.state.past.of(of)))
    }

    /// Draws the rollout of a cluster that began with that event.
    pub fn picture(&self, cluster: &str, id: u64) -> Option<String> {
        let records: Vec<_> = self.state.past.of(Some(cluster)).cloned().collect();
        let rollout = rollout::rollouts(&records).into_iter().find(|rollout| rollout.id == id)?;
        Some(picture::svg(&rollout, &records))
    }
}

fn problem(problem: &load::Problem) -> Problem {
    Problem {
        line: problem.place.as_ref().map(|place| place.line),
        column: problem.place.as_ref().map(|place| place.column),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}

fn images(status: &Status) -> Vec<String> {
    let mut images: Vec<_> = status.slots.iter().filter_map(|slot| Some(slot.image.as_ref()?.to_string())).collect();
    images.sort();
    images.dedup();
    images
}

fn quorum(needed: usize, status: Option<&Status>) -> Quorum {
    let is_known = |status: &&Status| {
        let quorum = status.condition(ConditionKind::QuorumHealthy);
        quorum.is_some_and(|quorum| quorum.status != ConditionStatus::Unknown)
    };
    let count = |status: &Status| status.slots.iter().filter(|slot| SlotStatus::counts_as_healthy(slot)).count();
    let healthy = status.filter(is_known).map(count);
    let may_fail = healthy.map(|healthy| i64::try_from(healthy).unwrap_or(0) - i64::try_from(needed).unwrap_or(0));
    Quorum { healthy, needed, may_fail }
}

fn step(cluster: &state::Cluster, pass: &Pass, now: Timestamp) -> Option<StepCount> {
    let claimed = pass.status.slots.iter().find(|slot| slot.claimed)?;
    let action = claimed.step?;
    let steps = timeline::steps(cluster, pass, now);
    let number = steps.iter().position(|step| step.action == action.name())? + 1;
    Some(StepCount { slot: claimed.slot.to_string(), action: action.to_string(), number, of: steps.len() })
}

fn setbacks(pass: &Pass) -> Vec<Setback> {
    let setback = |setback: &crate::observed::Setback| Setback {
        doing: setback.doing.clone(),
        found: text::without_passwords(&setback.found),
        since: clock(setback.since),
        times: setback.times,
    };
    pass.seen.setbacks.iter().map(setback).collect()
}

fn last_action(at: Timestamp, acted: &Acted) -> LastAction {
    let (outcome, why) = match &acted.outcome {
        Ok(Outcome::Changed { expected, found }) => ("changed", Some(format!("expected {expected}, found {found}"))),
        Ok(_) => ("done", None),
        Err(failed) => ("failed", Some(format!("{}: {}", failed.kind, text::without_passwords(&failed.why)))),
    };
    LastAction { at: clock(at), action: acted.action.to_string(), outcome, why }
}
