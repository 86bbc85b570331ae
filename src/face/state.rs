//! Everything that the daemon has told: its last word on each cluster, on itself and on its files, and the latest events.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use crate::controller::convergence::Convergence;
use crate::event::{Acted, Event, EventKind, Pass};
use crate::history::latest::Latest;
use crate::ids::{ClusterName, SlotName};
use crate::plan::steps::Step;
use crate::revision::Standing;
use crate::spec::ClusterSpec;
use crate::spec::load::{Loaded, Problem, Severity};
use crate::status::Phase;
use crate::time::Timestamp;

/// The knowledge of the daemon as far as it has told it.
#[derive(Default)]
pub struct State {
    pub started: Option<Started>,
    pub lease_lost: bool,
    /// The reason for which nothing may be changed, as the latest pass found it.
    pub stopped: Option<String>,
    pub read: Option<Read>,
    pub source: Option<Source>,
    /// The files that cannot be used, each with the cluster whose last good version stays in force.
    pub broken: BTreeMap<PathBuf, Option<ClusterName>>,
    problems: BTreeMap<PathBuf, Vec<Problem>>,
    /// The file that declares each cluster.
    paths: BTreeMap<ClusterName, PathBuf>,
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// The latest events, as the log has them.
    pub past: Latest,
    /// The number of the latest event.
    pub number: u64,
}

/// The beginning of the daemon, or of its latest term with the lease.
#[derive(Clone)]
pub struct Started {
    pub at: Timestamp,
    pub source: String,
    pub observe_only: bool,
}

/// The source of revisions, as it stood at the latest look.
pub struct Source {
    pub standing: Arc<Standing>,
    /// The moment of the latest look that went well.
    pub good_at: Option<Timestamp>,
}

/// The latest reading of the files.
pub struct Read {
    pub at: Timestamp,
    /// The number of files.
    pub count: usize,
    /// The moment at which all files could last be used.
    pub good_at: Option<Timestamp>,
}

/// One cluster, as last told.
pub struct Cluster {
    pub spec: Arc<ClusterSpec>,
    pub file: File,
    pub pass: Option<Rc<Pass>>,
    /// The phase of the latest pass, and since when it has been that.
    pub phase: Option<(Phase, Timestamp)>,
    /// The moment of the latest pass that saw the cloud and the claim.
    pub good_at: Option<Timestamp>,
    /// The moment at which the first slot of the rollout under way was seen to be claimed.
    pub rollout_since: Option<Timestamp>,
    /// The latest action, and when it was done.
    pub acted: Option<(Timestamp, Rc<Acted>)>,
    /// The steps of the claimed slot's replacement, each with the moment at which it was first seen to be the one.
    pub steps: Option<(SlotName, Vec<(Step, Timestamp)>)>,
    /// An internal assertion broke.
    pub is_broken: bool,
    /// The number of the latest event that was about the cluster.
    pub number: u64,
}

/// The relation of a cluster's spec to the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    Current,
    LastGood,
    Orphaned,
}

impl State {
    /// Knows of nothing but the past.
    pub fn remembering(past: Latest) -> Self {
        Self { past, ..Self::default() }
    }

    /// Takes note of an event.
    pub fn note(&mut self, event: &Event) {
        self.number += 1;
        self.past.note(event);
        match &event.kind {
            EventKind::Started { source, observe_only } => {
                self.started = Some(Started { at: event.at, source: source.clone(), observe_only: *observe_only });
                self.lease_lost = false;
            }
            EventKind::LeaseLost => self.lease_lost = true,
            EventKind::SourceAsked(asked) => self.asked(event.at, &asked.standing),
            EventKind::DesiredRead(loaded) => self.read(event.at, loaded),
            EventKind::FileUsable(path) => self.usable(path),
            EventKind::FileBroken(path) => {
                self.broken.insert(path.clone(), event.cluster.clone());
            }
            EventKind::DesiredChanged(spec) => self.changed(spec),
            _ => {}
        }
        if let Some(cluster) = event.cluster.as_ref().and_then(|name| self.clusters.get_mut(name)) {
            cluster.number = self.number;
            cluster.note(event);
        }
        if let EventKind::Planned(pass) = &event.kind {
            self.stopped.clone_from(&pass.seen.kill_switch);
        }
    }

    /// Lists what is wrong with a file.
    pub fn problems(&self, path: &Path) -> &[Problem] {
        self.problems.get(path).map_or(&[], Vec::as_slice)
    }

    /// Names the file that declares a cluster, or did last.
    pub fn path(&self, cluster: &ClusterName) -> Option<&Path> {
        self.paths.get(cluster).map(PathBuf::as_path)
    }

    fn asked(&mut self, at: Timestamp, standing: &Arc<Standing>) {
        let before = self.source.take().and_then(|before| before.good_at);
        let good_at = if standing.trouble.is_none() { Some(at) } else { before };
        self.source = Some(Source { standing: standing.clone(), good_at });
    }

    fn read(&mut self, at: Timestamp, loaded: &Loaded) {
        let good_at = if loaded.has_errors() { self.read.as_ref().and_then(|before| before.good_at) } else { Some(at) };
        self.read = Some(Read { at, count: loaded.files.len(), good_at });
        self.problems.clear();
        for problem in loaded.problems().filter(|problem| problem.severity == Severity::Error) {
            self.problems.entry(problem.path.clone()).or_default().push(problem.clone());
        }
        self.paths.extend(loaded.specs().map(|(path, spec)| (spec.name.clone(), path.to_owned())));
    }

    fn usable(&mut self, path: &Path) {
        let kept = self.broken.remove(path).flatten();
        if let Some(cluster) = kept.and_then(|name| self.clusters.get_mut(&name)) {
            cluster.file = File::Current;
        }
    }

    fn changed(&mut self, spec: &Arc<ClusterSpec>) {
        self.clusters.entry(spec.name.clone()).or_insert_with(|| Cluster::new(spec.clone()));
    }
}

impl Cluster {
    fn new(spec: Arc<ClusterSpec>) -> Self {
        Self {
            spec,
            file: File::Current,
            pass: None,
            phase: None,
            good_at: None,
            rollout_since: None,
            acted: None,
            steps: None,
            is_broken: false,
            number: 0,
        }
    }

    fn note(&mut self, event: &Event) {
        match &event.kind {
            EventKind::DesiredChanged(spec) => {
                self.spec = spec.clone();
                self.file = File::Current;
                self.is_broken = false;
            }
            EventKind::FileBroken(_) => self.file = File::LastGood,
            EventKind::Orphaned => self.file = File::Orphaned,
            EventKind::Broken => self.is_broken = true,
            EventKind::Planned(pass) => self.planned(pass),
            EventKind::Acted(acted) => self.acted = Some((event.at, acted.clone())),
            _ => {}
        }
    }

    fn planned(&mut self, pass: &Rc<Pass>) {
        let (at, phase) = (pass.seen.now, pass.status.phase);
        if self.phase.is_none_or(|(before, _)| before != phase) {
            self.phase = Some((phase, at));
        }
        if pass.seen.claim.seen().is_some() && pass.seen.cloud.seen().is_some() {
            self.good_at = Some(at);
            self.follow_steps(pass);
            self.follow_rollout(pass);
        }
        self.pass = Some(pass.clone());
    }

    /// Takes note of the step at which the claimed slot stands. A step that is taken again begins anew.
    fn follow_steps(&mut self, pass: &Pass) {
        let Some(claimed) = pass.status.slots.iter().find(|slot| slot.claimed) else {
            self.steps = None;
            return;
        };
        let kept = self.steps.take().filter(|(slot, _)| *slot == claimed.slot);
        let (slot, mut steps) = kept.unwrap_or_else(|| (claimed.slot.clone(), Vec::new()));
        if let Some(step) = claimed.step.filter(|step| steps.last().is_none_or(|(latest, _)| latest != step)) {
            steps.retain(|(earlier, _)| *earlier != step);
            steps.push((step, pass.seen.now));
        }
        self.steps = Some((slot, steps));
    }

    /// A rollout lasts from its first claim until every slot is as the spec wants it.
    fn follow_rollout(&mut self, pass: &Pass) {
        let is_claimed = pass.status.slots.iter().any(|slot| slot.claimed);
        let is_over = !is_claimed && pass.status.progress.updated == pass.status.progress.total;
        let since = self.rollout_since.or_else(|| is_claimed.then_some(pass.seen.now));
        self.rollout_since = since.filter(|_| !is_over);
    }

    /// Judges how far the cluster has come; none before the first look.
    pub fn convergence(&self) -> Option<Convergence> {
        if self.is_broken {
            return Some(Convergence::Broken);
        }
        self.pass.as_ref().map(|pass| Convergence::after(&pass.plan))
    }
}
