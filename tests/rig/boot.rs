//! An instance's boot as its image has it: the scripts that ship find the volume, judge its stamp and configure the server.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::kind::Kind;
use crate::process::{self, Process};
use crate::servers::{Program, Programs, Servers};
use crate::world::Guest;

const TREE: &str = env!("CARGO_MANIFEST_DIR");
/// The seconds within which everything appears that a guest waits for; most of it is there when the rig boots the guest.
const WAIT: u32 = 20;

/// The files of the image, where its own script puts them.
pub struct Image {
    root: PathBuf,
    kind: Kind,
    /// The programs that its scripts call.
    programs: Programs,
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
        install.arg(format!("{TREE}/{}", servers.kind.image())).env("KIND", servers.kind.name());
        install.env("DESTDIR", &root).env("GUEST", format!("{TREE}/images/guest"));
        let output = install.output().await.unwrap();
        assert!(output.status.success(), "the image: {}", String::from_utf8_lossy(&output.stderr));
        let image = Self { root, kind: servers.kind, programs: servers.boot.clone(), metadata };
        assert_eq!(image.of_unit("KillSignal="), "SIGTERM", "how the rig ends a server, and its unit");
        image
    }

    /// Begins to boot an instance, whose files go into a folder of its own, with its volume attached.
    pub fn boot(&self, guest: &Guest, own: &Path, volume: &Path) -> Boot {
        let devices = own.join("dev");
        fs::remove_dir_all(&devices).ok();
        fs::create_dir_all(&devices).unwrap();
        fs::create_dir_all(own.join("run").join(self.kind.name())).unwrap();
        fs::create_dir_all(volume).unwrap();
        symlink(volume, devices.join(&guest.volume)).unwrap();
        let mut settings = vec![
            ("HERMITCRAB_METADATA", format!("{}/{}", self.metadata, guest.instance)),
            ("HERMITCRAB_DEV", devices.display().to_string()),
            ("HERMITCRAB_WAIT", WAIT.to_string()),
            ("HERMITCRAB_POLL", "0.5".to_owned()),
        ];
        settings.extend(self.kind.settings(own));
        let conf = own.join("guest.conf");
        let lines: String = settings.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
        fs::write(&conf, lines).unwrap();
        let mut command = process::command("bash");
        command.arg(format!("{TREE}/tests/rig/boot.sh")).arg(self.root.join("usr/local/lib/hermitcrab"));
        command.arg(self.kind.name()).envs(self.programs.environment()).env("HERMITCRAB_CONF", conf);
        let console = own.join("console");
        Boot { process: Some(Process::start(command, &console)), console }
    }

    /// Makes the command by which the image's unit starts the server, on an instance that has booted.
    pub fn server(&self, program: &Program, own: &Path) -> Command {
        let mut command = process::command(&program.path);
        for file in self.all_of_unit("EnvironmentFile=") {
            let path = self.here(own, file.trim_start_matches('-'));
            let text = match fs::read_to_string(&path) {
                // One with a minus need not be there.
                Err(_) if file.starts_with('-') => continue,
                read => read.unwrap_or_else(|error| panic!("{path}: {error}")),
            };
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            command.envs(lines.filter_map(|line| line.split_once('=')));
        }
        let exec = self.of_unit("ExecStart=");
        let arguments = exec.split_whitespace().skip(1); // the program, which is where it was found
        command.args(arguments.map(|word| match word.split_once('=') {
            Some((option, path)) => format!("{option}={}", self.here(own, path)),
            None => word.to_owned(),
        }));
        command
    }

    /// Says where the rig has a file of an instance: of its own, or of its image.
    fn here(&self, own: &Path, path: &str) -> String {
        let below = if path.starts_with("/run/") { own } else { &self.root };
        below.join(path.trim_start_matches('/')).display().to_string()
    }

    /// A value of the server's unit.
    fn of_unit(&self, key: &str) -> String {
        let mut values = self.all_of_unit(key).into_iter();
        values.next().unwrap_or_else(|| panic!("the unit of {} has no {key}", self.kind.name()))
    }

    fn all_of_unit(&self, key: &str) -> Vec<String> {
        let unit = self.root.join(format!("etc/systemd/system/{}.service", self.kind.name()));
        let unit = fs::read_to_string(unit).unwrap();
        unit.lines().filter_map(|line| line.strip_prefix(key)).map(str::to_owned).collect()
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
