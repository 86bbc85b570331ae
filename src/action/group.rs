//! Calls about an adopted Auto Scaling group, and what each expects of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::RootVolume;
use crate::ids::{InstanceId, Owner, Token};
use crate::make::Make;
use crate::observed::Process;

/// A call about an Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupEffect {
    /// Write down on the group which processes run. Expects nothing written down.
    RecordResume { processes: BTreeSet<Process> },
    /// Suspend processes. Expects that it is written down which ones to resume.
    Suspend { processes: BTreeSet<Process> },
    /// Count an instance as a member; the group then wants one more. Expects that it runs and is in no group.
    Join { instance: InstanceId },
    /// Protect a member from scale-in.
    Protect { instance: InstanceId },
    /// Have the group take a member for healthy again.
    Vouch { instance: InstanceId },
    /// Count an instance as a member no more; the group then wants one fewer. It goes on running.
    Leave { instance: InstanceId },
    /// Have the group want as many as it has. Expects that it wants `from`, and that it neither launches nor terminates.
    Resize { from: u32, to: u32 },
    /// Let the group have none at all. Expects that it may have no fewer than `from`, and that it neither launches nor
    /// terminates.
    LowerMinimum { from: u32 },
    /// Resume processes. Expects them written down.
    Resume { processes: BTreeSet<Process> },
    /// Forget which processes to resume. Expects just these written down, and all of them running.
    ForgetResume { processes: BTreeSet<Process> },
    /// Make a version of the group's launch template. Expects that none was made with the same token.
    CreateTemplateVersion(Box<NewTemplateVersion>),
    /// Let the group launch from another version. Expects that it launches from `from`.
    UseTemplateVersion { template: String, from: u64, to: u64 },
}

/// A version of a launch template, whole: nothing is taken from an earlier version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTemplateVersion {
    /// Made from cluster, template, generation and the newest version before it.
    pub token: Token,
    /// `lt-…`.
    pub template: String,
    pub make: Make,
    /// The user data itself, of which the make has the digest.
    pub user_data_text: Option<String>,
    /// The root volume, where the file says how it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume: Option<RootVolume>,
    /// The declared tags of instances.
    pub tags: BTreeMap<String, String>,
    pub owner: Owner,
}

impl GroupEffect {
    /// The effect's stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RecordResume { .. } => "record-resume",
            Self::Suspend { .. } => "suspend-processes",
            Self::Join { .. } => "join-group",
            Self::Protect { .. } => "protect",
            Self::Vouch { .. } => "vouch",
            Self::Leave { .. } => "leave-group",
            Self::Resize { .. } => "resize-group",
            Self::LowerMinimum { .. } => "lower-minimum",
            Self::Resume { .. } => "resume-processes",
            Self::ForgetResume { .. } => "forget-resume",
            Self::CreateTemplateVersion(_) => "create-template",
            Self::UseTemplateVersion { .. } => "use-template",
        }
    }

    /// The instance that the effect names.
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::Join { instance }
            | Self::Protect { instance }
            | Self::Vouch { instance }
            | Self::Leave { instance } => Some(instance),
            Self::RecordResume { .. }
            | Self::Suspend { .. }
            | Self::Resize { .. }
            | Self::LowerMinimum { .. }
            | Self::Resume { .. }
            | Self::ForgetResume { .. }
            | Self::CreateTemplateVersion(_)
            | Self::UseTemplateVersion { .. } => None,
        }
    }
}
