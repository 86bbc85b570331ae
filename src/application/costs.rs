//! Remembers the servers whose answers cost too much, so that they are asked less often.
//!
//! A wrong or hostile server may answer without end, or drop by drop. One look bears one such answer; the next looks ask
//! others, and the server itself counts as unknown until it has given a whole answer again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::http::{Answer, Silence};

/// The most looks for which a server is left out.
const MOST_LOOKS: u32 = 32;

/// The servers of one cluster that have cost too much, by host.
#[derive(Clone, Debug, Default)]
pub(super) struct Costs(Rc<RefCell<BTreeMap<String, Cost>>>);

#[derive(Debug)]
struct Cost {
    /// The number of times in a row that the server has cost too much.
    times: u32,
    /// The looks that go on without it.
    looks: u32,
    why: String,
}

impl Costs {
    /// Counts a look. Whoever was left out of enough of them may be asked again.
    pub(super) fn look(&self) {
        self.0.borrow_mut().values_mut().for_each(|cost| cost.looks = cost.looks.saturating_sub(1));
    }

    /// Says whether a server may be asked for more than a glance.
    pub(super) fn allow(&self, host: &str) -> bool {
        self.0.borrow().get(host).is_none_or(|cost| cost.looks == 0)
    }

    /// Notes that a server has cost too much. Each time in a row doubles the looks that go on without it.
    pub(super) fn note(&self, host: &str, why: String) {
        if !self.allow(host) {
            // Each of the answers of one look may have cost too much.
            return;
        }
        let mut all = self.0.borrow_mut();
        let times = all.get(host).map_or(0, |cost| cost.times) + 1;
        // The look that is under way counts as the first one.
        let looks = 1 + 2_u32.saturating_pow(times).min(MOST_LOOKS);
        all.insert(host.to_owned(), Cost { times, looks, why });
    }

    /// Notes if an answer costs too much.
    pub(super) fn watch(&self, host: &str, answer: &Result<Answer, Silence>) {
        if let Err(silence) = answer
            && silence.is_costly()
        {
            self.note(host, silence.to_string());
        }
    }

    /// Says why nobody was asked at all: each answer costs too much.
    pub(super) fn everybody(&self) -> String {
        let why: Vec<_> = self.all().into_values().collect();
        format!("each answer costs too much: {}", why.join("; "))
    }

    /// Notes that a server has given a whole answer.
    pub(super) fn forgive(&self, host: &str) {
        self.0.borrow_mut().remove(host);
    }

    /// Lists the servers that have given no whole answer since, and why.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.0.borrow().iter().map(|(host, cost)| (host.clone(), cost.why.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The looks, of so many, that ask a server which costs too much each time.
    fn asked_in(looks: u32) -> Vec<u32> {
        let costs = Costs::default();
        let ask = |look: &u32| {
            costs.look();
            let asked = costs.allow("10.0.0.1");
            if asked {
                costs.note("10.0.0.1", format!("look {look}"));
            }
            asked
        };
        (1..=looks).filter(ask).collect()
    }

    #[test]
    fn a_server_that_costs_too_much_each_time_is_asked_less_and_less_often() {
        assert_eq!(asked_in(140), [1, 4, 9, 18, 35, 68, 101, 134]);
    }

    #[test]
    fn a_whole_answer_makes_up_for_everything() {
        let costs = Costs::default();
        costs.note("10.0.0.1", "without end".to_owned());
        assert!(!costs.allow("10.0.0.1") && costs.allow("10.0.0.2"));
        assert_eq!(costs.all(), [("10.0.0.1".to_owned(), "without end".to_owned())].into());
        costs.forgive("10.0.0.1");
        assert!(costs.allow("10.0.0.1") && costs.all().is_empty());
    }
}
