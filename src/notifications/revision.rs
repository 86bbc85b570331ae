//! The commit that a file was last changed by, as the git program tells it.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::program::{self, Bounds};

/// The bounds of an answer of git's, which is a line.
const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(10), most: 64 << 10 };

/// Finds the commit; none if the file lies in no checkout, or is not as committed, or git says nothing in time.
pub(super) async fn of(file: &Path) -> Option<String> {
    let name = file.file_name()?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let ask = async |arguments: &[&str]| {
        let mut command = Command::new("git");
        // A repository's settings must not name a program that is run here.
        command.args(["--literal-pathspecs", "-c", "core.fsmonitor=false", "-C"]).arg(folder).args(arguments);
        command.arg("--").arg(name);
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
        let ended = program::run(&mut command, &[], BOUNDS).await.ok()?;
        ended.status.success().then(|| String::from_utf8_lossy(&ended.stdout).trim().to_owned())
    };
    let is_committed = ask(&["status", "--porcelain", "--ignored"]).await?.is_empty();
    let commit = ask(&["log", "--max-count=1", "--format=%H"]).await.filter(|_| is_committed)?;
    let is_id = (40..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(commit)
}
