//! The links between members: what one sends may not reach another although what the other sends reaches it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::SlotName;

/// The links of one cluster's members, each way by itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Links {
    /// The links that carry nothing: from whom, and to whom.
    cut: BTreeSet<(SlotName, SlotName)>,
}

impl Links {
    /// Lets nothing that one member sends reach another.
    pub fn cut(&mut self, from: SlotName, to: SlotName) {
        self.cut.insert((from, to));
    }

    /// Lets it reach the other again.
    pub fn mend(&mut self, from: &SlotName, to: &SlotName) {
        self.cut.remove(&(from.clone(), to.clone()));
    }

    /// Says whether what one member sends reaches another.
    pub fn carry(&self, from: &SlotName, to: &SlotName) -> bool {
        self.cut.is_empty() || !self.cut.contains(&(from.clone(), to.clone()))
    }

    /// Says whether two members reach each other, as whoever wants an answer has to.
    pub fn connect(&self, one: &SlotName, other: &SlotName) -> bool {
        self.carry(one, other) && self.carry(other, one)
    }
}
