//! The proof of an image in a cluster: for how long it has been settled there, read off the cluster's records.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::record::{Answer, AnswerKind, Record, What};
use crate::time::{Human, Timestamp, elapsed};

/// The result of a look at the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Soak {
    /// The cluster has settled on the image, and no person was needed since: for how long, up to the moment at which another
    /// image was wanted, or to the look. The time between two daemons does not count, and a stall begins it anew.
    Settled(Duration),
    /// The image is wanted, and the cluster is not settled on it. The latest answer in words, where there is one.
    Unsettled(Option<String>),
    /// Another image was wanted before the cluster had settled on this one, e.g. `ami-0aaaaaaaaaaaaaaaa`.
    Superseded(String),
    /// The cluster went back from the image to one that was wanted before, e.g. `ami-0aaaaaaaaaaaaaaaa`.
    GoneBack(String),
    /// The image was never wanted, as far as the records reach.
    Unseen,
}

/// The latest time for which a cluster's file wanted one image.
#[derive(Default)]
struct Period<'r> {
    settled: Option<Timestamp>,
    /// The time since it settled in which no daemon looked.
    unwatched: Duration,
    latest: Option<&'r Answer>,
    /// The images that were wanted before it.
    before: BTreeSet<&'r str>,
    /// The moment of its end, and the image that was wanted then.
    ended: Option<(Timestamp, &'r str)>,
}

/// Reads off the records of one cluster how `image` has done in it. `records` are in their order, with those that are about the
/// daemon; `now` is the moment of the look.
pub fn soak<'r>(records: impl IntoIterator<Item = &'r Record>, cluster: &str, image: &str, now: Timestamp) -> Soak {
    let mut period: Option<Period> = None;
    let mut wanted: Vec<&str> = Vec::new();
    let mut stopped = None;
    for record in records {
        if record.cluster.as_deref().is_some_and(|about| about != cluster) {
            continue;
        }
        match &record.what {
            What::Started { .. } => {
                if let (Some(stopped), Some(period)) = (stopped.take(), going_on(&mut period)) {
                    period.unwatched += elapsed(record.at, stopped);
                }
            }
            What::Stopped => stopped = Some(record.at),
            What::Desired(desired) if wanted.last() != Some(&&*desired.image) => {
                if desired.image == image {
                    period = Some(Period { before: wanted.iter().copied().collect(), ..Period::default() });
                } else if let Some(period) = going_on(&mut period) {
                    period.ended = Some((record.at, &desired.image));
                }
                wanted.push(&desired.image);
            }
            What::Answer(answer) => {
                if let Some(period) = going_on(&mut period) {
                    period.take(record.at, answer);
                }
            }
            _ => {}
        }
    }
    period.map_or(Soak::Unseen, |period| period.soak(stopped.unwrap_or(now)))
}

fn going_on<'p, 'r>(period: &'p mut Option<Period<'r>>) -> Option<&'p mut Period<'r>> {
    period.as_mut().filter(|period| period.ended.is_none())
}

impl<'r> Period<'r> {
    fn take(&mut self, at: Timestamp, answer: &'r Answer) {
        match answer.answer {
            AnswerKind::Settled if self.settled.is_none() => {
                self.settled = Some(at);
                self.unwatched = Duration::ZERO;
            }
            AnswerKind::Stalled => self.settled = None,
            AnswerKind::Settled | AnswerKind::WouldAct | AnswerKind::Waiting | AnswerKind::Blocked => {}
        }
        self.latest = Some(answer);
    }

    fn soak(&self, now: Timestamp) -> Soak {
        let watched = |since, until| elapsed(until, since).saturating_sub(self.unwatched);
        let is_settled = self.latest.is_some_and(|answer| answer.answer == AnswerKind::Settled);
        match (self.ended, self.settled) {
            (Some((_, next)), _) if self.before.contains(next) => Soak::GoneBack(next.to_owned()),
            (Some((until, _)), Some(since)) => Soak::Settled(watched(since, until)),
            (Some((_, next)), None) => Soak::Superseded(next.to_owned()),
            (None, Some(since)) if is_settled => Soak::Settled(watched(since, now)),
            (None, _) => Soak::Unsettled(self.latest.filter(|_| !is_settled).map(|answer| answer.text.clone())),
        }
    }
}

/// The proof in words that follow the names of an image and of a cluster, e.g. `has been settled for 2d`.
impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settled(lasted) => write!(f, "has been settled for {}", Human(*lasted)),
            Self::Unsettled(None) => f.write_str("has not settled yet"),
            Self::Unsettled(Some(answer)) => write!(f, "is not settled: {answer}"),
            Self::Superseded(next) => write!(f, "had not settled when {next} took its place"),
            Self::GoneBack(before) => write!(f, "was given up for {before}, which was wanted before it"),
            Self::Unseen => f.write_str("was never wanted, as far as the events reach"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Desired;
    use super::*;

    const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
    const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";
    const NEXT: &str = "ami-0cccccccccccccccc";

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn wants(at: i64, image: &str) -> Record {
        let desired = Desired {
            image: image.to_owned(),
            version: None,
            generation: String::new(),
            approved: None,
            suspend: false,
            freeze: false,
            reason: None,
            revision: None,
        };
        Record::new(hour(at), Some("consul-test".to_owned()), What::Desired(desired))
    }

    fn answers(at: i64, answer: AnswerKind) -> Record {
        let answer = Answer { answer, slot: None, step: None, reasons: Vec::new(), text: "no leader".to_owned() };
        Record::new(hour(at), Some("consul-test".to_owned()), What::Answer(answer))
    }

    fn about_daemon(at: i64, what: What) -> Record {
        Record::new(hour(at), None, what)
    }

    fn settled_for(hours: u64) -> Soak {
        Soak::Settled(Duration::from_secs(hours * 3600))
    }

    fn of(records: &[Record]) -> Soak {
        soak(records, "consul-test", NEW, hour(100))
    }

    #[test]
    fn an_image_counts_from_the_moment_at_which_its_cluster_settled() {
        let mut records = vec![wants(0, OLD), answers(1, AnswerKind::Settled), wants(10, NEW)];
        assert_eq!(of(&records), Soak::Unsettled(None));
        records.push(answers(11, AnswerKind::Waiting));
        assert_eq!(of(&records), Soak::Unsettled(Some("no leader".to_owned())));
        records.push(answers(12, AnswerKind::Settled));
        assert_eq!(of(&records), settled_for(88));
        // A heal is no fault of the image, but the proof waits for its end.
        records.push(answers(20, AnswerKind::Waiting));
        assert_eq!(of(&records), Soak::Unsettled(Some("no leader".to_owned())));
        records.push(answers(21, AnswerKind::Settled));
        assert_eq!(of(&records), settled_for(88));
    }

    #[test]
    fn a_stall_begins_the_time_anew() {
        let mut records = vec![wants(0, NEW), answers(1, AnswerKind::Settled), answers(50, AnswerKind::Stalled)];
        assert_eq!(of(&records), Soak::Unsettled(Some("no leader".to_owned())));
        records.push(answers(60, AnswerKind::Settled));
        assert_eq!(of(&records), settled_for(40));
    }

    #[test]
    fn another_image_ends_the_time_and_an_earlier_one_takes_the_proof_away() {
        let settled = [wants(0, OLD), wants(10, NEW), answers(12, AnswerKind::Settled)];
        let then = |image| of(&[&settled[..], &[wants(40, image)]].concat());
        assert_eq!(then(NEXT), settled_for(28));
        assert_eq!(then(OLD), Soak::GoneBack(OLD.to_owned()));
        assert_eq!(then(NEW), settled_for(88));
        assert_eq!(of(&[wants(10, NEW), wants(11, NEXT)]), Soak::Superseded(NEXT.to_owned()));
        assert_eq!(of(&settled[..1]), Soak::Unseen);
        // A second time for the same image is what counts.
        let again = [&settled[..], &[wants(40, OLD), wants(50, NEW)]].concat();
        assert_eq!(of(&again), Soak::Unsettled(None));
    }

    #[test]
    fn time_in_which_no_daemon_looked_proves_nothing() {
        let started = || What::Started { source: "desired-state".to_owned(), observe_only: false };
        let mut records = vec![wants(0, NEW), answers(1, AnswerKind::Settled), about_daemon(5, What::Stopped)];
        assert_eq!(of(&records), settled_for(4));
        records.push(about_daemon(90, started()));
        assert_eq!(of(&records), settled_for(14));
    }

    #[test]
    fn records_of_other_clusters_say_nothing() {
        let mut other = answers(1, AnswerKind::Settled);
        other.cluster = Some("consul-prod".to_owned());
        assert_eq!(of(&[wants(0, NEW), other]), Soak::Unsettled(None));
    }
}
