//! The news that wait for their receivers: in their order, so many at the most, and tried again less and less often.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::news::News;
use crate::time::{Timestamp, after, elapsed};

/// The most news that wait for one receiver. The oldest go first.
const MOST: usize = 100;
/// The time after which a first failure is followed by another try. It doubles with each.
const FIRST: Duration = Duration::from_secs(2);
/// The longest time between two tries.
const LONGEST: Duration = Duration::from_secs(300);
/// The time for which news are tried. Whoever is away for longer looks at what is, not at what was.
const GIVE_UP: Duration = Duration::from_secs(6 * 3600);

/// All news that wait, by the name of their receiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox(BTreeMap<String, VecDeque<Waiting>>);

/// News that wait for one receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    news: News,
    /// The moment since which they wait, by this machine's clock.
    since: Timestamp,
    /// The number of tries that came to nothing.
    tries: u32,
    /// The moment of the next try.
    next: Timestamp,
}

/// The next thing to do for a receiver.
#[derive(Debug, PartialEq)]
pub enum Due {
    /// Tell it these news.
    Now(Box<News>),
    /// Wait so long, and ask again.
    In(Duration),
    /// Wait until there are news.
    Nothing,
}

impl Outbox {
    /// Forgets the receivers that are not named any more. Whoever waits for a next try is tried at once, as if for the first time: a person
    /// may have mended what was wrong before the restart, and a process that has little to do waits for first tries alone.
    pub fn resume(&mut self, names: &[&str], now: Timestamp) {
        self.0.retain(|name, _| names.contains(&name.as_str()));
        for waiting in self.0.values_mut().flatten() {
            (waiting.next, waiting.tries) = (now, 0);
        }
    }

    /// Adds news for a receiver. Answers how many older ones had to make room.
    pub fn put(&mut self, receiver: &str, news: News, now: Timestamp) -> usize {
        let queue = self.0.entry(receiver.to_owned()).or_default();
        queue.push_back(Waiting { news, since: now, tries: 0, next: now });
        let too_many = queue.len().saturating_sub(MOST);
        queue.drain(..too_many);
        too_many
    }

    /// Says what is to be done for a receiver now.
    pub fn due(&self, receiver: &str, now: Timestamp) -> Due {
        match self.0.get(receiver).and_then(VecDeque::front) {
            None => Due::Nothing,
            Some(waiting) if waiting.next <= now => Due::Now(Box::new(waiting.news.clone())),
            Some(waiting) => Due::In(elapsed(waiting.next, now)),
        }
    }

    /// Takes out news that were told, or never will be. They are named, because older ones may have had to make room meanwhile.
    pub fn done(&mut self, receiver: &str, id: &str) {
        if let Some(queue) = self.0.get_mut(receiver) {
            queue.retain(|waiting| waiting.news.id != id);
        }
    }

    /// Puts off news that could not be told. Answers with the number of tries, or with none if they are given up.
    pub fn failed(&mut self, receiver: &str, id: &str, now: Timestamp) -> Option<u32> {
        let waiting = self.0.get_mut(receiver)?.iter_mut().find(|waiting| waiting.news.id == id)?;
        if elapsed(now, waiting.since) >= GIVE_UP {
            self.done(receiver, id);
            return None;
        }
        let pause = LONGEST.min(FIRST * 2u32.saturating_pow(waiting.tries.min(16)));
        waiting.tries += 1;
        waiting.next = after(now, pause);
        Some(waiting.tries)
    }

    /// Whether some receiver is still to be told its next news for the first time.
    pub fn has_untried(&self) -> bool {
        self.0.values().filter_map(VecDeque::front).any(|waiting| waiting.tries == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::news::Kind;

    fn at(second: u64) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, Duration::from_secs(second))
    }

    fn news(nth: usize) -> News {
        News::new(Kind::Settled, at(0), Some("consul-prod"), &format!("number {nth}"), "")
    }

    /// Plays a receiver that is away until some moment, and lists the moments at which it was tried.
    fn tries(back: u64) -> Vec<u64> {
        let mut outbox = Outbox::default();
        outbox.put("chat", news(1), at(0));
        let (mut now, mut tries) = (0, Vec::new());
        loop {
            match outbox.due("chat", at(now)) {
                Due::Now(due) if now < back => {
                    tries.push(now);
                    outbox.failed("chat", &due.id, at(now));
                }
                Due::Now(due) => {
                    tries.push(now);
                    outbox.done("chat", &due.id);
                }
                Due::In(span) => now += span.as_secs(),
                Due::Nothing => return tries,
            }
        }
    }

    #[test]
    fn a_receiver_that_is_away_for_ten_minutes_is_told_soon_after() {
        assert_eq!(tries(600), [0, 2, 6, 14, 30, 62, 126, 254, 510, 810]);
    }

    #[test]
    fn a_receiver_that_never_comes_back_is_given_up() {
        let tries = tries(u64::MAX);
        assert!(tries.len() < 90, "{} tries", tries.len());
        assert!((21_600..21_900).contains(tries.last().unwrap()), "{tries:?}");
    }

    #[test]
    fn a_restart_begins_anew_and_waits_for_each_first_try() {
        let mut outbox = Outbox::default();
        outbox.put("chat", news(1), at(0));
        outbox.failed("chat", &news(1).id, at(0));
        assert!(!outbox.has_untried());
        outbox.resume(&["chat"], at(1));
        assert!(outbox.has_untried());
        assert_eq!(outbox.due("chat", at(1)), Due::Now(Box::new(news(1))));
        outbox.resume(&["post"], at(1));
        assert_eq!(outbox.due("chat", at(1)), Due::Nothing);
    }

    #[test]
    fn the_oldest_news_make_room_and_the_others_keep_their_order() {
        let mut outbox = Outbox::default();
        let dropped: usize = (0..MOST + 3).map(|nth| outbox.put("chat", news(nth), at(0))).sum();
        assert_eq!(dropped, 3);
        for nth in 3..MOST + 3 {
            assert_eq!(outbox.due("chat", at(0)), Due::Now(Box::new(news(nth))));
            outbox.done("chat", &news(nth).id);
        }
        assert_eq!(outbox.due("chat", at(0)), Due::Nothing);
    }
}
