//! `deploy/`: that each way to run hermitcrab is well-formed, as locked down as it says, and speaks of options that exist.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[path = "tools/check.rs"]
mod check;
#[path = "tools/fetch.rs"]
mod fetch;
#[path = "tools/format.rs"]
mod format;
#[path = "tools/left_out.rs"]
mod left_out;
#[path = "deploy/pipelines.rs"]
mod pipelines;
#[path = "deploy/release.rs"]
mod release;

use check::{content, tool};

const HERMITCRAB: &str = env!("CARGO_BIN_EXE_hermitcrab");
const UNIT: &str = "deploy/systemd/hermitcrab.service";
const NOMAD: &str = "deploy/nomad/hermitcrab.nomad.hcl";
const KUBERNETES: &str = "deploy/kubernetes/hermitcrab.yaml";
const CONTAINER: &str = "deploy/container/Containerfile";

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a tool that must be content, where it can be had.
fn check(name: &str, arguments: &[&str]) {
    if let Some(mut program) = tool(name) {
        program.args(arguments);
        content(program);
    }
}

#[test]
fn the_service_is_as_locked_down_as_two_out_of_ten() {
    check("systemd-analyze", &["security", "--offline=yes", "--threshold=20", "--no-pager", UNIT]);
}

#[test]
fn systemd_understands_the_service() {
    let Some(mut analyze) = tool("systemd-analyze") else { return };
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("hermitcrab.service");
    // systemd-analyze looks for the program as well.
    fs::write(&unit, read(UNIT).replace("/usr/bin/hermitcrab", HERMITCRAB)).unwrap();
    analyze.args(["verify", "--man=no"]).arg(&unit);
    let said = content(analyze);
    let ours: Vec<_> = said.lines().filter(|line| line.contains("hermitcrab.service")).collect();
    assert_eq!(ours, [""; 0]);
}

/// Fails unless the program takes these arguments. `--help` comes last: all before it is read, and nothing is run.
fn takes(arguments: &[&str]) {
    let mut hermitcrab = Command::new(HERMITCRAB);
    hermitcrab.args(arguments).arg("--help");
    content(hermitcrab);
}

#[test]
fn options_that_do_not_exist_are_noticed() {
    let said = Command::new(HERMITCRAB).args(["run", "--no-such-option", "--help"]).output().unwrap();
    assert!(!said.status.success());
}

#[test]
fn the_service_is_started_with_options_that_exist() {
    let unit = read(UNIT);
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/hermitcrab ")).unwrap();
    let settings = read("deploy/systemd/hermitcrab.env");
    let setting = |name: &str| settings.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
    let start = start
        .replace("$HERMITCRAB_OPTIONS", setting("HERMITCRAB_OPTIONS"))
        .replace("$HERMITCRAB_DESIRED_STATE", setting("HERMITCRAB_DESIRED_STATE"));
    takes(&start.split_whitespace().collect::<Vec<_>>());

    let suggested: Vec<_> = settings.lines().filter_map(|line| line.strip_prefix("#   --")).collect();
    assert!(!suggested.is_empty());
    for line in suggested {
        let option = line.split("  ").next().unwrap();
        takes(&format!("run --{option}").replace("PORT", "8501").split(' ').collect::<Vec<_>>());
    }
}

#[test]
fn the_container_is_started_with_options_that_exist_and_not_as_root() {
    let file = read(CONTAINER);
    let command: Vec<String> =
        serde_json::from_str(file.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap()).unwrap();
    takes(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let user = file.lines().rfind(|line| line.starts_with("USER ")).unwrap();
    assert_eq!(user, "USER 65532:65532");
    check("hadolint", &[CONTAINER]);
}

/// The build of the container sees nothing else.
#[test]
fn the_container_is_built_from_everything_that_is_compiled() {
    let (file, ignored) = (read(CONTAINER), read("deploy/container/Containerfile.dockerignore"));
    let copied: Vec<_> = file
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| line.split(' '))
        .collect();
    for path in ["Cargo.toml", "Cargo.lock", "src", "benches", "tests"] {
        assert!(copied.contains(&path), "{path} is not copied");
    }
    for path in copied.iter().filter(|path| **path != "./") {
        assert!(Path::new(path).exists(), "{path} is copied and does not exist");
        assert!(ignored.lines().any(|line| line == format!("!{path}")), "{path} is copied, and ignored before that");
    }
}

#[test]
fn kubernetes_understands_the_manifest() {
    check("kubernetes-validate", &["--strict", KUBERNETES]);
}

#[test]
fn kubernetes_starts_it_with_options_that_exist() {
    let manifest = read(KUBERNETES);
    let arguments: Vec<_> = manifest
        .lines()
        .skip_while(|line| line.trim() != "args:")
        .skip(1)
        .map(str::trim)
        .take_while(|line| line.starts_with("- ") || line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("- "))
        .collect();
    assert!(arguments.len() > 3, "{arguments:?}");
    takes(&arguments);
    let probe = manifest.lines().find_map(|line| line.trim().strip_prefix("command: [/usr/bin/hermitcrab, ")).unwrap();
    takes(&probe.trim_end_matches(']').split(", ").collect::<Vec<_>>());
}

/// Every expression below one that is called so.
fn expressions<'a>(body: &'a hcl::Body, name: &str) -> Vec<&'a hcl::Expression> {
    let here = body.attributes().filter(|attribute| attribute.key() == name).map(hcl::Attribute::expr);
    here.chain(body.blocks().flat_map(|block| expressions(block.body(), name))).collect()
}

#[test]
fn the_container_is_built_from_nothing_but_digests() {
    let file = read(CONTAINER);
    for line in file.lines().filter(|line| line.starts_with("FROM ") || line.starts_with("ARG ")) {
        assert!(line.starts_with("FROM ${") || !line.contains('='), "{line}: a default would be a tag, or grow old");
    }
    let by_digest = format!("image@sha256:{}", "0a".repeat(32));
    for (rust, base, is_built) in [
        (by_digest.as_str(), by_digest.as_str(), true),
        ("rust:1.95", &by_digest, false),
        (&by_digest, "gcr.io/distroless/cc-debian12:nonroot", false),
        (&by_digest, "base@sha256:0a0a", false),
        (&by_digest, "", false),
    ] {
        let mut build = Command::new("deploy/container/build.sh");
        // Stands for the engine, and is content with everything.
        build.args([rust, base]).env("CONTAINER_ENGINE", "true").env("CARGO_NET_OFFLINE", "true");
        assert_eq!(build.output().unwrap().status.success(), is_built, "{rust} {base}");
    }
}

#[test]
fn the_bill_of_materials_has_every_package_that_is_built_in_and_no_other() {
    let bill = |arguments: &[&str]| -> Vec<(String, String)> {
        let mut sbom = Command::new("deploy/sbom.py");
        let said = content_of(sbom.args(arguments).env("CARGO_NET_OFFLINE", "true"));
        let bill: Value = serde_json::from_str(&said).unwrap();
        let text = |component: &Value, key: &str| component[key].as_str().unwrap().to_owned();
        let components = bill["components"].as_array().unwrap();
        assert!(components.iter().all(|one| one["hashes"][0]["content"].as_str().is_some_and(|sum| sum.len() == 64)));
        components.iter().map(|one| (text(one, "name"), text(one, "version"))).collect()
    };
    let (whole, without_aws) = (bill(&[]), bill(&["--no-default-features"]));
    let has = |bill: &[(String, String)], name: &str| bill.iter().any(|(found, _)| found == name);
    for (name, in_whole, in_other) in
        [("rustls", true, true), ("aws-sdk-ec2", true, false), ("divan", false, false), ("rcgen", false, false)]
    {
        assert_eq!((has(&whole, name), has(&without_aws, name)), (in_whole, in_other), "{name}");
    }
    let lock = read("Cargo.lock");
    assert!(whole.iter().all(|(name, version)| lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\""))));
}

fn content_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_run_with_a_role_was_reviewed() {
    let github = read("deploy/pipelines/github-actions.yml");
    assert!(
        github.contains("\n  pull_request_target:") && !github.contains("\n  pull_request:"),
        "the branch's own jobs run"
    );
    for line in github.lines().filter(|line| line.contains("hermitcrab_ci.py ") && line.contains("run:")) {
        assert!(line.contains("python3 ../reviewed/.github/"), "{line}");
    }
    let jobs: Vec<_> = github.split("\n  ").filter(|part| part.contains("role-to-assume")).collect();
    assert_eq!(
        github.matches("role-to-assume").count(),
        github.matches("environment: hermitcrab-").count(),
        "{jobs:?}"
    );
    assert_eq!(github.matches("actions/checkout@").count(), github.matches("persist-credentials: false").count());
    let gitlab = read("deploy/pipelines/gitlab-ci.yml");
    let merge_requests = gitlab.split("promote:\n").next().unwrap();
    assert!(
        !merge_requests.contains("python3 ci/") && !merge_requests.contains("HERMITCRAB_TOKEN: "),
        "{merge_requests}"
    );
}

#[test]
fn nomad_starts_it_with_options_that_exist() {
    let text = read(NOMAD);
    assert_eq!(format::faults(Path::new(NOMAD), &text), [""; 0]);
    let job = hcl::parse(&text).unwrap();
    let [hcl::Expression::Array(arguments)] = expressions(&job, "args")[..] else { panic!("one task has arguments") };
    let claims = "consul+https://consul.example.com:8501/hermitcrab".to_owned();
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| match argument {
            hcl::Expression::String(text) => text.clone(),
            other => {
                assert_eq!(other.to_string(), "var.claims");
                claims.clone()
            }
        })
        .collect();
    takes(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn checkov_finds_nothing_in_it_that_is_not_explained() {
    let frameworks = ["kubernetes", "github_actions", "gitlab_ci"];
    let quietly = ["--directory", "deploy", "--skip-download", "--quiet", "--compact", "--framework"];
    check("checkov", &[&quietly[..], &frameworks].concat());
}

#[test]
fn github_and_gitlab_understand_their_pipelines() {
    for (schema, file) in [("github-workflows", "github-actions"), ("gitlab-ci", "gitlab-ci")] {
        let schema = format!("vendor.{schema}");
        check("check-jsonschema", &["--builtin-schema", &schema, &format!("deploy/pipelines/{file}.yml")]);
    }
}

#[test]
fn an_action_is_pinned_to_a_commit() {
    let pipelines = ["deploy/pipelines/github-actions.yml", ".github/workflows/release.yml"].map(read);
    let used = |pipeline: &str| -> Vec<String> {
        let uses = pipeline.lines().filter_map(|line| line.trim().strip_prefix("- uses: "));
        uses.map(str::to_owned).collect()
    };
    assert!(pipelines.iter().all(|pipeline| !used(pipeline).is_empty()));
    for action in pipelines.iter().flat_map(|pipeline| used(pipeline)) {
        let (_, commit) = action.split_once('@').unwrap();
        let (commit, version) =
            commit.split_once(" # v").unwrap_or_else(|| panic!("{action} does not say its version"));
        assert!(commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{action}");
        assert!(!version.is_empty());
    }
}

#[test]
fn everything_that_the_debian_package_holds_exists() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let said = cargo.output().unwrap();
    let metadata: Value = serde_json::from_slice(&said.stdout).unwrap();
    let deb = &metadata["packages"][0]["metadata"]["deb"];
    let made = read("deploy/debian/build.sh");
    for asset in deb["assets"].as_array().unwrap() {
        let source = asset[0].as_str().unwrap();
        match source.strip_prefix("target/release/") {
            Some("hermitcrab") => (),
            Some(extra) => {
                let extra = extra.strip_prefix("package/").unwrap().trim_end_matches("/*");
                assert!(made.contains(&format!("$extras/{extra}")), "nothing makes {source}");
            }
            None => {
                let (folder, name) = source.rsplit_once('/').unwrap();
                let ending = name.trim_start_matches('*');
                let found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
                assert!(found.into_iter().any(|one| one.to_string_lossy().ends_with(ending)), "there is no {source}");
            }
        }
    }
    let units = deb["systemd-units"]["unit-scripts"].as_str().unwrap();
    assert!(Path::new(units).join("hermitcrab.service").exists());
    for conf in deb["conf-files"].as_array().unwrap() {
        let packed = deb["assets"].as_array().unwrap().iter().any(|asset| {
            let name = asset[0].as_str().unwrap().rsplit('/').next().unwrap();
            format!("/{}{name}", asset[1].as_str().unwrap()) == conf.as_str().unwrap()
        });
        assert!(packed, "{conf} is no file of the package");
    }
}

#[test]
fn the_shell_scripts_are_clean() {
    check("shellcheck", &["deploy/container/build.sh", "deploy/debian/build.sh", "tests/tools/fetch.sh", ".ci/run"]);
}
