//! `infra/` applied to moto by Terraform, in every variant: what it makes is what `init` and the policies count on, a second plan
//! has nothing to do, and all of it goes again.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use hermitcrab::spec::Cidr;
use serde_json::Value;

use crate::check::content;
use crate::left_out::left_out;
use crate::terraform::Ground;

/// Differences on a second plan that moto makes, each with its reason.
const MADE_BY_MOTO: [(&str, &str, &str); 2] = [
    ("aws_vpc_security_group_ingress_rule", "description", "moto keeps no description of a rule"),
    ("aws_vpc_security_group_egress_rule", "description", "moto keeps no description of a rule"),
];

const CLUSTER: &str = "names-of-staging";
const ALWAYS: &str = "\
cluster = \"names-of-staging\"
account = \"123456789012\"
region  = \"eu-central-1\"
zones   = [\"eu-central-1a\", \"eu-central-1b\", \"eu-central-1c\"]
";

#[test]
fn as_it_comes() {
    walk_and("", 3, |ground| addresses_are_kept_free(ground, &["10.64.0.16", "10.64.16.16", "10.64.32.16"]));
}

/// Each kind of application has ports of its own; the kinds beside Consul come with what else differs.
#[test]
fn for_etcd_with_a_way_out_and_five_slots() {
    let five = ["10.64.0.16", "10.64.16.16", "10.64.32.16", "10.64.0.17", "10.64.16.17"];
    walk_and("application = \"etcd\"\nnat_gateway = true\nslot_count = 5\n", 5, |ground| {
        addresses_are_kept_free(ground, &five);
        members_are_reached_at(ground, &[2379, 2380]);
    });
}

/// Subnets of sixteen addresses, of which EC2 keeps five: the reservation has its place beside these.
#[test]
fn for_a_program_of_ones_own_in_the_smallest_network() {
    let addresses = ["10.64.0.4", "10.64.0.20", "10.64.0.36"];
    let ports = "{ protocol = \"tcp\", port = 5671 }";
    let rabbitmq = format!(
        "application = \"command\"\nslot_prefix = \"mq\"\ncommand_ports = {{ members = {{ nodes = {{ protocol = \"tcp\", port = 25672 }} }}, \
         controller = {{ management = {{ protocol = \"tcp\", port = 15671 }} }}, clients = {{ AMQP = {ports} }} }}\n"
    );
    walk_and(&format!("{rabbitmq}vpc_cidr = \"10.64.0.0/24\"\n"), 3, |ground| {
        addresses_are_kept_free(ground, &addresses);
        members_are_reached_at(ground, &[15671, 25672]);
    });
}

#[test]
fn for_patroni_without_fixed_addresses() {
    walk_and("application = \"patroni\"\nfixed_addresses = false\n", 3, |ground| {
        addresses_are_kept_free(ground, &[]);
        members_are_reached_at(ground, &[5432, 8008]);
    });
}

#[test]
fn for_zookeeper() {
    walk_and("application = \"zookeeper\"\n", 3, |ground| members_are_reached_at(ground, &[2888, 3888, 8080]));
}

#[test]
fn with_a_key() {
    walk("volume_key = true\n", 3);
}

#[test]
fn with_a_group() {
    walk("auto_scaling_group = { image = \"ami-0aaaaaaaaaaaaaaaa\", instance_type = \"m7i.large\" }\n", 3);
}

/// Everything that can be asked for, as checkov is shown it.
#[test]
fn with_everything() {
    let everything = fs::read_to_string("tests/fixtures/infra-everything.tfvars").unwrap();
    let ours = ["cluster", "account", "region", "zones"];
    let is_ours = |line: &&str| ours.iter().any(|name| line.split_whitespace().next() == Some(name));
    let rest: Vec<_> = everything.lines().filter(|line| !is_ours(line)).collect();
    walk_and(&rest.join("\n"), 3, crate::roles::do_what_they_are_for);
}

/// The name of a group in a policy has two colons beside each other with a star between, and is no account.
#[test]
fn a_policy_of_another_account_is_refused_at_the_plan() {
    let ours = fs::read_to_string("infra/policies/controller-group.json").unwrap();
    let theirs = tempfile::NamedTempFile::new().unwrap();
    fs::write(theirs.path(), ours.replace("123456789012", "210987654321")).unwrap();
    let variables = format!("{ALWAYS}controller_policy_file = {:?}\n", theirs.path().display().to_string());
    let Some(ground) = ground(&variables) else { return };
    let said = ground.refused();
    assert!(said.contains("names another account"), "{said}");
}

/// There are no interfaces to tag in a group's template, so nobody may move an address to one.
#[test]
fn a_group_and_fixed_addresses_are_refused_at_the_plan() {
    let group = "auto_scaling_group = { image = \"ami-0aaaaaaaaaaaaaaaa\", instance_type = \"m7i.large\" }";
    let Some(ground) = ground(&format!("{ALWAYS}{group}\nfixed_addresses = true\n")) else { return };
    let said = ground.refused();
    assert!(said.contains("have no fixed addresses"), "{said}");
}

/// Everything for `apply`; none where something cannot be had, which is said.
fn ground(variables: &str) -> Option<Ground> {
    if Command::new("terraform").arg("version").output().is_err() {
        left_out("terraform", "it is not on PATH");
        return None;
    }
    Ground::prepare(variables).map_err(|why| left_out("Terraform's AWS provider", &why)).ok()
}

fn walk(variables: &str, slots: usize) {
    walk_and(variables, slots, |_| ());
}

fn walk_and(variables: &str, slots: usize, look: impl FnOnce(&Ground)) {
    let Some(ground) = ground(&format!("{ALWAYS}{variables}\n")) else { return };
    ground.with_variables(&["apply", "-auto-approve"]);
    nothing_is_left_to_do(&ground);
    init_takes_what_was_made(&ground, slots);
    look(&ground);
    all_of_it_goes(&ground);
}

fn nothing_is_left_to_do(ground: &Ground) {
    let plan = ground.plan();
    let changes = plan["resource_changes"].as_array().unwrap();
    assert!(changes.len() > 30, "the plan has {} resources", changes.len());
    let known = |kind: &str, attribute: &str| MADE_BY_MOTO.iter().any(|one| (one.0, one.1) == (kind, attribute));
    let left: Vec<_> = changes
        .iter()
        .filter(|change| change["change"]["actions"] != serde_json::json!(["no-op"]))
        .flat_map(|change| {
            let kind = change["type"].as_str().unwrap();
            let differs = differences(&change["change"]);
            let unknown = differs.into_iter().filter(|attribute| !known(kind, attribute)).collect::<Vec<_>>();
            unknown.into_iter().map(move |attribute| format!("{}: {attribute}", change["address"]))
        })
        .collect();
    assert_eq!(left, [""; 0], "a second plan has these to do");
}

/// Names of the attributes that a change would change; the actions too, if it makes or deletes.
fn differences(change: &Value) -> BTreeSet<String> {
    if change["actions"] != serde_json::json!(["update"]) {
        return [change["actions"].to_string()].into();
    }
    let after = change["after"].as_object().unwrap();
    let unknown = change["after_unknown"].as_object().unwrap();
    let differs = after.iter().filter(|(name, value)| change["before"][*name] != **value).map(|(name, _)| name);
    let names = differs.chain(unknown.iter().filter(|(_, is)| **is == Value::Bool(true)).map(|(name, _)| name));
    names.cloned().collect()
}

/// `init` makes a file of the outputs that is valid, and for which the controller's role has exactly the policy that the command
/// prints.
fn init_takes_what_was_made(ground: &Ground, slots: usize) {
    let outputs = ground.run(&["output", "-json"]);
    let path = ground.infra().join("outputs.json");
    fs::write(&path, &outputs).unwrap();
    let file = ground.infra().join("cluster.yaml");
    let mut init = hermitcrab();
    init.args(["init", "-", "--image", "ami-0bbbbbbbbbbbbbbbb", "--from-terraform"]).arg(&path);
    let kind: Value = serde_json::from_str(&outputs).unwrap();
    init.args(match kind["application"]["value"].as_str().unwrap() {
        "etcd" => &["--application-version", "3.5.16"][..],
        "zookeeper" => &["--application-version", "3.8.4"],
        "patroni" => &["--scope", "main", "--application-version", "15.18"],
        "command" => &["--program", "adapters/x", "--needed", "quorum", "--leader", "none", "--addresses", "fixed"],
        _ => &[],
    });
    let written = content(init);
    fs::write(&file, &written).unwrap();
    let mut validate = hermitcrab();
    content({
        validate.arg("validate").arg(&file);
        validate
    });
    let outputs: Value = serde_json::from_str(&outputs).unwrap();
    let made = outputs["slots"]["value"].as_object().unwrap();
    assert_eq!(made.len(), slots);
    for (name, slot) in made {
        // The block of a subnet is for the check of an address.
        let fields: &[&str] =
            if slot["address"].is_null() { &["zone", "subnet"] } else { &["zone", "subnet", "cidr", "address"] };
        let declared: Vec<_> = fields.iter().map(|field| slot[*field].as_str().unwrap()).collect();
        let line = written.lines().find(|line| line.contains(&format!("name: {name},"))).unwrap_or_default();
        assert!(declared.iter().all(|one| line.contains(one)), "{name} is {declared:?}, and the file says: {line}");
    }
    let key = outputs["kms_key"]["value"].as_str();
    for (output, more) in [("controller_policy", None), ("rehearsal_policy", Some("--rehearse"))] {
        let mut iam_policy = hermitcrab();
        iam_policy.arg("iam-policy").arg(&file).args(more);
        iam_policy.args(key.map(|key| ["--kms-key", key]).into_iter().flatten());
        let printed: Value = serde_json::from_str(&content(iam_policy)).unwrap();
        let in_force: Value = serde_json::from_str(outputs[output]["value"].as_str().unwrap()).unwrap();
        assert_eq!(in_force, printed, "{output}");
    }
}

/// The slots have these addresses, each lies in a range that EC2 is kept from giving out, and nothing that was made here has one.
fn addresses_are_kept_free(ground: &Ground, expected: &[&str]) {
    let outputs: Value = serde_json::from_str(&ground.run(&["output", "-json"])).unwrap();
    let slots = outputs["slots"]["value"].as_object().unwrap().values();
    let addresses: Vec<_> = slots.clone().filter_map(|slot| slot["address"].as_str()).collect();
    assert_eq!(addresses, expected);
    let taken = crate::ask::ask(ground.endpoint(), "ec2", "DescribeNetworkInterfaces", "2016-11-15");
    for slot in slots.filter(|slot| !slot["address"].is_null()) {
        let [subnet, address] = ["subnet", "address"].map(|field| slot[field].as_str().unwrap());
        let asked = format!("GetSubnetCidrReservations&SubnetId={subnet}");
        let reserved = crate::ask::ask(ground.endpoint(), "ec2", &asked, "2016-11-15");
        let [block, kind] = ["cidr", "reservationType"].map(|element| {
            let rest = reserved.split_once(&format!("<{element}>")).unwrap_or_else(|| panic!("{reserved}")).1;
            rest.split('<').next().unwrap()
        });
        let holds = Cidr::of(block).is_some_and(|block| block.holds(address.parse().unwrap()));
        assert!(holds && kind == "explicit", "{address} is not reserved: {reserved}");
        assert!(!taken.contains(&format!(">{address}<")), "{address} is given out: {taken}");
    }
}

/// Members are let in at these ports, and at no others.
fn members_are_reached_at(ground: &Ground, expected: &[u64]) {
    let resources = ground.resources();
    let flows =
        resources.iter().filter(|(address, _)| address.starts_with("aws_vpc_security_group_ingress_rule.flow["));
    let ports: BTreeSet<_> = flows.map(|(_, flow)| flow["to_port"].as_u64().unwrap()).collect();
    assert_eq!(ports, expected.iter().copied().collect());
}

fn hermitcrab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hermitcrab"))
}

/// As the README says it: what must outlive the rest is taken out of the state, and then everything goes.
fn all_of_it_goes(ground: &Ground) {
    let kept = ground.run(&["state", "list"]);
    if kept.contains("aws_kms_key.volumes") {
        let readme = fs::read_to_string("infra/README.md").unwrap();
        let keeps = readme.lines().find_map(|line| line.strip_prefix("terraform state rm "));
        let address = keeps.expect("the README says how the key is kept").trim_matches('\'');
        ground.run(&["state", "rm", address]);
    }
    ground.with_variables(&["destroy", "-auto-approve"]);
    assert_eq!(ground.run(&["state", "list"]), "", "all of it is destroyed");
    let left = what_is_left(ground);
    assert_eq!(left, [""; 0], "and AWS has none of it");
}

/// Whatever bears the cluster's name in moto still. Of a key moto shows that it is there, which is what is wanted.
fn what_is_left(ground: &Ground) -> Vec<String> {
    let asks = [
        ("ec2", "DescribeVpcs", "2016-11-15"),
        // A terminated instance is shown for an hour.
        ("ec2", "DescribeInstances&Filter.1.Name=instance-state-name&Filter.1.Value.1=running", "2016-11-15"),
        ("ec2", "DescribeSubnets", "2016-11-15"),
        ("ec2", "DescribeSecurityGroups", "2016-11-15"),
        ("ec2", "DescribeAddresses", "2016-11-15"),
        ("ec2", "DescribeLaunchTemplates", "2016-11-15"),
        ("autoscaling", "DescribeAutoScalingGroups", "2011-01-01"),
        ("iam", "ListRoles", "2010-05-08"),
        ("iam", "ListInstanceProfiles", "2010-05-08"),
        ("iam", "ListOpenIDConnectProviders", "2010-05-08"),
        ("s3", "ListBuckets", ""),
    ];
    let ask = |(service, action, version): (&str, &str, &str)| {
        let answer = crate::ask::ask(ground.endpoint(), service, action, version);
        answer.contains(CLUSTER).then(|| format!("{action}: {answer}"))
    };
    asks.into_iter().filter_map(ask).collect()
}
