//! The transcript of a world: what has happened, which rules were broken, and how many calls were accepted.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::event::{Event, Violation, What};
use super::judge::Objection;
use super::time::Millis;
use crate::ids::ClusterName;

/// Everything that was told of a world.
#[derive(Default, Serialize, Deserialize)]
pub struct Transcript {
    /// The latest events that nobody has taken yet. A saved world has none: they are told where it runs.
    #[serde(skip)]
    events: VecDeque<Event>,
    /// Nobody takes them, so none are kept.
    #[serde(skip)]
    is_unheard: bool,
    pub violations: Vec<Violation>,
    /// Accepted mutating calls, by the effect's name.
    pub calls: BTreeMap<String, u64>,
    /// The moments at which equal calls were sent within the last hour.
    #[serde(skip)]
    sent: BTreeMap<(ClusterName, String, String), VecDeque<Millis>>,
}

/// The most events that wait to be taken.
const MOST_EVENTS: usize = 100_000;
/// Equal calls within an hour that are a loop, whatever comes of them: one every twelve seconds.
const LOOP: usize = 300;
/// Equal calls within an hour that are a loop if each of them takes effect.
const EFFECTIVE_LOOP: usize = 30;
/// The time in which equal calls are counted.
const LOOKED_BACK: Millis = 3_600_000;

/// Simulated seconds, as events have them.
pub fn seconds(now: Millis) -> f64 {
    now as f64 / 1_000.0
}

impl Transcript {
    /// Adds an event.
    pub fn tell(&mut self, now: Millis, what: What) {
        if self.is_unheard {
            return;
        }
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event { t: seconds(now), what });
    }

    /// Keeps no events from now on.
    pub fn tell_nobody(&mut self) {
        self.is_unheard = true;
        self.events = VecDeque::new();
    }

    /// Takes the events since the last time that they were taken.
    pub fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events).into()
    }

    /// Counts an accepted call.
    pub fn count(&mut self, action: &str) {
        *self.calls.entry(action.to_owned()).or_default() += 1;
    }

    /// Counts a call, and says whether there are so many equal ones that it is a loop.
    pub fn is_loop(
        &mut self,
        now: Millis,
        cluster: &ClusterName,
        action: &str,
        subject: &str,
        had_effect: bool,
    ) -> bool {
        let most = if had_effect { EFFECTIVE_LOOP } else { LOOP };
        let kind = if had_effect { action.to_owned() } else { format!("{action} in vain") };
        let sent = self.sent.entry((cluster.clone(), kind, subject.to_owned())).or_default();
        sent.push_back(now);
        while sent.front().is_some_and(|first| first + LOOKED_BACK < now) {
            sent.pop_front();
        }
        sent.len() > most
    }

    /// Tells of a broken rule, the first time.
    pub fn violate(&mut self, now: Millis, cluster: &ClusterName, (rule, detail): Objection) {
        let same = |old: &Violation| old.cluster == *cluster && old.rule == rule && old.detail == detail;
        if self.violations.iter().any(same) {
            return;
        }
        let (cluster, invariant) = (cluster.clone(), rule.name().to_owned());
        self.tell(now, What::Violation { cluster: cluster.clone(), invariant, detail: detail.clone() });
        self.violations.push(Violation { t: seconds(now), cluster, rule, detail });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_nobody_takes_are_not_kept() {
        let what = || What::Fault { cluster: None, fault: "throttled".to_owned(), detail: String::new() };
        let mut transcript = Transcript::default();
        transcript.tell(0, what());
        assert_eq!(transcript.take().len(), 1);
        transcript.tell(1, what());
        transcript.tell_nobody();
        transcript.tell(2, what());
        assert!(transcript.take().is_empty());
    }
}
