//! Instances that may be adopted, as they are: plain data.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{ImageId, InstanceId, VolumeId, Zone};
use crate::observed::InstanceState;

/// An instance that may be adopted.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub id: InstanceId,
    pub state: InstanceState,
    pub zone: Zone,
    pub subnet: String,
    pub image: ImageId,
    pub instance_type: String,
    pub security_groups: BTreeSet<String>,
    pub iam_instance_profile: Option<String>,
    pub key_name: Option<String>,
    /// All of them, ours and AWS's too.
    pub tags: BTreeMap<String, String>,
    pub volumes: Vec<CandidateVolume>,
    pub auto_scaling_group: Option<String>,
}

/// A volume that is attached to such an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateVolume {
    pub id: VolumeId,
    pub device: String,
    /// The instance boots from it: it is no data volume.
    pub is_root: bool,
    /// It would be deleted with the instance.
    pub delete_on_termination: bool,
    pub size_gib: u32,
    pub encrypted: bool,
    /// All of them.
    pub tags: BTreeMap<String, String>,
}
