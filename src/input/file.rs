//! One way to read a file: only a regular one, and only as much of it as its purpose can need.
//!
//! The file is opened first, without waiting, and judged by its open handle: whoever puts a pipe or a device in its place
//! between a look and the opening gains nothing. A pipe that nobody writes to, and `/dev/zero`, are refused at once.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

use super::text::is_utf16;

const KIB: usize = 1024;
/// A desired-state file: one cluster needs a few KiB.
pub const DESIRED_STATE: usize = 256 * KIB;
/// User data: EC2 takes no more, before it is encoded.
pub const USER_DATA: usize = 16 * KIB;
/// A token.
pub const TOKEN: usize = 64 * KIB;
/// Certificates, or a private key, in PEM. The CAs of a whole system fit in.
pub const CERTIFICATES: usize = 1024 * KIB;
/// A record of a claim, or the name of a lease's holder.
pub const RECORD: usize = 256 * KIB;
/// A document that a command is given: a manifest of images, Terraform's outputs, a file to edit.
pub const DOCUMENT: usize = 16 * 1024 * KIB;
/// A file of the log of events: one is begun anew at a quarter of that.
pub const EVENTS: usize = 16 * 1024 * KIB;
/// The memory of notifications, with those that wait: at most a hundred for each of twenty receivers.
pub const NOTIFICATIONS: usize = 64 * 1024 * KIB;
/// A simulated world. One of a hundred clusters has 2 MiB.
pub const WORLD: usize = 256 * 1024 * KIB;

/// A reason not to read a file, beside those of the system.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A folder, a pipe, a device or a socket.
    #[error("not a regular file")]
    NotRegular,
    /// More than its purpose can need.
    #[error("larger than {} KiB", .limit / KIB)]
    TooLarge {
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// A link, or `..`, that leads to a place where nobody said that files should be read.
    #[error("it leads out of {}", super::text::path(.root))]
    LeadsOut {
        /// The folder in which files may lie.
        root: std::path::PathBuf,
    },
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::other(refusal)
    }
}

impl Refusal {
    /// The refusal that an error is, if it is one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Reads a regular file that has at most `limit` bytes.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    read_open(open(path)?.0, limit)
}

/// Reads a regular file that has at most `limit` bytes and is UTF-8.
pub fn read_text(path: &Path, limit: usize) -> io::Result<String> {
    let not_utf8 = |error: std::string::FromUtf8Error| {
        let what = if is_utf16(error.as_bytes()) { "UTF-16: save it as UTF-8" } else { "not UTF-8" };
        io::Error::new(io::ErrorKind::InvalidData, what)
    };
    String::from_utf8(read(path, limit)?).map_err(not_utf8)
}

/// Reads a regular file that has at most `limit` bytes and lies below `root`, wherever links lead. `root` is canonical.
///
/// The place is looked at once the file is open, and must hold the file that was opened: a link that is swapped meanwhile
/// does not smuggle another file in.
pub fn read_below(path: &Path, root: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let (file, opened) = open(path)?;
    let canonical = fs::canonicalize(path)?;
    let found = fs::symlink_metadata(&canonical)?;
    if !canonical.starts_with(root) || (found.dev(), found.ino()) != (opened.dev(), opened.ino()) {
        return Err(Refusal::LeadsOut { root: root.to_owned() }.into());
    }
    read_open(file, limit)
}

/// Opens a file of our own, and makes it if it does not exist, for this user alone. A link in its place is not followed:
/// whoever put it there has chosen a file that is not ours to write. Nor is a pipe waited for.
pub fn own(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.create(true).mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Refusal::NotRegular.into());
    }
    give(&file, folder_of(path))?;
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives a file to whoever owns its folder: what root's commands leave beside a service, the service has to read. A file with other
/// names may be a third one's, and keeps its owner.
fn give(file: &File, folder: &Path) -> io::Result<()> {
    let (ours, theirs) = (file.metadata()?, fs::metadata(folder)?);
    if ours.uid() != theirs.uid() && ours.nlink() == 1 {
        // Only root may. The files of everybody else stay as they are.
        let _ = fchown(file, Some(theirs.uid()), Some(theirs.gid()));
    }
    Ok(())
}

/// Makes a folder of our own, for this user alone, with those above it that do not exist.
pub fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Keeps every other process from holding a file of our own for as long as the answer is kept. None if another one holds it.
pub fn hold(path: &Path) -> io::Result<Option<File>> {
    let file = own(File::options().append(true), path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Says whether a new file may be put in the place of what is there: nothing, a file, or a link, which is not followed. A
/// device, a pipe or a socket would be gone, for everybody who uses it.
pub fn may_be_replaced(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() && !there.is_symlink() => Err(Refusal::NotRegular.into()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts a file of our own in the place of another. After a crash at any point either the old or the new one is there, whole.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    may_be_replaced(path)?;
    let folder = folder_of(path);
    // A name that nobody can foresee, and a file of mode 0600.
    let mut new = NamedTempFile::with_prefix_in(".new-", folder)?;
    new.write_all(bytes)?;
    give(new.as_file(), folder)?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Says whether a library may read a file to its end: it is a regular one with at most `limit` bytes, or `/dev/null`, by which
/// people say that there is none.
pub fn has_an_end(path: &Path, limit: usize) -> io::Result<()> {
    if fs::canonicalize(path)? == Path::new("/dev/null") {
        return Ok(());
    }
    let (_, metadata) = open(path)?;
    if metadata.len() > limit as u64 { Err(Refusal::TooLarge { limit }.into()) } else { Ok(()) }
}

fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // A terminal that is opened must not become the one whose hang-up ends us.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(Refusal::NotRegular.into()) }
}

fn read_open(file: File, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(Refusal::TooLarge { limit }.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn refused(result: io::Result<Vec<u8>>) -> String {
        Refusal::of(&result.unwrap_err()).unwrap().to_string()
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, socket) = (dir.path().join("pipe"), dir.path().join("socket"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), Path::new("/dev/null"), dir.path()] {
            assert_eq!(refused(read(path, 10)), "not a regular file", "{}", path.display());
            assert_eq!(refused(read_below(path, Path::new("/"), 10)), "not a regular file", "{}", path.display());
        }
        assert!(read(&socket, 10).is_err());
    }

    #[test]
    fn a_library_is_left_to_read_what_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, file) = (dir.path().join("pipe"), dir.path().join("file"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        fs::write(&file, "x".repeat(100)).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), dir.path()] {
            assert_eq!(has_an_end(path, 100).unwrap_err().to_string(), "not a regular file", "{}", path.display());
        }
        assert_eq!(has_an_end(&file, 99).unwrap_err().to_string(), "larger than 0 KiB");
        has_an_end(&file, 100).unwrap();
        has_an_end(Path::new("/dev/null"), 100).unwrap();
        assert_eq!(has_an_end(&dir.path().join("nothing"), 100).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_takes_the_place_of_files_and_links_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, file, link) = (dir.path().join("pipe"), dir.path().join("file"), dir.path().join("link"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        fs::write(&file, "x").unwrap();
        symlink(&pipe, &link).unwrap();
        for path in [&pipe, dir.path(), Path::new("/dev/null")] {
            assert_eq!(may_be_replaced(path).unwrap_err().to_string(), "not a regular file", "{}", path.display());
        }
        for path in [&file, &link, &dir.path().join("nothing")] {
            may_be_replaced(path).unwrap();
        }
    }

    #[test]
    fn what_root_writes_into_the_folder_of_another_belongs_to_that_one() {
        const NOBODY: u32 = 65_534;
        let dir = tempfile::tempdir().unwrap();
        let [lock, record, shared] = ["lock", "record", "shared"].map(|name| dir.path().join(name));
        fs::write(&shared, "").unwrap();
        fs::hard_link(&shared, dir.path().join("another name")).unwrap();
        if chown(dir.path(), Some(NOBODY), Some(NOBODY)).is_err() {
            return; // Only root has files to give away.
        }
        let before = fs::metadata(&shared).unwrap().uid();
        own(File::options().append(true), &lock).unwrap();
        own(File::options().append(true), &shared).unwrap();
        replace(&record, b"1").unwrap();
        replace(&record, b"2").unwrap();
        let owner = |path: &Path| fs::metadata(path).unwrap().uid();
        assert_eq!([owner(&lock), owner(&record), owner(&shared)], [NOBODY, NOBODY, before]);
    }

    #[test]
    fn no_more_is_read_than_a_purpose_needs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x".repeat(2048)).unwrap();
        assert_eq!(read(&path, 2048).unwrap().len(), 2048);
        assert_eq!(refused(read(&path, 2047)), "larger than 1 KiB");
        File::options().write(true).open(&path).unwrap().set_len(10 << 30).unwrap();
        assert_eq!(refused(read(&path, 2048)), "larger than 2 KiB");
    }

    #[test]
    fn links_are_followed_within_a_folder_and_not_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap().join("root");
        fs::create_dir_all(root.join("..2025")).unwrap();
        fs::write(root.join("..2025/file"), "inside").unwrap();
        symlink("..2025", root.join("..data")).unwrap();
        symlink("..data/file", root.join("file")).unwrap();
        assert_eq!(read_below(&root.join("file"), &root, 100).unwrap(), b"inside");

        fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink("../secret", root.join("link")).unwrap();
        symlink("..", root.join("up")).unwrap();
        for out in ["link", "../secret", "up/secret", "/proc/self/environ"] {
            assert!(refused(read_below(&root.join(out), &root, 1 << 20)).starts_with("it leads out of "), "{out}");
        }
        // A name that merely begins in the same way is another folder.
        fs::create_dir(dir.path().join("root-of-others")).unwrap();
        fs::write(dir.path().join("root-of-others/file"), "outside").unwrap();
        assert!(read_below(&root.join("../root-of-others/file"), &root, 100).is_err());
    }
}
