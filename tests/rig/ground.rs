//! A person's desk: the tree's own folders, and the programs of others that the documents name, with moto in the place of AWS.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command as Std, Stdio};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::Rig;
use crate::fetch::fetch;
use crate::hypervisor::Payload;
use crate::moto::DEBIAN;
use crate::process::{self, Process};
use crate::provider;
use crate::until;

const TREE: &str = env!("CARGO_MANIFEST_DIR");

/// The programs of others.
#[derive(Clone, Debug)]
pub struct Tools {
    packer: String,
    aws: String,
}

impl Tools {
    /// Finds them, or says which one cannot be had. Terraform and its provider have to be there.
    pub fn find() -> Result<Self, String> {
        let [packer, aws] = fetch(["packer", "aws"])?;
        let terraform = Std::new("terraform").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if terraform.is_err() {
            return Err("terraform is not on PATH".to_owned());
        }
        Ok(Self { packer, aws })
    }
}

/// The desk.
pub struct Ground {
    pub folder: PathBuf,
    environment: BTreeMap<String, String>,
}

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
}

impl Ground {
    /// Lays the desk out below the rig's folder.
    pub fn prepare(rig: &Rig, tools: &Tools) -> Self {
        let folder = rig.dir.join("desk");
        for part in ["images", "infra", "deploy"] {
            copy(&Path::new(TREE).join(part), &folder.join(part));
        }
        let programs = folder.join("bin");
        fs::create_dir_all(&programs).unwrap();
        let runs = |name: &str, text: String| {
            fs::write(programs.join(name), text).unwrap();
            fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        };
        // A bucket takes this sooner than the program with all that a debugger wants to know of it.
        runs("hermitcrab", format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_hermitcrab")));
        // Packer of Debian has its builders in it, and no `init`; with no way to a builder nothing is installed on what is built.
        let of_a_trial = format!("-var communicator=none -var ec2_endpoint={}", rig.proxy.endpoint);
        runs(
            "packer",
            format!(
                "#!/bin/sh\ncase \"$1\" in\ninit) exit 0 ;;\nbuild) shift; exec {0} build {of_a_trial} \"$@\" ;;\n*) exec {0} \"$@\" ;;\nesac\n",
                tools.packer
            ),
        );
        // A session is noted down: there is nobody in it but the test.
        let session = "case \"$1 $2\" in \"ssm start-session\") echo \"$4\" >\"$HOME/session\"; exit 0 ;; esac";
        runs("aws", format!("#!/bin/sh\n{session}\nexec {} \"$@\"\n", tools.aws));
        fs::write(folder.join("terraform.rc"), provider::installation()).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let own = std::env::var("PATH").unwrap_or_default();
        let environment = [
            ("PATH", format!("{}:{own}", programs.display())),
            ("HOME", path("home")),
            ("TMPDIR", path("home")),
            ("AWS_ENDPOINT_URL", rig.proxy.endpoint.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "of nobody".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_PAGER", String::new()),
            ("CHECKPOINT_DISABLE", "1".to_owned()),
            ("TF_CLI_CONFIG_FILE", path("terraform.rc")),
            ("TF_IN_AUTOMATION", "1".to_owned()),
            ("PACKER_CONFIG_DIR", path("home")),
            ("PACKER_CACHE_DIR", path("home/packer")),
            // The loopback addresses of this rig, on which servers can listen.
            ("TF_VAR_vpc_cidr", rig.network.cidr()),
            // moto has no Amazon Linux.
            ("TF_VAR_controller_image", DEBIAN.to_owned()),
        ];
        fs::create_dir_all(folder.join("home")).unwrap();
        let pyenv =
            std::env::var("PYENV_ROOT").ok().or_else(|| Some(format!("{}/.pyenv", std::env::var("HOME").ok()?)));
        let mut environment: BTreeMap<_, _> =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        environment.extend(pyenv.map(|root| ("PYENV_ROOT".to_owned(), root)));
        Self { folder, environment }
    }

    /// The same desk with another variable in its environment.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut environment = self.environment.clone();
        environment.insert(name.to_owned(), value.to_owned());
        Self { folder: self.folder.clone(), environment }
    }

    /// The environment of whoever has this access key.
    pub fn environment(&self, key: &str) -> Vec<(String, String)> {
        let mut environment = self.environment.clone();
        environment.insert("AWS_ACCESS_KEY_ID".to_owned(), key.to_owned());
        environment.into_iter().collect()
    }

    /// Starts a program here, as whoever has this access key.
    pub fn start(&self, key: &str, folder: &Path, name: &str, words: &[&str], log: &Path) -> Process {
        let mut command = process::command(name);
        command.args(words).current_dir(folder).env_clear().envs(self.environment(key));
        Process::start(command, log)
    }

    /// Runs a script of a document, as whoever has this access key.
    pub async fn script(&self, key: &str, folder: &Path, text: &str, limit: Duration) -> Ended {
        let log = self.folder.join("said");
        fs::remove_file(&log).ok();
        let mut process = self.start(key, folder, "bash", &["-euo", "pipefail", "-c", text], &log);
        let status = until(&format!("`{text}` to end"), limit, async || process.ended()).await;
        Ended { code: status.code(), said: fs::read_to_string(&log).unwrap() }
    }
}

/// Has the servers of v1 on the images that these manifests name, as soon as they name some, and none on what these are built from.
pub fn know_images(rig: &Rc<Rig>, manifests: Vec<PathBuf>) {
    rig.hypervisor.image(DEBIAN, Payload::Nothing);
    let rig = rig.clone();
    tokio::task::spawn_local(async move {
        loop {
            for image in manifests.iter().flat_map(|path| built(path)) {
                rig.hypervisor.image(&image, Payload::Server(rig.programs[0].clone()));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
}

fn built(manifest: &Path) -> Vec<String> {
    let text = fs::read(manifest).unwrap_or_default();
    let manifest: Value = serde_json::from_slice(&text).unwrap_or_default();
    let builds = manifest["builds"].as_array().into_iter().flatten();
    builds.filter_map(|build| Some(build["artifact_id"].as_str()?.split_once(':')?.1.to_owned())).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        // Files that Terraform has left there are of this machine.
        if path.file_name().unwrap().to_string_lossy().starts_with(".terraform") {
            continue;
        }
        if path.is_symlink() {
            symlink(fs::read_link(&path).unwrap(), target).unwrap();
        } else if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}
