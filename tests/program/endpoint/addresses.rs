//! Fixed addresses over the wire: the built program, the SDK, and a served world whose members are reached at them.

use std::path::{Path, PathBuf};
use std::process::Output;

use super::{World, complaint, raw};

/// Addresses of this machine's own, with a port that no other test serves members at.
const FILE: &str = "\
apiVersion: hermitcrab/v1
kind: Cluster
metadata: { name: consul-fixed }
spec:
  region: us-east-1
  image: ami-0aaaaaaaaaaaaaaaa
  application:
    consul: { version: 1.20.1, port: PORT, manageAutopilot: true }
  instance: { type: m7i.large, securityGroups: [sg-0c0ffee0c0ffee000] }
  volumes:
    - { name: data, device: /dev/sdf, size: 20GiB }
  slots:
    - { name: consul-1, zone: us-east-1a, subnet: subnet-0aaaaaaaaaaaaaaaa, address: 127.0.64.10 }
    - { name: consul-2, zone: us-east-1b, subnet: subnet-0bbbbbbbbbbbbbbbb, address: 127.1.64.10 }
    - { name: consul-3, zone: us-east-1c, subnet: subnet-0cccccccccccccccc, address: 127.2.64.10 }
  rollout: { bakeTime: 5s }
  deletionProtection: false
";
const OLD: &str = "ami-0aaaaaaaaaaaaaaaa";
const NEW: &str = "ami-0bbbbbbbbbbbbbbbb";

/// A served world with the cluster, and the folder of its file.
struct Stage {
    world: World,
    folder: tempfile::TempDir,
    text: String,
}

impl Stage {
    fn new(port: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = FILE.replace("PORT", port);
        let file = folder.path().join("consul.yaml");
        std::fs::write(&file, &text).unwrap();
        let saved = folder.path().join("world.json");
        let more = ["--speed", "60", "--image", NEW, "--world", saved.to_str().unwrap()];
        Self { world: World::serve(file.to_str().unwrap(), &more), folder, text }
    }

    /// Writes the file with something in it replaced.
    fn file(&self, from: &str, to: &str) -> PathBuf {
        let path = self.folder.path().join("consul.yaml");
        assert!(self.text.contains(from), "{from}");
        std::fs::write(&path, self.text.replace(from, to)).unwrap();
        path
    }

    fn run(&self, command: &[&str], file: &Path, more: &[&str]) -> Output {
        let claims = self.folder.path().join("claims");
        let mut hermitcrab = crate::pipes::command(command);
        hermitcrab.arg(file).args(["--aws-api-share", "100"]).args(more);
        if command[0] != "adopt" {
            hermitcrab.args(["--cloud", "aws", "--claims", claims.to_str().unwrap()]);
        }
        self.world.point(&mut hermitcrab).output().unwrap()
    }

    /// Asks the doctor, who takes more reads out of EC2's bucket than come back in a second, and so asks some of it twice.
    fn examine(&self, file: &Path) -> Output {
        self.run(&["doctor"], file, &[])
    }

    /// Runs what must succeed, and gives what it says.
    fn says(&self, command: &[&str], file: &Path, more: &[&str]) -> String {
        let output = self.run(command, file, more);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command:?}: {said}{}", complaint(&output));
        said
    }

    /// Asks EC2 as somebody else does, and gives the texts of all elements of that name.
    fn ask(&self, form: &str, element: &str) -> Vec<String> {
        let answer = raw(self.world.address(), &format!("Version=2016-11-15&Action={form}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{form}: {answer}");
        let opening = format!("<{element}>");
        let texts = answer.split(&opening).skip(1).filter_map(|rest| rest.split('<').next());
        texts.map(str::to_owned).collect()
    }

    /// Finds the one instance that has an address, and its interface with the keys of its tags.
    fn holder(&self, address: &str) -> Option<(String, String, Vec<String>)> {
        let form =
            format!("DescribeNetworkInterfaces&Filter.1.Name=addresses.private-ip-address&Filter.1.Value.1={address}");
        let instances = self.ask(&form, "instanceId");
        assert!(instances.len() <= 1, "{address} is at {instances:?}");
        let instance = instances.into_iter().next()?;
        Some((instance, self.ask(&form, "networkInterfaceId").remove(0), self.ask(&form, "key")))
    }
}

#[test]
fn doctor_says_what_is_wrong_with_an_address() {
    let stage = Stage::new("18519");
    let whole = stage.file(OLD, OLD);
    let said = stage.says(&["doctor"], &whole, &[]);
    let (holder, ..) = stage.holder("127.1.64.10").unwrap();
    let expected =
        format!("consul-2 address  127.1.64.10 in 127.1.64.0/24, reserved with 127.1.64.0/28, at {holder}\n");
    assert!(said.contains(&expected), "{said}");

    // Something else in the account takes an address of the reserved range, and another one is nobody's.
    let launch = "RunInstances&ImageId=ami-0aaaaaaaaaaaaaaaa&InstanceType=m7i.large&MinCount=1&MaxCount=1&SubnetId=subnet-0aaaaaaaaaaaaaaaa";
    let stranger = stage.ask(launch, "instanceId").remove(0);
    let interface = stage.ask(&format!("DescribeInstances&InstanceId.1={stranger}"), "networkInterfaceId").remove(0);
    stage.ask(
        &format!("AssignPrivateIpAddresses&NetworkInterfaceId={interface}&PrivateIpAddress.1=127.0.64.11&AllowReassignment=true"),
        "networkInterfaceId",
    );
    for (from, to, expected) in [
        ("127.0.64.10", "127.0.64.11", format!("127.0.64.11 is used by {interface} of {stranger}")),
        ("127.0.64.10", "127.0.64.12", ", reserved with 127.0.64.0/28, free".to_owned()),
        ("127.0.64.10", "127.0.64.99", "127.0.64.99 is not reserved in subnet-0aaaaaaaaaaaaaaaa".to_owned()),
        ("127.0.64.10", "10.9.9.9", "10.9.9.9 is not in subnet-0aaaaaaaaaaaaaaaa, which is 127.0.64.0/24".to_owned()),
        ("127.0.64.10", "127.0.64.3", "127.0.64.3 is one that EC2 keeps".to_owned()),
        ("subnet-0aaaaaaaaaaaaaaaa", "subnet-0dddddddddddddddd", "subnet-0dddddddddddddddd does not exist".to_owned()),
    ] {
        let output = stage.examine(&stage.file(from, to));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&expected), "{to}: {said}{}", complaint(&output));
        assert_eq!(output.status.success(), expected.ends_with("free"), "{to}: {said}");
    }
}

#[test]
fn addresses_move_are_given_up_and_are_adopted_over_the_wire() {
    let mut stage = Stage::new("18520");
    let addresses = ["127.0.64.10", "127.1.64.10", "127.2.64.10"];
    taken_over(&stage, &addresses);
    let before = addresses.map(|address| stage.holder(address).unwrap().0);

    let new = stage.file(OLD, NEW);
    let plan = stage.says(&["plan"], &new, &[]);
    assert!(plan.contains(NEW), "{plan}");
    stage.says(&["run", "--once", "--timeout", "5m"], &new, &[]);
    for (address, before) in addresses.iter().zip(&before) {
        let (instance, _, tags) = stage.holder(address).unwrap();
        assert!(instance != *before, "{address} has moved to the new instance");
        assert!(tags.contains(&"hermitcrab:owner".to_owned()), "the policy asks for the interface's tag: {tags:?}");
    }
    let doctor = stage.says(&["doctor"], &new, &[]);
    assert_eq!(doctor.matches(", reserved with ").count(), 3, "{doctor}");

    let destroyed = stage.run(&["destroy", "--confirm", "consul-fixed"], &new, &[]);
    let told = complaint(&destroyed);
    assert!(destroyed.status.success(), "{told}");
    assert!(told.contains("(running, at 127.0.64.10)") && told.contains("its fixed addresses are given up"), "{told}");
    assert_eq!(addresses.map(|address| stage.holder(address)), [const { None }; 3]);
    let kept = stage.ask("GetSubnetCidrReservations&SubnetId=subnet-0aaaaaaaaaaaaaaaa", "cidr");
    assert_eq!(kept, ["127.0.64.0/28"], "what reserves them stays");

    assert_eq!(stage.world.terminate(), 0);
    // A served world does not learn that a cluster is to be destroyed: its claims lie elsewhere. So it counts that the members are
    // stopped (S1, S11), and that nothing takes the place of the instances (S7).
    let end = std::fs::read_to_string(stage.folder.path().join("world.json")).unwrap();
    let end: serde_json::Value = serde_json::from_str(&end).unwrap();
    let broken = end.pointer("/world/transcript/violations").unwrap().as_array().unwrap();
    let lawful = |rule: &serde_json::Value| ["S1", "S7", "S11"].iter().any(|known| rule["invariant"] == *known);
    assert!(broken.iter().all(lawful), "a safety rule was broken: {broken:?}");
}

/// Somebody takes the controllers' tags off, so that the instances are nobody's (those by which a guest finds its volumes stay),
/// and adopts them: first without addresses in the file, then with those that are proposed.
fn taken_over(stage: &Stage, addresses: &[&str; 3]) {
    let named: Vec<_> = ["cluster", "slot", "owner", "generation", "volume", "slots"]
        .iter()
        .zip(1..)
        .map(|(key, number)| format!("&Tag.{number}.Key=hermitcrab:{key}"))
        .collect();
    let seats: Vec<_> = addresses
        .iter()
        .zip(1..)
        .map(|(address, number)| {
            let (instance, interface, _) = stage.holder(address).unwrap();
            let volumes = stage.ask(
                &format!("DescribeVolumes&Filter.1.Name=attachment.instance-id&Filter.1.Value.1={instance}"),
                "volumeId",
            );
            for id in [&instance, &interface].into_iter().chain(&volumes) {
                stage.ask(&format!("DeleteTags&ResourceId.1={id}{}", named.concat()), "return");
            }
            format!("consul-{number}={instance}")
        })
        .collect();
    let seats: Vec<&str> = seats.iter().flat_map(|seat| ["--slot", seat]).collect();

    let plain: String = stage
        .text
        .lines()
        .map(|line| match line.split_once(", address:") {
            Some((slot, _)) => format!("{slot} }}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    let path = stage.folder.path().join("consul.yaml");
    std::fs::write(&path, plain).unwrap();
    let adopt = |more: &[&str]| stage.says(&["adopt", "consul-fixed"], &path, &[&seats[..], more].concat());
    let said = adopt(&[]);
    for (address, line) in addresses.iter().zip(stage.text.lines().filter(|line| line.contains(", address:"))) {
        assert!(line.contains(address) && said.contains(line.trim()), "{said}");
    }
    std::fs::write(&path, &stage.text).unwrap();
    let said = adopt(&["--yes"]);
    for address in addresses {
        assert!(said.contains(&format!("address: {address}, which moves with the volumes")), "{said}");
        let (_, _, tags) = stage.holder(address).unwrap();
        assert!(tags.contains(&"hermitcrab:owner".to_owned()), "{tags:?}");
    }
    stage.says(&["doctor"], &path, &[]);
}
