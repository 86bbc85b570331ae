//! What a controller must be allowed to do in an AWS account: one table, from which the policy is made that
//! `iam-policy` prints and that `doctor` asks about.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::spec::ClusterSpec;

/// One action that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// As IAM spells it, e.g. `ec2:StopInstances`.
    pub action: &'static str,
    /// What it is for.
    pub why: &'static str,
    /// What it is needed on.
    pub on: On,
    /// Which clusters need it.
    pub needed_by: NeededBy,
}

/// What an action is allowed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// Everything: EC2 and Auto Scaling cannot narrow down what is only looked at.
    Everything,
    /// Instances that bear our owner tag.
    OurInstances,
    /// Volumes that bear our owner tag, and instances that do.
    OurVolumesAndInstances,
    /// Volumes that are made with our owner tag.
    NewVolumes,
    /// Instances that are launched with our owner tag, and what they are launched from.
    NewInstances,
    /// Snapshots that are made with our owner tag, of volumes that bear it.
    NewSnapshots,
    /// What bears our owner tag, or is being made.
    OurTags,
    /// The roles of the declared instance profiles.
    DeclaredRoles,
    /// The Auto Scaling groups that are adopted.
    AdoptedGroups,
    /// Launch templates: which one a group uses is not in the files.
    LaunchTemplates,
}

/// Which clusters an action is needed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededBy {
    EveryCluster,
    /// Those with a volume that is copied before it moves.
    Snapshots,
    /// Those with an instance profile.
    InstanceProfiles,
    /// Those that adopt an Auto Scaling group.
    Groups,
}

use NeededBy::{EveryCluster, Groups, InstanceProfiles, Snapshots};

/// Every action that the controller ever asks for.
#[rustfmt::skip]
pub const PERMISSIONS: &[Permission] = &[
    see("ec2:DescribeInstances", "which instances there are, in which state, with which volumes"),
    see("ec2:DescribeInstanceStatus", "status checks, and maintenance that AWS has announced"),
    see("ec2:DescribeVolumes", "where each data volume is"),
    see("ec2:DescribeVolumeStatus", "whether EBS reports I/O trouble"),
    see("ec2:DescribeVolumesModifications", "whether a volume is being modified"),
    see("ec2:DescribeSnapshots", "which snapshots were taken before a replacement"),
    see("ec2:DescribeImages", "whether the desired image can be launched, and the old one gone back to"),
    see("ec2:DescribeInstanceTypes", "whether the image is for the instance type's processor"),
    see("ec2:DescribeAvailabilityZones", "whether a zone is impaired"),
    needed("ec2:RunInstances", "launch a replacement", On::NewInstances, EveryCluster),
    needed("iam:PassRole", "give a replacement its instance profile", On::DeclaredRoles, InstanceProfiles),
    needed("ec2:StopInstances", "take a member down before its volume moves", On::OurInstances, EveryCluster),
    needed("ec2:StartInstances", "bring the old instance back when a replacement is taken back", On::OurInstances, EveryCluster),
    needed("ec2:TerminateInstances", "remove an instance that was retired, with no data volume attached", On::OurInstances, EveryCluster),
    needed("ec2:CreateVolume", "make the volume of a slot that never had one", On::NewVolumes, EveryCluster),
    needed("ec2:DetachVolume", "take a volume off an instance that is stopped", On::OurVolumesAndInstances, EveryCluster),
    needed("ec2:AttachVolume", "give it to the slot's new instance", On::OurVolumesAndInstances, EveryCluster),
    needed("ec2:CreateSnapshot", "copy a volume before it moves", On::NewSnapshots, Snapshots),
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

/// What is denied outright, whatever another policy allows: no part of the controller ever asks for it.
const NEVER: [&str; 5] =
    ["ec2:DeleteVolume", "ec2:DeleteSnapshot", "ec2:ModifyVolume", "ec2:EnableVolumeIO", "ec2:ModifyVolumeAttribute"];

const fn see(action: &'static str, why: &'static str) -> Permission {
    needed(action, why, On::Everything, EveryCluster)
}

const fn needed(action: &'static str, why: &'static str, on: On, needed_by: NeededBy) -> Permission {
    Permission { action, why, on, needed_by }
}

/// What became of asking for one action.
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
    /// No, with what was said.
    No(String),
    /// Nobody could say, and why.
    Unknown(String),
}

/// The permissions that these clusters need, in the order of the table.
pub fn needed_for(specs: &[ClusterSpec]) -> impl Iterator<Item = &'static Permission> + '_ {
    PERMISSIONS.iter().filter(|permission| specs.iter().any(|spec| needs(spec, permission.needed_by)))
}

fn needs(spec: &ClusterSpec, needed_by: NeededBy) -> bool {
    match needed_by {
        EveryCluster => true,
        Snapshots => spec.volumes.iter().any(|volume| volume.snapshot_before_replace),
        InstanceProfiles => spec.instance.iam_instance_profile.is_some(),
        Groups => spec.capacity.group().is_some(),
    }
}

/// What is to be done with the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Keep them at their images.
    Control,
    /// Make throw-away copies of them, data included, and destroy these. Nothing is done to the clusters themselves.
    Rehearse,
}

/// Whom a policy is for, beside the clusters.
pub struct Grant<'a> {
    pub task: Task,
    /// The value of `hermitcrab:owner` on what the controller may touch.
    pub owner: &'a str,
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: &'a str,
    /// Customer-managed KMS keys that volumes are encrypted with, as ARNs.
    pub kms_keys: &'a [String],
    /// The roles of the instance profiles, where they are not called like them.
    pub roles: &'a [String],
}

/// What a task takes.
fn granted(specs: &[ClusterSpec], task: Task) -> impl Iterator<Item = &'static Permission> + '_ {
    PERMISSIONS.iter().filter(move |permission| match (task, permission.needed_by) {
        (Task::Rehearse, Groups) => false,
        (Task::Rehearse, Snapshots) => true,
        (_, needed_by) => specs.iter().any(|spec| needs(spec, needed_by)),
    })
}

/// The least that a task can be done with, as an IAM policy document.
pub fn policy(specs: &[ClusterSpec], grant: &Grant<'_>) -> Value {
    let mut statements = Vec::new();
    let groups: BTreeSet<On> = granted(specs, grant.task).map(|permission| permission.on).collect();
    for on in groups {
        let actions: Vec<_> = granted(specs, grant.task).filter(|p| p.on == on).map(|p| p.action).collect();
        statements.extend(allow(on, &actions, specs, grant));
    }
    if !grant.kms_keys.is_empty() {
        statements.extend(use_keys(grant));
    }
    let scope = Scope { specs, grant };
    match grant.task {
        Task::Control => {
            statements.extend(recruit(&scope));
            statements.extend([never_delete_data(), never_take_over(&scope.groups())]);
        }
        Task::Rehearse => statements.extend(clear_away(&scope)),
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The statements that allow some actions on what they are needed on.
fn allow(on: On, actions: &[&str], specs: &[ClusterSpec], grant: &Grant<'_>) -> Vec<Value> {
    let scope = Scope { specs, grant };
    let is_ours = scope.is_ours();
    let made_ours = json!({ "StringEquals": { "aws:RequestTag/hermitcrab:owner": grant.owner } });
    match on {
        On::Everything => vec![statement("Look", actions, json!("*"), None)],
        On::OurInstances => {
            vec![statement("ChangeOurInstances", actions, scope.ec2(&["instance"]), Some(is_ours))]
        }
        On::OurVolumesAndInstances => {
            vec![statement("MoveOurVolumes", actions, scope.ec2(&["instance", "volume"]), Some(is_ours))]
        }
        On::NewVolumes => vec![statement("MakeVolumesAsOurs", actions, scope.ec2(&["volume"]), Some(made_ours))],
        On::NewInstances => vec![
            statement("LaunchAsOurs", actions, scope.ec2(&["instance"]), Some(made_ours)),
            statement("LaunchFrom", actions, scope.launched_from(), None),
        ],
        On::NewSnapshots => vec![
            statement("CopyOurVolumes", actions, scope.ec2(&["volume"]), Some(scope.bears_our_tag())),
            statement("MakeSnapshotsAsOurs", actions, scope.snapshots(), Some(made_ours)),
        ],
        On::OurTags => {
            let made = json!({ "StringEquals": {
                "ec2:CreateAction": ["RunInstances", "CreateVolume", "CreateSnapshot"]
            } });
            let anything = json!([scope.arn("instance"), scope.arn("volume"), scope.snapshot_arn()]);
            vec![
                statement("TagWhatIsOurs", actions, scope.ec2(&["instance", "volume"]), Some(is_ours)),
                statement("TagWhatIsMade", &["ec2:CreateTags"], anything, Some(made)),
            ]
        }
        On::AdoptedGroups => vec![statement("KeepGroups", actions, json!(scope.group_arns()), None)],
        On::LaunchTemplates => {
            vec![statement("FollowInTemplates", actions, scope.ec2(&["launch-template"]), None)]
        }
        On::DeclaredRoles => {
            let to_ec2 = json!({ "StringEquals": { "iam:PassedToService": scope.ec2_service() } });
            vec![statement("PassRoles", actions, json!(scope.roles()), Some(to_ec2))]
        }
    }
}

fn statement(sid: &str, actions: &[&str], resources: Value, condition: Option<Value>) -> Value {
    let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources });
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    statement
}

/// What EBS does with a customer-managed key on the controller's behalf.
fn use_keys(grant: &Grant<'_>) -> [Value; 2] {
    let actions = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];
    let for_ebs = json!({ "Bool": { "kms:GrantIsForAWSResource": "true" } });
    [
        statement("UseKeys", &actions, json!(grant.kms_keys), None),
        statement("GrantKeysToEbs", &["kms:CreateGrant"], json!(grant.kms_keys), Some(for_ebs)),
    ]
}

/// What an adopted group has launched by itself bears no tag of ours until a slot needs it.
fn recruit(scope: &Scope<'_>) -> Option<Value> {
    let groups = scope.groups();
    let launched = json!({ "StringEquals": { "aws:ResourceTag/aws:autoscaling:groupName": groups } });
    let taken = || statement("TakeWhatGroupsLaunched", &["ec2:CreateTags"], scope.ec2(&["instance"]), Some(launched));
    (!groups.is_empty()).then(taken)
}

/// What a rehearsal has made, and nothing else. A copy's snapshot may be deleted, and one that was taken of the cluster not.
fn clear_away(scope: &Scope<'_>) -> [Value; 3] {
    let mut a_copys = scope.is_ours();
    a_copys["Null"] = json!({ "aws:ResourceTag/hermitcrab:copy-of": "false" });
    [
        statement("DeleteVolumesOfCopies", &["ec2:DeleteVolume"], scope.ec2(&["volume"]), Some(scope.is_ours())),
        statement("DeleteSnapshotsOfCopies", &["ec2:DeleteSnapshot"], scope.snapshots(), Some(a_copys)),
        never_take_over(&[]),
    ]
}

/// No data volume is ever deleted.
fn never_delete_data() -> Value {
    deny("NeverDeleteData", &NEVER, None)
}

/// Nothing that is not ours is made ours: that is `adopt`, and a person's to do; but for what an adopted group has launched.
fn never_take_over(groups: &[String]) -> Value {
    let mut owner_alone = json!({
        "ForAnyValue:StringEquals": { "aws:TagKeys": "hermitcrab:owner" },
        "Null": { "ec2:CreateAction": "true" },
    });
    if !groups.is_empty() {
        owner_alone["StringNotEquals"] = json!({ "aws:ResourceTag/aws:autoscaling:groupName": groups });
    }
    deny("NeverTakeOver", &["ec2:CreateTags", "ec2:DeleteTags"], Some(owner_alone))
}

fn deny(sid: &str, actions: &[&str], condition: Option<Value>) -> Value {
    let mut statement = statement(sid, actions, json!("*"), condition);
    statement["Effect"] = json!("Deny");
    statement
}

/// How resources are named, as narrowly as the specs allow.
struct Scope<'a> {
    specs: &'a [ClusterSpec],
    grant: &'a Grant<'a>,
}

impl Scope<'_> {
    fn bears_our_tag(&self) -> Value {
        json!({ "StringEquals": { "aws:ResourceTag/hermitcrab:owner": self.grant.owner } })
    }

    /// What may be changed: whoever rehearses changes copies alone.
    fn is_ours(&self) -> Value {
        let mut ours = self.bears_our_tag();
        if self.grant.task == Task::Rehearse {
            ours["StringLike"] = json!({ "aws:ResourceTag/hermitcrab:cluster": "*-rehearsal-*" });
        }
        ours
    }

    /// The one account that every cluster names, or any.
    fn account(&self) -> &str {
        let accounts: BTreeSet<_> = self.specs.iter().map(|spec| spec.account.as_deref()).collect();
        match accounts.into_iter().collect::<Vec<_>>()[..] {
            [Some(account)] => account,
            _ => "*",
        }
    }

    /// The one region that every cluster lies in, or any.
    fn region(&self) -> &str {
        let regions: BTreeSet<_> = self.specs.iter().map(|spec| spec.region.as_str()).collect();
        match regions.into_iter().collect::<Vec<_>>()[..] {
            [region] => region,
            _ => "*",
        }
    }

    fn arn(&self, kind: &str) -> String {
        format!("arn:{}:ec2:{}:{}:{kind}/*", self.grant.partition, self.region(), self.account())
    }

    /// Snapshots and images bear no account in their ARNs.
    fn snapshot_arn(&self) -> String {
        format!("arn:{}:ec2:{}::snapshot/*", self.grant.partition, self.region())
    }

    fn ec2(&self, kinds: &[&str]) -> Value {
        json!(kinds.iter().map(|kind| self.arn(kind)).collect::<Vec<_>>())
    }

    fn snapshots(&self) -> Value {
        json!([self.snapshot_arn()])
    }

    fn launched_from(&self) -> Value {
        let image = format!("arn:{}:ec2:{}::image/*", self.grant.partition, self.region());
        let kinds = ["subnet", "security-group", "network-interface", "key-pair", "volume"];
        let template = (!self.groups().is_empty()).then(|| self.arn("launch-template"));
        json!([image].into_iter().chain(kinds.map(|kind| self.arn(kind))).chain(template).collect::<Vec<_>>())
    }

    /// The names of the adopted groups.
    fn groups(&self) -> Vec<String> {
        let groups: BTreeSet<_> = self.specs.iter().filter_map(|spec| spec.capacity.group()).collect();
        groups.into_iter().map(str::to_owned).collect()
    }

    fn group_arns(&self) -> Vec<String> {
        let (partition, region, account) = (self.grant.partition, self.region(), self.account());
        let arn = |name| {
            format!("arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{name}")
        };
        self.groups().into_iter().map(arn).collect()
    }

    fn ec2_service(&self) -> &'static str {
        if self.grant.partition == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" }
    }

    /// The roles that are given; where none are, those called like the instance profiles.
    fn roles(&self) -> Vec<String> {
        let profiles: BTreeSet<_> =
            self.specs.iter().filter_map(|spec| spec.instance.iam_instance_profile.clone()).collect();
        let names: Vec<_> =
            if self.grant.roles.is_empty() { profiles.into_iter().collect() } else { self.grant.roles.to_vec() };
        names.iter().map(|name| format!("arn:{}:iam::{}:role/{name}", self.grant.partition, self.account())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy_of(path: &str) -> Value {
        let loaded = crate::spec::load::load(&[path.into()]);
        let specs: Vec<_> = loaded.specs().map(|(_, spec)| spec.clone()).collect();
        policy(&specs, &grant(Task::Control))
    }

    fn grant(task: Task) -> Grant<'static> {
        Grant { task, owner: "hermitcrab", partition: "aws", kms_keys: &[], roles: &[] }
    }

    fn statements(policy: &Value) -> &Vec<Value> {
        policy["Statement"].as_array().unwrap()
    }

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

    #[test]
    fn what_is_denied_is_never_allowed() {
        assert!(PERMISSIONS.iter().all(|permission| !NEVER.contains(&permission.action)));
    }

    #[test]
    fn only_looking_and_what_is_launched_from_need_no_tag() {
        let policy = policy_of("desired-state/prod/consul.yaml");
        let untagged = statements(&policy).iter().filter(|s| s["Effect"] == "Allow" && s["Condition"].is_null());
        let sids: Vec<_> = untagged.map(|s| s["Sid"].as_str().unwrap()).collect();
        assert_eq!(sids, ["Look", "LaunchFrom"]);
    }

    #[test]
    fn only_an_adopted_group_is_named_and_only_what_it_launched_may_be_taken() {
        let without = policy_of("desired-state/prod/consul.yaml").to_string();
        assert!(!without.contains("autoscaling"), "{without}");
        let policy = policy_of("tests/fixtures/consul-group.yaml");
        let by_sid = |sid: &str| statements(&policy).iter().find(|s| s["Sid"] == sid).unwrap();
        let group = "arn:aws:autoscaling:us-east-1:*:autoScalingGroup:*:autoScalingGroupName/consul-servers";
        assert_eq!(by_sid("KeepGroups")["Resource"], json!([group]));
        let launched = json!({ "aws:ResourceTag/aws:autoscaling:groupName": ["consul-servers"] });
        assert_eq!(by_sid("TakeWhatGroupsLaunched")["Condition"]["StringEquals"], launched);
        assert_eq!(by_sid("NeverTakeOver")["Condition"]["StringNotEquals"], launched);
    }

    #[test]
    fn whoever_rehearses_changes_copies_and_nothing_of_the_clusters() {
        let loaded = crate::spec::load::load(&["desired-state/prod/consul.yaml".into()]);
        let specs: Vec<_> = loaded.specs().map(|(_, spec)| spec.clone()).collect();
        let policy = policy(&specs, &grant(Task::Rehearse));
        let statements = statements(&policy);
        let tagged =
            |statement: &&Value| !statement["Condition"]["StringEquals"]["aws:ResourceTag/hermitcrab:owner"].is_null();
        let of_clusters: Vec<_> = statements
            .iter()
            .filter(tagged)
            .filter(|statement| statement["Condition"]["StringLike"].is_null())
            .map(|statement| statement["Sid"].as_str().unwrap())
            .collect();
        assert_eq!(of_clusters, ["CopyOurVolumes"], "what else may be done to more than copies");
        let deletes = statements.iter().find(|statement| statement["Action"] == json!(["ec2:DeleteSnapshot"])).unwrap();
        assert_eq!(
            deletes["Condition"],
            json!({
                "StringEquals": { "aws:ResourceTag/hermitcrab:owner": "hermitcrab" },
                "StringLike": { "aws:ResourceTag/hermitcrab:cluster": "*-rehearsal-*" },
                "Null": { "aws:ResourceTag/hermitcrab:copy-of": "false" },
            })
        );
        let denied: Vec<_> = statements.iter().filter(|s| s["Effect"] == "Deny").map(|s| &s["Sid"]).collect();
        assert_eq!(denied, ["NeverTakeOver"]);
    }

    #[test]
    fn a_policy_for_one_cluster_names_its_account_and_region() {
        let policy = policy_of("desired-state/prod/consul.yaml");
        let stops = statements(&policy).iter().find(|s| s["Sid"] == "ChangeOurInstances").unwrap();
        assert_eq!(stops["Resource"], json!(["arn:aws:ec2:us-east-1:123456789012:instance/*"]));
    }

    #[test]
    fn deleting_a_volume_is_denied_whatever_else_is_allowed() {
        let policy = policy_of("desired-state");
        let denied = statements(&policy).iter().filter(|s| s["Effect"] == "Deny" && s["Condition"].is_null());
        let actions: Vec<_> = denied.flat_map(|s| s["Action"].as_array().unwrap()).collect();
        assert!(actions.contains(&&json!("ec2:DeleteVolume")), "{actions:?}");
    }
}
