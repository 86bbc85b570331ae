//! Policies that `iam-policy` prints, put before an IAM evaluator that others wrote: every call of ours is allowed on every resource that AWS
//! authorises it on, the same call on anything that is not ours is denied, and nothing in a policy can be left out.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::{Value, json};

#[path = "permissions/calls.rs"]
mod calls;
#[path = "tools/fetch.rs"]
mod fetch;
#[path = "tools/iam.rs"]
mod iam;
#[path = "tools/left_out.rs"]
mod left_out;
#[path = "permissions/others.rs"]
mod others;
#[path = "permissions/place.rs"]
mod place;

use iam::{Answer, Case, Evaluation, Request, evaluate, unnoticed};
use left_out::left_out;
use place::Place;

/// Something that is asked of AWS, and the answer that is wanted.
struct Expectation {
    request: Request,
    answer: Answer,
    /// Reason, for whoever sees another answer.
    what: String,
}

fn controls(place: &Place) -> Vec<Expectation> {
    expectations(calls::of_a_controller(place), others::for_a_controller(place))
}

fn rehearses(place: &Place) -> Vec<Expectation> {
    expectations(calls::of_a_rehearsal(place), others::for_a_rehearsal(place))
}

fn expectations(ours: Vec<Request>, others: Vec<(Request, Answer, String)>) -> Vec<Expectation> {
    let allowed = ours.into_iter().map(|request| {
        let what = format!("{} on {} is needed", request.action, request.resource);
        Expectation { request, answer: Answer::Allowed, what }
    });
    let denied = others.into_iter().map(|(request, answer, what)| Expectation { request, answer, what });
    allowed.chain(denied).collect()
}

/// Prints the policy of a place's file.
fn policy(place: &Place, more: &[&str]) -> Value {
    policy_of_all(&[place.file()], &[more, &["--kms-key", &place.key()]].concat()).unwrap()
}

/// Prints the policy of a folder with these files, or what is said against it.
fn policy_of_all(files: &[String], more: &[&str]) -> Result<Value, String> {
    let folder = tempfile::tempdir().unwrap();
    for (number, file) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number}.yaml")), file).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    let said = command.arg("iam-policy").arg(folder.path()).args(more).output().unwrap();
    let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
    if said.status.success() { Ok(serde_json::from_slice(&said.stdout).unwrap()) } else { Err(complaint) }
}

fn ask(cases: &[Case], expectations: &[Expectation]) -> Option<Evaluation> {
    let requests: Vec<_> = expectations.iter().map(|one| &one.request).collect();
    evaluate(cases, &requests).map_err(|why| left_out("the IAM evaluator", &why)).ok()
}

fn holds(policy: &Value, expectations: &[Expectation]) {
    let case = Case { policy: policy.clone(), only: (0..expectations.len()).collect() };
    let Some(evaluation) = ask(&[case], expectations) else { return };
    let answers = expectations.iter().zip(&evaluation.answers[0]);
    let said = answers.filter(|(wanted, answer)| **answer != wanted.answer).map(|(wanted, answer)| {
        let Request { action, resource, context, .. } = &wanted.request;
        format!("{}:\n  {action} on {resource} is {answer:?}, not {:?}, with {context}", wanted.what, wanted.answer)
    });
    assert_eq!(said.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_controller_may_do_what_it_does_and_nothing_to_what_is_not_its() {
    for place in Place::ALL {
        holds(&policy(&place, &[]), &controls(&place));
    }
}

#[test]
fn a_rehearsal_may_make_and_delete_copies_and_do_nothing_to_the_cluster() {
    for place in Place::ALL {
        holds(&policy(&place, &["--rehearse"]), &rehearses(&place));
    }
}

#[test]
fn a_key_that_a_file_names_may_be_used_as_one_that_is_given() {
    for place in Place::ALL {
        let id = place.key().rsplit('/').next().unwrap().to_owned();
        for key in [place.key(), id] {
            let file = place.file().replace("size: 20GiB", &format!("size: 20GiB, kmsKey: \"{key}\""));
            assert_eq!(policy_of_all(&[file], &[]).unwrap(), policy(&place, &[]));
        }
    }
}

#[test]
fn claims_may_be_kept_where_the_command_is_told_and_nowhere_else() {
    for (place, task) in Place::ALL.iter().flat_map(|place| [(place, &[][..]), (place, &["--rehearse"][..])]) {
        let object =
            |action: &str, key: &str| place.request(action, &place.bucket(&format!("platform{key}")), json!({}));
        let actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
        let mut kept = actions.map(|action| object(action, "/claims/consul.json")).to_vec();
        kept.push(object("s3:ListBucket", ""));
        let others = actions.map(|action| object(action, "/program/hermitcrab"));
        let denied = |requests: &[Request]| {
            let denied = |request: &Request| (request.clone(), Answer::ImplicitlyDenied, "nobody says so".to_owned());
            requests.iter().map(denied).collect::<Vec<_>>()
        };
        let told = [task, &["--claims", "s3://platform/claims"]].concat();
        holds(&policy(place, &told), &expectations(kept.clone(), denied(&others)));
        holds(
            &policy(place, &[task, &["--claims", "/var/lib/hermitcrab"]].concat()),
            &expectations(vec![], denied(&kept)),
        );
        holds(&policy(place, task), &expectations(vec![], denied(&kept)));
    }
}

/// EC2 authorises a launch on the placement group and the capacity reservation that it names.
#[test]
fn a_launch_may_use_the_placement_group_and_the_reservation_that_a_file_names_and_no_others() {
    for place in Place::ALL {
        let placed = "  instance:\n    placement: { group: racks }\n    capacityReservation: cr-0aaaaaaaaaaaaaaaa\n";
        let file = place.file().replacen("  instance:\n", placed, 1);
        assert!(file.contains(placed));
        let launch = |kind: &str, id: &str| place.request("ec2:RunInstances", &place.arn(kind, id), json!({}));
        let named = [launch("placement-group", "racks"), launch("capacity-reservation", "cr-0aaaaaaaaaaaaaaaa")];
        let others = [launch("placement-group", "others"), launch("capacity-reservation", "cr-0bbbbbbbbbbbbbbbb")];
        let denied = |requests: &[Request]| {
            let denied = |request: &Request| (request.clone(), Answer::ImplicitlyDenied, "no file names it".to_owned());
            requests.iter().map(denied).collect::<Vec<_>>()
        };
        holds(&policy_of_all(&[file], &[]).unwrap(), &expectations(named.to_vec(), denied(&others)));
        holds(&policy(&place, &[]), &expectations(vec![], denied(&named)));
    }
}

/// A launch tags the network interface with what the whole cluster's resources bear.
#[test]
fn tags_of_the_cluster_may_be_given_to_network_interfaces() {
    for place in Place::ALL {
        let file = place.file().replacen("spec:\n", "spec:\n  tags: { team: data }\n", 1);
        let made = calls::made(&place, "ec2:RunInstances", "network-interface", &place::Tags::of(place::CLUSTER));
        holds(&policy_of_all(&[file], &[]).unwrap(), &expectations(made.to_vec(), vec![]));
        let untagged =
            expectations(vec![], vec![(made[1].clone(), Answer::ImplicitlyDenied, "nothing tags them".to_owned())]);
        holds(&policy(&place, &[]), &untagged);
    }
}

#[test]
fn an_address_moves_only_to_a_network_interface_of_ours() {
    for place in Place::ALL {
        let nobodys = calls::move_address(&place, &place::Tags::default());
        let nobodys = (nobodys, Answer::ImplicitlyDenied, "it is nobody's".to_owned());
        let policy = policy_of_all(&[place.file_with_addresses()], &[]).unwrap();
        holds(&policy, &expectations(calls::about_addresses(&place), vec![nobodys]));
    }
}

/// A second cluster in another region, and with no group, takes nothing away from the first.
#[test]
fn a_folder_of_clusters_has_one_policy_that_is_enough_for_each() {
    let [place, ..] = Place::ALL;
    let another = place.file().replace("us-east-1", "eu-central-1").replace("consul-example", "names");
    let another = another.replace("  capacity: { autoScalingGroup: names }\n", "");
    for task in [&[][..], &["--rehearse"]] {
        let both =
            policy_of_all(&[place.file(), another.clone()], &[task, &["--kms-key", &place.key()]].concat()).unwrap();
        let expectations = if task.is_empty() { controls(&place) } else { rehearses(&place) };
        holds(&both, &expectations);
    }
}

#[test]
fn clusters_of_two_partitions_have_no_policy_together() {
    let [ours, china, _] = Place::ALL;
    let china = china.file().replace("consul-example", "consul-china");
    let refused = policy_of_all(&[ours.file(), china], &[]).unwrap_err();
    assert!(refused.contains("different partitions of AWS, aws and aws-cn"), "{refused}");
}

/// A template that is named needs no tag.
#[test]
fn a_launch_template_that_is_named_may_be_followed_in_without_a_tag() {
    let place = Place::ALL[0];
    let named = policy(&place, &["--launch-template", place::TEMPLATE]);
    let expectations: Vec<_> = [(place::TEMPLATE, Answer::Allowed), ("lt-0ffffffffffffffff", Answer::ImplicitlyDenied)]
        .map(|(id, answer)| {
            let request =
                place.request("ec2:CreateLaunchTemplateVersion", &place.arn("launch-template", id), json!({}));
            Expectation { request, answer, what: id.to_owned() }
        })
        .into();
    holds(&named, &expectations);
}

/// Every required kind of resource is among those that we ask for, so that no policy passes here because nobody asked.
#[test]
fn every_kind_of_resource_that_aws_authorises_a_call_on_is_asked_for() {
    let place = Place::ALL[0];
    for expectations in [controls(&place), rehearses(&place)] {
        let Some(evaluation) = ask(&[], &expectations) else { return };
        let mut asked: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for Expectation { request, .. } in &expectations {
            asked.entry(&request.action).or_default().insert(request.kind());
        }
        for (action, kinds) in &asked {
            let missing: Vec<_> = evaluation.kinds[*action].iter().filter(|kind| !kinds.contains(*kind)).collect();
            assert!(missing.is_empty(), "{action} is authorised on {missing:?} too");
        }
    }
}

#[test]
fn every_permission_of_the_table_is_asked_for() {
    let place = Place::ALL[0];
    let mut asked: BTreeSet<_> = controls(&place).into_iter().map(|one| one.request.action).collect();
    asked.extend(calls::about_addresses(&place).into_iter().map(|request| request.action));
    let table = hermitcrab::cloud::permissions::PERMISSIONS.iter().map(|permission| permission.action);
    let missing: Vec<_> = table.filter(|action| !asked.contains(*action)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn nothing_in_a_policy_can_be_left_out_unnoticed() {
    let place = Place::ALL[0];
    let printed: [(Value, Vec<Expectation>); 2] =
        [(policy(&place, &[]), controls(&place)), (policy(&place, &["--rehearse"]), rehearses(&place))];
    for (policy, expectations) in printed {
        let pairs: Vec<_> = expectations.iter().map(|one| (one.request.clone(), one.answer.clone())).collect();
        match unnoticed(&policy, &pairs) {
            Ok(unnoticed) => assert_eq!(unnoticed, [""; 0], "these can be taken out, and no expectation fails"),
            Err(why) => left_out("the IAM evaluator", &why),
        }
    }
}
