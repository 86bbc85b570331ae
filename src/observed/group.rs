//! An Auto Scaling group that a spec adopts, as it was seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{ImageId, InstanceId, Zone};
use crate::time::Timestamp;

use super::InstanceState;

/// The processes of a group that could undo a replacement: any of them may end or add an instance.
/// (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html>)
pub const PROCESSES: [&str; 8] = [
    "AZRebalance",
    "AlarmNotification",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
];

/// An Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub name: String,
    /// It never wants fewer instances.
    pub min: u32,
    /// It never takes more.
    pub max: u32,
    /// How many it wants now.
    pub desired: u32,
    /// Where it launches.
    pub zones: BTreeSet<Zone>,
    /// The processes of [`PROCESSES`] that are suspended.
    pub suspended: BTreeSet<String>,
    /// From its tag `hermitcrab:resume`: the processes that ran before they were suspended for a replacement.
    pub resume: Option<BTreeSet<String>>,
    /// Every instance that it counts as its own, dead ones too until it notices.
    pub members: BTreeMap<InstanceId, GroupMember>,
    /// What it launches.
    pub launches: Launches,
    /// Members that bear no tag of ours: the group launched them by itself.
    pub recruits: Vec<Recruit>,
}

impl Group {
    /// The processes of [`PROCESSES`] that run.
    pub fn running(&self) -> BTreeSet<String> {
        PROCESSES.into_iter().filter(|process| !self.suspended.contains(*process)).map(str::to_owned).collect()
    }
}

/// An instance as its group sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupMember {
    pub lifecycle: Lifecycle,
    /// The group takes it for healthy. One that it does not is replaced as soon as the processes run.
    pub healthy: bool,
    /// It is protected from scale-in.
    pub protected: bool,
}

/// Where a member stands, from AWS's longer list of lifecycle states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    /// On its way in: `Pending`, `Pending:Wait` …
    Joining,
    /// It counts.
    InService,
    /// Set aside by somebody.
    Standby,
    /// On its way out: `Terminating`, `Detaching` …
    Leaving,
}

/// What a group launches by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Launches {
    /// From one launch template.
    Template(Box<Template>),
    /// From something that cannot be kept as the spec wants it, with what it is.
    Otherwise(String),
}

/// A launch template, as far as a group uses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// `lt-…`.
    pub id: String,
    /// The version that the group launches from.
    pub version: TemplateVersion,
    /// The group names that version by its number, and not as the latest or the default one.
    pub pinned: bool,
    /// The newest version.
    pub latest: TemplateVersion,
}

/// A version of a launch template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVersion {
    pub number: u64,
    pub make: Make,
}

/// What makes an instance what it is, but for its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Make {
    pub image: ImageId,
    pub instance_type: String,
    pub iam_instance_profile: Option<String>,
    pub security_groups: BTreeSet<String>,
    pub key_name: Option<String>,
    /// A digest, as in [`InstanceSpec::user_data_digest`](crate::spec::InstanceSpec::user_data_digest).
    pub user_data: Option<String>,
}

/// An instance that a group has launched by itself, and that serves no slot yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recruit {
    pub id: InstanceId,
    pub state: InstanceState,
    pub launched_at: Timestamp,
    pub zone: Zone,
    pub subnet: String,
    /// Its user data is that of the template version which it was launched from.
    pub make: Make,
}
