//! The images: Packer takes their templates, and builds one from them on an EC2 endpoint that nobody here wrote.
//!
//! `tests/tools/fetch.sh` brings Packer and moto. Without them these tests say so and pass; with `HERMITCRAB_RIG=required`
//! they fail. moto has no guests, so nothing is installed on what is built: tests/guest.rs tries the scripts themselves.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Real programs take real time, and a test may panic.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

#[path = "images/endpoint.rs"]
mod endpoint;
#[path = "tools/fetch.rs"]
mod fetch;
#[path = "tools/left_out.rs"]
mod left_out;
#[path = "tools/moto.rs"]
mod moto;

use endpoint::Endpoint;
use fetch::fetch;
use left_out::left_out;

const TREE: &str = env!("CARGO_MANIFEST_DIR");
/// Images: one of Debian's own account, one of the same name by somebody else, and one for another processor.
const DEBIAN: &str = "ami-0deb1200000000001";
const OLDER: &str = "ami-0deb1200000000002";
const FOREIGN: &str = "ami-0deb1200000000003";
const ARM: &str = "ami-0deb1200000000004";
/// The release after that, which has the next ZooKeeper.
const NEXT_DEBIAN: &str = "ami-0deb1300000000005";

/// Packer and moto, and a folder for what they leave.
struct Workshop {
    packer: String,
    moto: String,
    folder: tempfile::TempDir,
}

impl Workshop {
    fn open() -> Option<Self> {
        match fetch(["packer", "moto"]) {
            Ok([packer, moto]) => Some(Self { packer, moto, folder: tempfile::tempdir().unwrap() }),
            Err(why) => {
                left_out("Packer", &why);
                None
            }
        }
    }

    fn packer(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.packer);
        command.args(arguments).current_dir(TREE).stdin(Stdio::null());
        // Packer must read no settings and credentials of this machine, and must not ask for updates.
        command.env("PACKER_CONFIG_DIR", self.folder.path()).env("PACKER_CACHE_DIR", self.folder.path());
        command.env("CHECKPOINT_DISABLE", "1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
        command.output().unwrap()
    }

    fn manifest(&self) -> PathBuf {
        self.folder.path().join("packer-manifest.json")
    }

    /// Builds an image, and returns what the manifest has of it.
    fn build(&self, endpoint: &Endpoint, image: &str, more: &[&str]) -> Value {
        let manifest = format!("manifest={}", self.manifest().display());
        let url = format!("ec2_endpoint={}", endpoint.url());
        let mut arguments = vec!["build", "-color=false", "-var", &manifest, "-var", &url, "-var", "communicator=none"];
        arguments.extend(["-var", "builder_cidrs=[\"127.0.0.1/32\"]"]);
        arguments.extend(more);
        arguments.push(image);
        let output = self.packer(&arguments);
        assert!(output.status.success(), "{image} is not built:\n{}", both(&output));
        let manifest: Value = serde_json::from_str(&fs::read_to_string(self.manifest()).unwrap()).unwrap();
        let builds = manifest["builds"].as_array().unwrap();
        // A manifest goes on from build to build, and says which was the last.
        let last = builds.iter().find(|build| build["packer_run_uuid"] == manifest["last_run_uuid"]);
        last.unwrap().clone()
    }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The kinds of image, each with what its release is a release of, and where those are.
const KINDS: [(&str, &str, &str); 4] = [
    ("consul", "consul", "https://releases.hashicorp.com/consul/"),
    ("etcd", "etcd", "https://github.com/etcd-io/etcd/releases/tag/v"),
    ("patroni", "postgresql", "https://www.postgresql.org/docs/release/"),
    ("zookeeper", "zookeeper", "https://zookeeper.apache.org/doc/r"),
];
/// The kinds whose programs are Debian's packages, for which its signed lists vouch.
const PACKAGED: [&str; 2] = ["patroni", "zookeeper"];

/// The folders that are built from.
fn images() -> Vec<String> {
    let of_kind = |kind: &str| {
        let folders = fs::read_dir(Path::new(TREE).join("images").join(kind)).unwrap();
        let mut names: Vec<_> = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.starts_with('v'));
        names.sort();
        names.iter().map(|name| format!("images/{kind}/{name}")).collect::<Vec<_>>()
    };
    KINDS.iter().flat_map(|(kind, ..)| of_kind(kind)).collect()
}

/// The kind of an image, by its folder.
fn kind_of(image: &str) -> &str {
    image.split('/').nth(1).unwrap()
}

/// The thing that an image has a release of, and where its releases are.
fn released(image: &str) -> (&'static str, &'static str) {
    let (_, what, releases) = KINDS.iter().find(|(kind, ..)| *kind == kind_of(image)).unwrap();
    (what, releases)
}

fn release(image: &str) -> String {
    fs::read_to_string(Path::new(TREE).join(image).join(format!("{}.auto.pkrvars.hcl", kind_of(image)))).unwrap()
}

/// The value of a line such as `key = "value"`.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).trim().trim_matches('"')
}

#[test]
fn packer_takes_every_template() {
    let Some(workshop) = Workshop::open() else { return };
    let two = KINDS.map(|(kind, ..)| [format!("images/{kind}/v1"), format!("images/{kind}/v2")]);
    assert_eq!(images(), two.concat());
    for image in images() {
        for communicator in ["communicator=ssh", "communicator=none"] {
            let cidrs = "builder_cidrs=[\"203.0.113.4/32\"]";
            let arguments =
                ["validate", "-var", cidrs, "-var", communicator, "-var", "ec2_endpoint=http://127.0.0.1:9", &image];
            let output = workshop.packer(&arguments);
            assert!(output.status.success(), "{image} with {communicator}:\n{}", both(&output));
        }
        let output = workshop.packer(&["fmt", "-check", "-diff", &image]);
        assert!(output.status.success(), "packer fmt {image}:\n{}", both(&output));
    }
    for shared in ["images/plugins.pkr.hcl", "images/builder.pkr.hcl"] {
        let output = workshop.packer(&["fmt", "-check", "-diff", shared]);
        assert!(output.status.success(), "{}", both(&output));
    }
}

#[test]
fn who_may_reach_the_builder_must_be_said() {
    let Some(workshop) = Workshop::open() else { return };
    let output = workshop.packer(&["validate", "images/consul/v1"]);
    assert!(!output.status.success() && both(&output).contains("builder_cidrs"), "{}", both(&output));
}

#[test]
fn an_image_is_built_and_its_manifest_names_it() {
    let Some(workshop) = Workshop::open() else { return };
    let named = |id: &str, owner: &str, arch: &str, created: &str| {
        let release = if id == NEXT_DEBIAN { 13 } else { 12 };
        let name = format!("debian-{release}-{}-2026", if arch == "arm64" { "arm64" } else { "amd64" });
        json!({
            "ami_id": id, "owner_id": owner, "architecture": arch, "name": name, "creation_date": created,
            "description": "", "image_location": name, "image_type": "machine", "public": true, "state": "available",
            "platform": null, "virtualization_type": "hvm", "hypervisor": "xen", "root_device_type": "ebs",
            "root_device_name": "/dev/xvda", "sriov": "simple",
        })
    };
    let debian = "136693071363";
    let endpoint = Endpoint::start(
        &workshop.moto,
        workshop.folder.path(),
        &json!([
            named(OLDER, debian, "x86_64", "2026-01-01T00:00:00.000Z"),
            named(DEBIAN, debian, "x86_64", "2026-02-01T00:00:00.000Z"),
            named(FOREIGN, "999999999999", "x86_64", "2026-03-01T00:00:00.000Z"),
            named(ARM, debian, "arm64", "2026-01-01T00:00:00.000Z"),
            named(NEXT_DEBIAN, debian, "x86_64", "2026-02-01T00:00:00.000Z"),
        ]),
    );
    let mut made = Vec::new();
    for (image, arch, base) in [
        ("images/consul/v1", "amd64", DEBIAN),
        ("images/consul/v2", "amd64", DEBIAN),
        ("images/consul/v2", "arm64", ARM),
        ("images/etcd/v1", "amd64", DEBIAN),
        ("images/etcd/v2", "arm64", ARM),
        ("images/patroni/v1", "arm64", ARM),
        ("images/patroni/v2", "amd64", DEBIAN),
        ("images/zookeeper/v1", "amd64", DEBIAN),
        ("images/zookeeper/v2", "amd64", NEXT_DEBIAN),
    ] {
        let (release, kind, (what, _)) = (release(image), kind_of(image), released(image));
        let (written, tagged) = (format!("{what}_version"), format!("{what}-version"));
        let version = value(&release, &written);
        let build = workshop.build(&endpoint, image, &["-var", &format!("architecture={arch}")]);
        assert_eq!(build["custom_data"], json!({ "architecture": arch, written: version }));
        let id = build["artifact_id"].as_str().unwrap().strip_prefix("us-east-1:").unwrap();
        let described = endpoint.image(id);
        assert!(described.contains("<imageState>available</imageState>"), "{described}");
        for (key, value) in [(&*tagged, version), ("source-ami", base)] {
            assert!(described.contains(&format!("<key>{key}</key><value>{value}</value>")), "{key}: {described}");
        }
        let isolates = described.contains("<value>isolates-copies</value>");
        let brings_it = Path::new(TREE).join("images").join(kind).join("common/files/isolate").exists();
        assert_eq!(isolates, brings_it, "{image} says whether it isolates copies");
        made.push(id.to_owned());
    }
    let count = made.len();
    made.sort();
    made.dedup();
    assert_eq!(made.len(), count, "{made:?}");
    // The template also takes a given image to start from, and need not encrypt.
    let older = format!("source_ami={OLDER}");
    let build = workshop.build(&endpoint, "images/consul/v1", &["-var", &older, "-var", "encrypt=false"]);
    let id = build["artifact_id"].as_str().unwrap().strip_prefix("us-east-1:").unwrap();
    assert!(endpoint.image(id).contains(&format!("<value>{OLDER}</value>")));
}

/// Whether they are the right ones shows at the first build; that they are of this form and not each other's shows here.
#[test]
fn every_release_has_a_checksum_for_each_architecture() {
    let mut all: Vec<String> = Vec::new();
    for image in images() {
        let (release, kind) = (release(&image), kind_of(&image));
        let (what, releases) = released(&image);
        let version = value(&release, &format!("{what}_version"));
        assert!(release.contains(&format!("{releases}{version}")), "{image}");
        for arch in ["amd64", "arm64"].into_iter().filter(|_| !PACKAGED.contains(&kind)) {
            let sum = value(&release, arch);
            assert!(sum.len() == 64 && sum.chars().all(|digit| digit.is_ascii_hexdigit()), "{image}, {arch}: {sum}");
            all.push(sum.to_owned());
        }
        let template = format!("{kind}.pkr.hcl");
        for (name, shared) in
            [(&*template, format!("../common/{template}")), ("builder.pkr.hcl", "../../builder.pkr.hcl".to_owned())]
        {
            let link = Path::new(TREE).join(&image).join(name);
            assert_eq!(fs::read_link(link).unwrap(), Path::new(&shared), "{image} has a {name} of its own");
        }
    }
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "two releases have the same checksum");
}

/// The last thing that is done to an image, tried on a tree of files.
#[test]
fn nothing_of_the_builder_is_left_in_an_image() {
    for (kind, ..) in KINDS {
        let template = fs::read_to_string(format!("images/{kind}/common/{kind}.pkr.hcl")).unwrap();
        let last = "install.sh\", \"bash /tmp/image/guest/clean.sh\", \"rm -r";
        assert!(template.contains(last), "{kind}: it is not cleaned last");
        assert!(template.contains("ssh_clear_authorized_keys             = true"), "{kind}: Packer's key stays");
    }
    let root = tempfile::tempdir().unwrap();
    let left = [
        "etc/ssh/ssh_host_rsa_key",
        "var/lib/dbus/machine-id",
        "var/lib/apt/lists/debian",
        "root/.ssh/authorized_keys",
    ];
    for path in ["etc/machine-id", "var/log/cloud-init.log", "etc/hostname"].iter().chain(&left) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "of the builder\n").unwrap();
    }
    let mut clean = Command::new("bash");
    let said = clean.arg("images/guest/clean.sh").env("DESTDIR", root.path()).output().unwrap();
    assert!(said.status.success(), "{}", both(&said));
    for path in left {
        assert!(!root.path().join(path).exists(), "{path} is left");
    }
    for path in ["etc/machine-id", "var/log/cloud-init.log"] {
        assert_eq!(fs::read_to_string(root.path().join(path)).unwrap(), "", "{path} is not empty");
    }
    assert!(root.path().join("etc/hostname").exists(), "what is not the builder's stays");
}

/// One run makes all that a cluster needs, a second none, and nothing is sent with `AWS=no`.
#[test]
fn the_secrets_of_a_cluster_are_made_once_and_fit_together() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("consul-prod");
    let make = || {
        let mut script = Command::new("bash");
        script.args(["images/consul/secrets.sh", "consul-prod", "dc1"]).arg(&made).env("AWS", "no").output().unwrap()
    };
    let said = make();
    assert!(said.status.success(), "{}", both(&said));
    let read = |name: &str| fs::read_to_string(made.join(name)).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["verify", "-verify_hostname", "server.dc1.consul", "-purpose", "sslserver", "-CAfile"]);
    let verified = openssl.arg(made.join("ca.pem")).arg(made.join("members/server.pem")).output().unwrap();
    assert!(verified.status.success(), "{}", both(&verified));
    assert_eq!(read("consul-token").len(), 36);
    let user_data = read("user-data.yaml");
    for name in ["gossip.key", "ca.pem", "server.pem", "server-key.pem", "management.token"] {
        assert!(made.join("members").join(name).exists(), "{name} is missing");
        assert!(user_data.contains(&format!("      {name} /consul-prod/{name}\n")), "{user_data}");
    }
    let before = read("ca.pem");
    let again = make();
    assert!(!again.status.success() && both(&again).contains("made once"), "{}", both(&again));
    assert_eq!(read("ca.pem"), before);
}
