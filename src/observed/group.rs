//! An Auto Scaling group that a spec adopts, as it was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, Zone};
use crate::make::Make;
use crate::time::Timestamp;

use super::InstanceState;

/// A process of a group that could undo a replacement: any of them may end or add an instance.
/// (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html>)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Process {
    #[serde(rename = "AZRebalance")]
    AzRebalance,
    AlarmNotification,
    HealthCheck,
    InstanceRefresh,
    Launch,
    ReplaceUnhealthy,
    ScheduledActions,
    Terminate,
}

impl Process {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AzRebalance,
        Self::AlarmNotification,
        Self::HealthCheck,
        Self::InstanceRefresh,
        Self::Launch,
        Self::ReplaceUnhealthy,
        Self::ScheduledActions,
        Self::Terminate,
    ];

    /// Gives AWS's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AzRebalance => "AZRebalance",
            Self::AlarmNotification => "AlarmNotification",
            Self::HealthCheck => "HealthCheck",
            Self::InstanceRefresh => "InstanceRefresh",
            Self::Launch => "Launch",
            Self::ReplaceUnhealthy => "ReplaceUnhealthy",
            Self::ScheduledActions => "ScheduledActions",
            Self::Terminate => "Terminate",
        }
    }

    /// Finds the process of that name. AWS has others, which undo nothing.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|process| process.name() == name)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub name: String,
    /// The fewest instances that it may want.
    pub min: u32,
    /// The most that it takes.
    pub max: u32,
    /// The number that it wants now.
    pub desired: u32,
    /// The zones in which it launches, e.g. `us-east-1a`.
    pub zones: BTreeSet<Zone>,
    pub suspended: BTreeSet<Process>,
    /// The processes that ran before they were suspended for a replacement, from the group's tag `hermitcrab:resume`.
    pub resume: Option<BTreeSet<Process>>,
    /// Every instance that it counts as its own, dead ones too until it notices.
    pub members: BTreeMap<InstanceId, GroupMember>,
    pub launches: Launches,
    /// The members that bear no tag of ours: the group launched them by itself.
    pub recruits: Vec<Recruit>,
}

impl Group {
    /// Lists the processes that run.
    pub fn running(&self) -> BTreeSet<Process> {
        Process::ALL.into_iter().filter(|process| !self.suspended.contains(process)).collect()
    }
}

/// An instance as its group sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupMember {
    pub lifecycle: Lifecycle,
    /// The group takes it for healthy. An unhealthy one is replaced as soon as the processes run.
    pub healthy: bool,
    /// Scale-in leaves it alone.
    pub protected: bool,
}

impl GroupMember {
    /// Says whether the group counts it: one that is set aside it does not.
    pub fn counts(&self) -> bool {
        self.lifecycle != Lifecycle::Standby
    }
}

/// The life cycle of a member, shorter than AWS's own list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    /// On its way in: `Pending`, `Pending:Wait` …
    Joining,
    InService,
    /// Set aside by somebody.
    Standby,
    /// On its way out: `Terminating`, `Detaching` …
    Leaving,
}

/// The origin of the instances that a group launches by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Launches {
    /// One launch template.
    Template(Box<Template>),
    /// Something that cannot be kept as the spec wants it, e.g. `a launch configuration`.
    Otherwise(String),
}

/// A launch template, as far as a group uses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// E.g. `lt-0a1b2c3d`.
    pub id: String,
    /// The version that the group launches from.
    pub version: TemplateVersion,
    /// The group names that version by its number, and not as the latest or the default one.
    pub pinned: bool,
    /// The newest version.
    pub latest: TemplateVersion,
    /// The settings of the version in use that no file can declare, so that a later version of ours has none of them, e.g.
    /// `/dev/xvda of 50 GiB`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<String>,
}

/// A version of a launch template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVersion {
    pub number: u64,
    pub make: Make,
    /// An instance can read its own tags in its metadata, where the guest learns which volumes are its own.
    #[serde(default = "yes")]
    pub tells_tags: bool,
}

fn yes() -> bool {
    true
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
    /// With the user data of the template version that it was launched from.
    pub make: Make,
}
