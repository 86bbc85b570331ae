//! Resources of a cluster that no slot of it accounts for. Nothing is done to them, so a person must know of them.

use crate::ids::SlotName;
use crate::observed::Instance;

use super::group;
use super::look::Look;

/// A resource that bears the cluster's tag and belongs to none of its declared slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The slot that it was tagged for; none of what the adopted group has launched and no slot needs.
    pub slot: Option<SlotName>,
    /// The id of an instance or a volume, e.g. `i-0123456789abcdef0`.
    pub id: String,
}

/// Lists the instances, then the volumes of slots that are no longer declared, then what an adopted group launched in vain.
pub fn orphans(look: &Look<'_>) -> Vec<Orphan> {
    let undeclared = |slot: &SlotName| look.slot(slot).is_none();
    let of = |slot: &SlotName, id: String| Orphan { slot: Some(slot.clone()), id };
    // An instance that was launched ahead has no part in its slot, and is let go.
    let is_ahead = |instance: &Instance| look.ahead.is_some_and(|ahead| ahead.id == instance.id);
    let instances = look.cloud.live_instances().filter(|it| undeclared(&it.slot) && !is_ahead(it));
    let instances = instances.map(|instance| of(&instance.slot, instance.id.to_string()));
    let volumes = look.cloud.present_volumes().filter(|volume| undeclared(&volume.slot));
    let volumes = volumes.map(|volume| of(&volume.slot, volume.id.to_string()));
    let strays = group::strays(look).map(|recruit| Orphan { slot: None, id: recruit.id.to_string() });
    instances.chain(volumes).chain(strays).collect()
}
