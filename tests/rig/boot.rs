//! An instance's boot as its image has it: the scripts that ship find the volume, judge its stamp and configure the server.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::process::{self, Process};
use crate::servers::Servers;
use crate::world::Guest;

const TREE: &str = env!("CARGO_MANIFEST_DIR");
/// The seconds within which everything appears that a guest waits for; most of it is there when the rig boots the guest.
const WAIT: u32 = 20;

/// The files of the image, where its own script puts them.
pub struct Image {
    root: PathBuf,
    servers: Servers,
    /// The address of the metadata service, where instances ask who they are.
    metadata: String,
}

/// A boot that has begun.
pub struct Boot {
    /// None once it has failed. Nothing more happens then until the instance boots again.
    process: Option<Process>,
    console: PathBuf,
}

impl Image {
    /// Installs it below the rig's folder.
    pub async fn install(servers: &Servers, metadata: String, dir: &Path) -> Self {
        let root = dir.join("image");
        let mut install = process::command("bash");
        install.arg(format!("{TREE}/images/consul/common/install.sh"));
        install.env("DESTDIR", &root).env("GUEST", format!("{TREE}/images/guest"));
        let output = install.output().await.unwrap();
        assert!(output.status.success(), "the image: {}", String::from_utf8_lossy(&output.stderr));
        let image = Self { root, servers: servers.clone(), metadata };
        assert_eq!(image.of_unit("KillSignal="), "SIGTERM", "how the rig ends a server, and its unit");
        image
    }

    /// Begins to boot an instance, whose files go into a folder of its own, with its volume attached.
    pub fn boot(&self, guest: &Guest, own: &Path, volume: &Path) -> Boot {
        let devices = own.join("dev");
        fs::remove_dir_all(&devices).ok();
        fs::create_dir_all(&devices).unwrap();
        fs::create_dir_all(own.join("run/consul")).unwrap();
        fs::create_dir_all(volume).unwrap();
        symlink(volume, devices.join(&guest.volume)).unwrap();
        let settings = [
            ("HERMITCRAB_METADATA", format!("{}/{}", self.metadata, guest.instance)),
            ("HERMITCRAB_DEV", devices.display().to_string()),
            ("HERMITCRAB_WAIT", WAIT.to_string()),
            ("HERMITCRAB_POLL", "0.5".to_owned()),
            ("CONSUL_OUTPUT", own.join("run/consul/hermitcrab.json").display().to_string()),
            ("CONSUL_SECRETS", own.join("secrets").display().to_string()),
            // Cloud auto-join asks EC2 itself. Here the hypervisor has servers find each other.
            ("CONSUL_RETRY_JOIN", String::new()),
        ];
        let conf = own.join("guest.conf");
        fs::write(&conf, settings.map(|(name, value)| format!("{name}='{value}'\n")).concat()).unwrap();
        let mut command = process::command("bash");
        command.arg(format!("{TREE}/tests/rig/boot.sh")).arg(self.root.join("usr/local/lib/hermitcrab"));
        command.envs(self.servers.boot.environment()).env("HERMITCRAB_CONF", conf);
        let console = own.join("console");
        Boot { process: Some(Process::start(command, &console)), console }
    }

    /// Makes the command by which the image's unit starts the server, on an instance that has booted.
    pub fn server(&self, own: &Path) -> Command {
        let exec = self.of_unit("ExecStart=");
        let (own, image) = (format!("={}/run/", own.display()), format!("={}/etc/", self.root.display()));
        let mut command = process::command(&self.servers.consul);
        let arguments = exec.split_whitespace().skip(1); // the program, which is where it was found
        command.args(arguments.map(|word| word.replace("=/run/", &own).replace("=/etc/", &image)));
        command
    }

    /// A value of the server's unit.
    fn of_unit(&self, key: &str) -> String {
        let unit = fs::read_to_string(self.root.join("etc/systemd/system/consul.service")).unwrap();
        let value = unit.lines().find_map(|line| line.strip_prefix(key));
        value.unwrap_or_else(|| panic!("consul.service has no {key}")).to_owned()
    }
}

impl Boot {
    /// How it has ended, told once: well, or with the guest's own words.
    pub fn ended(&mut self) -> Option<Result<(), String>> {
        let status = self.process.as_mut()?.ended()?;
        self.process = None;
        if status.success() {
            return Some(Ok(()));
        }
        let said = fs::read_to_string(&self.console).unwrap_or_default();
        let last = said.lines().last().unwrap_or("without a word");
        Some(Err(format!("{last} ({status})")))
    }
}
