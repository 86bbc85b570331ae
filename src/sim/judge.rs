//! The safety rules of the design, judged from plain facts: at each call, after it, and at each answer.
//!
//! The facts are a copy of what matters, so any model of the world can be judged that can tell them.

use crate::action::CloudEffect;

mod answers;
mod calls;
mod clusters;
mod facts;
mod requests;
mod rule;

pub use answers::AnswerFacts;
pub use facts::{Earlier, Facts, GroupFacts, InstanceFacts, LostFacts, ReplacementFacts, Sent, SlotFacts, VolumeFacts};
pub use rule::{Objection, Rule};

/// Lists what speaks against a call, should it be accepted.
pub fn judge_call(facts: &Facts, sent: &Sent, effect: &CloudEffect) -> Vec<Objection> {
    calls::objections(&calls::Call { facts, sent, effect })
}

/// Lists what speaks against the sending of a call, whatever EC2 makes of it.
pub fn judge_request(facts: &Facts, sent: &Sent, effect: &CloudEffect) -> Vec<Objection> {
    requests::objections(&calls::Call { facts, sent, effect })
}

/// Says what is wrong with an answer that a controller gives, if anything is.
pub fn judge_answer(answer: &AnswerFacts) -> Option<Objection> {
    answers::objection(answer)
}

/// Lists what is wrong with a cluster, whatever was called.
pub fn judge_cluster(facts: &Facts) -> Vec<Objection> {
    clusters::objections(facts)
}
