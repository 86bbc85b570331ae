//! Terraform, its AWS provider, and moto in the place of AWS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::ask::ask;
use crate::ebs_key::EbsKey;
use crate::fetch::fetch;
use crate::left_out::say;
use crate::motos::{Moto, Motos};
use crate::provider::installation;
use crate::relay::relay;

/// A copy of `infra/`, which is applied to a moto of its own.
pub struct Ground {
    folder: tempfile::TempDir,
    endpoint: String,
    variables: PathBuf,
    moto: Moto,
}

/// The process that the motos of all grounds are copies of, or the reason why there is none.
static MOTOS: OnceLock<Result<Motos, String>> = OnceLock::new();
/// The services that `infra/` asks.
const SERVICES: [&str; 6] = ["ec2", "autoscaling", "iam", "kms", "logs", "s3"];

impl Ground {
    /// Prepares everything for `apply`, or says what cannot be had.
    pub fn prepare(variables: &str) -> Result<Self, String> {
        let begin = || fetch(["moto"]).and_then(|[moto]| Motos::begin(&moto, "eu-central-1", &SERVICES, &[]));
        let motos = MOTOS.get_or_init(begin).as_ref().map_err(Clone::clone)?;
        let folder = tempfile::tempdir().unwrap();
        let moto = motos.one(&folder.path().join("moto.log"), false).unwrap();
        copy(Path::new("infra"), &folder.path().join("infra"));
        copy(Path::new("deploy/systemd"), &folder.path().join("deploy/systemd"));
        // The state lies in the folder instead of a bucket. Nothing else is different from what a user applies.
        let local = "terraform {\n  backend \"local\" {}\n}\n";
        fs::write(folder.path().join("infra/backend_override.tf"), local).unwrap();
        fs::write(folder.path().join("terraform.rc"), installation()).unwrap();
        let named = folder.path().join("test.tfvars");
        // A group of somebody's, which is there.
        let groups = ask(&moto.url, "ec2", "DescribeSecurityGroups", "2016-11-15");
        let somebodys = groups.split("<groupId>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
        fs::write(&named, variables.replace("sg-0c0ffee0c0ffee000", somebodys)).unwrap();
        let key = EbsKey::default();
        let endpoint = relay(&moto.url, Arc::new(move |_: &str, body: &str| key.answer(body)));
        let ground = Self { folder, endpoint, variables: named, moto };
        let init = ground.terraform(&["init"]);
        if !init.status.success() {
            return Err(last_words(&init));
        }
        Ok(ground)
    }

    pub fn infra(&self) -> PathBuf {
        self.folder.path().join("infra")
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Runs Terraform, which must succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.terraform(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "terraform {arguments:?} fails:\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// Runs Terraform with the variables of this ground.
    pub fn with_variables(&self, arguments: &[&str]) -> String {
        let variables = format!("-var-file={}", self.variables.display());
        self.run(&[arguments, &["-input=false", &variables]].concat())
    }

    /// Runs a plan that must fail, and gives what Terraform says.
    pub fn refused(&self) -> String {
        let variables = format!("-var-file={}", self.variables.display());
        let output = self.terraform(&["plan", "-input=false", &variables]);
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Makes the plan of another apply, and gives it as Terraform describes it to programs.
    pub fn plan(&self) -> Value {
        let file = self.folder.path().join("second.plan");
        self.with_variables(&["plan", &format!("-out={}", file.display())]);
        serde_json::from_str(&self.run(&["show", "-json", file.to_str().unwrap()])).unwrap()
    }

    /// Reads the address and the attributes of each resource out of the state. Terraform would start its provider to show them.
    pub fn resources(&self) -> Vec<(String, Value)> {
        let state = fs::read_to_string(self.infra().join("terraform.tfstate")).unwrap();
        let state: Value = serde_json::from_str(&state).unwrap();
        let managed = state["resources"].as_array().unwrap().iter().filter(|one| one["mode"] == "managed");
        let each = managed.flat_map(|one| {
            let name = format!("{}.{}", one["type"].as_str().unwrap(), one["name"].as_str().unwrap());
            one["instances"].as_array().unwrap().iter().map(move |instance| {
                let key = instance.get("index_key").map(|key| format!("[{key}]")).unwrap_or_default();
                (format!("{name}{key}"), instance["attributes"].clone())
            })
        });
        each.collect()
    }

    fn terraform(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("terraform");
        // The provider looks seldom for memory that is free again, which was a fifth of all that it did.
        command.env("GOGC", "400");
        command.current_dir(self.infra()).args(arguments).stdin(Stdio::null());
        command.env("TF_CLI_CONFIG_FILE", self.folder.path().join("terraform.rc"));
        command.env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1").env("TF_CLI_ARGS", "-no-color");
        for variable in ["TF_PLUGIN_CACHE_DIR", "TF_DATA_DIR", "TF_WORKSPACE", "AWS_PROFILE", "AWS_SESSION_TOKEN"] {
            command.env_remove(variable);
        }
        command.env("AWS_ENDPOINT_URL", self.endpoint()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "of nobody");
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.output().unwrap_or_else(|error| panic!("terraform cannot be run: {error}"))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.moto.complaints().iter().for_each(|line| say(&format!("moto: {line}")));
    }
}

fn last_words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = text.lines().map(|line| line.trim_matches(['│', ' '])).find(|line| line.starts_with("Error"));
    told.unwrap_or("terraform init fails").to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        match name.to_str().unwrap() {
            name if name.starts_with('.') || name.contains("tfstate") => (),
            _ if path.is_dir() => copy(&path, &to.join(name)),
            _ => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}
