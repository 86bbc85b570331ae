//! The names of a log's files: each begins with the number of its first event, so that their order is that of time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that is locked by whoever writes.
pub(super) const LOCK: &str = "events.lock";

/// The name of the file whose first event has that number, e.g. `events-000000000001.jsonl`.
pub(super) fn name(first: u64) -> String {
    format!("events-{first:012}.jsonl")
}

/// Lists the files of a log, the oldest first.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix("events-").and_then(|rest| rest.strip_suffix(".jsonl"));
        if number.is_some_and(|number| number.len() >= 12 && number.bytes().all(|byte| byte.is_ascii_digit())) {
            files.push(folder.join(name));
        }
    }
    files.sort();
    Ok(files)
}
