//! The differences for which an instance is replaced, and those that are mended in place.

use std::net::Ipv4Addr;

use crate::make::{Drift, Field, Make, differences, drift};
use crate::observed::Instance;
use crate::spec::{ClusterSpec, SlotSpec};

/// Names every difference for which an instance must be replaced. The facts themselves are compared, and not a tag that we
/// once set, so an adopted instance is judged by the same rule as one that we launched. Tags are not among them: they are
/// mended in place, because a stateful member is not taken down over a label.
pub fn drifts(wanted: &Make, slot: &SlotSpec, instance: &Instance) -> Vec<Drift> {
    let mut drifts = differences(&instance.make, wanted);
    drifts.extend(drift(Field::Subnet, &instance.subnet, &slot.subnet, Clone::clone));
    drifts.extend(drift(Field::Address, &instance.fixed_address, &slot.address, or_none));
    drifts
}

fn or_none(address: &Option<Ipv4Addr>) -> String {
    address.map_or_else(|| "none".to_owned(), |address| address.to_string())
}

/// Says whether a declared tag is missing or has another value. Tags beyond the declared ones are nobody's business.
pub fn tags_differ(spec: &ClusterSpec, instance: &Instance) -> bool {
    spec.instance.tags.iter().any(|(key, value)| instance.tags.get(key) != Some(value))
}
