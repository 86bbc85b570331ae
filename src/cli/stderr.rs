//! The one writer of stderr: a thread of its own, so that a reader who does not read, or a disk that is full, keeps
//! nobody else waiting.
//!
//! Log lines are never waited for. Where there is no room for one, or it cannot be written, it is dropped and counted, and
//! the log says how many were dropped as soon as one can be written again.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::progress;
use crate::input::text;

/// The number of lines that may wait to be written.
const ROOM: usize = 1024;
/// The time for which the process waits at its end for lines that are not written yet.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A job for the thread that writes.
enum Job {
    /// Write this. With a sender: say when that is done.
    Write(Vec<u8>, Option<SyncSender<()>>),
    /// Draw something on the terminal.
    Draw(Box<dyn FnOnce() + Send>),
}

static WRITER: OnceLock<Writer> = OnceLock::new();

struct Writer {
    jobs: SyncSender<Job>,
    /// Lines that were dropped and not yet accounted for.
    dropped: Mutex<u64>,
}

fn writer() -> &'static Writer {
    WRITER.get_or_init(|| {
        let (jobs, todo) = sync_channel(ROOM);
        // Where no thread can be had, the receiver is gone, and every line is dropped.
        let _ = thread::Builder::new().name("stderr".to_owned()).spawn(move || write_all(&todo));
        Writer { jobs, dropped: Mutex::new(0) }
    })
}

impl Writer {
    fn count(&self) -> std::sync::MutexGuard<'_, u64> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job over, unless there is no room for it.
    fn offer(&self, job: Job) {
        if let Err(TrySendError::Full(Job::Write(..)) | TrySendError::Disconnected(Job::Write(..))) =
            self.jobs.try_send(job)
        {
            *self.count() += 1;
        }
    }
}

/// Has something drawn, if the writer is not held up.
pub fn draw(drawing: impl FnOnce() + Send + 'static) {
    writer().offer(Job::Draw(Box::new(drawing)));
}

/// Waits until everything is written that was handed over, for a moment at most.
pub fn finish() {
    if let Some(writer) = WRITER.get() {
        let (sender, done) = sync_channel(1);
        if writer.jobs.try_send(Job::Write(Vec::new(), Some(sender))).is_ok() {
            let _ = done.recv_timeout(LAST_WORDS);
        }
    }
}

/// Writes jobs as they come. A line that was broken off is ended before the next one.
fn write_all(todo: &Receiver<Job>) {
    let mut torn = false;
    for job in todo {
        match job {
            Job::Draw(drawing) => drawing(),
            Job::Write(bytes, sender) => {
                let written = progress::suspended(|| write(&bytes, &mut torn));
                drop(sender);
                match written {
                    Ok(()) if !bytes.is_empty() => report_dropped(),
                    Ok(()) => {}
                    Err(_) => *writer().count() += 1,
                }
            }
        }
    }
}

fn write(bytes: &[u8], torn: &mut bool) -> io::Result<()> {
    let mut stderr = io::stderr();
    if *torn && !bytes.is_empty() {
        stderr.write_all(b"\n")?;
        *torn = false;
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        match stderr.write(rest) {
            Ok(written) if written > 0 => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => {
                *torn = rest.len() < bytes.len();
                return ended.and(Err(io::ErrorKind::WriteZero.into()));
            }
        }
    }
    Ok(())
}

/// Says how many lines were dropped. The line is itself a line of the log, in the log's form.
fn report_dropped() {
    let dropped = std::mem::take(&mut *writer().count());
    if dropped > 0 {
        tracing::warn!(dropped, "lines of the log were dropped, because they could not be written");
    }
}

/// A log's way to stderr. Writing to it never waits and never fails, and no line of it steers a terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines(pub Form);

/// The form of what is written, which decides what may stand in it.
#[derive(Clone, Copy, Debug, Default)]
pub enum Form {
    /// Lines and colours, as a person reads them.
    #[default]
    Screen,
    /// One line of the log, with colours.
    Line,
    /// One line of the log that is a JSON document.
    Json,
}

impl Form {
    fn clean(self, text: &str) -> String {
        match self {
            Self::Screen => text::clean_screen(text).into_owned(),
            Self::Line => text::clean_screen(text.trim_end_matches('\n')).replace('\n', "\\n") + "\n",
            Self::Json => text::clean_json(text),
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        writer().offer(Job::Write(self.0.clean(&String::from_utf8_lossy(bytes)).into_bytes(), None));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A command's way to stderr. Writing to it never fails; it waits until all is written, in order with what else is, so
/// that a person who pages through it misses nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes;

impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (sender, done) = sync_channel(1);
        if writer().jobs.send(Job::Write(bytes.to_vec(), Some(sender))).is_ok() {
            // Ends when the sender is dropped.
            let _ = done.recv();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
