//! Views in little memory: whatever is alike in one of them is kept once.
//!
//! A daemon keeps the views of a whole fleet from one sweep to the next, and every name in them comes from a text of its own.

use std::sync::Arc;

use super::{CloudView, Device, Instance, Origin, Volume, VolumeState};
use crate::ids::Texts;

impl CloudView {
    /// Has equal names, makes and lists of slots share their memory, and gives back the memory that the lists do not need.
    #[must_use]
    pub fn compact(mut self) -> Self {
        self.instances.shrink_to_fit();
        self.volumes.shrink_to_fit();
        self.snapshots.shrink_to_fit();
        let (mut texts, mut makes, mut lists) = (Texts::default(), Vec::new(), Vec::new());
        for instance in &mut self.instances {
            instance.share(&mut texts);
            share(&mut instance.make, &mut makes);
        }
        for volume in &mut self.volumes {
            volume.share(&mut texts);
            share(&mut volume.slots, &mut lists);
        }
        self
    }
}

/// Takes over an equal value among those that are known, or else joins them. Hardly ever are there several in a view.
fn share<T: PartialEq>(value: &mut Arc<T>, known: &mut Vec<Arc<T>>) {
    match known.iter().find(|one| *one == value) {
        Some(one) => *value = one.clone(),
        None => known.push(value.clone()),
    }
}

impl Instance {
    fn share(&mut self, texts: &mut Texts) {
        self.id.share(texts);
        self.slot.share(texts);
        self.zone.share(texts);
        self.owner.iter_mut().for_each(|owner| owner.share(texts));
        if let Origin::Launched { generation: Some(generation), .. } = &mut self.origin {
            generation.share(texts);
        }
        self.devices.shrink_to_fit();
        self.devices.iter_mut().for_each(|Device { volume, .. }| volume.share(texts));
    }
}

impl Volume {
    fn share(&mut self, texts: &mut Texts) {
        self.id.share(texts);
        self.slot.share(texts);
        self.name.share(texts);
        self.zone.share(texts);
        self.owner.iter_mut().for_each(|owner| owner.share(texts));
        if let Some(settled) = &mut self.settled {
            settled.generation.share(texts);
            settled.image.iter_mut().for_each(|image| image.share(texts));
        }
        if let VolumeState::InUse(at) = &mut self.state {
            at.instance.share(texts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str, kind: &str) -> serde_json::Value {
        serde_json::json!({
            "id": id, "slot": "a", "owner": "us", "generation": "v1-1", "attempt": 1, "retired": false,
            "state": "running", "stateReason": null, "stateSince": "2026-01-05T09:00:00Z",
            "launchedAt": "2026-01-05T09:00:00Z", "checks": "ok", "image": "ami-a", "instanceType": kind,
            "zone": "us-east-1a", "subnet": "subnet-a", "address": null, "iamInstanceProfile": null,
            "securityGroups": ["sg-1"], "keyName": null, "userData": null, "tags": {},
            "devices": [{ "volume": format!("vol-{id}"), "device": "/dev/sdf", "deleteOnTermination": false }],
            "autoScalingGroup": null, "scheduledEvents": [],
        })
    }

    fn volume(of: &str, slots: &[&str]) -> serde_json::Value {
        let at = serde_json::json!({
            "instance": of, "device": "/dev/sdf", "phase": "attached", "since": "2026-01-05T09:00:00Z",
        });
        serde_json::json!({
            "id": format!("vol-{of}"), "slot": "a", "name": "data", "owner": "us", "slots": slots, "generation": "v1-1",
            "image": "ami-a", "attempt": 1, "rejected": null, "state": { "in-use": at }, "zone": "us-east-1a",
            "sizeGib": 1, "impaired": null, "modifying": false,
        })
    }

    #[test]
    fn whatever_is_alike_is_kept_once_and_nothing_else_changes() {
        let seen = serde_json::json!({
            "instances": [instance("i-1", "m7i.large"), instance("i-2", "m7i.large"), instance("i-3", "m7i.xlarge")],
            "volumes": [volume("i-1", &["a", "b"]), volume("i-2", &["a", "b"]), volume("i-3", &["a"])],
        });
        let seen: CloudView = serde_json::from_value(seen).unwrap();
        let compact = seen.clone().compact();
        assert_eq!(compact, seen);
        let ([one, two, other], [first, second, third]) = (&compact.instances[..], &compact.volumes[..]) else {
            panic!("three of each")
        };
        assert!(Arc::ptr_eq(&one.make, &two.make) && !Arc::ptr_eq(&one.make, &other.make));
        assert!(Arc::ptr_eq(&first.slots, &second.slots) && !Arc::ptr_eq(&first.slots, &third.slots));
        let VolumeState::InUse(at) = &first.state else { panic!("it is attached") };
        for (one, other) in [
            (&*one.slot, &*third.slot),
            (&*one.zone, &*first.zone),
            (&*one.id, &*at.instance),
            (&*one.devices[0].volume, &*first.id),
            (one.generation().unwrap(), &*second.settled.as_ref().unwrap().generation),
        ] {
            assert_eq!(one.as_ptr(), other.as_ptr(), "{one}");
        }
        assert_eq!(compact.instances.capacity(), 3);
    }
}
