//! The permissions of a controller in an AWS account, as one table. `iam-policy` prints a policy that is made from it, and
//! `doctor` asks AWS for each of its rows.

use crate::spec::ClusterSpec;

mod grant;
mod keys;
mod partition;
mod policy;

pub use grant::{ClaimsBucket, Grant, Task};
pub use partition::{Partition, partition_of};
pub use policy::policy;

/// One action that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Name of the action as IAM spells it, e.g. `ec2:StopInstances`.
    pub action: &'static str,
    /// Purpose, for a person to read, e.g. "copy a volume before it moves".
    pub why: &'static str,
    /// Resources that it is needed on.
    pub on: On,
    /// Clusters that need it.
    pub needed_by: NeededBy,
}

/// Resources that an action is allowed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// Everything: EC2 and Auto Scaling cannot narrow down what is only looked at.
    Everything,
    /// Instances that bear our owner tag.
    OurInstances,
    /// Volumes that bear our owner tag, and instances that do.
    OurVolumesAndInstances,
    /// Volumes that bear our owner tag.
    OurVolumes,
    /// Volumes that are made with our owner tag.
    NewVolumes,
    /// Instances that are launched with our owner tag, and what they are launched from.
    NewInstances,
    /// Snapshots that are made with our owner tag, of volumes that bear it.
    NewSnapshots,
    /// Network interfaces that bear our owner tag.
    OurInterfaces,
    /// Resources that bear our owner tag, or are being made.
    OurTags,
    /// The roles of the declared instance profiles.
    DeclaredRoles,
    /// The Auto Scaling groups that are adopted.
    AdoptedGroups,
    /// Launch templates that bear our owner tag, or are named: which one a group uses is not in the files.
    LaunchTemplates,
}

/// Clusters that need an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededBy {
    EveryCluster,
    /// Clusters whose slots have fixed addresses.
    Addresses,
    /// Clusters with an instance profile.
    InstanceProfiles,
    /// Clusters that adopt an Auto Scaling group.
    Groups,
}

use NeededBy::{Addresses, EveryCluster, Groups, InstanceProfiles};

/// Every action that the controller ever asks for.
#[rustfmt::skip]
pub const PERMISSIONS: &[Permission] = &[
    see("ec2:DescribeInstances", "which instances there are, in which state, with which volumes"),
    see("ec2:DescribeInstanceStatus", "status checks, and maintenance that AWS has announced"),
    see("ec2:DescribeInstanceAttribute", "whether an instance is protected from being stopped or terminated"),
    see("ec2:DescribeVolumes", "where each data volume is"),
    see("ec2:DescribeVolumeStatus", "whether EBS reports I/O trouble"),
    see("ec2:DescribeVolumesModifications", "whether a volume is being modified"),
    see("ec2:DescribeSnapshots", "which snapshots were taken before a replacement"),
    see("ec2:DescribeImages", "whether the desired image can be launched, and the old one gone back to"),
    see("ec2:DescribeInstanceTypes", "whether the image is for the instance type's processor"),
    see("ec2:DescribeAvailabilityZones", "whether a zone is impaired"),
    see("ec2:GetEbsEncryptionByDefault", "whether the account encrypts every volume, for `doctor`"),
    see("ec2:GetEbsDefaultKmsKeyId", "which key encrypts volumes that name none, for `doctor`"),
    needed("ec2:RunInstances", "launch a replacement", On::NewInstances, EveryCluster),
    needed("iam:PassRole", "give a replacement its instance profile", On::DeclaredRoles, InstanceProfiles),
    needed("ec2:StopInstances", "take a member down before its volume moves", On::OurInstances, EveryCluster),
    needed("ec2:StartInstances", "bring the old instance back when a replacement is taken back", On::OurInstances, EveryCluster),
    needed("ec2:TerminateInstances", "remove an instance that was retired, with no data volume attached", On::OurInstances, EveryCluster),
    needed("ec2:CreateVolume", "make the volume of a slot that never had one", On::NewVolumes, EveryCluster),
    needed("ec2:DetachVolume", "take a volume off an instance that is stopped", On::OurVolumesAndInstances, EveryCluster),
    needed("ec2:AttachVolume", "give it to the slot's new instance", On::OurVolumesAndInstances, EveryCluster),
    needed("ec2:ModifyVolume", "make a volume larger where the file wants that", On::OurVolumes, EveryCluster),
    needed("ec2:DescribeNetworkInterfaces", "who has a slot's fixed address", On::Everything, Addresses),
    needed("ec2:DescribeSubnets", "whether slots' subnets have free addresses, for `doctor`", On::Everything, EveryCluster),
    needed("ec2:GetSubnetCidrReservations", "whether EC2 is kept from giving a fixed address out, for `doctor`", On::Everything, Addresses),
    needed("ec2:AssignPrivateIpAddresses", "move a slot's fixed address to its new instance", On::OurInterfaces, Addresses),
    needed("ec2:CreateSnapshot", "copy a volume before it moves, and before its cluster is destroyed", On::NewSnapshots, EveryCluster),
    needed("ec2:CreateTags", "remember what settled, failed or was retired", On::OurTags, EveryCluster),
    needed("ec2:DeleteTags", "forget that a generation failed, when a person says retry", On::OurTags, EveryCluster),
    needed("autoscaling:DescribeAutoScalingGroups", "who is in the adopted group, and what it may do", On::Everything, Groups),
    needed("ec2:DescribeLaunchTemplateVersions", "what the adopted group launches by itself", On::Everything, Groups),
    needed("autoscaling:CreateOrUpdateTags", "write down on the group which processes run, before they are suspended", On::AdoptedGroups, Groups),
    needed("autoscaling:DeleteTags", "forget that when they run again", On::AdoptedGroups, Groups),
    needed("autoscaling:SuspendProcesses", "keep the group from replacing a member that is stopped", On::AdoptedGroups, Groups),
    needed("autoscaling:ResumeProcesses", "let it act again", On::AdoptedGroups, Groups),
    needed("autoscaling:AttachInstances", "have a replacement join the group", On::AdoptedGroups, Groups),
    needed("autoscaling:DetachInstances", "have the old instance leave it", On::AdoptedGroups, Groups),
    needed("autoscaling:SetInstanceProtection", "keep members from being scaled in", On::AdoptedGroups, Groups),
    needed("autoscaling:SetInstanceHealth", "tell the group that a member runs again", On::AdoptedGroups, Groups),
    needed("autoscaling:SetDesiredCapacity", "have the group want as many as it has", On::AdoptedGroups, Groups),
    needed("autoscaling:UpdateAutoScalingGroup", "have the group launch what has settled, and have none once its cluster is destroyed", On::AdoptedGroups, Groups),
    needed("ec2:CreateLaunchTemplateVersion", "make that version of its launch template", On::LaunchTemplates, Groups),
];

const fn see(action: &'static str, why: &'static str) -> Permission {
    needed(action, why, On::Everything, EveryCluster)
}

const fn needed(action: &'static str, why: &'static str, on: On, needed_by: NeededBy) -> Permission {
    Permission { action, why, on, needed_by }
}

/// AWS's answer for one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub action: &'static str,
    pub why: &'static str,
    pub answer: Allowed,
}

/// Whether an action is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    Yes,
    /// Denied, with AWS's words.
    No(String),
    /// Undecided, with the reason why nobody could say.
    Unknown(String),
    /// Undecided, because there is no way to ask; with the reason.
    CannotBeAsked(&'static str),
}

/// Lists the permissions that these clusters need, in the order of the table.
pub fn needed_for(specs: &[ClusterSpec]) -> impl Iterator<Item = &'static Permission> + '_ {
    PERMISSIONS.iter().filter(|permission| specs.iter().any(|spec| needs(spec, permission.needed_by)))
}

fn needs(spec: &ClusterSpec, needed_by: NeededBy) -> bool {
    match needed_by {
        EveryCluster => true,
        Addresses => spec.has_addresses(),
        InstanceProfiles => spec.instance.iam_instance_profile.is_some(),
        Groups => spec.capacity.group().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_action_is_in_the_table_once() {
        let actions: BTreeSet<_> = PERMISSIONS.iter().map(|permission| permission.action).collect();
        assert_eq!(actions.len(), PERMISSIONS.len());
    }

    #[test]
    fn the_documentation_says_what_each_is_for() {
        let documented = include_str!("../../docs/running-on-aws.md");
        for Permission { action, why, .. } in PERMISSIONS {
            assert!(documented.contains(&format!("| `{action}` | {why} |")), "{action} is not documented so");
        }
    }
}
