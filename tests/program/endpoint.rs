//! `simulate --serve` as its users meet it: a process, and other programs that are pointed at it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[cfg(feature = "aws")]
mod addresses;
mod against_moto;

use crate::fetch::fetch;
use crate::left_out::left_out;
use crate::moto::Moto;
use crate::pipes::{command, signal};

const FILE: &str = "desired-state/prod/consul.yaml";

/// The same calls to moto and to the world.
#[test]
fn moto_and_the_world_differ_as_is_known() {
    let folder = match fetch(["moto"]) {
        Ok([folder]) => folder,
        Err(why) => return left_out("moto", &why),
    };
    let (world, moto) = (World::serve(FILE, &[]), Moto::start(&folder, &[]).unwrap());
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ids = [("image", "ami-0aaaaaaaaaaaaaaaa"), ("subnet", "subnet-0aaaaaaaaaaaaaaaa")];
        let ids = ids.map(|(name, id)| (name.to_owned(), id.to_owned())).into();
        let ours = against_moto::Side { url: format!("http://{}", world.address()), ids };
        let mut theirs = against_moto::Side { url: moto.url.clone(), ids: Default::default() };
        for (name, call, fields, element) in [
            ("image", "DescribeImages", "Filter.1.Name=architecture&Filter.1.Value.1=x86_64", "imageId"),
            ("subnet", "DescribeSubnets", "Filter.1.Name=availability-zone&Filter.1.Value.1=us-east-1a", "subnetId"),
        ] {
            let (_, document) = theirs.ask(call, fields).await;
            theirs.ids.insert(name.to_owned(), against_moto::first(&document, element).unwrap());
        }
        against_moto::compare(ours, theirs).await;
    });
}

/// A served world, with what it says is to be exported. It ends with the test.
struct World {
    process: Child,
    said: BufReader<ChildStdout>,
    exported: Vec<(String, String)>,
}

impl World {
    fn serve(file: &str, more: &[&str]) -> Self {
        let mut command = command(&["simulate", file, "--serve", "127.0.0.1:0"]);
        let mut process = command.args(more).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let mut exported = Vec::new();
        for _ in 0..2 {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            let pairs = line.trim().strip_prefix("export ").unwrap().split(' ').filter_map(|pair| pair.split_once('='));
            exported.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        Self { process, said, exported }
    }

    /// Adds to a command what a person would have exported, and nothing of this machine's own.
    fn point<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_PAGER", "").envs(self.exported.iter().cloned())
    }

    fn address(&self) -> &str {
        let url = &self.exported.iter().find(|(name, _)| name == "AWS_ENDPOINT_URL").unwrap().1;
        url.strip_prefix("http://").unwrap()
    }

    fn terminate(&mut self) -> i32 {
        signal(&self.process, "TERM");
        self.process.wait().unwrap().code().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn only_this_machine_is_served() {
    let output = command(&["simulate", FILE, "--serve", "0.0.0.0:5000"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(complaint(&output).contains("to this machine alone"), "{}", complaint(&output));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let world = World::serve(FILE, &[]);
    let output = command(&["simulate", FILE, "--serve", world.address()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = complaint(&output);
    assert!(said.contains(&format!("nothing can listen at {}", world.address())) && said.contains("port 0"), "{said}");
}

#[test]
fn members_that_would_have_to_answer_over_tls_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("consul.yaml");
    let text = std::fs::read_to_string(FILE).unwrap().replace("datacenter: dc1", "scheme: https");
    std::fs::write(&file, text).unwrap();
    let output = command(&["simulate", file.to_str().unwrap(), "--serve", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("scheme: http"), "{}", complaint(&output));
}

#[test]
fn a_signal_ends_it_and_the_world_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("world.json");
    let mut world = World::serve(FILE, &["--world", saved.to_str().unwrap()]);
    assert_eq!(world.terminate(), 0);
    let mut rest = String::new();
    world.said.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    let status = command(&["status", FILE, "--world", saved.to_str().unwrap()]).output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{}", complaint(&status));
}

/// The AWS CLI, as a person uses it.
struct Cli<'a> {
    world: &'a World,
    program: &'a str,
}

impl Cli<'_> {
    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(self.program);
        command.args(line.split(' ')).stdin(Stdio::null());
        self.world.point(&mut command).output().unwrap()
    }

    /// Asks what must be granted.
    fn ask(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", complaint(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Asks what must be refused, with that code.
    fn refused(&self, line: &str, code: &str) {
        let said = complaint(&self.run(line));
        assert!(said.contains(&format!("({code})")), "{line}: {said}");
    }

    /// Asks until the answer is the wanted one.
    fn until(&self, line: &str, wanted: &str) {
        for _ in 0..60 {
            if self.ask(line) == wanted {
                return;
            }
        }
        panic!("{line} never says {wanted}");
    }
}

#[test]
fn the_aws_cli_meets_ec2() {
    let program = match fetch(["aws"]) {
        Ok([program]) => program,
        Err(why) => return left_out("the AWS CLI", &why),
    };
    let world = World::serve(FILE, &["--speed", "20"]);
    let cli = Cli { world: &world, program: &program };
    assert_eq!(cli.ask("sts get-caller-identity --query Account --output text"), "123456789012");
    let of_a = "ec2 describe-instances --filters Name=tag:hermitcrab:slot,Values=consul-a --output text";
    let old = cli.ask(&format!("{of_a} --query Reservations[].Instances[].InstanceId"));
    let volume = cli.ask(
        "ec2 describe-volumes --filters Name=tag:hermitcrab:slot,Values=consul-a --query Volumes[].VolumeId --output text",
    );
    let launch = "ec2 run-instances --image-id ami-0aaaaaaaaaaaaaaaa --subnet-id subnet-0aaaaaaaaaaaaaaaa --client-token once \
                  --query Instances[].InstanceId --output text --instance-type";
    let new = cli.ask(&format!("{launch} m7i.large"));
    assert_eq!(cli.ask(&format!("{launch} m7i.large")), new, "a token that is sent again makes nothing new");
    cli.refused(&format!("{launch} m7i.xlarge"), "IdempotentParameterMismatch");
    let state = |id: &str| {
        format!(
            "ec2 describe-instances --instance-ids {id} --query Reservations[].Instances[].State.Name --output text"
        )
    };
    cli.until(&state(&new), "running");
    let attach = format!("ec2 attach-volume --volume-id {volume} --instance-id {new} --device /dev/sdf");
    cli.refused(&attach, "VolumeInUse");
    cli.ask(&format!("ec2 stop-instances --instance-ids {old}"));
    cli.until(&state(&old), "stopped");
    cli.refused("ec2 describe-instances --filters Name=colour,Values=red", "InvalidParameterValue");
    cli.refused("ec2 describe-key-pairs", "InvalidAction");
    cli.refused(&format!("ec2 terminate-instances --instance-ids {new} --dry-run"), "DryRunOperation");
    cli.ask(&format!("ec2 terminate-instances --instance-ids {new}"));
    cli.until(&state(&new), "terminated");
    cli.refused(&format!("{launch} m7i.large"), "IdempotentInstanceTerminated");
    copies(&cli, &volume);
    throttled(&cli);
}

fn copies(cli: &Cli, volume: &str) {
    let snapshot = cli.ask(&format!("ec2 create-snapshot --volume-id {volume} --query SnapshotId --output text"));
    let restore = format!(
        "ec2 create-volume --snapshot-id {snapshot} --availability-zone us-east-1a --query VolumeId --output text"
    );
    cli.until(
        &format!("ec2 describe-snapshots --snapshot-ids {snapshot} --query Snapshots[].State --output text"),
        "completed",
    );
    let copy = cli.ask(&restore);
    cli.until(&format!("ec2 describe-volumes --volume-ids {copy} --query Volumes[].State --output text"), "available");
    assert_eq!(
        cli.ask(&format!("ec2 describe-volumes --volume-ids {copy} --query Volumes[].Size --output text")),
        "20"
    );
    cli.ask(&format!("ec2 delete-volume --volume-id {copy}"));
}

/// Another program in the account asks as fast as it can, so that nothing is left of the bucket of launches. The CLI, which
/// would try again, is told not to.
fn throttled(cli: &Cli) {
    let (address, is_over) = (cli.world.address().to_owned(), Arc::new(AtomicBool::new(false)));
    let over = is_over.clone();
    let neighbour = thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            raw(&address, "Action=StartInstances&Version=2016-11-15&InstanceId.1=i-00000000000000000&DryRun=true");
        }
    });
    let line = "ec2 run-instances --image-id ami-0aaaaaaaaaaaaaaaa --subnet-id subnet-0aaaaaaaaaaaaaaaa --instance-type m7i.large";
    let mut command = Command::new(cli.program);
    command.args(line.split(' ')).stdin(Stdio::null());
    let said = complaint(&cli.world.point(&mut command).env("AWS_MAX_ATTEMPTS", "1").output().unwrap());
    is_over.store(true, Ordering::Relaxed);
    neighbour.join().unwrap();
    assert!(said.contains("(RequestLimitExceeded)"), "{said}");
}

/// Sends a form, and gives the whole answer.
fn raw(address: &str, form: &str) -> String {
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=simulated/20260105/us-east-1/ec2/aws4_request\r\n\r\n",
        form.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{head}{form}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The built program, with the real adapters and the SDK, rolls a cluster to another image.
#[cfg(feature = "aws")]
#[test]
fn hermitcrab_rolls_a_cluster_over_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(FILE).unwrap();
    // Ports of its own, because other tests serve members at the same addresses.
    let quick = text.replace("bakeTime: 60s", "bakeTime: 5s").replace("datacenter: dc1", "port: 18517");
    assert!(quick.contains("bakeTime: 5s") && quick.contains("port: 18517"));
    let file = folder.path().join("consul.yaml");
    std::fs::write(&file, &quick).unwrap();
    let new = "ami-0bbbbbbbbbbbbbbbb";
    let saved = folder.path().join("world.json");
    let more = ["--speed", "60", "--image", new, "--world", saved.to_str().unwrap()];
    let mut world = World::serve(file.to_str().unwrap(), &more);
    let run = |arguments: &[&str]| {
        let claims = folder.path().join("claims");
        let mut command = command(arguments);
        command.arg(&file).args(["--cloud", "aws", "--claims", claims.to_str().unwrap(), "--aws-api-share", "100"]);
        world.point(&mut command).output().unwrap()
    };
    let doctor = run(&["doctor"]);
    assert!(doctor.status.success(), "{}{}", String::from_utf8_lossy(&doctor.stdout), complaint(&doctor));
    std::fs::write(&file, quick.replace("ami-0aaaaaaaaaaaaaaaa", new)).unwrap();
    let plan = run(&["plan"]);
    assert!(String::from_utf8_lossy(&plan.stdout).contains(new), "{}", complaint(&plan));
    let rolled = run(&["run", "--once", "--timeout", "5m"]);
    assert_eq!(rolled.status.code(), Some(0), "{}{}", String::from_utf8_lossy(&rolled.stdout), complaint(&rolled));
    let status = run(&["status"]);
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stdout));
    assert_eq!(world.terminate(), 0);
    let end = std::fs::read_to_string(saved).unwrap();
    assert!(end.contains("\"violations\":[]"), "a safety rule was broken");
}
