//! The folder that a source is kept in: the repository, and the tree of the revision in force, which is exchanged in one step.
//!
//! ```text
//! FOLDER/source            the address, so that another source's files are never taken for this one's
//! FOLDER/repository.git    what was fetched
//! FOLDER/history.git       commits alone, to see whether one descends from another
//! FOLDER/trees/ID/NAME/…   the files of one revision, whole, and beside them what is known of it
//! FOLDER/current           a link to the tree in force
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::address::Address;
use super::entries::{Entry, Kind};
use crate::input::file;
use crate::revision::Revision;

const CURRENT: &str = "current";
const TREES: &str = "trees";
const REVISION: &str = "revision.json";

/// The folder of a source, for one process at a time.
#[derive(Debug)]
pub(super) struct Kept {
    pub folder: PathBuf,
    /// The name of the repository, which the folder that its files lie in is called by.
    name: String,
    _lock: File,
}

impl Kept {
    /// Opens the folder, which is made for this user alone if it does not exist. What another source has left there is deleted.
    pub(super) fn open(folder: &Path, address: &Address) -> io::Result<Self> {
        file::folder(folder)?;
        let folder = fs::canonicalize(folder)?;
        let lock = file::hold(&folder.join("lock"))?.ok_or_else(|| io::Error::other("another process uses it"))?;
        let kept = Self { folder, name: address.name.clone(), _lock: lock };
        let (source, address) = (kept.folder.join("source"), format!("{address}\n"));
        if file::read_text(&source, file::RECORD).is_ok_and(|before| before == address) {
            return Ok(kept);
        }
        if source.try_exists()? {
            remove(&kept.folder.join(CURRENT))?;
            for name in [TREES, "repository.git", "history.git"] {
                remove(&kept.folder.join(name))?;
            }
        }
        file::folder(&kept.folder.join(TREES))?;
        file::own(File::options().write(true).truncate(true), &source)?.write_all(address.as_bytes())?;
        Ok(kept)
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.folder.join("repository.git")
    }

    pub(super) fn history(&self) -> PathBuf {
        self.folder.join("history.git")
    }

    /// The path of a folder of the repository at the revision in force, whichever that is.
    pub(super) fn current(&self, folder: &Path) -> PathBuf {
        let root = self.folder.join(CURRENT).join(&self.name);
        if folder.as_os_str().is_empty() { root } else { root.join(folder) }
    }

    /// Tells the revision whose tree is in force.
    pub(super) fn in_force(&self) -> Option<Revision> {
        let known = file::read(&self.folder.join(CURRENT).join(REVISION), file::RECORD).ok()?;
        serde_json::from_slice(&known).ok()
    }

    /// Deletes the locks that a run of git has left which was killed. No other process runs git here.
    pub(super) fn unlock(&self) {
        for repository in [self.repository(), self.history()] {
            let folders = [repository.join("refs/hermitcrab"), repository];
            let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
            for lock in entries.map(|entry| entry.path()).filter(|path| path.extension() == Some("lock".as_ref())) {
                // Whoever needs it gone says so.
                let _ = fs::remove_file(lock);
            }
        }
    }

    /// Takes the tree out of force, without another one.
    pub(super) fn withdraw(&self) -> io::Result<()> {
        remove(&self.folder.join(CURRENT))
    }

    /// Writes the files of a commit's folder, whole or not at all. Nothing sees them yet.
    pub(super) fn write(
        &self,
        revision: &Revision,
        folder: &Path,
        entries: &[Entry],
        contents: &[&[u8]],
    ) -> io::Result<()> {
        let trees = self.folder.join(TREES);
        let (whole, unfinished) = (trees.join(&revision.id), trees.join(".unfinished"));
        remove(&unfinished)?;
        let root = unfinished.join(&self.name).join(folder);
        file::folder(&root)?;
        let with_contents = || entries.iter().zip(contents);
        for (entry, content) in with_contents() {
            file::folder(root.join(&entry.path).parent().unwrap_or(&root))?;
            if entry.kind == Kind::File {
                put(&root.join(&entry.path), content)?;
            }
        }
        // Links come last, so that no file is written through one.
        for (entry, content) in with_contents().filter(|(entry, _)| entry.kind == Kind::Link) {
            symlink(std::ffi::OsStr::from_bytes(content), root.join(&entry.path))?;
        }
        put(&unfinished.join(REVISION), &serde_json::to_vec(revision)?)?;
        remove(&whole)?;
        fs::rename(&unfinished, &whole)
    }

    /// Puts a tree in force, in one step, and deletes the others.
    pub(super) fn exchange(&self, id: &str) -> io::Result<()> {
        let link = self.folder.join("current.new");
        remove(&link)?;
        symlink(Path::new(TREES).join(id), &link)?;
        fs::rename(&link, self.folder.join(CURRENT))?;
        for tree in fs::read_dir(self.folder.join(TREES))?.flatten().filter(|tree| tree.file_name() != id) {
            remove(&tree.path())?;
        }
        Ok(())
    }
}

/// Writes a new file, which is on the disk then.
fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Deletes a file, a link or a folder, if it is there. A link is not followed.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn entry(kind: Kind, path: &str, content: &[u8]) -> Entry {
        Entry { kind, object: "00".to_owned(), size: content.len() as u64, path: path.into() }
    }

    fn revision(id: &str) -> Revision {
        let [id, reference, author, subject] = [id, "main", "Ada", "Roll"].map(str::to_owned);
        Revision { id, reference, author, subject, committed_at: Timestamp::UNIX_EPOCH, verified_by: None }
    }

    #[test]
    fn a_tree_is_exchanged_whole_and_the_one_before_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let address: Address = "git+https://host/org/state.git//prod".parse().unwrap();
        let kept = Kept::open(dir.path(), &address).unwrap();
        assert_eq!(kept.in_force(), None);
        let file = kept.current(&address.folder).join("a/b.yaml");
        for (id, content) in [("aa", &b"old"[..]), ("bb", b"new")] {
            let entries = [entry(Kind::File, "a/b.yaml", content), entry(Kind::Link, "link", b"a/b.yaml")];
            kept.write(&revision(id), &address.folder, &entries, &[content, b"a/b.yaml"]).unwrap();
            kept.exchange(id).unwrap();
            assert_eq!(fs::read(&file).unwrap(), content);
            assert_eq!(fs::read(kept.current(&address.folder).join("link")).unwrap(), content);
            assert_eq!(kept.in_force(), Some(revision(id)));
        }
        assert_eq!(fs::read_dir(dir.path().join(TREES)).unwrap().count(), 1);
        assert!(Kept::open(dir.path(), &address).is_err(), "another process uses it");
        drop(kept);
        assert_eq!(Kept::open(dir.path(), &address).unwrap().in_force(), Some(revision("bb")));
        let other = "git+https://host/org/state.git//test".parse().unwrap();
        assert_eq!(Kept::open(dir.path(), &other).unwrap().in_force(), None, "the files of another source");
    }

    #[test]
    fn no_file_is_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, outside) = (dir.path().join("kept"), dir.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        let address: Address = "git+https://host/state.git".parse().unwrap();
        let kept = Kept::open(&folder, &address).unwrap();
        let target = outside.as_os_str().as_bytes();
        let entries = [entry(Kind::Link, "a", target), entry(Kind::File, "a/b", b"x")];
        assert!(kept.write(&revision("aa"), Path::new(""), &entries, &[target, b"x"]).is_err());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
