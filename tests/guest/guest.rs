//! One guest: its metadata, its devices, its settings, and its scripts run against them.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::disk::Disk;
use crate::metadata::Metadata;
use crate::tools::{TREE, run};

/// The id of the slot's volume.
pub const VOLUME: &str = "vol-0123456789abcdef0";
/// The stamp of the guest's own volume.
pub const STAMP: &str = "cluster consul-prod\nslot consul-a\nvolume data\n";
/// A test that is still waiting after so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The guest of slot `consul-a` of `consul-prod`.
pub struct Guest {
    pub metadata: Metadata,
    folder: TempDir,
}

/// The end of a script.
pub struct Ended {
    pub well: bool,
    pub log: String,
}

impl Guest {
    /// One whose tags are there and whose volume is not, with a table that mounts it.
    pub fn start(kind: &str) -> Self {
        let metadata = Metadata::start();
        metadata.tag("hermitcrab:cluster", "consul-prod");
        metadata.tag("hermitcrab:slot", "consul-a");
        metadata.tag("hermitcrab:volume:data", VOLUME);
        metadata.set("placement/region", "us-east-1");
        metadata.set("local-ipv4", "10.0.1.7");
        let guest = Self { metadata, folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(guest.path("sys/block")).unwrap();
        symlink("/dev", guest.path("dev")).unwrap();
        fs::write(guest.path("volumes"), format!("# a comment\n\ndata {} 7:8 {kind}\n", guest.mount().display()))
            .unwrap();
        let own = [
            ("HERMITCRAB_METADATA", guest.metadata.url.clone()),
            ("HERMITCRAB_SYS", guest.path("sys").display().to_string()),
            ("HERMITCRAB_DEV", guest.path("dev").display().to_string()),
            ("HERMITCRAB_VOLUMES", guest.path("volumes").display().to_string()),
            ("HERMITCRAB_POLL", "0.1".to_owned()),
            ("CONSUL_MOUNT", guest.mount().display().to_string()),
            ("CONSUL_OUTPUT", guest.path("consul.json").display().to_string()),
            ("CONSUL_SECRETS", guest.path("secrets").display().to_string()),
        ];
        own.iter().for_each(|(name, value)| guest.set(name, value));
        guest
    }

    /// Changes one setting.
    pub fn set(&self, name: &str, value: &str) {
        let before = fs::read_to_string(self.path("guest.conf")).unwrap_or_default();
        fs::write(self.path("guest.conf"), format!("{before}{name}='{value}'\n")).unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where its volume is mounted.
    pub fn mount(&self) -> PathBuf {
        self.path("mnt")
    }

    pub fn is_mounted(&self) -> bool {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        mounts.lines().any(|line| line.split(' ').nth(1) == self.mount().to_str())
    }

    /// A blank volume of the slot, attached.
    pub fn blank(&self, mib: u64) -> Disk {
        let disk = Disk::blank(self.folder(), "volume", mib);
        self.attach(&disk, VOLUME);
        disk
    }

    /// A disk with a file system of somebody's, and a file on it, attached as the slot's volume.
    pub fn used(&self, kind: &str, mib: u64) -> Disk {
        let disk = self.blank(mib);
        run(&format!("mkfs.{kind}"), &["-q", &disk.device()]);
        self.within(&disk, |root| fs::write(root.join("theirs"), "somebody's data").unwrap());
        disk
    }

    /// Mounts a disk for a moment.
    pub fn within<T>(&self, disk: &Disk, act: impl FnOnce(&Path) -> T) -> T {
        let root = self.path("within");
        fs::create_dir_all(&root).unwrap();
        run("mount", &[&disk.device(), root.to_str().unwrap()]);
        let done = act(&root);
        // A program that another test is just starting may for a moment hold what was open there.
        let begun = Instant::now();
        while !Command::new("umount").arg(&root).status().unwrap().success() {
            assert!(begun.elapsed() < PATIENCE, "{} cannot be unmounted", root.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        done
    }

    /// Has a device show up. The kernel pads serials.
    pub fn attach(&self, disk: &Disk, volume: &str) {
        let block = self.path("sys/block").join(&disk.name);
        fs::create_dir_all(block.join("device")).unwrap();
        fs::write(block.join("dev"), disk.number()).unwrap();
        fs::write(block.join("device/serial"), format!("{:20}\n", volume.replace('-', ""))).unwrap();
    }

    pub fn detach(&self, disk: &Disk) {
        fs::remove_dir_all(self.path("sys/block").join(&disk.name)).unwrap();
    }

    pub fn volumes(&self, verb: &str) -> Ended {
        self.begin("images/guest/hermitcrab-volumes", &[verb]).end()
    }

    pub fn configure(&self) -> Ended {
        self.begin_configure().end()
    }

    pub fn begin_configure(&self) -> Running {
        self.begin(self.installed("consul", "consul-configure").to_str().unwrap(), &[])
    }

    /// Cuts the mounted volume off, as if it were a copied one of that name.
    pub fn isolate(&self, volume: &str) -> Ended {
        self.begin(self.installed("consul", "isolate").to_str().unwrap(), &[volume, self.mount().to_str().unwrap()])
            .end()
    }

    /// A script of a kind of application, as it lies on the image: beside what it shares with the others.
    pub fn installed(&self, kind: &str, script: &str) -> PathBuf {
        let lib = self.path("lib");
        fs::create_dir_all(&lib).unwrap();
        for file in ["images/guest/guest.sh", &format!("images/{kind}/common/files/{script}")] {
            fs::copy(format!("{TREE}/{file}"), lib.join(file.rsplit('/').next().unwrap())).unwrap();
        }
        lib.join(script)
    }

    /// Starts a script of the tree.
    pub fn begin(&self, script: &str, arguments: &[&str]) -> Running {
        let log = self.path("log");
        let file = fs::File::create(&log).unwrap();
        let mut command = Command::new(Path::new(TREE).join(script));
        command.args(arguments).env("HERMITCRAB_CONF", self.path("guest.conf")).stdin(Stdio::null());
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Running { child: start(&mut command), log }
    }

    /// Mounts, and fails the test unless that goes well.
    pub fn mounts(&self) -> String {
        let ended = self.volumes("mount");
        assert!(ended.well && self.is_mounted(), "{}", ended.log);
        ended.log
    }

    pub fn unmounts(&self) {
        let ended = self.volumes("unmount");
        assert!(ended.well && !self.is_mounted(), "{}", ended.log);
    }

    /// Mounting is refused in one line that says these words, and nothing is different afterwards.
    pub fn refuses(&self, disk: &Disk, words: &str) {
        let before = disk.checksum();
        let ended = self.volumes("mount");
        assert!(!ended.well && !self.is_mounted(), "{}", ended.log);
        let refusals: Vec<_> = ended.log.lines().filter(|line| line.contains("REFUSED: ")).collect();
        assert!(refusals.len() == 1 && refusals[0].contains(words), "not refused with `{words}`:\n{}", ended.log);
        assert_eq!(disk.checksum(), before, "a refused volume was written to");
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.is_mounted() {
            Command::new("umount").arg("--lazy").arg(self.mount()).status().ok();
        }
    }
}

/// A script that runs.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Waits until the script says something.
    pub fn says(&mut self, words: &str) {
        let begun = Instant::now();
        while !self.log().contains(words) {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended without saying `{words}`:\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "it never said `{words}`:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn end(mut self) -> Ended {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ended { well: status.success(), log: self.log() };
            }
            if begun.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!("it does not end:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Starts a script that has just been written. A process that another test starts in that moment has the file open as well, until it
/// becomes another program.
fn start(command: &mut Command) -> Child {
    for _ in 0..1_000 {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => thread::sleep(Duration::from_millis(5)),
            started => return started.unwrap(),
        }
    }
    panic!("{command:?} stays open for writing")
}
