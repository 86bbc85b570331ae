//! The file of a program: which ones may be run at all, and how to tell that one has changed.
//!
//! A desired-state file names a program, and whoever may change that file may not therefore choose what runs where the controller
//! does: it must lie in the one folder that a person has named there, and nobody else may be able to write it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::input::text;

/// The bit of a mode that lets everybody write.
const OTHERS_MAY_WRITE: u32 = 0o002;
/// The bit of a folder's mode that lets nobody rename the files of others in it.
const STICKY: u32 = 0o1000;
/// The bits of a mode of which one lets somebody run a file.
const MAY_BE_RUN: u32 = 0o111;

/// A program that may be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The canonical path.
    pub path: PathBuf,
    /// The file's device, number, size, and times of its last changes: another file, or a changed one, has others.
    mark: (u64, u64, u64, (i64, i64), (i64, i64)),
}

/// A reason not to run a program.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No folder of programs was named.
    #[error("no program is run here: name the folder of those that may be with `--adapters`")]
    NoFolder,
    /// The file cannot be looked at.
    #[error("{}", text::path(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's account.
        source: io::Error,
    },
    /// The file lies somewhere else.
    #[error("{} does not lie in {}, the folder of `--adapters`", text::path(.path), text::path(.folder))]
    Elsewhere {
        /// The file, wherever links lead.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The file is no program that is safe to run.
    #[error("{} {why}", text::path(.path))]
    Unfit {
        /// The file, or the folder that it lies in.
        path: PathBuf,
        /// E.g. `may be written by everybody`.
        why: &'static str,
    },
}

impl Program {
    /// Looks at a program in a folder whose programs may be run.
    pub(super) fn within(folder: Option<&Path>, path: &Path) -> Result<Self, Refusal> {
        let folder = canonical(folder.ok_or(Refusal::NoFolder)?)?;
        let program = Self::of(path)?;
        if program.path.starts_with(&folder) {
            Ok(program)
        } else {
            Err(Refusal::Elsewhere { path: program.path, folder })
        }
    }

    /// Looks at a program that a person has named.
    pub(super) fn of(path: &Path) -> Result<Self, Refusal> {
        let path = canonical(path)?;
        let found = look(&path)?;
        let unfit = |path: &Path, why| Err(Refusal::Unfit { path: path.to_owned(), why });
        if !found.is_file() {
            return unfit(&path, "is not a regular file");
        }
        if found.mode() & MAY_BE_RUN == 0 {
            return unfit(&path, "is not executable");
        }
        if found.mode() & OTHERS_MAY_WRITE != 0 {
            return unfit(&path, "may be written by everybody");
        }
        if let Some(folder) = path.parent() {
            let mode = look(folder)?.mode();
            if mode & OTHERS_MAY_WRITE != 0 && mode & STICKY == 0 {
                return unfit(folder, "may be written by everybody, who could put another program there");
            }
        }
        Ok(Self { mark: mark(&found), path })
    }
}

fn canonical(path: &Path) -> Result<PathBuf, Refusal> {
    fs::canonicalize(path).map_err(|source| Refusal::Unreadable { path: path.to_owned(), source })
}

fn look(path: &Path) -> Result<Metadata, Refusal> {
    fs::metadata(path).map_err(|source| Refusal::Unreadable { path: path.to_owned(), source })
}

fn mark(found: &Metadata) -> (u64, u64, u64, (i64, i64), (i64, i64)) {
    let (written, changed) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    (found.dev(), found.ino(), found.size(), written, changed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn put(path: &Path, mode: u32) {
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_program_lies_in_the_folder_that_was_named_wherever_links_lead() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("adapters");
        fs::create_dir(&folder).unwrap();
        let (inside, outside) = (folder.join("inside"), dir.path().join("outside"));
        put(&inside, 0o755);
        put(&outside, 0o755);
        symlink(&outside, folder.join("link")).unwrap();
        Program::within(Some(&folder), &inside).unwrap();
        for path in [&outside, &folder.join("link"), &folder.join("../outside")] {
            let refused = Program::within(Some(&folder), path).unwrap_err();
            assert!(matches!(refused, Refusal::Elsewhere { .. }), "{}: {refused}", path.display());
        }
        assert!(matches!(Program::within(None, &inside).unwrap_err(), Refusal::NoFolder));
    }

    #[test]
    fn what_others_may_write_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        for (mode, why) in [(0o757, "may be written by everybody"), (0o644, "is not executable")] {
            put(&path, mode);
            let refused = Program::of(&path).unwrap_err();
            assert!(matches!(&refused, Refusal::Unfit { why: found, .. } if *found == why), "{refused}");
        }
        put(&path, 0o755);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(Program::of(&path).unwrap_err(), Refusal::Unfit { .. }), "another could be put there");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        Program::of(&path).unwrap();
        assert!(matches!(Program::of(dir.path()).unwrap_err(), Refusal::Unfit { .. }), "a folder");
    }

    #[test]
    fn a_changed_program_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        put(&path, 0o755);
        let before = Program::of(&path).unwrap();
        assert_eq!(Program::of(&path).unwrap(), before);
        fs::write(&path, "#!/bin/sh\nexit 1\n").unwrap();
        assert_ne!(Program::of(&path).unwrap(), before);
    }
}
