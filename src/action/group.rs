//! Calls about an adopted Auto Scaling group, and what each expects of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, Owner, Token};
use crate::make::Make;
use crate::observed::{Group, GroupMember, Launches, Process};

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
    /// The declared tags of instances.
    pub tags: BTreeMap<String, String>,
    pub owner: Owner,
}

/// A group held against what a call expects of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The call may be sent.
    AsExpected,
    /// It has nothing left to do.
    AlreadySo,
    Otherwise {
        expected: String,
        found: String,
    },
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

    /// What a group is, as this call sees it. Every adapter asks just this before it sends one.
    pub fn expects(&self, group: &Group) -> Found {
        let otherwise = |expected: String, found: String| Found::Otherwise { expected, found };
        let unless = |so: bool| if so { Found::AlreadySo } else { Found::AsExpected };
        let written = || group.resume.as_ref().map_or_else(|| "nothing".to_owned(), listed);
        let member = |id: &InstanceId, so: fn(&GroupMember) -> bool| match group.members.get(id) {
            None => otherwise(format!("{id} in {}", group.name), "no member".to_owned()),
            Some(member) => unless(so(member)),
        };
        match self {
            Self::RecordResume { processes } => match &group.resume {
                None => Found::AsExpected,
                Some(recorded) if recorded == processes => Found::AlreadySo,
                Some(_) => otherwise("nothing written down".to_owned(), written()),
            },
            Self::Suspend { .. } if group.resume.is_none() => otherwise("what to resume".to_owned(), written()),
            Self::Suspend { processes } => unless(processes.is_subset(&group.suspended)),
            Self::Join { instance } => unless(group.members.contains_key(instance)),
            Self::Protect { instance } => member(instance, |member| member.protected),
            Self::Vouch { instance } => member(instance, |member| member.healthy),
            Self::Leave { instance } => unless(!group.members.contains_key(instance)),
            Self::Resize { to, .. } if group.desired == *to => Found::AlreadySo,
            Self::Resize { from, .. } if group.desired != *from => {
                otherwise(format!("{from} wanted"), group.desired.to_string())
            }
            Self::LowerMinimum { .. } if group.min == 0 => Found::AlreadySo,
            Self::LowerMinimum { from } if group.min != *from => {
                otherwise(format!("a minimum of {from}"), group.min.to_string())
            }
            Self::Resize { .. } | Self::LowerMinimum { .. } => {
                match [Process::Launch, Process::Terminate].iter().all(|process| group.suspended.contains(process)) {
                    true => Found::AsExpected,
                    false => otherwise("Launch and Terminate suspended".to_owned(), listed(&group.suspended)),
                }
            }
            Self::Resume { processes } => match &group.resume {
                Some(recorded) if processes.is_subset(recorded) => unless(processes.is_disjoint(&group.suspended)),
                _ => otherwise(format!("{} written down", listed(processes)), written()),
            },
            Self::ForgetResume { processes } => match &group.resume {
                None => Found::AlreadySo,
                Some(recorded) if recorded == processes && processes.is_disjoint(&group.suspended) => Found::AsExpected,
                Some(_) => otherwise(format!("{} written down, and running", listed(processes)), written()),
            },
            Self::CreateTemplateVersion(_) => Found::AsExpected,
            Self::UseTemplateVersion { from, to, .. } => match &group.launches {
                Launches::Template(template) if template.version.number == *to && template.pinned => Found::AlreadySo,
                Launches::Template(template) if template.version.number == *from => Found::AsExpected,
                Launches::Template(template) => otherwise(from.to_string(), template.version.number.to_string()),
                Launches::Otherwise(what) => otherwise("a launch template".to_owned(), what.clone()),
            },
        }
    }
}

fn listed(processes: &BTreeSet<Process>) -> String {
    let names: Vec<_> = processes.iter().map(|process| process.name()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}
