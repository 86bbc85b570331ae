//! The IAM policy that allows a task, and denies what no part of the controller ever does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::make::CapacityReservation;
use crate::spec::ClusterSpec;

use super::NeededBy::{Addresses, Groups};
use super::grant::{ClaimsBucket, Grant, Task};
use super::partition::{Partition, partition_of};
use super::{On, PERMISSIONS, Permission, keys, needs};

/// Actions that are denied outright, whatever another policy allows: no part of the controller ever asks for them.
const NEVER: [&str; 4] = ["ec2:DeleteVolume", "ec2:DeleteSnapshot", "ec2:EnableVolumeIO", "ec2:ModifyVolumeAttribute"];

/// Lists the permissions that a task takes. A rehearsal looks at an adopted group and at fixed addresses, because it begins with a
/// look at the cluster, and changes none: its copy has neither. Nor does it grow a volume, because a copy's are made as they should be.
fn granted(specs: &[ClusterSpec], task: Task) -> impl Iterator<Item = &'static Permission> + '_ {
    let of_clusters = |one: &Permission| matches!(one.needed_by, Groups | Addresses) || one.on == On::OurVolumes;
    let changes = move |one: &Permission| of_clusters(one) && one.on != On::Everything;
    let needed = |one: &&Permission| specs.iter().any(|spec| needs(spec, one.needed_by));
    PERMISSIONS.iter().filter(needed).filter(move |one| task == Task::Control || !changes(one))
}

/// Makes the narrowest IAM policy document with which a task can be done.
pub fn policy(specs: &[ClusterSpec], grant: &Grant<'_>) -> Value {
    let mut statements = Vec::new();
    let groups: BTreeSet<On> = granted(specs, grant.task).map(|permission| permission.on).collect();
    for on in groups {
        let actions: Vec<_> = granted(specs, grant.task).filter(|p| p.on == on).map(|p| p.action).collect();
        statements.extend(allow(on, &actions, specs, grant));
    }
    let scope = Scope { specs, grant };
    let keys = keys::used(specs, grant.kms_keys);
    if !keys.is_empty() {
        statements.extend(use_keys(&scope, &keys));
    }
    statements.extend(grant.claims.iter().flat_map(|bucket| keep_claims(&scope, bucket)));
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
    let made_ours = scope.is_made_ours();
    match on {
        On::Everything => vec![statement("Look", actions, json!("*"), None)],
        On::OurInstances => {
            vec![statement("ChangeOurInstances", actions, scope.ec2(&["instance"]), Some(is_ours))]
        }
        On::OurVolumesAndInstances => {
            vec![statement("MoveOurVolumes", actions, scope.ec2(&["instance", "volume"]), Some(is_ours))]
        }
        On::OurVolumes => vec![statement("GrowOurVolumes", actions, scope.ec2(&["volume"]), Some(is_ours))],
        On::OurInterfaces => {
            vec![statement("MoveAddresses", actions, scope.ec2(&["network-interface"]), Some(is_ours))]
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
            // A copy has no fixed addresses, so its interfaces bear the file's tags alone.
            let has_addresses = |spec: &ClusterSpec| grant.task == Task::Control && spec.has_addresses();
            let tags_interfaces = |spec: &ClusterSpec| has_addresses(spec) || !spec.tags.is_empty();
            let interface = specs.iter().any(tags_interfaces).then(|| scope.arn("network-interface"));
            let made_too = [scope.arn("instance"), scope.arn("volume"), scope.snapshot_arn()];
            let anything = json!(made_too.into_iter().chain(interface).collect::<Vec<_>>());
            vec![
                statement("TagWhatIsOurs", actions, scope.ec2(&["instance", "volume"]), Some(is_ours)),
                statement("TagWhatIsMade", &["ec2:CreateTags"], anything, Some(made)),
            ]
        }
        On::AdoptedGroups => vec![statement("KeepGroups", actions, json!(scope.group_arns()), None)],
        On::LaunchTemplates => vec![scope.follow_in_templates(actions)],
        On::DeclaredRoles => {
            let to_ec2 = json!({ "StringEquals": { "iam:PassedToService": scope.ec2_services() } });
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

/// Allows what EC2 does with a customer-managed key on the controller's behalf, and nothing that EC2 did not ask for. Whether a
/// key can be used at all may be asked directly.
fn use_keys(scope: &Scope<'_>, named: &BTreeSet<String>) -> [Value; 3] {
    let keys = || json!(named);
    let actions = ["kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];
    let by_ec2 = json!({ "StringLike": { "kms:ViaService": scope.ec2_endpoint() } });
    let mut for_ebs = by_ec2.clone();
    for_ebs["Bool"] = json!({ "kms:GrantIsForAWSResource": "true" });
    [
        statement("LookAtKeys", &["kms:DescribeKey"], keys(), None),
        statement("UseKeys", &actions, keys(), Some(by_ec2)),
        statement("GrantKeysToEbs", &["kms:CreateGrant"], keys(), Some(for_ebs)),
    ]
}

/// Allows keeping claims in a bucket. The whole of it may be listed: to whoever may not, S3 says of what is not there that it is
/// forbidden.
fn keep_claims(scope: &Scope<'_>, bucket: &ClaimsBucket<'_>) -> [Value; 2] {
    let whole = format!("arn:{}:s3:::{}", scope.partition().name, bucket.name);
    let claims = format!("{whole}/{}/*", bucket.prefix);
    let actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    [
        statement("KeepClaims", &actions, json!([claims]), None),
        statement("TellWhatIsMissing", &["s3:ListBucket"], json!([whole]), None),
    ]
}

/// Allows tagging what an adopted group has launched by itself, which bears no tag of ours until a slot needs it.
fn recruit(scope: &Scope<'_>) -> Option<Value> {
    let groups = scope.groups();
    let launched = json!({ "StringEquals": { "aws:ResourceTag/aws:autoscaling:groupName": groups } });
    let taken = || statement("TakeWhatGroupsLaunched", &["ec2:CreateTags"], scope.ec2(&["instance"]), Some(launched));
    (!groups.is_empty()).then(taken)
}

/// Allows making volumes of a copy's snapshot, which EC2 authorises on the snapshot too, and deleting what a rehearsal has made. A
/// snapshot that was taken of the cluster is neither restored nor deleted.
fn clear_away(scope: &Scope<'_>) -> [Value; 4] {
    let mut a_copys = scope.is_ours();
    a_copys["Null"] = json!({ "aws:ResourceTag/hermitcrab:copy-of": "false" });
    [
        statement("BeginCopiesWithData", &["ec2:CreateVolume"], scope.snapshots(), Some(a_copys.clone())),
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
        self.or_a_copys(self.bears_our_tag(), "aws:ResourceTag")
    }

    /// Names what may be made. A rehearsal makes copies alone: nothing that would count as the cluster's.
    fn is_made_ours(&self) -> Value {
        let ours = json!({ "StringEquals": { "aws:RequestTag/hermitcrab:owner": self.grant.owner } });
        self.or_a_copys(ours, "aws:RequestTag")
    }

    fn or_a_copys(&self, mut condition: Value, tags: &str) -> Value {
        if self.grant.task == Task::Rehearse {
            condition["StringLike"] = json!({ format!("{tags}/hermitcrab:cluster"): "*-rehearsal-*" });
        }
        condition
    }

    /// Allows new versions of launch templates. Every group that launches the latest version of a template launches what is
    /// written there, so a template is either named or bears our tag.
    fn follow_in_templates(&self, actions: &[&str]) -> Value {
        let named = |id: &String| self.arn_of("launch-template", id);
        let (resources, condition) = match self.grant.launch_templates {
            [] => (self.ec2(&["launch-template"]), Some(self.bears_our_tag())),
            ids => (json!(ids.iter().map(named).collect::<Vec<_>>()), None),
        };
        statement("FollowInTemplates", actions, resources, condition)
    }

    /// Gives the partition of the clusters' regions. One role lies in one partition, so a caller names clusters of one alone.
    fn partition(&self) -> &'static Partition {
        partition_of(self.specs.first().map_or("", |spec| spec.region.as_str()))
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
        self.arn_of(kind, "*")
    }

    fn arn_of(&self, kind: &str, id: &str) -> String {
        format!("arn:{}:ec2:{}:{}:{kind}/{id}", self.partition().name, self.region(), self.account())
    }

    /// Names all snapshots. Snapshots and images bear no account in their ARNs.
    fn snapshot_arn(&self) -> String {
        format!("arn:{}:ec2:{}::snapshot/*", self.partition().name, self.region())
    }

    fn ec2(&self, kinds: &[&str]) -> Value {
        json!(kinds.iter().map(|kind| self.arn(kind)).collect::<Vec<_>>())
    }

    fn snapshots(&self) -> Value {
        json!([self.snapshot_arn()])
    }

    fn launched_from(&self) -> Value {
        let image = format!("arn:{}:ec2:{}::image/*", self.partition().name, self.region());
        let kinds = ["subnet", "security-group", "network-interface", "key-pair", "volume"];
        let template = (!self.groups().is_empty()).then(|| self.arn("launch-template"));
        let all = [image].into_iter().chain(kinds.map(|kind| self.arn(kind))).chain(template);
        json!(all.chain(self.places()).collect::<Vec<_>>())
    }

    /// Names the placement groups and capacity reservations that the files name.
    fn places(&self) -> BTreeSet<String> {
        let named = self.specs.iter().flat_map(|spec| {
            let group = spec.instance.placement.group.as_ref().map(|name| self.arn_of("placement-group", name));
            let reservation = match &spec.instance.capacity_reservation {
                Some(CapacityReservation::Named(id)) => Some(self.arn_of("capacity-reservation", id)),
                Some(CapacityReservation::Avoided | CapacityReservation::Open) | None => None,
            };
            group.into_iter().chain(reservation)
        });
        named.collect()
    }

    /// Lists the names of the adopted groups.
    fn groups(&self) -> Vec<String> {
        let groups: BTreeSet<_> = self.specs.iter().filter_map(|spec| spec.capacity.group()).collect();
        groups.into_iter().map(str::to_owned).collect()
    }

    fn group_arns(&self) -> Vec<String> {
        let (partition, region, account) = (self.partition().name, self.region(), self.account());
        let arn = |name| {
            format!("arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{name}")
        };
        self.groups().into_iter().map(arn).collect()
    }

    /// Names EC2 as the service that a role is passed to. Partitions with names of their own know both.
    fn ec2_services(&self) -> Vec<String> {
        let names: BTreeSet<_> = ["amazonaws.com", self.partition().dns_suffix].into();
        names.into_iter().map(|suffix| format!("ec2.{suffix}")).collect()
    }

    /// Names EC2 in the clusters' region as KMS does, where EC2 asks for something on the controller's behalf.
    fn ec2_endpoint(&self) -> String {
        format!("ec2.{}.{}", self.region(), self.partition().dns_suffix)
    }

    /// Lists the roles that were given. Where none were, a role is called like its instance profile.
    fn roles(&self) -> Vec<String> {
        let profiles: BTreeSet<_> =
            self.specs.iter().filter_map(|spec| spec.instance.iam_instance_profile.clone()).collect();
        let names: Vec<_> =
            if self.grant.roles.is_empty() { profiles.into_iter().collect() } else { self.grant.roles.to_vec() };
        let (partition, account) = (self.partition().name, self.account());
        names.iter().map(|name| format!("arn:{partition}:iam::{account}:role/{name}")).collect()
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
        Grant { task, owner: "hermitcrab", kms_keys: &[], roles: &[], claims: None, launch_templates: &[] }
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
