//! The IAM policy that allows a task, and denies what no part of the controller ever does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::spec::ClusterSpec;

use super::NeededBy::{Groups, Snapshots};
use super::{On, PERMISSIONS, Permission, needs};

/// Actions that are denied outright, whatever another policy allows: no part of the controller ever asks for them.
const NEVER: [&str; 5] =
    ["ec2:DeleteVolume", "ec2:DeleteSnapshot", "ec2:ModifyVolume", "ec2:EnableVolumeIO", "ec2:ModifyVolumeAttribute"];

/// Task that a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Keep them at their images.
    Control,
    /// Make throw-away copies of them, data included, and destroy these. Nothing is done to the clusters themselves.
    Rehearse,
}

/// Everything beside the clusters that a policy depends on.
pub struct Grant<'a> {
    pub task: Task,
    /// Value of the tag `hermitcrab:owner` on what the controller may touch.
    pub owner: &'a str,
    /// Partition of AWS: `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: &'a str,
    /// Customer-managed KMS keys that volumes are encrypted with, as ARNs.
    pub kms_keys: &'a [String],
    /// The roles of the instance profiles, where they are not called like them.
    pub roles: &'a [String],
}

/// Lists the permissions that a task takes.
fn granted(specs: &[ClusterSpec], task: Task) -> impl Iterator<Item = &'static Permission> + '_ {
    PERMISSIONS.iter().filter(move |permission| match (task, permission.needed_by) {
        (Task::Rehearse, Groups) => false,
        (Task::Rehearse, Snapshots) => true,
        (_, needed_by) => specs.iter().any(|spec| needs(spec, needed_by)),
    })
}

/// Makes the narrowest IAM policy document with which a task can be done.
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

/// Makes the statements that allow some actions on what they are needed on.
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

/// Allows what EBS does with a customer-managed key on the controller's behalf.
fn use_keys(grant: &Grant<'_>) -> [Value; 2] {
    let actions = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];
    let for_ebs = json!({ "Bool": { "kms:GrantIsForAWSResource": "true" } });
    [
        statement("UseKeys", &actions, json!(grant.kms_keys), None),
        statement("GrantKeysToEbs", &["kms:CreateGrant"], json!(grant.kms_keys), Some(for_ebs)),
    ]
}

/// Allows tagging what an adopted group has launched by itself, which bears no tag of ours until a slot needs it.
fn recruit(scope: &Scope<'_>) -> Option<Value> {
    let groups = scope.groups();
    let launched = json!({ "StringEquals": { "aws:ResourceTag/aws:autoscaling:groupName": groups } });
    let taken = || statement("TakeWhatGroupsLaunched", &["ec2:CreateTags"], scope.ec2(&["instance"]), Some(launched));
    (!groups.is_empty()).then(taken)
}

/// Allows deleting what a rehearsal has made, and nothing else: a copy's snapshot, and none that was taken of the cluster.
fn clear_away(scope: &Scope<'_>) -> [Value; 3] {
    let mut a_copys = scope.is_ours();
    a_copys["Null"] = json!({ "aws:ResourceTag/hermitcrab:copy-of": "false" });
    [
        statement("DeleteVolumesOfCopies", &["ec2:DeleteVolume"], scope.ec2(&["volume"]), Some(scope.is_ours())),
        statement("DeleteSnapshotsOfCopies", &["ec2:DeleteSnapshot"], scope.snapshots(), Some(a_copys)),
        never_take_over(&[]),
    ]
}

/// Denies deleting any data volume.
fn never_delete_data() -> Value {
    deny("NeverDeleteData", &NEVER, None)
}

/// Denies making ours what is not, because adopting is a person's decision. What an adopted group has launched is excepted.
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

/// Names of resources, as narrow as the specs allow.
struct Scope<'a> {
    specs: &'a [ClusterSpec],
    grant: &'a Grant<'a>,
}

impl Scope<'_> {
    fn bears_our_tag(&self) -> Value {
        json!({ "StringEquals": { "aws:ResourceTag/hermitcrab:owner": self.grant.owner } })
    }

    /// Names what may be changed. A rehearsal changes copies alone.
    fn is_ours(&self) -> Value {
        let mut ours = self.bears_our_tag();
        if self.grant.task == Task::Rehearse {
            ours["StringLike"] = json!({ "aws:ResourceTag/hermitcrab:cluster": "*-rehearsal-*" });
        }
        ours
    }

    /// Gives the one account that every cluster names, or any.
    fn account(&self) -> &str {
        let accounts: BTreeSet<_> = self.specs.iter().map(|spec| spec.account.as_deref()).collect();
        match accounts.into_iter().collect::<Vec<_>>()[..] {
            [Some(account)] => account,
            _ => "*",
        }
    }

    /// Gives the one region that every cluster lies in, or any.
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

    /// Names all snapshots. Snapshots and images bear no account in their ARNs.
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

    /// Lists the names of the adopted groups.
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

    /// Lists the roles that were given. Where none were, a role is called like its instance profile.
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
