//! One file from its bytes to its spec.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::find::{FoundFile, cause};
use super::{LoadedFile, Report, meaning, names, shape, tree};
use crate::ids::{ClusterName, digest};
use crate::spec::ClusterSpec;

/// The largest file that is read, in bytes. It is more than any desired-state file needs; a larger file is there by mistake.
const LARGEST_FILE: usize = 256 * 1024;

/// Reads one file and reports all that is wrong with it.
pub fn file(found: FoundFile, schema: &serde_json::Value) -> LoadedFile {
    match at_most(&found.path, LARGEST_FILE) {
        Ok(bytes) => content(&found, &bytes, schema),
        Err(error) => {
            let text: Arc<str> = Arc::from("");
            let mut report = Report::new(&found.path, &text);
            unreadable(&mut report, &error);
            finish(report, None, None, Vec::new(), text.clone())
        }
    }
}

/// Reports all that is wrong with a file of that content, wherever the content comes from.
pub fn content(found: &FoundFile, bytes: &[u8], schema: &serde_json::Value) -> LoadedFile {
    let text: Arc<str> = String::from_utf8_lossy(bytes).into();
    let mut report = Report::new(&found.path, &text);
    let (mut name, mut spec, mut user_data) = (None, None, None);
    if check_encoding(&mut report, bytes) {
        let document = tree::parse(&mut report);
        name = document.name().map(|(name, _)| ClusterName::from(name)).filter(|name| names::is_label(name));
        // Nobody can say what a file lacks that breaks off.
        if let Some(root) = document.root.as_ref().filter(|_| document.complete) {
            shape::check(root, schema, &mut report);
            spec = meaning::of(root, found, &mut report, &mut user_data);
        }
    }
    finish(report, name, spec, [bytes, user_data.unwrap_or_default().as_bytes()].concat(), text.clone())
}

fn finish(
    report: Report,
    name: Option<ClusterName>,
    spec: Option<ClusterSpec>,
    all: Vec<u8>,
    text: Arc<str>,
) -> LoadedFile {
    let spec = spec.filter(|_| !report.has_errors());
    let mut problems = report.problems;
    problems.sort_by_key(super::Problem::start);
    LoadedFile { path: report.path.to_owned(), digest: digest(&all), text, name, spec, problems }
}

fn unreadable(report: &mut Report, error: &io::Error) {
    match error.kind() {
        io::ErrorKind::FileTooLarge => report
            .error(None, format!("the file is larger than {} KiB", LARGEST_FILE / 1024))
            .hint("one cluster needs a few KiB; is this a desired-state file?"),
        _ => report
            .error(None, format!("cannot read the file: {}", cause(error)))
            .hint("it must be a regular file that this user may read"),
    };
}

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
    }
    !report.has_errors()
}

/// Reads the bytes of a regular file, or fails with `FileTooLarge` if there are more than `limit`. A pipe would keep us
/// waiting, so nothing but a regular file is opened.
pub fn at_most(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}
