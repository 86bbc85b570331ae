//! Says when simulated time passes so fast that nothing seen is fresh any more: the gate that refuses then names no cause.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::event::{Event, EventKind, Listener};
use crate::ids::ClusterName;
use crate::plan::Plan;
use crate::plan::gates::GateName;

/// The passes in a row after which it is said.
const PASSES: u32 = 20;

/// Counts the passes of each cluster that were blocked by nothing but old readings.
#[derive(Default)]
pub(super) struct Haste {
    in_a_row: RefCell<BTreeMap<ClusterName, u32>>,
    is_said: Cell<bool>,
}

impl Haste {
    /// Counts a pass, and answers whether it is time to say something.
    fn count(&self, cluster: &ClusterName, plan: &Plan) -> bool {
        let is_old = match plan {
            Plan::Blocked(blocked) => blocked.hazards.iter().all(|it| it.gate() == GateName::StaleObservation),
            Plan::Settled | Plan::Act(..) | Plan::Wait(_) | Plan::Stalled(_) => false,
        };
        let mut in_a_row = self.in_a_row.borrow_mut();
        let count = in_a_row.entry(cluster.clone()).or_default();
        *count = if is_old { *count + 1 } else { 0 };
        *count >= PASSES && !self.is_said.replace(true)
    }
}

impl Listener for Haste {
    fn hear(&self, event: &Event) {
        let (EventKind::Planned(pass), Some(cluster)) = (&event.kind, &event.cluster) else { return };
        if self.count(cluster, &pass.plan) {
            tracing::warn!(%cluster, "simulated time passes too fast for this machine, so that no reading is fresh: give a lower `--speed`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Hazard, Hazards};

    #[test]
    fn it_is_said_once_when_nothing_was_fresh_for_many_passes_in_a_row() {
        let old = Hazard::StaleObservation { why: "the cloud was read 41s ago".to_owned() };
        let stale = Plan::Blocked(Hazards { hazards: vec![old], ..Hazards::default() });
        let (haste, cluster) = (Haste::default(), ClusterName::from("consul-prod"));
        let passes = |count: u32| (0..count).filter(|_| haste.count(&cluster, &stale)).count();
        assert_eq!(passes(PASSES - 1), 0);
        assert!(!haste.count(&cluster, &Plan::Settled));
        assert_eq!(passes(PASSES - 1), 0);
        assert_eq!(passes(PASSES), 1);
    }
}
