//! Files that commands read and write: a file is written whole or not at all.

use std::error::Error;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Failure;
use crate::input::file::{self, Refusal};
use crate::input::text;

/// A file that cannot be used as it should be.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {verb}", text::path(path))]
pub struct FileError {
    path: PathBuf,
    verb: &'static str,
    source: Box<dyn Error>,
}

impl FileError {
    /// Says that the file at `path` cannot be read, written, changed or used.
    pub fn new(path: &Path, verb: &'static str, source: impl Into<Box<dyn Error>>) -> Self {
        let path = if path == Path::new("-") { "stdin".into() } else { path.to_owned() };
        Self { path, verb, source: source.into() }
    }
}

/// Reads the text of a file; of stdin if the path is `-`.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let text = if path == Path::new("-") { read_stdin() } else { file::read_text(path, file::DOCUMENT) };
    text.map_err(|error| Failure::new(FileError::new(path, "read", error)))
}

fn read_stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().take(file::DOCUMENT as u64 + 1).read_to_string(&mut text)?;
    if text.len() > file::DOCUMENT {
        return Err(Refusal::TooLarge { limit: file::DOCUMENT }.into());
    }
    Ok(text)
}

/// Replaces a file's text. A link stays a link: the file that it leads to changes, and keeps its owner and its mode. Fails if
/// the text is no longer `before`, because somebody else has written the file.
pub fn replace(path: &Path, before: &str, text: &str) -> Result<(), Failure> {
    let write = || {
        let target = fs::canonicalize(path)?;
        let metadata = fs::metadata(&target)?;
        let new = beside(&target, text, metadata.permissions())?;
        // Only root may give a file away. Another user's file becomes the writer's.
        let _ = chown(new.path(), Some(metadata.uid()), Some(metadata.gid()));
        if file::read(&target, file::DOCUMENT)? != before.as_bytes() {
            return Err(io::Error::other("the file has changed meanwhile"));
        }
        new.persist(&target)?;
        Ok(())
    };
    write().map_err(|error| {
        unwritten(path, error, "nothing was changed; check who may write to it, and run the command again")
    })
}

/// Creates a file, and the folders that lead to it. Fails if the file exists.
pub fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        fs::create_dir_all(folder(path))?;
        let new = beside(path, text, Permissions::from_mode(0o644))?;
        new.persist_noclobber(path)?;
        Ok(())
    };
    write()
        .map_err(|error: io::Error| unwritten(path, error, "give another file, or check who may write to the folder"))
}

/// Writes a file, in the place of an earlier one if there is one.
pub fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        file::may_be_replaced(path)?;
        beside(path, text, Permissions::from_mode(0o644))?.persist(path)?;
        Ok(())
    };
    write()
        .map_err(|error: io::Error| unwritten(path, error, "give another file, or check who may write to the folder"))
}

/// Writes a temporary file in the same folder, which is deleted unless it is persisted. The name begins with a dot, so that
/// the file never counts as desired state.
fn beside(path: &Path, text: &str, permissions: Permissions) -> io::Result<NamedTempFile> {
    let mut new = tempfile::Builder::new().permissions(permissions.clone()).tempfile_in(folder(path))?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(permissions)?;
    new.as_file().sync_all()?;
    Ok(new)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unwritten(path: &Path, error: io::Error, hint: &str) -> Failure {
    Failure::new(FileError::new(path, "written", error)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_and_what_it_leads_to_changes_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file.yaml"), dir.path().join("link.yaml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("file.yaml", &link).unwrap();
        replace(&link, "old", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "something was left behind");
    }

    #[test]
    fn what_somebody_else_has_written_meanwhile_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file.yaml");
        fs::write(&file, "theirs").unwrap();
        assert!(replace(&file, "old", "new").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something was left behind");
    }

    #[test]
    fn what_exists_is_not_made_anew_and_folders_are() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prod/consul.yaml");
        create(&file, "first").unwrap();
        assert!(create(&file, "second").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "first");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    }
}
