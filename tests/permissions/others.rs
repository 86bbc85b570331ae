//! The same calls about what is somebody else's, and calls that nobody of ours ever makes. All of them are denied.

use serde_json::{Value, json};

use crate::calls::{self, COPY, grow, instance, pass, recruit, through, volume};
use crate::iam::{Answer, Request};
use crate::place::{CLUSTER, Place, Tags, both};

type Denied = (Request, Answer, String);

pub fn for_a_controller(place: &Place) -> Vec<Denied> {
    let ours = Tags::of(CLUSTER);
    let mut denied = [strangers(place, CLUSTER), keys(place), roles(place), groups(place)].concat();
    for action in ["DeleteVolume", "EnableVolumeIO", "ModifyVolumeAttribute"] {
        let request = place.request(&format!("ec2:{action}"), &volume(place), ours.there());
        denied.push(never(request, "data are never deleted"));
    }
    let owner = "hermitcrab:owner";
    denied.push(not(grow(place, &ours.clone().with(owner, "somebody")), "it is another controller's"));
    denied.push(not(grow(place, &ours.clone().without(owner)), "it is nobody's"));
    let snapshot = place.arn("snapshot", "snap-0aaaaaaaaaaaaaaaa");
    denied.push(never(place.request("ec2:DeleteSnapshot", &snapshot, ours.there()), "saved data are never deleted"));
    denied
}

pub fn for_a_rehearsal(place: &Place) -> Vec<Denied> {
    let copies = Tags::of(COPY).with("hermitcrab:copy-of", CLUSTER);
    let mut denied = [strangers(place, COPY), keys(place), roles(place)].concat();
    for request in calls::life(place, CLUSTER).into_iter().filter(is_of_a_cluster) {
        denied.push(not(request, "the cluster itself is not a copy"));
    }
    let snapshot = place.arn("snapshot", "snap-0aaaaaaaaaaaaaaaa");
    let a_clusters = [
        (Tags::of(CLUSTER), "it was saved of the cluster"),
        (copies.clone().with("hermitcrab:cluster", CLUSTER), "it bears the cluster's name"),
        (Tags::of(COPY), "nothing says that it is a copy's"),
        (copies.with("hermitcrab:owner", "somebody"), "it is another controller's"),
    ];
    for (tags, why) in a_clusters {
        for action in ["ec2:DeleteSnapshot", "ec2:CreateVolume"] {
            denied.push(not(place.request(action, &snapshot, tags.there()), why));
        }
    }
    for (tags, why) in
        [(Tags::of(CLUSTER), "it is the cluster's"), (Tags::of(COPY).without("hermitcrab:owner"), "it is nobody's")]
    {
        denied.push(not(place.request("ec2:DeleteVolume", &volume(place), tags.there()), why));
    }
    for tags in [Tags::of(CLUSTER), Tags::of(COPY)] {
        denied.push(not(grow(place, &tags), "volumes of copies are made as large as they should be"));
    }
    let group = place.request("autoscaling:SuspendProcesses", &place.group(CLUSTER), json!({}));
    denied.push(not(group, "a copy has no group"));
    denied
}

/// Says of a request whether it names what it is about, by a tag that the resource bears or is made with.
fn is_of_a_cluster(request: &Request) -> bool {
    let names = |key: &str| request.context.get(key).is_some();
    let is_tagged_when_made = names("ec2:CreateAction");
    let may_be_copied = request.action == "ec2:CreateSnapshot" && request.kind() == "volume";
    let named = names("aws:ResourceTag/hermitcrab:cluster") || names("aws:RequestTag/hermitcrab:cluster");
    named && !is_tagged_when_made && !may_be_copied
}

/// Every call of a cluster's life, about resources that another controller owns, or nobody, or another account.
fn strangers(place: &Place, cluster: &str) -> Vec<Denied> {
    let mut denied = Vec::new();
    let owner = |prefix: &str| format!("aws:{prefix}Tag/hermitcrab:owner");
    for request in calls::life(place, cluster) {
        for key in ["Resource", "Request"].map(owner) {
            let is_root = request.kind() == "volume" && request.action == "ec2:RunInstances";
            if request.context.get(&key).is_none() || is_root || request.context.get("ec2:CreateAction").is_some() {
                continue;
            }
            let (mut anothers, mut nobodys) = (request.clone(), request.clone());
            anothers.context[&key] = json!("somebody");
            nobodys.context.as_object_mut().unwrap().remove(&key);
            denied.push(not(anothers, "it is another controller's"));
            denied.push(not(nobodys, "it is nobody's"));
        }
        if request.action != "ec2:CreateTags" && request.context.get("ec2:CreateAction").is_none() {
            let mut elsewhere = request;
            if !["image", "snapshot"].contains(&&*elsewhere.kind()) {
                elsewhere.resource = elsewhere.resource.replace("123456789012", "210987654321");
                denied.push(not(elsewhere, "it is another account's"));
            }
        }
    }
    denied.extend(tags(place, cluster));
    denied
}

/// Tags that would make something ours, or no longer ours, or that are set after the making.
fn tags(place: &Place, cluster: &str) -> Vec<Denied> {
    let ours = Tags::of(cluster);
    let owner = Tags::default().with("hermitcrab:owner", "hermitcrab");
    let retired = Tags::default().with("hermitcrab:retired", "2026-11-28T00:00:00Z");
    let theirs = Tags::default().with("Name", "web-1");
    let mut denied = Vec::new();
    for resource in [instance(place), volume(place)] {
        for action in ["ec2:CreateTags", "ec2:DeleteTags"] {
            let given = both(ours.there(), owner.requested());
            denied.push(never(place.request(action, &resource, given), "what is ours stays ours"));
            let taken = both(theirs.there(), owner.requested());
            denied.push(never(place.request(action, &resource, taken), "adopting is a person's decision"));
            let marked = both(theirs.there(), retired.requested());
            denied.push(not(place.request(action, &resource, marked), "it is nobody's"));
        }
    }
    let snapshot = place.arn("snapshot", "snap-0aaaaaaaaaaaaaaaa");
    let marked = both(ours.there(), retired.requested());
    denied.push(not(place.request("ec2:CreateTags", &snapshot, marked), "a snapshot's tags are set when it is made"));
    let elsewhere = both(retired.requested(), json!({ "ec2:CreateAction": "CreateImage" }));
    let resource = place.arn("instance", "*");
    denied.push(not(place.request("ec2:CreateTags", &resource, elsewhere), "no image is ever made"));
    denied
}

fn keys(place: &Place) -> Vec<Denied> {
    let another = place.key().replace("key/0000", "key/1111");
    let for_aws = |is: &str| both(through(place, "ec2"), json!({ "kms:GrantIsForAWSResource": is }));
    let by_itself = json!({ "kms:GrantIsForAWSResource": "true" });
    let mut denied = vec![
        not(place.request("kms:CreateGrant", &place.key(), for_aws("false")), "the grant is for nobody of AWS's"),
        not(place.request("kms:CreateGrant", &place.key(), by_itself), "EC2 has not asked for it"),
        not(place.request("kms:ScheduleKeyDeletion", &place.key(), json!({})), "nobody deletes keys"),
        not(place.request("kms:DescribeKey", &another, json!({})), "it is another key"),
    ];
    for action in ["kms:Decrypt", "kms:ReEncryptFrom", "kms:GenerateDataKeyWithoutPlaintext"] {
        denied.push(not(place.request(action, &place.key(), json!({})), "EC2 has not asked for it"));
        denied.push(not(place.request(action, &place.key(), through(place, "s3")), "it is S3 that asks"));
        denied.push(not(place.request(action, &another, through(place, "ec2")), "it is another key"));
    }
    denied
}

fn roles(place: &Place) -> Vec<Denied> {
    vec![
        not(pass(place, "administrator", &place.service("ec2")), "it is another role"),
        not(pass(place, "consul-example-member", &place.service("lambda")), "members are instances"),
        not(place.request("sts:AssumeRole", &place.role("administrator"), json!({})), "it takes on no role"),
    ]
}

fn groups(place: &Place) -> Vec<Denied> {
    let template = place.arn("launch-template", "lt-0ffffffffffffffff");
    let of = |name: &str| Tags::default().with("aws:autoscaling:groupName", name);
    let owners = Tags::default().with("hermitcrab:owner", "somebody");
    let action = "ec2:CreateLaunchTemplateVersion";
    let mut denied = vec![
        not(place.request("autoscaling:SuspendProcesses", &place.group("web"), json!({})), "it is another group"),
        not(place.request("autoscaling:DeleteAutoScalingGroup", &place.group(CLUSTER), json!({})), "it is kept"),
        not(place.request(action, &template, json!({})), "it is another group's template"),
        not(place.request(action, &template, owners.there()), "it is another controller's template"),
        never(recruit(place, &of("web")), "another group has launched it"),
    ];
    let stopped = both(of(CLUSTER).there(), Value::Object(serde_json::Map::new()));
    denied.push(not(place.request("ec2:StopInstances", &instance(place), stopped), "no slot has taken it yet"));
    denied
}

fn not(request: Request, why: &str) -> Denied {
    said(request, Answer::ImplicitlyDenied, why)
}

fn never(request: Request, why: &str) -> Denied {
    said(request, Answer::ExplicitlyDenied, why)
}

fn said(request: Request, answer: Answer, why: &str) -> Denied {
    let what = format!("{} on {} must be denied: {why}", request.action, request.resource);
    (request, answer, what)
}
