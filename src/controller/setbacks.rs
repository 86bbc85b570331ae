//! Actions that come to nothing: how often and since when, and whether it is time to try again. Counted by deed, so that
//! what is refused to one slot keeps nobody else waiting.

use std::time::Duration;

use litemap::LiteMap;

use crate::action::{Action, CloudEffect, Effect};
use crate::observed::{Nature, Setback};
use crate::ports::{ErrorKind, Outcome, PortError, chain};
use crate::time::{Timestamp, elapsed};

/// The longest pause between two answers in a row. Whoever asks again after a longer one begins to count anew.
const IN_A_ROW: Duration = Duration::from_secs(10 * 60);
/// The time for which a deed may come to nothing before it is named. EC2 shows what was just made, an IAM role among it,
/// within minutes.
const CLEARS_WITHIN: Duration = Duration::from_secs(5 * 60);
/// The number of answers in a row before a deed is named that was not done, or for which there is no capacity.
const UNDONE: u32 = 3;
/// The number of times that a deed is carried out before it is named as one without effect.
const WITHOUT_EFFECT: u32 = 5;

/// The deeds that were tried lately.
#[derive(Default)]
pub(super) struct Setbacks {
    tries: LiteMap<String, Box<Tries>>,
}

/// The tries of one deed.
struct Tries {
    doing: String,
    is_launch: bool,
    /// Answers that left the deed undone, since it was last done.
    undone: Option<Streak>,
    /// Answers that said it was done.
    done: Option<Streak>,
}

/// Answers in a row.
#[derive(Clone)]
struct Streak {
    nature: Nature,
    found: String,
    /// Whether a refusal that takes a person as a rule may have cleared within minutes. A launch names nothing but what a
    /// person has made, perhaps a moment ago, and EC2 has no code of its own for a role that it does not know yet.
    may_clear: bool,
    since: Timestamp,
    last: Timestamp,
    times: u32,
}

impl Setbacks {
    /// Counts an answer. A token that was used before is for the planner to deal with, and an unknown code holds the whole
    /// cluster.
    pub(super) fn note(&mut self, now: Timestamp, action: &Action, outcome: &Result<Outcome, PortError>) {
        let Some((nature, found)) = read(outcome) else { return };
        self.tries.retain(|_, tries| tries.last().is_some_and(|last| elapsed(now, last) <= IN_A_ROW));
        let tries = self.tries.entry(action.deed_key()).or_insert_with(|| Box::new(Tries::of(action)));
        if nature == Nature::WithoutEffect {
            tries.undone = None;
        }
        let streak = if nature == Nature::WithoutEffect { &mut tries.done } else { &mut tries.undone };
        let before = streak.take().filter(|before| elapsed(now, before.last) <= IN_A_ROW);
        let (since, times) = before.map_or((now, 1), |before| (before.since, before.times + 1));
        let may_clear = matches!(outcome, Err(error) if tries.is_launch && error.kind == ErrorKind::Invalid);
        *streak = Some(Streak { nature, found, may_clear, since, last: now, times });
    }

    /// Lists the deeds that are not to be tried now.
    pub(super) fn at(&self, now: Timestamp) -> Vec<Setback> {
        self.tries.iter().filter_map(|(key, tries)| tries.setback(key, now)).collect()
    }

    /// Says how often in a row a deed has had the answer that it had last, and whether it is held back for that.
    pub(super) fn latest(&self, now: Timestamp, action: &Action) -> (u32, bool) {
        let key = action.deed_key();
        let Some(tries) = self.tries.get(&key) else { return (0, false) };
        let times = tries.undone.as_ref().or(tries.done.as_ref()).map_or(0, |streak| streak.times);
        (times, tries.setback(&key, now).is_some())
    }

    /// Forgets everything: somebody has acted.
    pub(super) fn forget(&mut self) {
        self.tries.clear();
    }
}

impl Tries {
    fn of(action: &Action) -> Self {
        let is_launch = matches!(action.effect, Effect::Cloud(CloudEffect::Launch(_)));
        Self { doing: action.doing(), is_launch, undone: None, done: None }
    }

    fn last(&self) -> Option<Timestamp> {
        [&self.undone, &self.done].into_iter().flatten().map(|streak| streak.last).max()
    }

    fn setback(&self, key: &str, now: Timestamp) -> Option<Setback> {
        let waits = |streak: &&Streak| streak.is_named() && elapsed(now, streak.last) < tried_after(streak.nature);
        let streak = [&self.undone, &self.done].into_iter().flatten().find(waits)?.clone();
        let Streak { nature, found, since, times, .. } = streak;
        Some(Setback { key: key.to_owned(), doing: self.doing.clone(), found, since, times, nature })
    }
}

impl Streak {
    /// Says whether a person should know.
    fn is_named(&self) -> bool {
        let lasts = elapsed(self.last, self.since) >= CLEARS_WITHIN;
        match self.nature {
            Nature::Refused => lasts || !self.may_clear,
            Nature::NoCapacity => self.times >= UNDONE,
            Nature::Undone => self.times >= UNDONE && lasts,
            Nature::WithoutEffect => self.times >= WITHOUT_EFFECT,
        }
    }
}

/// Reads an answer: the nature of it, and its words. Some answers are nothing to be counted here.
fn read(outcome: &Result<Outcome, PortError>) -> Option<(Nature, String)> {
    Some(match outcome {
        Ok(Outcome::Changed { expected, found }) => (Nature::Undone, format!("expected {expected}, found {found}")),
        Ok(Outcome::AlreadySo) => (Nature::Undone, "EC2 says that it is done, and does not show it".to_owned()),
        Ok(_) => (Nature::WithoutEffect, "it was carried out, and nothing came of it".to_owned()),
        Err(error) => (nature_of(error.kind)?, format!("{} ({})", chain(error), error.kind)),
    })
}

/// The time after which a deed that is named is tried again.
fn tried_after(nature: Nature) -> Duration {
    Duration::from_secs(match nature {
        Nature::Refused | Nature::WithoutEffect => 5 * 60,
        Nature::NoCapacity => 60,
        Nature::Undone => 30,
    })
}

fn nature_of(kind: ErrorKind) -> Option<Nature> {
    match kind {
        ErrorKind::Denied | ErrorKind::Invalid => Some(Nature::Refused),
        ErrorKind::NoCapacity => Some(Nature::NoCapacity),
        ErrorKind::Throttled | ErrorKind::NotFound | ErrorKind::Unreachable => Some(Nature::Undone),
        ErrorKind::TokenSpent | ErrorKind::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{InstanceId, SlotName};
    use crate::time::after;

    fn stop(slot: &str) -> Action {
        let instance = InstanceId::from(format!("i-{slot}"));
        let effect = Effect::Cloud(CloudEffect::Stop { instance });
        Action { cluster: "consul".into(), slot: Some(SlotName::from(slot)), effect }
    }

    fn at(second: u64) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, Duration::from_secs(second))
    }

    fn changed() -> Result<Outcome, PortError> {
        Ok(Outcome::Changed { expected: "i-a running".to_owned(), found: "it stopping".to_owned() })
    }

    fn refused(kind: ErrorKind) -> Result<Outcome, PortError> {
        Err(PortError::new("stop i-a", kind, "no"))
    }

    /// Answers a stop of `a` that way every ten seconds, and says when it was held back first.
    fn named_at(answer: impl Fn() -> Result<Outcome, PortError>) -> Option<u64> {
        let mut setbacks = Setbacks::default();
        (0..3_600).step_by(10).find(|second| {
            setbacks.note(at(*second), &stop("a"), &answer());
            !setbacks.at(at(*second)).is_empty()
        })
    }

    #[test]
    fn every_answer_that_leaves_a_deed_undone_is_named_in_the_end() {
        assert_eq!(named_at(changed), Some(300));
        assert_eq!(named_at(|| Ok(Outcome::AlreadySo)), Some(300));
        assert_eq!(named_at(|| Ok(Outcome::Done)), Some(40));
        for (kind, second) in [
            (ErrorKind::Denied, Some(0)),
            (ErrorKind::Invalid, Some(0)),
            (ErrorKind::NoCapacity, Some(20)),
            (ErrorKind::NotFound, Some(300)),
            (ErrorKind::Throttled, Some(300)),
            (ErrorKind::Unreachable, Some(300)),
            (ErrorKind::Unknown, None),
            (ErrorKind::TokenSpent, None),
        ] {
            assert_eq!(named_at(|| refused(kind)), second, "{kind}");
        }
    }

    #[test]
    fn one_deed_is_held_back_and_another_is_not() {
        let mut setbacks = Setbacks::default();
        setbacks.note(at(0), &stop("a"), &refused(ErrorKind::Denied));
        let held = setbacks.at(at(1));
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].key, stop("a").deed_key());
        assert_ne!(held[0].key, stop("b").deed_key());
        assert_eq!((held[0].doing.as_str(), held[0].found.as_str()), ("stop i-a for a", "stop i-a: no (denied)"));
    }

    #[test]
    fn what_is_named_is_tried_again_and_is_done_with_as_soon_as_it_works() {
        let mut setbacks = Setbacks::default();
        for second in (0..=300).step_by(10) {
            setbacks.note(at(second), &stop("a"), &changed());
        }
        assert_eq!(setbacks.at(at(301))[0].times, 31);
        assert!(setbacks.at(at(331)).is_empty(), "it is time to try again");
        setbacks.note(at(331), &stop("a"), &changed());
        assert_eq!(setbacks.at(at(332))[0].since, at(0), "it has come to nothing again");
        setbacks.note(at(370), &stop("a"), &Ok(Outcome::Done));
        assert!(setbacks.at(at(371)).is_empty());
        setbacks.note(at(380), &stop("a"), &changed());
        assert!(setbacks.at(at(381)).is_empty(), "it is counted anew");
    }

    #[test]
    fn who_has_waited_for_long_begins_to_count_anew() {
        let mut setbacks = Setbacks::default();
        for second in [0, 1_000, 2_000, 3_000, 4_000, 5_000] {
            setbacks.note(at(second), &stop("a"), &Ok(Outcome::Done));
            assert_eq!(setbacks.latest(at(second), &stop("a")), (1, false));
        }
    }
}
