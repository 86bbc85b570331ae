//! Every API call that this adapter makes: one row each.

use super::limit::{Bucket, Row};

/// An API call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The prefix of its IAM action, e.g. `ec2`.
    pub service: &'static str,
    /// Name of the call, e.g. `DescribeInstances`.
    pub name: &'static str,
    pub(super) bucket: Bucket,
}

impl Operation {
    /// The same call as a page of a look at the whole fleet, where that is what it is for.
    pub(super) fn in_survey(self, is_survey: bool) -> Self {
        if is_survey { Self { bucket: Bucket::Survey, ..self } } else { self }
    }

    /// The bucket that EC2 counts it in.
    pub(super) fn row(self) -> Row {
        Row { bucket: self.bucket, call: self.name }
    }

    /// The IAM action that allows it.
    pub fn action(self) -> String {
        format!("{}:{}", self.service, self.name)
    }
}

/// Declares the operations, and lists them all.
macro_rules! operations {
    ($($constant:ident = $service:literal $name:literal $bucket:ident;)*) => {
        $(pub(super) const $constant: Operation =
            Operation { service: $service, name: $name, bucket: Bucket::$bucket };)*

        /// All of them: what the least privilege must allow.
        pub const ALL: &[Operation] = &[$($constant),*];
    };
}

operations! {
    DESCRIBE_INSTANCES = "ec2" "DescribeInstances" Describe;
    DESCRIBE_INSTANCE_ATTRIBUTE = "ec2" "DescribeInstanceAttribute" Describe;
    DESCRIBE_INSTANCE_STATUS = "ec2" "DescribeInstanceStatus" Describe;
    DESCRIBE_VOLUMES = "ec2" "DescribeVolumes" Describe;
    DESCRIBE_VOLUME_STATUS = "ec2" "DescribeVolumeStatus" Describe;
    DESCRIBE_VOLUMES_MODIFICATIONS = "ec2" "DescribeVolumesModifications" Describe;
    DESCRIBE_NETWORK_INTERFACES = "ec2" "DescribeNetworkInterfaces" Describe;
    GET_EBS_ENCRYPTION_BY_DEFAULT = "ec2" "GetEbsEncryptionByDefault" Describe;
    GET_EBS_DEFAULT_KMS_KEY_ID = "ec2" "GetEbsDefaultKmsKeyId" Describe;
    DESCRIBE_SUBNETS = "ec2" "DescribeSubnets" Describe;
    GET_SUBNET_CIDR_RESERVATIONS = "ec2" "GetSubnetCidrReservations" Describe;
    ASSIGN_PRIVATE_IP_ADDRESSES = "ec2" "AssignPrivateIpAddresses" Change;
    DESCRIBE_SNAPSHOTS = "ec2" "DescribeSnapshots" Describe;
    DESCRIBE_IMAGES = "ec2" "DescribeImages" Describe;
    DESCRIBE_INSTANCE_TYPES = "ec2" "DescribeInstanceTypes" Describe;
    DESCRIBE_AVAILABILITY_ZONES = "ec2" "DescribeAvailabilityZones" Describe;
    GET_CALLER_IDENTITY = "sts" "GetCallerIdentity" Identity;
    RUN_INSTANCES = "ec2" "RunInstances" Launch;
    START_INSTANCES = "ec2" "StartInstances" Launch;
    STOP_INSTANCES = "ec2" "StopInstances" Change;
    TERMINATE_INSTANCES = "ec2" "TerminateInstances" Terminate;
    ATTACH_VOLUME = "ec2" "AttachVolume" Change;
    DETACH_VOLUME = "ec2" "DetachVolume" Change;
    CREATE_VOLUME = "ec2" "CreateVolume" Create;
    DELETE_VOLUME = "ec2" "DeleteVolume" Change;
    MODIFY_VOLUME = "ec2" "ModifyVolume" Change;
    CREATE_SNAPSHOT = "ec2" "CreateSnapshot" Create;
    DELETE_SNAPSHOT = "ec2" "DeleteSnapshot" Change;
    CREATE_TAGS = "ec2" "CreateTags" Tag;
    DELETE_TAGS = "ec2" "DeleteTags" Tag;
    DESCRIBE_AUTO_SCALING_GROUPS = "autoscaling" "DescribeAutoScalingGroups" Look;
    SUSPEND_PROCESSES = "autoscaling" "SuspendProcesses" Group;
    RESUME_PROCESSES = "autoscaling" "ResumeProcesses" Group;
    ATTACH_INSTANCES = "autoscaling" "AttachInstances" Group;
    DETACH_INSTANCES = "autoscaling" "DetachInstances" Group;
    SET_INSTANCE_PROTECTION = "autoscaling" "SetInstanceProtection" Group;
    SET_INSTANCE_HEALTH = "autoscaling" "SetInstanceHealth" Group;
    SET_DESIRED_CAPACITY = "autoscaling" "SetDesiredCapacity" Group;
    CREATE_OR_UPDATE_TAGS = "autoscaling" "CreateOrUpdateTags" Group;
    DELETE_GROUP_TAGS = "autoscaling" "DeleteTags" Group;
    UPDATE_AUTO_SCALING_GROUP = "autoscaling" "UpdateAutoScalingGroup" Group;
    DESCRIBE_LAUNCH_TEMPLATE_VERSIONS = "ec2" "DescribeLaunchTemplateVersions" Describe;
    CREATE_LAUNCH_TEMPLATE_VERSION = "ec2" "CreateLaunchTemplateVersion" Change;
    MODIFY_INSTANCE_ATTRIBUTE = "ec2" "ModifyInstanceAttribute" Change;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::permissions::PERMISSIONS;

    #[test]
    fn every_call_is_in_the_policy_but_those_that_need_no_permission_or_a_person() {
        let missing = ALL.iter().filter(|call| !PERMISSIONS.iter().any(|known| known.action == call.action()));
        let missing: Vec<_> = missing.map(|call| call.name).collect();
        assert_eq!(missing, ["GetCallerIdentity", "DeleteVolume", "DeleteSnapshot", "ModifyInstanceAttribute"]);
    }
}
