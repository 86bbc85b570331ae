//! One file from its bytes to its spec.

use std::io;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use super::find::{FoundFile, cause};
use super::report::Report;
use super::{LoadedFile, MOST_PROBLEMS, meaning, names, shape, tree, unseen};
use crate::ids::{ClusterName, digest};
use crate::input::file::{self, Refusal};
use crate::spec::ClusterSpec;

/// The number of files that are read side by side, before the limits of all files are asked again.
pub const BATCH: usize = 256;
/// The number of files that are worth a thread.
const WORTH_A_THREAD: usize = 32;

/// Reads a batch of files on as many processors as there are, and answers in their order.
pub fn side_by_side(batch: &[FoundFile], read: impl Fn(&FoundFile) -> LoadedFile + Sync) -> Vec<LoadedFile> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let each = batch.len().div_ceil(processors).max(WORTH_A_THREAD);
    let (here, elsewhere) = batch.split_at(each.min(batch.len()));
    let read_all = &|files: &[FoundFile]| files.iter().map(&read).collect::<Vec<_>>();
    thread::scope(|scope| {
        let begin = |part| (part, thread::Builder::new().spawn_scoped(scope, move || read_all(part)));
        let begun: Vec<_> = elsewhere.chunks(each).map(begin).collect();
        let mut all = read_all(here);
        for (part, thread) in begun {
            // Where there is no thread to be had, this one has to do.
            let read = thread.map_or_else(|_| Ok(read_all(part)), thread::ScopedJoinHandle::join);
            all.extend(read.unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    })
}

/// Reads one file and reports what is wrong with it, at most `most` problems.
pub fn file(found: &FoundFile, schema: &serde_json::Value, most: usize) -> LoadedFile {
    match file::read_below(&found.at, &found.root, file::DESIRED_STATE) {
        Ok(bytes) => content(found, &bytes, schema, most),
        Err(error) => refused(found, |report| unreadable(report, &error)),
    }
}

/// Refuses a file without a look at it, because those before it are too large together.
pub fn too_much(found: &FoundFile) -> LoadedFile {
    refused(found, |report| {
        report
            .error(None, format!("not read: the files before it have {} MiB together", super::LARGEST_TREE >> 20))
            .hint("one cluster needs a few KiB; are these desired-state files?");
    })
}

/// Reports all that is wrong with a file of that content, wherever the content comes from.
pub fn content(found: &FoundFile, bytes: &[u8], schema: &serde_json::Value, most: usize) -> LoadedFile {
    let text: Arc<str> = String::from_utf8_lossy(bytes).into();
    let mut report = Report::new(&found.path, &text, most);
    let (mut name, mut spec, mut user_data) = (None, None, None);
    if check_encoding(&mut report, bytes) {
        let document = tree::parse(&mut report);
        name = document.name().map(|(name, _)| ClusterName::from(name)).filter(|name| names::is_label(name));
        // Nobody can say what a file lacks that breaks off.
        if let Some(root) = document.root.as_ref().filter(|_| document.complete) {
            unseen::check(root, &mut report);
            unseen::check_comments(&mut report);
            shape::check(root, schema, &mut report);
            if !report.is_full() {
                spec = meaning::of(root, found, &mut report, &mut user_data);
            }
        }
    }
    finish(report, name, spec, [bytes, user_data.unwrap_or_default().as_bytes()].concat(), text.clone())
}

fn refused(found: &FoundFile, say: impl FnOnce(&mut Report)) -> LoadedFile {
    let text: Arc<str> = Arc::from("");
    let mut report = Report::new(&found.path, &text, MOST_PROBLEMS);
    say(&mut report);
    finish(report, None, None, Vec::new(), text.clone())
}

fn finish(
    report: Report,
    name: Option<ClusterName>,
    spec: Option<ClusterSpec>,
    all: Vec<u8>,
    text: Arc<str>,
) -> LoadedFile {
    let spec = spec.filter(|_| !report.has_errors()).map(Arc::new);
    let path = report.path.to_owned();
    let (problems, work) = report.finish();
    LoadedFile { path, digest: digest(&all), text, name, spec, problems, work }
}

fn unreadable(report: &mut Report, error: &io::Error) {
    match Refusal::of(error) {
        Some(Refusal::TooLarge { limit }) => report
            .error(None, format!("the file is larger than {} KiB", limit / 1024))
            .hint("one cluster needs a few KiB; is this a desired-state file?"),
        Some(Refusal::LeadsOut { .. }) => report
            .error(None, format!("not read: {}", cause(error)))
            .hint("a link must stay within the folder that was named, or what it leads to could be shown to anybody"),
        Some(Refusal::NotRegular) | None => report
            .error(None, format!("cannot read the file: {}", cause(error)))
            .hint("it must be a regular file that this user may read"),
    };
}

/// NEL and the separators of lines and paragraphs: ends of lines in YAML 1.1, and no longer in YAML 1.2.
const LINE_ENDS_TO_SOME: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Says whether the bytes are text that is worth a further look.
fn check_encoding(report: &mut Report, bytes: &[u8]) -> bool {
    if let Err(error) = std::str::from_utf8(bytes) {
        let start = error.valid_up_to();
        report
            .error(start..start + 1, "the file is not UTF-8")
            .label(format!("byte {start} is 0x{:02x}", bytes[start]))
            .hint("save the file as UTF-8");
    } else if bytes.starts_with(b"\xef\xbb\xbf") {
        report.error(0..0, "the file begins with a byte order mark").hint("save the file as UTF-8 without it");
    } else if let Some((start, end)) = report.text.match_indices(LINE_ENDS_TO_SOME).next() {
        report
            .error(start..start + end.len(), "a line end that not every reader of YAML sees")
            .label(end.escape_unicode().to_string())
            .hint("remove it: what follows is in another line to some readers than to others");
    }
    !report.has_errors()
}
