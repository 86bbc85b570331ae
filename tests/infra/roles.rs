//! The roles that `infra/` makes, put before an IAM evaluator: each may do what it is for, and nothing beside it. The controller's and
//! the rehearsals' own policies are the command's, which `tests/permissions.rs` tries.

use serde_json::{Value, json};

use crate::iam::{Answer, Case, Request, evaluate, unnoticed};
use crate::left_out::left_out;
use crate::terraform::Ground;

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-central-1";

type Expected = (Request, Answer);

/// Looks at every role policy of the ground that was applied.
pub fn do_what_they_are_for(ground: &Ground) {
    let resources = ground.resources();
    let attribute = |address: &str, name: &str| {
        let found = resources.iter().find(|(one, _)| one == address);
        let (_, attributes) = found.unwrap_or_else(|| panic!("there is no {address}"));
        attributes[name].as_str().unwrap().to_owned()
    };
    let bucket = attribute("aws_s3_bucket.controller", "arn");
    let policies = [
        ("aws_iam_role_policy.member", members()),
        ("aws_iam_role_policy.host", hosts(&bucket)),
        ("aws_iam_role_policy.rehearsal_claims", claims(&bucket)),
        ("aws_iam_role_policy.flow[0]", flow_logs()),
    ];
    for (address, expected) in policies {
        let policy: Value = serde_json::from_str(&attribute(address, "policy")).unwrap();
        answers_are(address, &policy, &expected);
    }
    for role in ["controller", "rehearsal"] {
        let trust = attribute(&format!("aws_iam_role.{role}"), "assume_role_policy");
        tokens_say_whose_they_are(role, &serde_json::from_str(&trust).unwrap());
    }
}

fn answers_are(address: &str, policy: &Value, expected: &[Expected]) {
    let requests: Vec<_> = expected.iter().map(|(request, _)| request).collect();
    let case = Case { policy: policy.clone(), only: (0..expected.len()).collect() };
    let answers = match evaluate(&[case], &requests) {
        Ok(evaluation) => evaluation.answers.into_iter().next().unwrap(),
        Err(why) => return left_out("the IAM evaluator", &why),
    };
    for ((Request { action, resource, context, .. }, wanted), answer) in expected.iter().zip(answers) {
        assert_eq!(answer, *wanted, "{address}: {action} on {resource} with {context}");
    }
    assert_eq!(unnoticed(policy, expected).unwrap(), [""; 0], "{address}: these can be taken out, and nothing fails");
}

/// A role that takes tokens takes them for one audience, and from subjects that are named.
fn tokens_say_whose_they_are(role: &str, trust: &Value) {
    let statements = trust["Statement"].as_array().unwrap();
    let by_token = statements.iter().filter(|one| one["Action"] == "sts:AssumeRoleWithWebIdentity");
    let by_token: Vec<_> = by_token.collect();
    assert_eq!(by_token.len(), 1, "{role}: {trust}");
    for statement in by_token {
        let condition = statement["Condition"].to_string();
        assert!(
            condition.contains(":aud\":\"sts.amazonaws.com\"") && condition.contains(":sub\":\""),
            "{role}: {condition}"
        );
        assert!(!condition.contains(":sub\":\"*"), "{role}: {condition}");
    }
}

fn request(action: &str, resource: &str, context: Value) -> Request {
    Request::of_role(&format!("arn:aws:iam::{ACCOUNT}:role/of-the-test"), action, resource, context)
}

fn yes(action: &str, resource: &str, context: Value) -> Expected {
    (request(action, resource, context), Answer::Allowed)
}

fn no(action: &str, resource: &str, context: Value) -> Expected {
    (request(action, resource, context), Answer::ImplicitlyDenied)
}

fn sessions() -> Vec<Expected> {
    let channels = ["CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"];
    let instance = format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0aaaaaaaaaaaaaaaa");
    let mut expected = vec![yes("ssm:UpdateInstanceInformation", &instance, json!({}))];
    expected.extend(channels.map(|channel| yes(&format!("ssmmessages:{channel}"), "*", json!({}))));
    expected
}

fn members() -> Vec<Expected> {
    let in_region = |region: &str| json!({ "aws:RequestedRegion": region });
    let parameter = |path: &str| format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{path}");
    let through = |service: &str| json!({ "kms:ViaService": format!("{service}.{REGION}.amazonaws.com") });
    let key = format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000");
    let mut expected = sessions();
    expected.extend([
        yes("ec2:DescribeInstances", "*", in_region(REGION)),
        no("ec2:DescribeInstances", "*", in_region("us-west-2")),
        yes("kms:Decrypt", &key, through("ssm")),
        no("kms:Decrypt", &key, through("ec2")),
        no("ssm:PutParameter", &parameter("consul-prod/ca"), json!({})),
    ]);
    for action in ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"] {
        expected.push(yes(action, &parameter("consul-prod/ca"), json!({})));
        expected.push(no(action, &parameter("web/password"), json!({})));
    }
    expected
}

fn claims(bucket: &str) -> Vec<Expected> {
    let mut expected = vec![
        yes("s3:ListBucket", bucket, json!({})),
        no("s3:ListBucket", "arn:aws:s3:::somebodys", json!({})),
        no("s3:PutObject", &format!("{bucket}/desired-state/consul.yaml"), json!({})),
        no("s3:DeleteObject", &format!("{bucket}/program/hermitcrab"), json!({})),
    ];
    for action in ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"] {
        expected.push(yes(action, &format!("{bucket}/claims/consul-prod.json"), json!({})));
    }
    expected
}

fn hosts(bucket: &str) -> Vec<Expected> {
    let role = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{name}");
    let mut expected = [sessions(), claims(bucket)].concat();
    for file in ["program/hermitcrab", "desired-state/consul.yaml"] {
        expected.push(yes("s3:GetObject", &format!("{bucket}/{file}"), json!({})));
    }
    expected.push(no("s3:GetObject", "arn:aws:s3:::somebodys/program/hermitcrab", json!({})));
    expected.push(yes("sts:AssumeRole", &role("names-of-staging-rehearsal"), json!({})));
    expected.push(no("sts:AssumeRole", &role("administrator"), json!({})));
    expected
}

fn flow_logs() -> Vec<Expected> {
    let group = |name: &str| format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/hermitcrab/{name}/flow");
    let (ours, stream) = (group("names-of-staging"), format!("{}:log-stream:eni-0aaa", group("names-of-staging")));
    vec![
        yes("logs:CreateLogGroup", &ours, json!({})),
        yes("logs:CreateLogStream", &stream, json!({})),
        yes("logs:DescribeLogStreams", &ours, json!({})),
        yes("logs:DescribeLogGroups", "*", json!({})),
        yes("logs:PutLogEvents", &stream, json!({})),
        no("logs:PutLogEvents", &format!("{}:log-stream:eni-0aaa", group("web")), json!({})),
        no("logs:DeleteLogGroup", &ours, json!({})),
    ]
}
