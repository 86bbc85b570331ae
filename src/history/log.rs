//! The log on disk: lines of JSON, appended by a thread of its own, so that a slow or full disk keeps no pass waiting.
//!
//! A file is appended to and never changed, so that a process that is killed leaves at most one torn line, the last. Each file
//! is named after its first event; when one is large enough the next is begun, and the oldest is deleted. What finds no room in
//! the queue, or cannot be written, is dropped and counted, and the log says how many as soon as it can.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::fold::Folding;
use super::names;
use super::read::read;
use super::record::{Record, What};
use crate::input::{file, text};
use crate::time::Timestamp;

/// The number of events that may wait to be written: more than twenty thousand clusters tell at the first look.
const ROOM: usize = 32 * 1024;
/// The time for which the process waits at its end for events that are not written yet.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The bounds of a log: about 64 MiB, which are some thousand rollouts.
const BOUNDS: Bounds = Bounds { file: 4 * 1024 * 1024, files: 16 };

/// The bounds of a log.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// The size in bytes from which on the next file is begun.
    file: u64,
    /// The number of files that are kept.
    files: usize,
}

/// A log that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Two writers would give one number to two events.
    #[error("another process writes the log of events in {}", text::path(.folder))]
    InUse { folder: PathBuf },
    #[error("the log of events in {} cannot be opened", text::path(.folder))]
    Unusable { folder: PathBuf, source: io::Error },
}

/// A log that events are handed to. When it is dropped, it waits a moment until they are written.
#[derive(Debug)]
pub struct Log {
    jobs: SyncSender<Job>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Job {
    Write(Box<Record>),
    /// Write everything that is owed, and say so by dropping the sender.
    Finish(SyncSender<()>),
}

impl Log {
    /// Opens the log in a folder, which is made for this user alone if it does not exist, with the records that it has. Fails where
    /// another process writes it.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Record>), LogError> {
        Self::within(folder, BOUNDS)
    }

    fn within(folder: &Path, bounds: Bounds) -> Result<(Self, Vec<Record>), LogError> {
        let unusable = |source| LogError::Unusable { folder: folder.to_owned(), source };
        file::folder(folder).map_err(unusable)?;
        let lock = file::hold(&folder.join(names::LOCK)).map_err(unusable)?;
        let lock = lock.ok_or_else(|| LogError::InUse { folder: folder.to_owned() })?;
        let dropped = Arc::new(AtomicU64::new(0));
        let (writer, records) = Writer::open(folder, bounds, lock, dropped.clone()).map_err(unusable)?;
        let (jobs, todo) = sync_channel(ROOM);
        thread::Builder::new().name("events".to_owned()).spawn(move || writer.work(&todo)).map_err(unusable)?;
        Ok((Self { jobs, dropped }, records))
    }

    /// Hands an event over, unless there is no room for it. Never waits.
    pub fn write(&self, record: Record) {
        if self.jobs.try_send(Job::Write(Box::new(record))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (sender, done) = sync_channel(1);
        if self.jobs.try_send(Job::Finish(sender)).is_ok() {
            let _ = done.recv_timeout(LAST_WORDS); // ends when the sender is dropped
        }
    }
}

/// The thread that writes.
struct Writer {
    folder: PathBuf,
    bounds: Bounds,
    file: File,
    size: u64,
    /// The end of the file is no end of a line.
    is_torn: bool,
    is_failing: bool,
    folding: Folding,
    dropped: Arc<AtomicU64>,
    _lock: File,
}

impl Writer {
    fn open(folder: &Path, bounds: Bounds, lock: File, dropped: Arc<AtomicU64>) -> io::Result<(Self, Vec<Record>)> {
        let found = read(folder)?;
        for line in &found.skipped {
            tracing::warn!(line, "a line of the log of events is skipped");
        }
        let folding = Folding::resume(&found.records);
        let latest = names::files(folder)?.pop();
        let path = latest.unwrap_or_else(|| folder.join(names::name(folding.next())));
        let mut file = file::own(File::options().append(true).read(true), &path)?;
        let size = file.metadata()?.len();
        let is_torn = size > 0 && last_byte(&mut file)? != b'\n';
        let folder = folder.to_owned();
        let writer = Self { folder, bounds, file, size, is_torn, is_failing: false, folding, dropped, _lock: lock };
        Ok((writer, found.records))
    }

    fn work(mut self, todo: &Receiver<Job>) {
        let mut latest = Timestamp::UNIX_EPOCH;
        for job in todo {
            match job {
                Job::Write(record) => {
                    latest = record.at;
                    self.tell_dropped(latest);
                    let lines = self.folding.take(*record);
                    self.write_all(&lines);
                }
                Job::Finish(done) => {
                    let owed = self.folding.finish();
                    self.write_all(&owed);
                    self.tell_dropped(latest);
                    let _ = self.file.sync_data();
                    drop(self); // the lock goes before whoever waits is told
                    drop(done);
                    return;
                }
            }
        }
    }

    /// Writes how many events were dropped, if any were.
    fn tell_dropped(&mut self, at: Timestamp) {
        let events = self.dropped.swap(0, Ordering::Relaxed);
        if events == 0 {
            return;
        }
        let lost = self.folding.take(Record::new(at, None, What::Dropped { events }));
        if lost.iter().all(|record| self.write(record)) {
            tracing::warn!(events, "events were dropped, because they could not be written");
        } else {
            self.dropped.fetch_add(events, Ordering::Relaxed);
        }
    }

    fn write_all(&mut self, records: &[Record]) {
        for record in records {
            if !self.write(record) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Writes one line. Says whether it is written.
    fn write(&mut self, record: &Record) -> bool {
        let written = self.turn(record.id).and_then(|()| self.append(&(record.line() + "\n")));
        if let Err(error) = &written
            && !self.is_failing
        {
            tracing::error!(folder = text::path(&self.folder), %error, "events cannot be written");
        }
        self.is_failing = written.is_err();
        written.is_ok()
    }

    /// Begins the next file where this one is large enough, and deletes the oldest.
    fn turn(&mut self, next: u64) -> io::Result<()> {
        if self.size < self.bounds.file || self.is_torn {
            return Ok(());
        }
        let path = self.folder.join(names::name(next));
        self.file = file::own(File::options().append(true).read(true), &path)?;
        self.size = self.file.metadata()?.len();
        let files = names::files(&self.folder)?;
        let surplus = files.len().saturating_sub(self.bounds.files);
        files[..surplus].iter().try_for_each(fs::remove_file)
    }

    /// Appends a line with one call. A line that was broken off before is ended first.
    fn append(&mut self, line: &str) -> io::Result<()> {
        let line = if self.is_torn { format!("\n{line}") } else { line.to_owned() };
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(written) if written > 0 => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ended => {
                    self.is_torn |= rest.len() < line.len();
                    return ended.and(Err(io::ErrorKind::WriteZero.into()));
                }
            }
        }
        self.is_torn = false;
        self.size += line.len() as u64;
        Ok(())
    }
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last[0])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn broken(number: i64) -> Record {
        let what = What::FileBroken { file: format!("desired-state/{number}.yaml") };
        Record::new(Timestamp::from_second(number).unwrap(), None, what)
    }

    fn numbers(folder: &Path) -> Vec<u64> {
        read(folder).unwrap().records.iter().map(|record| record.id).collect()
    }

    #[test]
    fn a_log_is_for_its_user_alone_and_goes_on_where_it_ended() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("state");
        for number in 0..3 {
            let (log, _) = Log::open(&folder).unwrap();
            log.write(broken(number));
            drop(log);
        }
        assert_eq!(numbers(&folder), [1, 2, 3]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("events-000000000001.jsonl")), 0o600);
    }

    #[test]
    fn a_second_writer_is_refused_for_as_long_as_the_first_one_lives() {
        let folder = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(folder.path()).unwrap();
        assert!(matches!(Log::open(folder.path()), Err(LogError::InUse { .. })));
        drop(log);
        Log::open(folder.path()).unwrap();
    }

    #[test]
    fn a_line_that_was_torn_stays_alone_and_the_next_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(names::name(1));
        fs::write(&path, Record { id: 1, ..broken(1) }.line() + "\n{\"formatVersion\":\"1.0\",\"id\":2,\"at").unwrap();
        let (log, _) = Log::open(folder.path()).unwrap();
        log.write(broken(3));
        drop(log);
        let found = read(folder.path()).unwrap();
        assert_eq!(found.records.iter().map(|record| record.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(found.skipped.len(), 1, "{:?}", found.skipped);
    }

    #[test]
    fn a_log_is_bounded_and_its_oldest_events_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let (log, _) = Log::within(folder.path(), Bounds { file: 1_000, files: 3 }).unwrap();
        (0..200).for_each(|number| log.write(broken(number)));
        drop(log);
        let numbers = numbers(folder.path());
        assert_eq!(names::files(folder.path()).unwrap().len(), 3);
        assert_eq!(numbers.last(), Some(&200));
        assert!(numbers[0] > 150, "{numbers:?}");
        assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "{numbers:?}");
    }

    #[test]
    fn a_disk_that_is_full_delays_nobody_and_the_log_says_what_was_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (log, _) = Log::within(folder.path(), Bounds { file: 100, files: 100 }).unwrap();
        log.write(broken(1));
        // The next file cannot be begun: something else has its name.
        fs::create_dir(folder.path().join(names::name(2))).unwrap();
        log.write(broken(2));
        log.write(broken(3));
        let (sender, done) = sync_channel(1);
        log.jobs.send(Job::Finish(sender)).unwrap();
        let _ = done.recv();
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 4, "the lock, two files, and the folder that is in the way");
        fs::remove_dir(folder.path().join(names::name(2))).unwrap();
        let what: Vec<_> = read(folder.path()).unwrap().records.into_iter().map(|record| record.what).collect();
        assert!(what.contains(&What::Dropped { events: 1 }), "{what:?}");
        assert_eq!(what.last(), Some(&broken(3).what));
    }
}
