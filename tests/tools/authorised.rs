//! Whether the policies that are in force allow what was really called: each recorded call, on every resource that AWS authorises it
//! on, put before an IAM evaluator that others wrote.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::iam::{Answer, Case, Request, evaluate};
use crate::left_out::left_out;
use crate::recorded::Recorded;

const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";

/// The kinds of resources of EC2's, by what their ids begin with.
const KINDS: [(&str, &str); 8] = [
    ("i-", "instance"),
    ("vol-", "volume"),
    ("snap-", "snapshot"),
    ("eni-", "network-interface"),
    ("ami-", "image"),
    ("subnet-", "subnet"),
    ("sg-", "security-group"),
    ("lt-", "launch-template"),
];

/// A policy allows these calls, and none any more once its action is taken out.
pub fn is_allowed(calls: &[Recorded], policy: &Value) {
    match (denied(calls, policy), unneeded(calls, policy)) {
        (Ok(denied), Ok(unneeded)) => {
            assert_eq!(denied, [""; 0], "the policy does not allow these");
            assert_eq!(unneeded, [""; 0], "these can be taken out of the policy, and nothing is denied");
        }
        (Err(why), _) | (_, Err(why)) => left_out("the IAM evaluator", &why),
    }
}

/// Lists the calls that a policy does not allow, each once; or says why nobody can tell.
pub fn denied(calls: &[Recorded], policy: &Value) -> Result<Vec<String>, String> {
    let asked: BTreeMap<String, Request> = calls.iter().flat_map(requests).map(|one| (shown(&one), one)).collect();
    let requests: Vec<&Request> = asked.values().collect();
    let case = Case { policy: policy.clone(), only: (0..requests.len()).collect() };
    let evaluation = evaluate(&[case], &requests)?;
    let answers = asked.keys().zip(&evaluation.answers[0]).filter(|(_, answer)| **answer != Answer::Allowed);
    Ok(answers.map(|(shown, answer)| format!("{shown}: {answer:?}")).collect())
}

/// Lists the actions that can be taken out of a policy, and every call is allowed still.
fn unneeded(calls: &[Recorded], policy: &Value) -> Result<Vec<String>, String> {
    let asked: BTreeMap<String, Request> = calls.iter().flat_map(requests).map(|one| (shown(&one), one)).collect();
    let (requests, actions): (Vec<_>, Vec<_>) = (asked.values().collect(), actions(calls).into_iter().collect());
    let case = |action: &String| {
        let only = (0..requests.len()).filter(|number| requests[*number].action == *action).collect();
        Case { policy: without(policy, action), only }
    };
    let cases: Vec<_> = actions.iter().map(case).collect();
    let evaluation = evaluate(&cases, &requests)?;
    let tried = actions.into_iter().zip(&evaluation.answers);
    let unneeded = tried.filter(|(_, answers)| answers.iter().all(|answer| *answer == Answer::Allowed));
    Ok(unneeded.map(|(action, _)| action).collect())
}

fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        if statement["Effect"] == "Allow" {
            let listed = match statement["Action"].take() {
                Value::String(one) => vec![Value::String(one)],
                listed => listed.as_array().unwrap().clone(),
            };
            let left = listed.into_iter().filter(|one| one != action).collect();
            statement["Action"] = Value::Array(left);
        }
    }
    policy["Statement"].as_array_mut().unwrap().retain(|statement| statement["Action"] != json!([]));
    policy
}

/// The actions that were called.
pub fn actions(calls: &[Recorded]) -> BTreeSet<String> {
    calls.iter().flat_map(requests).map(|request| request.action).collect()
}

fn shown(request: &Request) -> String {
    format!("{} on {} with {}", request.action, request.resource, request.context)
}

/// Everything that AWS asks of IAM for one call.
fn requests(call: &Recorded) -> Vec<Request> {
    let name = call.action.split_once(':').unwrap().1;
    let mut asked = match name {
        // Anybody may ask who they are.
        "GetCallerIdentity" => Vec::new(),
        "AssumeRole" => vec![request(&call.action, call.params.param("RoleArn"), json!({}))],
        _ if call.object.is_some() => {
            vec![request(&call.action, &format!("arn:aws:s3:::{}", call.object.as_ref().unwrap()), json!({}))]
        }
        "DescribeInstanceAttribute" => vec![request(&call.action, &arn(call.params.param("InstanceId")), json!({}))],
        _ if !call.params.is_mutating() => vec![request(&call.action, "*", json!({}))],
        _ if call.action.starts_with("autoscaling:") => {
            let names = ["AutoScalingGroupName", "Tags.member.1.ResourceId"];
            let group = names.iter().map(|name| call.params.param(name)).find(|name| !name.is_empty()).unwrap();
            let id = "11111111-2222-3333-4444-555555555555";
            let arn =
                format!("arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:{id}:autoScalingGroupName/{group}");
            vec![request(&call.action, &arn, json!({}))]
        }
        // Of what is written into it nobody asks.
        "CreateLaunchTemplateVersion" => {
            let template = call.params.param("LaunchTemplateId");
            vec![request(&call.action, &arn(template), there(call, template))]
        }
        "CreateTags" | "DeleteTags" => {
            let given = call.params.tags_below("Tag.");
            let resources = call.params.list("ResourceId");
            resources.map(|id| request(&call.action, &arn(id), both(there(call, id), said(&given)))).collect()
        }
        _ => named(call),
    };
    asked.extend(made(call, name));
    asked
}

/// The resources that a call names. What stands in a tag is only text.
fn named(call: &Recorded) -> Vec<Request> {
    let is_resource = |(name, value): &(&String, &String)| {
        let is_id = |(beginning, _): &(&str, &str)| {
            let digits = value.strip_prefix(beginning);
            digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        !name.starts_with("TagSpecification") && KINDS.iter().any(is_id)
    };
    let ids: BTreeSet<_> = call.params.params.iter().filter(is_resource).map(|(_, value)| value).collect();
    ids.into_iter().map(|id| request(&call.action, &arn(id), there(call, id))).collect()
}

/// The resources that a call makes, the tags that they are given with it, and the role that they have.
fn made(call: &Recorded, name: &str) -> Vec<Request> {
    let kinds: &[&str] = match name {
        "RunInstances" => &["instance", "volume", "network-interface"],
        "CreateVolume" => &["volume"],
        "CreateSnapshot" => &["snapshot"],
        _ => return Vec::new(),
    };
    let mut asked = Vec::new();
    for kind in kinds {
        let tags = call.params.tags_of_kind(kind);
        let arn = any(kind);
        asked.push(request(&call.action, &arn, said(&tags)));
        if !tags.is_empty() {
            asked.push(request("ec2:CreateTags", &arn, both(said(&tags), json!({ "ec2:CreateAction": name }))));
        }
    }
    // infra's profile has its role's name.
    let profile = call.params.param("IamInstanceProfile.Name");
    if !profile.is_empty() {
        let role = format!("arn:aws:iam::{ACCOUNT}:role/{profile}");
        asked.push(request("iam:PassRole", &role, json!({ "iam:PassedToService": "ec2.amazonaws.com" })));
    }
    asked
}

fn said(tags: &BTreeMap<String, String>) -> Value {
    let mut context: Map<_, _> =
        tags.iter().map(|(key, value)| (format!("aws:RequestTag/{key}"), json!(value))).collect();
    if !tags.is_empty() {
        context.insert("aws:TagKeys".to_owned(), tags.keys().map(String::as_str).collect());
    }
    Value::Object(context)
}

fn there(call: &Recorded, id: &str) -> Value {
    let tags = call.tags.get(id).into_iter().flatten();
    Value::Object(tags.map(|(key, value)| (format!("aws:ResourceTag/{key}"), json!(value))).collect())
}

fn both(one: Value, other: Value) -> Value {
    let (Value::Object(mut one), Value::Object(other)) = (one, other) else { unreachable!("a context is an object") };
    one.extend(other);
    Value::Object(one)
}

fn any(kind: &str) -> String {
    let account = if kind == "snapshot" { "" } else { ACCOUNT };
    format!("arn:aws:ec2:{REGION}:{account}:{kind}/*")
}

fn arn(id: &str) -> String {
    let (_, kind) = KINDS.iter().find(|(beginning, _)| id.starts_with(beginning)).unwrap_or_else(|| panic!("{id}"));
    let account = if ["image", "snapshot"].contains(kind) { "" } else { ACCOUNT };
    format!("arn:aws:ec2:{REGION}:{account}:{kind}/{id}")
}

fn request(action: &str, resource: &str, context: Value) -> Request {
    Request::of_role(&format!("arn:aws:iam::{ACCOUNT}:role/of-the-test"), action, resource, context)
}
