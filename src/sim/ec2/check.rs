//! The look of an adapter before it sends a call: nothing that speaks against it, or the outcome.

use super::region::Region;
use crate::action::CloudEffect;
use crate::ids::{ClusterName, InstanceId};
use crate::observed::{InstanceState, Snapshot, VolumeState};
use crate::ports::Outcome;
use crate::sim::words::{Refusal, changed};

impl Region {
    /// Looks as an adapter does before it sends.
    pub fn check(&self, cluster: &ClusterName, effect: &CloudEffect) -> Result<Option<Outcome>, Refusal> {
        use InstanceState::{Stopped, Terminated};
        Ok(match effect {
            CloudEffect::Detach { volume, instance, .. } => match &self.disk(volume)?.seen.state {
                VolumeState::Available => Some(Outcome::AlreadySo),
                VolumeState::InUse(at) if at.instance == *instance => match self.instances.get(instance) {
                    Some(machine) if !matches!(machine.seen.state, Stopped | Terminated) => {
                        Some(changed("stopped or terminated", machine.seen.state.to_string()))
                    }
                    _ => None,
                },
                other => Some(changed(format!("attached to {instance}"), other.to_string())),
            },
            CloudEffect::Terminate { instance } => {
                let machine = self.machine(instance)?;
                if !machine.seen.state.is_live() {
                    Some(Outcome::AlreadySo)
                } else if !machine.seen.retired {
                    Some(changed("retired", "not retired"))
                } else if self.holds_volume(instance) {
                    Some(changed("no data volume attached", "one is"))
                } else {
                    None
                }
            }
            CloudEffect::Snapshot { volume, attempt } => {
                let disk = self.disk(volume)?;
                let same = |taken: &Snapshot| taken.backs_up(volume, *attempt);
                let taken = self.clusters.get(&disk.cluster).is_some_and(|cluster| cluster.snapshots.iter().any(same));
                taken.then_some(Outcome::AlreadySo)
            }
            CloudEffect::CopyVolume { volume, .. } => {
                let same = |copy: &Snapshot| copy.volume == *volume && copy.is_copy();
                let has_one = self.clusters.get(cluster).is_some_and(|cluster| cluster.snapshots.iter().any(same));
                has_one.then_some(Outcome::AlreadySo)
            }
            CloudEffect::Group { group, effect } => self.check_group(group, effect)?,
            _ => None, // EC2 itself refuses what does not fit
        })
    }

    /// Says whether any data volume is on an instance, in whatever phase.
    pub fn holds_volume(&self, instance: &InstanceId) -> bool {
        self.volumes.values().any(|disk| disk.holder() == Some(instance))
    }
}
