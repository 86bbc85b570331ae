//! `infra/`: what its Terraform promises to `init` and to the controller, that it is well-formed, and what it makes when Terraform
//! applies it to moto. `UPDATE_EXPECT=1` writes the policies anew.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect_file;
use hcl::{Block, Body};
use serde_json::{Map, Value};

#[path = "infra/apply.rs"]
mod apply;
#[path = "infra/ask.rs"]
mod ask;
#[path = "tools/check.rs"]
mod check;
#[path = "tools/ebs_key.rs"]
mod ebs_key;
#[path = "tools/fetch.rs"]
mod fetch;
#[path = "tools/format.rs"]
mod format;
#[allow(dead_code)] // tests/permissions.rs looks at kinds of resources too
#[path = "tools/iam.rs"]
mod iam;
#[path = "tools/left_out.rs"]
mod left_out;
#[path = "tools/motos.rs"]
mod motos;
#[path = "tools/provider.rs"]
mod provider;
#[path = "tools/relay.rs"]
mod relay;
#[path = "infra/roles.rs"]
mod roles;
#[path = "infra/terraform.rs"]
mod terraform;

use check::{content, tool};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000";

fn files(extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir("infra").unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|is| is == extension)).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn body(path: &Path) -> Body {
    hcl::parse(&fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn blocks(kind: &str) -> Vec<Block> {
    let bodies = files("tf").iter().map(|path| body(path)).collect::<Vec<_>>();
    bodies.into_iter().flat_map(Body::into_blocks).filter(|block| block.identifier() == kind).collect()
}

fn name(block: &Block) -> &str {
    block.labels().last().unwrap().as_str()
}

fn has(block: &Block, attribute: &str) -> bool {
    block.body().attributes().any(|one| one.key() == attribute)
}

/// `init` makes the same file from the outputs that are declared here as from all outputs that it knows.
#[test]
fn every_output_that_init_reads_is_there() {
    let declared = blocks("output");
    let open = declared.iter().filter(|output| !has(output, "sensitive"));
    let names: BTreeSet<_> = open.map(name).collect();
    assert!(names.contains("controller_role"), "outputs.tf has no `controller_role`, which a person needs");
    let known = fs::read_to_string("tests/fixtures/terraform-outputs.json").unwrap();
    let known: Map<String, Value> = serde_json::from_str(&known).unwrap();
    let mut declared = known.clone();
    declared.retain(|name, _| names.contains(&**name));
    assert_eq!(init(&declared), init(&known));
}

fn init(outputs: &Map<String, Value>) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&mut file, outputs).unwrap();
    let mut hermitcrab = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    hermitcrab.args(["init", "-", "--image", "ami-0bbbbbbbbbbbbbbbb", "--from-terraform"]).arg(file.path());
    content(hermitcrab)
}

#[test]
fn a_slot_says_its_zone_its_subnet_and_its_address() {
    let slots = blocks("output").into_iter().find(|output| name(output) == "slots").unwrap();
    let value = slots.body().attributes().find(|attribute| attribute.key() == "value").unwrap().expr().to_string();
    for field in ["zone", "subnet", "cidr", "address"] {
        assert!(value.contains(&format!("{field} = ")), "a slot has no `{field}`: {value}");
    }
}

#[test]
fn every_variable_and_output_says_what_it_is() {
    for block in [blocks("variable"), blocks("output")].concat() {
        assert!(has(&block, "description"), "{} has no description", name(&block));
    }
    for variable in blocks("variable") {
        assert!(has(&variable, "type"), "{} has no type", name(&variable));
    }
}

#[test]
fn terraform_and_its_provider_are_pinned_and_the_state_is_locked() {
    let [terraform] = &blocks("terraform")[..] else { panic!("one block says it") };
    assert!(has(terraform, "required_version"));
    let inner = |kind: &str| terraform.body().blocks().find(|block| block.identifier() == kind).unwrap();
    let providers: Vec<_> = inner("required_providers").body().attributes().map(|one| one.expr().to_string()).collect();
    assert!(!providers.is_empty() && providers.iter().all(|one| one.contains(">= 5.100, < 7")), "{providers:?}");
    let lock = inner("backend").body().attributes().find(|one| one.key() == "use_lockfile").unwrap();
    assert_eq!(lock.expr(), &hcl::Expression::Bool(true));
}

/// `var.x`, `local.x`, `aws_thing.x` and `data.aws_thing.x`, wherever one is referred to.
fn references(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
    let address = |word: &str| {
        let parts: Vec<_> = word.split('.').collect();
        match parts[..] {
            ["data", kind, name, ..] if kind.starts_with("aws_") => Some(format!("data.{kind}.{name}")),
            ["var" | "local", name, ..] => Some(format!("{}.{name}", parts[0])),
            [kind, name, ..] if kind.starts_with("aws_") => Some(format!("{kind}.{name}")),
            _ => None,
        }
    };
    words.filter_map(address).collect()
}

fn declared() -> BTreeSet<String> {
    let labels =
        |block: &Block| block.labels().iter().map(|label| label.as_str().to_owned()).collect::<Vec<_>>().join(".");
    let resources = blocks("resource").iter().map(labels).collect::<Vec<_>>();
    let data = blocks("data").iter().map(|block| format!("data.{}", labels(block))).collect();
    let variables = blocks("variable").iter().map(|block| format!("var.{}", labels(block))).collect();
    let locals = blocks("locals");
    let locals = locals.iter().flat_map(|block| block.body().attributes()).map(|one| format!("local.{}", one.key()));
    [resources, data, variables, locals.collect()].concat().into_iter().collect()
}

#[test]
fn everything_that_is_referred_to_is_declared_and_every_variable_is_used() {
    let texts: Vec<_> = files("tf").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let referred: BTreeSet<_> = texts.iter().flat_map(|text| references(text)).collect();
    let declared = declared();
    assert!(declared.len() > 50, "{declared:?}");
    let missing: Vec<_> = referred.difference(&declared).collect();
    assert_eq!(missing, [""; 0]);
    let idle: Vec<_> =
        declared.difference(&referred).filter(|one| one.starts_with("var.") || one.starts_with("local.")).collect();
    assert_eq!(idle, [""; 0]);
}

#[test]
fn nobody_can_log_in_from_outside() {
    for rule in blocks("resource").iter().filter(|block| block.labels()[0].as_str().contains("_ingress_rule")) {
        assert!(has(rule, "referenced_security_group_id"), "{} is open to addresses", name(rule));
    }
    let ports = fs::read_to_string("infra/security_groups.tf").unwrap();
    assert!(!ports.contains("port = 22 ") && !ports.contains("-1"), "{ports}");
}

/// The kinds of clusters that `infra/` makes the ground for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// With a fixed address for each slot, as the example is.
    Fixed,
    /// With addresses that EC2 chooses.
    Plain,
    /// In an Auto Scaling group.
    Group,
}

/// The example's desired state, of that kind.
fn example(kind: Kind) -> String {
    let text = fs::read_to_string("infra/example.yaml").unwrap();
    if kind == Kind::Fixed {
        return text;
    }
    let without = |line: &str| match line.split_once(", address: ") {
        Some((slot, _)) => format!("{slot} }}\n"),
        None => format!("{line}\n"),
    };
    let plain: String = text.lines().map(without).collect();
    assert_ne!(plain, text);
    let adopts = "spec:\n  capacity: { autoScalingGroup: consul-example }\n";
    if kind == Kind::Group { plain.replacen("spec:\n", adopts, 1) } else { plain }
}

/// Prints the policy of `iam-policy` for a file.
fn policy(file: &str, key: Option<&str>, task: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.yaml");
    fs::write(&path, file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermitcrab"));
    command.arg("iam-policy").arg(&path).args(task).args(key.map(|key| ["--kms-key", key]).into_iter().flatten());
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

/// Each of the committed policies: its task, whether it is with a key, and for which kind of cluster.
const POLICIES: [(&str, &[&str], bool, Kind); 12] = [
    ("controller", &[], false, Kind::Plain),
    ("controller-key", &[], true, Kind::Plain),
    ("controller-group", &[], false, Kind::Group),
    ("controller-key-group", &[], true, Kind::Group),
    ("controller-addresses", &[], false, Kind::Fixed),
    ("controller-key-addresses", &[], true, Kind::Fixed),
    ("rehearsal", &["--rehearse"], false, Kind::Plain),
    ("rehearsal-key", &["--rehearse"], true, Kind::Plain),
    ("rehearsal-group", &["--rehearse"], false, Kind::Group),
    ("rehearsal-key-group", &["--rehearse"], true, Kind::Group),
    ("rehearsal-addresses", &["--rehearse"], false, Kind::Fixed),
    ("rehearsal-key-addresses", &["--rehearse"], true, Kind::Fixed),
];

#[test]
fn the_policies_are_what_the_command_prints() {
    for (name, task, key, kind) in POLICIES {
        let printed = policy(&example(kind), key.then_some(KEY), task);
        expect_file![format!("../infra/policies/{name}.json")].assert_eq(&printed);
    }
}

#[test]
fn exchanging_names_gives_what_the_command_prints_for_another_cluster() {
    let exchange = [
        ("123456789012", "210987654321"),
        ("us-east-1", "eu-central-1"),
        ("consul-example", "names-of-staging"),
        ("00000000-0000-0000-0000-000000000000", "1b2c3d4e-5f60-7182-93a4-b5c6d7e8f901"),
    ];
    // In the order in which controller.tf has them, and no others.
    let terraform = fs::read_to_string("infra/controller.tf").unwrap();
    let exchanged: Vec<_> = terraform.split("replace(").skip(1).map(|rest| rest.split('"').nth(1).unwrap()).collect();
    assert_eq!(exchanged, exchange.map(|(from, _)| from));
    let for_ours = |text: &str| exchange.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    for (name, task, key, kind) in POLICIES {
        let committed = fs::read_to_string(format!("infra/policies/{name}.json")).unwrap();
        let key = key.then(|| for_ours(KEY));
        assert_eq!(for_ours(&committed), policy(&for_ours(&example(kind)), key.as_deref(), task), "{name}");
    }
}

/// STS refuses a session that is longer than its role's longest.
#[test]
fn the_pipelines_sessions_fit_the_roles() {
    let pipeline = fs::read_to_string("deploy/pipelines/github-actions.yml").unwrap();
    let asked = pipeline.lines().filter_map(|line| line.trim().strip_prefix("role-duration-seconds: "));
    let asked: Vec<u32> = asked.map(|seconds| seconds.parse().unwrap()).collect();
    let trust = fs::read_to_string("infra/trust.tf").unwrap();
    assert!(trust.contains("longest_session = 4 * 60 * 60\n"), "{trust}");
    assert!(!asked.is_empty() && asked.iter().all(|seconds| *seconds <= 4 * 60 * 60), "{asked:?}");
    let controller = fs::read_to_string("infra/controller.tf").unwrap();
    assert_eq!(controller.matches("max_session_duration = local.longest_session").count(), 2);
}

/// The policy of the key names a role that the first group of an account makes. moto asks for no such role.
#[test]
fn a_key_whose_policy_names_the_role_of_groups_waits_for_the_group() {
    let terraform = fs::read_to_string("infra/kms.tf").unwrap();
    let (policy, key) = terraform.split_once("resource \"aws_kms_key\" \"volumes\" {").unwrap();
    let (key, _) = key.split_once("\n}\n").unwrap();
    assert!(policy.contains("AWSServiceRoleForAutoScaling"), "{policy}");
    assert!(key.contains("depends_on = [aws_autoscaling_group.members]"), "{key}");
}

#[test]
fn a_policy_fits_into_a_role() {
    for (name, ..) in POLICIES {
        let policy = fs::read_to_string(format!("infra/policies/{name}.json")).unwrap();
        let counted = policy.chars().filter(|character| !character.is_whitespace()).count();
        assert!(counted <= 10_240, "{name} has {counted} characters; IAM takes 10,240 within a role");
    }
}

#[test]
fn the_files_are_formatted_as_terraform_does_it() {
    let paths: Vec<_> = [files("tf"), files("hcl")].concat();
    let faults: Vec<_> =
        paths.iter().flat_map(|path| format::faults(path, &fs::read_to_string(path).unwrap())).collect();
    assert_eq!(faults, [""; 0]);
}

/// There is no package of Terraform to bring, so this one is not demanded even of CI.
#[test]
fn terraform_agrees_where_there_is_one() {
    if Command::new("terraform").arg("version").output().is_err() {
        return left_out::say(
            "NOT checked by terraform, which is not on PATH; `fmt` is checked by our own rules alone",
        );
    }
    let mut terraform = Command::new("terraform");
    terraform.args(["fmt", "-check", "-diff", "-recursive", "infra"]);
    content(terraform);
}

/// With all that can be left out, because checkov passes over what there would be none of.
#[test]
fn checkov_finds_nothing_that_is_not_explained() {
    let Some(mut checkov) = tool("checkov") else { return };
    let variables = ["--var-file", "tests/fixtures/infra-everything.tfvars"];
    checkov.args(["--directory", "infra", "--framework", "terraform", "--skip-download", "--output", "json"]);
    checkov.args(variables);
    let report: Value = serde_json::from_str(&content(checkov)).unwrap();
    assert_eq!(report["summary"]["parsing_errors"], 0);
    let checks = |kind: &str| report["results"][kind].as_array().unwrap().clone();
    let looked_at = |resource: &str| checks("passed_checks").iter().any(|one| one["resource"] == resource);
    for optional in ["aws_kms_key.volumes[0]", "aws_launch_template.members[0]", "aws_route.nat[0]"] {
        assert!(looked_at(optional), "checkov did not look at {optional}: {}", report["summary"]);
    }
    for skipped in checks("skipped_checks") {
        let reason = skipped["check_result"]["suppress_comment"].as_str().unwrap_or_default();
        let said = !reason.is_empty() && reason != "No comment provided";
        assert!(said, "{} of {} is skipped without a reason", skipped["check_id"], skipped["resource"]);
    }
}
