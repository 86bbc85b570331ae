//! Approval: what a person agrees to, as an id that changes when it would no longer be the same thing.

use crate::ids::{PlanId, digest};
use crate::spec::{Approval, ClusterSpec};

use super::drift::drifts;
use super::look::{Look, SlotLook};
use super::slot_state::{SlotState, slot_state};

/// The scope of an approval of all slots that are left.
pub const REST: &str = "rest";

/// Finds the approval that replacing `slot` next would need, if any.
///
/// The id is made from the spec (without what is only about when: `approved`, `suspend`, `freeze`, `launchAhead`; and without where its file
/// lies, because a reviewer and a controller may have it in different folders), from which volumes every slot has, and
/// from what is agreed to: one slot's instance for `everySlot`, the rest of the rollout for `canary`. Uptime, health and
/// addresses are left out, so nothing irrelevant makes it stale.
pub fn needed(look: &Look<'_>, slot: &SlotLook<'_>) -> Option<PlanId> {
    let scope = match look.spec.rollout.approval {
        Approval::Never => return None,
        Approval::Canary if !canary_settled(look) => return None,
        Approval::Canary => REST.to_owned(),
        Approval::EverySlot => {
            let instance = slot.live().find(|instance| slot.all_on(look, &instance.id));
            format!("{} {}", slot.spec.name, instance.map_or("none", |instance| &instance.id))
        }
    };
    Some(plan_id(look, &scope))
}

/// Makes the id of everything that is still to be done.
pub fn plan_id(look: &Look<'_>, scope: &str) -> PlanId {
    let mut spec: ClusterSpec = look.spec.clone();
    (spec.rollout.approved, spec.suspend, spec.freeze) = (None, false, false);
    spec.rollout.launch_ahead = true;
    spec.environment.clear();
    let volumes: Vec<_> = look
        .slots
        .iter()
        .map(|slot| (&slot.spec.name, slot.present().map(|(_, volume)| &volume.id).collect::<Vec<_>>()))
        .collect();
    let text = serde_json::json!([spec, volumes, scope]).to_string();
    PlanId::from(format!("plan-{}", digest(text.as_bytes())))
}

/// Says whether some slot is already what the spec wants.
fn canary_settled(look: &Look<'_>) -> bool {
    look.slots.iter().any(|slot| match slot_state(look, slot) {
        SlotState::Serving(instance) => drifts(&look.make, slot.spec, instance).is_empty(),
        _ => false,
    })
}
