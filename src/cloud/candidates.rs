//! Instances that may be adopted, as they are: plain data.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::ids::{InstanceId, VolumeId, Zone};
use crate::make::Make;
use crate::observed::{InstanceState, Interface};
use crate::spec::EbsSettings;

/// An instance that may be adopted.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub id: InstanceId,
    pub state: InstanceState,
    pub zone: Zone,
    pub subnet: String,
    /// With user data that nobody knows: EC2 does not list it with instances.
    pub make: Make,
    /// All of its tags, ours and AWS's too.
    pub tags: BTreeMap<String, String>,
    pub volumes: Vec<CandidateVolume>,
    pub auto_scaling_group: Option<String>,
    /// The private address that EC2 gave it.
    pub address: Option<IpAddr>,
    /// The primary network interface.
    pub interface: Option<Interface>,
    /// The settings that no file can declare, e.g. `Elastic IP 192.0.2.1`.
    pub beyond: Vec<String>,
    /// The calls that EC2 refuses for it, e.g. `terminated`.
    pub protected_from: Vec<&'static str>,
}

/// A volume that is attached to such an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateVolume {
    pub id: VolumeId,
    pub device: String,
    /// The instance boots from it: it is no data volume.
    pub is_root: bool,
    /// EC2 would delete the volume with the instance.
    pub delete_on_termination: bool,
    pub size_gib: u32,
    /// The settings that EBS shows beside the size; none where it shows none.
    pub ebs: Option<EbsSettings>,
    /// All of them.
    pub tags: BTreeMap<String, String>,
}
