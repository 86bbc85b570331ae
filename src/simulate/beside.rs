//! The clusters beside the one that a simulation is about: the same controllers attend to them, and of each the latest
//! answers are kept.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::event::Pass;
use crate::ids::ClusterName;
use crate::sim::World;
use crate::spec::ClusterSpec;
use crate::time::Timestamp;

use super::Ending;
use super::transcript::Transcript;

/// The clusters beside the one that is told of. Clones share them.
#[derive(Clone)]
pub(super) struct Beside {
    clusters: Rc<RefCell<Vec<(ClusterSpec, Transcript)>>>,
}

impl Beside {
    pub(super) fn new(specs: Vec<ClusterSpec>) -> Self {
        let clusters = specs.into_iter().map(|spec| (spec, Transcript::default())).collect();
        Self { clusters: Rc::new(RefCell::new(clusters)) }
    }

    pub(super) fn names(&self) -> BTreeSet<ClusterName> {
        self.clusters.borrow().iter().map(|(spec, _)| spec.name.clone()).collect()
    }

    pub(super) fn specs(&self) -> Vec<ClusterSpec> {
        self.clusters.borrow().iter().map(|(spec, _)| spec.clone()).collect()
    }

    /// Commits the same to each of them, under its own name.
    pub(super) fn commit(&self, spec: &ClusterSpec, now: Timestamp) {
        for (own, transcript) in self.clusters.borrow_mut().iter_mut() {
            *own = ClusterSpec { name: own.name.clone(), depends_on: own.depends_on.clone(), ..spec.clone() };
            transcript.begin_anew(now);
        }
    }

    pub(super) fn begin_anew(&self, now: Timestamp) {
        self.clusters.borrow_mut().iter_mut().for_each(|(_, transcript)| transcript.begin_anew(now));
    }

    /// Says whether a pass is about one of them.
    pub(super) fn is_about(&self, pass: &Pass) -> bool {
        self.clusters.borrow().iter().any(|(spec, _)| spec.name == pass.spec.name)
    }

    /// Takes over the answer of a pass about one of them.
    pub(super) fn take_pass(&self, pass: &Pass, world: &World) {
        let mut clusters = self.clusters.borrow_mut();
        if let Some((_, transcript)) = clusters.iter_mut().find(|(spec, _)| spec.name == pass.spec.name) {
            transcript.take_pass(pass, world.seconds(), world.time());
            transcript.hand_over(&mut |_| {});
        }
    }

    pub(super) fn all(&self, is_over: impl Fn(&Transcript) -> bool) -> bool {
        self.clusters.borrow().iter().all(|(_, transcript)| is_over(transcript))
    }

    /// Tells the latest answer of each that was not an action.
    pub(super) fn standing(&self) -> BTreeMap<ClusterName, String> {
        let clusters = self.clusters.borrow();
        let answer = |transcript: &Transcript| transcript.latest.as_ref().map(|latest| latest.answer.clone());
        let acting = || "something is being done".to_owned();
        let stands = |(spec, transcript): &(ClusterSpec, Transcript)| {
            (spec.name.clone(), answer(transcript).unwrap_or_else(acting))
        };
        clusters.iter().map(stands).collect()
    }

    /// Tells how each has ended.
    pub(super) fn endings(&self, is_over: impl Fn(&Transcript) -> bool) -> BTreeMap<ClusterName, Ending> {
        let clusters = self.clusters.borrow();
        let ending = |transcript: &Transcript| {
            let latest = transcript.ending_answer().filter(|_| is_over(transcript));
            latest.map_or(Ending::Unsettled, |latest| latest.ending())
        };
        clusters.iter().map(|(spec, transcript)| (spec.name.clone(), ending(transcript))).collect()
    }
}
