//! The git program, as the commands use it that edit desired state: run without a shell, and never waiting for a password.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::input::text;

use super::Failure;

/// The most versions of a file that are looked at.
const MOST_VERSIONS: &str = "--max-count=200";
/// The most characters that are shown of what git says.
const LONGEST: usize = 1_000;

/// A file by its place: the folder that git is run in, and the name there.
struct File {
    folder: PathBuf,
    name: PathBuf,
}

impl File {
    /// Finds the file that is changed where `path` is a link.
    fn at(path: &Path) -> Result<Self, Failure> {
        let path = std::fs::canonicalize(path)?;
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        Ok(Self { folder: path.parent().map(Path::to_owned).unwrap_or_default(), name })
    }

    fn git<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String, Failure> {
        let mut command = Command::new("git");
        command
            .arg("--literal-pathspecs")
            .arg("-C")
            .arg(&self.folder)
            .args(arguments)
            .stdin(Stdio::null())
            .env("GIT_TERMINAL_PROMPT", "0");
        let ended = command.output().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::new("there is no program `git`").hint("install git"),
            _ => Failure::new(error),
        })?;
        let Output { status, stdout, stderr } = ended;
        if status.success() {
            return Ok(String::from_utf8_lossy(&stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&stderr);
        let said = text::cut_lines(said.trim(), LONGEST);
        Err(Failure::new(if said.is_empty() { format!("git ended with {status}") } else { format!("git: {said}") }))
    }
}

/// Refuses a file that is in no repository, or has changes that nobody has committed: they would be committed too.
pub fn refuse_unless_committed(path: &Path) -> Result<(), Failure> {
    let file = File::at(path)?;
    let shown = text::path(path);
    let arguments = ["status", "--porcelain", "--ignored", "--untracked-files=all", "--"].map(OsStr::new);
    let changes = file.git(arguments.into_iter().chain([file.name.as_os_str()])).map_err(|failure| {
        failure.hint("nothing was changed; leave `--commit` out, or put the file into a repository")
    })?;
    if changes.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("{shown} has changes that are not committed, and they would be committed too"))
            .hint("nothing was changed; commit them first, or leave `--commit` out"))
    }
}

/// Commits a file, and nothing else that may be staged. Answers with the commit's short id.
pub fn commit(path: &Path, message: &str) -> Result<String, Failure> {
    let file = File::at(path)?;
    let arguments = ["commit", "--quiet", "--only", "--message", message, "--"].map(OsStr::new);
    let committed = file.git(arguments.into_iter().chain([file.name.as_os_str()]));
    committed.map_err(|failure| failure.hint("the file is written, and not committed: commit it by hand"))?;
    Ok(file.git(["rev-parse", "--short", "HEAD"])?.trim().to_owned())
}

/// A version of a file that was committed.
pub struct Version {
    /// The commit's short id.
    pub commit: String,
    /// The whole text.
    pub text: String,
}

/// Reads the versions of a file that were committed, the newest first. Whoever has seen enough reads no more of them.
pub fn versions(path: &Path) -> Result<impl Iterator<Item = Version>, Failure> {
    let file = File::at(path)?;
    let arguments = ["log", MOST_VERSIONS, "--format=%h", "--"].map(OsStr::new);
    let commits = file.git(arguments.into_iter().chain([file.name.as_os_str()]))?;
    let commits: Vec<_> = commits.lines().map(str::to_owned).collect();
    Ok(commits.into_iter().filter_map(move |commit| {
        let blob = format!("{commit}:./{}", file.name.to_string_lossy());
        // A commit that has deleted the file has no version of it.
        let text = file.git(["cat-file", "blob", &blob]).ok()?;
        Some(Version { commit, text })
    }))
}
