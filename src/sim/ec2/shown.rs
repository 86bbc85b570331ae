//! The answers that EC2 has given of late, so that a stale answer can repeat them.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::observed::CloudView;
use crate::sim::time::Millis;

/// No answer of chance is older than 20 s, but for the tags in it.
pub const OLDEST: Millis = 20_000;
/// Tags lag for up to two minutes.
pub const OLDEST_TAGS: Millis = 120_000;
/// The time for which answers are kept, because a script may have them repeated.
const KEPT: Millis = 600_000;

/// The answers of late about one cluster.
#[derive(Serialize, Deserialize)]
pub struct Shown {
    /// Something changed since the last answer was kept.
    pub outdated: bool,
    /// Earlier answers, oldest first.
    versions: VecDeque<Version>,
    #[serde(skip)]
    pub exact: Option<Arc<CloudView>>,
}

/// The exact answer of one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Version {
    at: Millis,
    view: Arc<CloudView>,
}

/// The moments from which the parts of a stale answer are.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    pub instances: Millis,
    pub volumes: Millis,
    /// The tag index: an instance that is younger is missing.
    pub tags: Millis,
    pub group: Option<Millis>,
}

impl Default for Shown {
    fn default() -> Self {
        Self { outdated: true, versions: VecDeque::new(), exact: None }
    }
}

impl Shown {
    /// Notes that EC2 would now say something else.
    pub fn outdate(&mut self) {
        self.outdated = true;
        self.exact = None;
    }

    /// Keeps an answer for as long as a stale one may repeat it.
    pub fn keep(&mut self, now: Millis, view: Arc<CloudView>) {
        self.outdated = false;
        self.versions.push_back(Version { at: now, view });
        while self.versions.get(1).is_some_and(|second| second.at + KEPT < now) {
            self.versions.pop_front();
        }
    }

    /// Finds the answer of that moment, or else the oldest one.
    pub fn version(&self, at: Millis) -> Option<&CloudView> {
        let known = self.versions.iter().rev().find(|version| version.at <= at);
        known.or_else(|| self.versions.front()).map(|version| &*version.view)
    }
}
