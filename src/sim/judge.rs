//! The safety rules of the design, judged from plain facts: at each call, and after it.
//!
//! The facts are a copy of what matters, so any model of the world can be judged that can tell them.

use crate::action::CloudEffect;

mod calls;
mod clusters;
mod facts;
mod rule;

pub use facts::{Facts, GroupFacts, InstanceFacts, Sent, SlotFacts, VolumeFacts};
pub use rule::{Objection, Rule};

/// Lists what speaks against a call, should it be accepted.
pub fn judge_call(facts: &Facts, sent: &Sent, effect: &CloudEffect) -> Vec<Objection> {
    calls::objections(&calls::Call { facts, sent, effect })
}

/// Lists what is wrong with a cluster, whatever was called.
pub fn judge_cluster(facts: &Facts) -> Vec<Objection> {
    clusters::objections(facts)
}
