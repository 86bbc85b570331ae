//! A volume: a file behind a loop device, with whatever a test puts on it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::tools::run;

/// A disk. The kernel lets go of its loop device when the test ends, however it ends.
#[must_use]
pub struct Disk {
    image: PathBuf,
    /// Such as `loop3`.
    pub name: String,
    _open: File,
}

impl Disk {
    /// A blank one in a folder.
    pub fn blank(folder: &Path, name: &str, mib: u64) -> Self {
        let image = folder.join(name);
        File::create(&image).unwrap().set_len(mib << 20).unwrap();
        Self::of(image)
    }

    /// Copies the disk as it would be if the power failed now.
    pub fn crashed(&self, folder: &Path, name: &str) -> Self {
        let image = folder.join(name);
        run("sync", &[]);
        run("cp", &["--sparse=always", self.image.to_str().unwrap(), image.to_str().unwrap()]);
        Self::of(image)
    }

    fn of(image: PathBuf) -> Self {
        let device = run("losetup", &["--find", "--show", image.to_str().unwrap()]);
        let open = File::open(&device).unwrap();
        // While it is open, this only says that it goes with its last user.
        run("losetup", &["--detach", &device]);
        Self { image, name: device.rsplit('/').next().unwrap().to_owned(), _open: open }
    }

    pub fn device(&self) -> String {
        format!("/dev/{}", self.name)
    }

    /// The kernel's number of the device.
    pub fn number(&self) -> String {
        fs::read_to_string(format!("/sys/block/{}/dev", self.name)).unwrap()
    }

    /// Writes bytes where they are wanted.
    pub fn write(&self, at: u64, bytes: &[u8]) {
        let device = File::options().write(true).open(self.device()).unwrap();
        device.write_all_at(bytes, at).unwrap();
        device.sync_all().unwrap();
    }

    /// Makes it larger, as a modified volume is.
    pub fn grow(&self, mib: u64) {
        File::options().write(true).open(&self.image).unwrap().set_len(mib << 20).unwrap();
        run("losetup", &["--set-capacity", &self.device()]);
    }

    /// Of all of it.
    pub fn checksum(&self) -> String {
        run("sync", &[]);
        run("cksum", &[self.image.to_str().unwrap()])
    }
}
