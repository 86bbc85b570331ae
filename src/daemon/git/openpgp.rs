//! OpenPGP signatures, which git has gpg check: by the keys of one file, and by no others of this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::ask::Git;
use crate::input::{file, text};
use crate::program::{self, Bounds, Ended, Trouble};

/// The folder of gpg's, beside the repository.
const FOLDER: &str = "gnupg";
/// gpg's settings: every key of the file counts alike, nothing is asked of a server, and nothing is left to run.
const SETTINGS: &str = "trust-model always\nno-auto-key-retrieve\nno-auto-key-locate\ndisable-dirmngr\nno-autostart\n";
/// The most bytes of what gpg says.
const SAID: usize = 64 << 10;

/// Gives the folder that gpg finds its keys in.
pub(super) fn home(repository: &Path) -> PathBuf {
    repository.with_file_name(FOLDER)
}

impl Git {
    /// Takes the keys of a file, and no others, or says why they cannot be taken. It is done anew for each check: a key that is no longer in the file counts no more.
    pub(super) async fn take_keys(&self, keyring: &Path, repository: &Path) -> Result<(), String> {
        let home = home(repository);
        begin(&home).map_err(|error| format!("the folder of the keys cannot be made: {error}"))?;
        let mut command = Command::new("gpg");
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("LC_ALL", "C").env("HOME", &home).arg("--homedir").arg(&home);
        command.args(["--batch", "--no-tty", "--quiet", "--import"]).arg(keyring);
        let bounds = Bounds { timeout: self.timeout, most: SAID };
        match program::run(&mut command, &[], bounds).await {
            Ok(Ended { status, .. }) if status.success() => Ok(()),
            Ok(Ended { stderr, .. }) => {
                Err(format!("gpg cannot take the keys of {}: {}", text::path(keyring), text::clean(&stderr)))
            }
            Err(Trouble::CannotRun(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err("there is no program `gpg`".to_owned())
            }
            Err(trouble) => Err(format!("gpg: {trouble}")),
        }
    }

    /// Says in words why the signature of a commit does not count, where git knows.
    pub(super) async fn fault(&self, repository: &Path, id: &str) -> Option<&'static str> {
        let asked = ["log", "-1", "--no-show-signature", "--format=%G?", id, "--"];
        let letter = self.ask(repository, &asked, &[], SAID).await.ok()?;
        match letter.first()? {
            b'E' => Some("its signature is by a key that is not known"),
            b'X' => Some("its signature has expired"),
            b'Y' => Some("the key of its signature has expired"),
            b'R' => Some("the key of its signature is revoked"),
            b'B' => Some("its signature is wrong"),
            b'N' => Some("it has no signature"),
            _ => None,
        }
    }
}

/// Makes an empty folder with the settings.
fn begin(home: &Path) -> io::Result<()> {
    match fs::remove_dir_all(home) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    file::folder(home)?;
    fs::write(home.join("gpg.conf"), SETTINGS)
}
