//! EC2, EBS and Auto Scaling: one region's state, the calls that change it, and what then is due.
//!
//! Nothing here draws chance or knows how long anything takes. A transition says what has [`Happened`]: among that,
//! what has begun, and what kind of [`Span`] it takes. The world draws the span, and comes back with what is
//! [`Due`]. So the same transitions can be enumerated, in whatever order things come to be due.
//!
//! Absent on purpose: partial pages. Of an Auto Scaling group that no spec adopts only this is known: it terminates an
//! instance that has stopped.

use std::sync::Arc;

use super::time::Millis;
use super::words::Refusal;
use crate::action::CloudEffect;
use crate::ids::{ClusterName, SlotName};
use crate::observed::SnapshotPurpose;
use crate::ports::Outcome;

mod addresses;
mod check;
mod group;
mod group_calls;
mod groups;
mod happened;
mod images;
mod instances;
mod records;
mod region;
mod shown;
mod snapshots;
mod tags;
mod throttle;
mod troubles;
mod view;
mod volumes;

pub use group::ScalingGroup;
pub use happened::{Due, Happened, Span};
pub use records::{Disk, Machine, Protection};
pub use region::{Fresh, Region};
pub use shown::{Moments, OLDEST, OLDEST_TAGS};
pub use throttle::Bucket;
pub use troubles::Move;
pub use view::architecture;

/// A call that changes something.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub cluster: &'a ClusterName,
    pub slot: Option<&'a SlotName>,
    pub effect: &'a CloudEffect,
}

/// A call that EC2 accepted.
pub struct Done {
    pub outcome: Outcome,
    pub happened: Vec<Happened>,
}

impl Region {
    /// Carries out a call, or refuses it as EC2 would.
    pub fn call(&mut self, now: Millis, call: Call, fresh: Fresh) -> Result<Done, Refusal> {
        self.now = now;
        let outcome = self.carry_out(call, fresh)?;
        Ok(Done { outcome, happened: std::mem::take(&mut self.happened) })
    }

    /// Lets happen what is due. A turn that has passed since makes it void.
    pub fn tick(&mut self, now: Millis, due: Due) -> Vec<Happened> {
        self.at(now, |region| match due {
            Due::Instance(id, turn) => region.instance_turns(&id, turn),
            Due::Booted(id, turn) => region.instance_booted(&id, turn),
            Due::Checked(id, turn) => region.instance_checked(&id, turn),
            Due::Address(id, address) => region.address_shown(&id, address),
            Due::Mounts(id, turn) => region.guest_mounts(id, turn),
            Due::Volume(id, turn) => region.volume_turns(&id, turn),
            Due::Modified(id, number) => region.volume_modified(&id, number),
            Due::Snapshot(cluster, id) => region.snapshot_completes(&cluster, &id),
            Due::Group(name) => region.group_acts(&name),
        })
    }

    fn carry_out(&mut self, call: Call, fresh: Fresh) -> Result<Outcome, Refusal> {
        match call.effect {
            CloudEffect::CreateVolume(wanted) => self.create_volume(call.cluster, wanted, fresh),
            CloudEffect::Launch(launch) => self.run_instances(call.cluster, launch, fresh),
            CloudEffect::Stop { instance } => self.stop_instance(instance),
            CloudEffect::Start { instance } => self.start_instance(instance),
            CloudEffect::Terminate { instance } => self.terminate_instance(instance),
            CloudEffect::Snapshot { volume, attempt, taken, .. } => {
                let purpose = SnapshotPurpose::Backup { attempt: *attempt, taken: *taken };
                self.create_snapshot(call.cluster, volume, purpose, fresh)
            }
            CloudEffect::CopyVolume { volume, of, .. } => {
                let purpose = SnapshotPurpose::Copy { of: of.clone() };
                self.create_snapshot(call.cluster, volume, purpose, fresh)
            }
            CloudEffect::DeleteSnapshot { snapshot } => self.delete_snapshot(snapshot),
            CloudEffect::Detach { volume, instance, .. } => self.detach_volume(volume, instance),
            CloudEffect::Attach { volume, instance, device } => self.attach_volume(volume, instance, device),
            CloudEffect::Grow { volume, to_gib, .. } => self.modify_volume(volume, *to_gib),
            CloudEffect::AssignAddress { address, interface, .. } => self.assign_address(*address, interface, true),
            CloudEffect::DeleteVolume { volume } => self.delete_volume(volume),
            CloudEffect::Recruit(wanted) => self.recruit_instance(call.cluster, wanted),
            CloudEffect::Group { group, effect } => self.send_to_group(group, effect),
            CloudEffect::Retire { instance } => self.tag_instance(instance, |seen| seen.retired = true),
            CloudEffect::Tag { instance, tags } => self.tag_instance(instance, |seen| seen.tags.extend(tags.clone())),
            CloudEffect::Reject { volumes, generation, attempt } => self.reject(volumes, generation, *attempt),
            CloudEffect::Forgive { volumes, generation } => self.forgive(volumes, generation),
            CloudEffect::Settle { volumes, generation, image, attempt, .. } => {
                self.settle(volumes, generation, image, *attempt)
            }
            CloudEffect::RecordSlots { volumes, slots } => {
                let slots = Arc::new(slots.clone());
                self.tag_volumes(volumes, |disk| disk.seen.slots = slots.clone())
            }
        }
    }
}
