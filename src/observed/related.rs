//! Clusters that are never disrupted together, because one stands on the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::SlotName;

use super::{ClaimRecord, CloudView, Membership, Reading};

/// A cluster on which another one stands, or that stands on it, as the other one sees it.
#[derive(Clone, Debug)]
pub struct Related {
    pub relation: Relation,
    /// The slots that its file declares.
    pub slots: BTreeSet<SlotName>,
    /// Whether one of its members leads when all is well.
    pub is_led: bool,
    /// The cluster's part of the fleet. A cluster that has nothing there cannot be disrupted.
    pub cloud: Reading<Arc<CloudView>>,
    pub claim: Reading<ClaimRecord>,
    pub membership: Reading<Membership>,
}

/// The place of a related cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The cluster that is looked at stands on it.
    Below,
    /// The related cluster stands on the one that is looked at.
    Above,
}

impl Related {
    /// Makes one of which nothing is known, and says why.
    pub fn unknown(relation: Relation, why: &str) -> Self {
        let (slots, is_led) = (BTreeSet::new(), false);
        let [cloud, claim, membership] = [(); 3].map(|()| why.to_owned());
        Self {
            relation,
            slots,
            is_led,
            cloud: Reading::Unknown { why: cloud },
            claim: Reading::Unknown { why: claim },
            membership: Reading::Unknown { why: membership },
        }
    }
}
