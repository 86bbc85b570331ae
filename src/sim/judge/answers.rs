//! Rules about a controller's answers: what lasts has a name, and what a controller may mend it mends.

use std::time::Duration;

use super::rule::{Objection, Rule};

/// The time within which a controller mends what stands in its own way, unless that is refused.
const MENDS_WITHIN: Duration = Duration::from_secs(5 * 60);
/// The time for which a wait may still be the answer after it should have been named: a look may fail meanwhile.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// The difference between two clocks of a moment that the answer rounds, and of one that was read just before.
const CLOCKS: Duration = Duration::from_secs(5);

/// The facts of an answer that has been the same for a while.
#[derive(Clone, Debug)]
pub struct AnswerFacts {
    /// The answer in words, e.g. `consul-a: waiting for i-1 to stop`.
    pub answer: String,
    /// The time for which it has been the answer.
    pub lasts: Duration,
    /// The time after which a wait is to be named as one that does not end; none for an answer that is no wait.
    pub patience: Option<Duration>,
    /// The time for which something is still waited for, by the answer, and the longest that it could be by an own reading alone.
    pub left: Option<(Duration, Duration)>,
    /// The gates that refuse although the controller may mend what they ask for, and was not refused to.
    pub mendable: Vec<&'static str>,
}

pub(super) fn objection(facts: &AnswerFacts) -> Option<Objection> {
    let AnswerFacts { answer, lasts, patience, left, mendable } = facts;
    let minutes = lasts.as_secs() / 60;
    if let Some((left, longest)) = left.filter(|(left, longest)| *left > *longest + CLOCKS) {
        let (left, longest) = (left.as_secs(), longest.as_secs());
        return Some((Rule::OwnTime, format!("for {left} s more, of {longest} s at most, the answer is: {answer}")));
    }
    if patience.is_some_and(|patience| *lasts > patience + MARGIN) {
        return Some((Rule::NoLoop, format!("for {minutes} min the answer was: {answer}")));
    }
    let is_left = !mendable.is_empty() && *lasts > MENDS_WITHIN;
    is_left.then(|| (Rule::Mended, format!("{} was left as it is for {minutes} min: {answer}", mendable.join(", "))))
}
