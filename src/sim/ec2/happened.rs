//! The consequences of a transition: what has happened, what has begun, and what is due.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterName, InstanceId, SnapshotId, VolumeId};
use crate::sim::time::Millis;

/// An event that others may have to do something about.
#[derive(Debug)]
pub enum Happened {
    /// Something has begun that takes a while.
    Begun(Due, Span),
    /// EC2 has accepted a launch. Chance may have it fail later.
    Launched(ClusterName, InstanceId),
    /// The guest was told to shut down, so the member's process is gone.
    GuestDown(InstanceId),
    /// The guest looks whether its volumes are there.
    GuestLooks(InstanceId),
    /// The guest has found its volumes and mounts them.
    GuestMounts(InstanceId),
    /// A data volume was deleted because its instance was terminated.
    DeletedWithInstance(ClusterName, VolumeId),
    /// A volume was deleted by a call.
    VolumeDeleted(ClusterName),
    /// A group did something by itself.
    GroupDid {
        group: String,
        cluster: ClusterName,
        /// "launches" or "terminates".
        did: &'static str,
        instance: InstanceId,
    },
    /// A group wants one more instance.
    GroupLacks(String),
}

/// A change that is due at a certain moment. A turn that has passed since makes it void.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Due {
    /// An instance comes to its next state.
    Instance(InstanceId, u32),
    /// An instance's guest can mount.
    Booted(InstanceId, u32),
    /// An instance's status checks pass.
    Checked(InstanceId, u32),
    /// An instance's metadata show a secondary address.
    Address(InstanceId, Ipv4Addr),
    /// An instance's guest mounts the volumes and starts the member.
    Mounts(InstanceId, u32),
    /// A volume comes to its next state.
    Volume(VolumeId, u32),
    /// A volume's modification comes to its next state.
    Modified(VolumeId, u32),
    /// A snapshot is completed.
    Snapshot(ClusterName, SnapshotId),
    /// An Auto Scaling group looks at its members.
    Group(String),
}

/// The kind of time that something takes. How long it is, is chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// `pending` to `running`.
    Pending,
    /// `running` to a guest that can mount.
    Boot,
    /// `running` to status checks `ok`.
    Checks,
    /// `stopping` to `stopped`.
    Stop,
    /// `shutting-down` to `terminated`.
    ShutDown,
    /// `creating` to `available`.
    Create,
    /// `attaching` to `attached`.
    Attach,
    /// `detaching` to `available`.
    Detach,
    /// A modification, from `modifying` to `optimizing`.
    Modify,
    /// A modification, from `optimizing` to `completed`.
    Optimize,
    /// From the call that moves an address to the metadata of the instance that has it.
    Remap,
    /// From a change of a group or of a member of it, to the group's noticing it.
    Notice,
    /// As long as this, always.
    Exactly(Millis),
}
