//! Troubles of a region that last until somebody ends them: what is accepted and comes to nothing, and what gets stuck.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::happened::Span;
use crate::ids::ClusterName;
use crate::sim::time::Millis;

/// Everything that goes wrong although EC2 has accepted the call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Troubles {
    /// A volume that is created is gone a moment later, because its KMS key may not be used.
    pub volumes_vanish: bool,
    /// A snapshot is given up by EBS.
    pub snapshots_fail: bool,
    /// An instance that is launched ends at once, for this reason (`StateReason`).
    pub launches_end: Option<String>,
    /// Resources of each cluster that EC2 describes in words that nobody knows, with those words.
    pub not_understood: BTreeMap<ClusterName, BTreeMap<String, String>>,
    /// A lifecycle hook keeps whatever joins a group waiting until then.
    #[serde(default)]
    pub hooked_until: Millis,
    stuck: BTreeMap<Move, Millis>,
}

/// A change of state that may get stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    Attach,
    Detach,
    Stop,
}

impl Move {
    /// The change that a span belongs to, if that may get stuck.
    fn of(span: Span) -> Option<Self> {
        match span {
            Span::Attach => Some(Self::Attach),
            Span::Detach => Some(Self::Detach),
            Span::Stop => Some(Self::Stop),
            _ => None,
        }
    }
}

impl Troubles {
    /// Lets every change of a kind that begins before that moment last until then.
    pub fn stick(&mut self, which: Move, until: Millis) {
        self.stuck.insert(which, until);
    }

    /// Says how much longer than usual a change lasts that begins now.
    pub fn delay(&self, span: Span, now: Millis) -> Millis {
        let until = Move::of(span).and_then(|which| self.stuck.get(&which));
        until.map_or(0, |until| until.saturating_sub(now))
    }
}
