//! An evaluator of IAM policies, as AWS has them, which others wrote.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fetch::fetch;

/// One thing that is asked of AWS: an action on one resource, with what AWS knows of it.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// ARN of the role that asks.
    pub principal: String,
    pub account: String,
    /// E.g. `ec2:StopInstances`.
    pub action: String,
    /// An ARN, or `*` where AWS knows no resource.
    pub resource: String,
    /// Condition keys and their values.
    pub context: Value,
}

impl Request {
    /// Makes what the role of that ARN asks in its own account.
    pub fn of_role(role: &str, action: &str, resource: &str, context: Value) -> Self {
        let account = role.split(':').nth(4).unwrap_or_default();
        let [principal, account, action, resource] = [role, account, action, resource].map(str::to_owned);
        Self { principal, account, action, resource, context }
    }

    /// The kind of the resource, as AWS's reference names it, e.g. `security-group`.
    pub fn kind(&self) -> String {
        let kind = self.resource.splitn(6, ':').nth(5).unwrap_or_default();
        kind.split(['/', ':']).next().unwrap().to_owned()
    }
}

/// AWS's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Allowed,
    /// Denied because nothing allows it.
    ImplicitlyDenied,
    /// Denied whatever else allows it.
    ExplicitlyDenied,
    /// A request that AWS would never see.
    Impossible(String),
}

impl From<&str> for Answer {
    fn from(answer: &str) -> Self {
        match answer {
            "Allowed" => Self::Allowed,
            "ImplicitlyDenied" => Self::ImplicitlyDenied,
            "ExplicitlyDenied" => Self::ExplicitlyDenied,
            other => Self::Impossible(other.to_owned()),
        }
    }
}

/// A policy, and the numbers of the requests that are put before it.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    pub policy: Value,
    pub only: Vec<usize>,
}

/// Answers to all requests.
pub struct Evaluation {
    /// For each case, one answer a request.
    pub answers: Vec<Vec<Answer>>,
    /// For each action, the kinds of resources that AWS always authorises it on.
    pub kinds: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Printed {
    results: Vec<Vec<String>>,
    kinds: BTreeMap<String, Vec<String>>,
}

/// Asks what each request comes to under each policy, or says why nobody can.
pub fn evaluate(cases: &[Case], requests: &[&Request]) -> Result<Evaluation, String> {
    let [folder] = fetch(["iam-simulate"])?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/iam.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut node = node.spawn().map_err(|error| format!("node cannot be run: {error}"))?;
    let input = json!({ "cases": cases, "requests": requests }).to_string();
    node.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let Printed { results, kinds } = serde_json::from_slice(&output.stdout).unwrap();
    let answers = results.iter().map(|answers| answers.iter().map(|answer| answer.as_str().into()).collect()).collect();
    Ok(Evaluation { answers, kinds })
}

/// Lists the parts of a policy that can be taken out without an answer that becomes another one: a statement, an action, a condition.
pub fn unnoticed(policy: &Value, expected: &[(Request, Answer)]) -> Result<Vec<String>, String> {
    let diminished = diminished(policy);
    let of = |one: &Diminished| {
        let is_about = |number: &usize| names(&one.actions, &expected[*number].0.action);
        Case { policy: one.policy.clone(), only: (0..expected.len()).filter(is_about).collect() }
    };
    let cases: Vec<_> = diminished.iter().map(of).collect();
    let evaluation = evaluate(&cases, &expected.iter().map(|(request, _)| request).collect::<Vec<_>>())?;
    let is_right = |(number, answer): (&usize, &Answer)| *answer == expected[*number].1;
    let tried = diminished.iter().zip(&cases).zip(&evaluation.answers);
    let unnoticed = tried.filter(|((_, case), answers)| case.only.iter().zip(*answers).all(is_right));
    Ok(unnoticed.map(|((one, _), _)| one.without.clone()).collect())
}

/// A policy that differs from the printed one by one thing less.
struct Diminished {
    without: String,
    /// The actions of the statement that it was taken from.
    actions: Vec<String>,
    policy: Value,
}

/// Every such policy: less a statement, an action, or a condition.
fn diminished(policy: &Value) -> Vec<Diminished> {
    let statements = policy["Statement"].as_array().unwrap();
    let each = statements.iter().enumerate().flat_map(|(number, statement)| {
        let less = |left: Option<Value>| {
            let mut policy = policy.clone();
            let statements = policy["Statement"].as_array_mut().unwrap();
            match left {
                Some(left) => statements[number] = left,
                None => drop(statements.remove(number)),
            }
            policy
        };
        let sid = &statement["Sid"];
        let parts = [(format!("the statement {sid} ({number})"), None)].into_iter().chain(parts_of(statement));
        let actions = strings(&statement["Action"]);
        parts
            .map(|(without, left)| Diminished { without, actions: actions.clone(), policy: less(left) })
            .collect::<Vec<_>>()
    });
    each.collect()
}

/// A statement less each of its actions, and less each of its conditions.
fn parts_of(statement: &Value) -> Vec<(String, Option<Value>)> {
    let sid = &statement["Sid"];
    let actions = strings(&statement["Action"]);
    let mut parts = Vec::new();
    for action in actions.iter().filter(|_| actions.len() > 1) {
        let mut left = statement.clone();
        left["Action"].as_array_mut().unwrap().retain(|one| one != action);
        parts.push((format!("{action} in {sid}"), Some(left)));
    }
    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
        for key in keys.as_object().unwrap().keys() {
            let mut left = statement.clone();
            let condition = left["Condition"].as_object_mut().unwrap();
            condition[operator].as_object_mut().unwrap().remove(key);
            condition.retain(|_, keys| *keys != json!({}));
            parts.push((format!("{operator} {key} in {sid}"), Some(left)));
        }
    }
    parts
}

/// Reads a list that is written without brackets where it has one entry.
fn strings(list: &Value) -> Vec<String> {
    match list {
        Value::String(one) => vec![one.clone()],
        list => list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
    }
}

fn names(patterns: &[String], action: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => action.starts_with(beginning),
        None => pattern == action,
    })
}
