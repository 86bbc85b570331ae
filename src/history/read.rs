//! Reads a log of events, whole or while it is written. A line that is torn, or of a later version, is skipped and said.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::names;
use super::record::Record;
use crate::input::{file, text};

/// A log as it was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The events in their order, each once.
    pub records: Vec<Record>,
    /// The lines that could not be used, e.g. `state/events-000000000001.jsonl:17: torn`.
    pub skipped: Vec<String>,
}

/// Reads the log in a folder. A folder that is not there, or in which no daemon has ever written, is an error of the kind
/// `NotFound`.
pub fn read(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let mut by_id = BTreeMap::new();
    let files = names::files(folder)?;
    if files.is_empty() && !folder.join(names::LOCK).exists() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no daemon has written a log of events there"));
    }
    for path in files {
        let bytes = match file::read(&path, file::EVENTS) {
            // The oldest file is deleted while others read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read?,
        };
        take(&bytes, &text::path(&path), &mut by_id, &mut found.skipped);
    }
    found.records = by_id.into_values().collect();
    Ok(found)
}

/// Takes the lines of one file over. An event that was repeated stands where it happened first, as it is now.
fn take(bytes: &[u8], name: &str, by_id: &mut BTreeMap<u64, Record>, skipped: &mut Vec<String>) {
    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    // Whatever has no end yet is being written, or never was to its end.
    let unended = lines.pop().filter(|line| !line.is_empty());
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        match parse(line) {
            Ok(record) => _ = by_id.insert(record.id, record),
            Err(why) => skipped.push(format!("{name}:{}: {why}", at + 1)),
        }
    }
    skipped.extend(unended.map(|_| format!("{name}:{}: the line has no end", lines.len() + 1)));
}

fn parse(line: &[u8]) -> Result<Record, String> {
    let record: Record = serde_json::from_slice(line).map_err(|_| "no event of this version, or torn".to_owned())?;
    if record.format_version.split('.').next() == Some("1") {
        Ok(record)
    } else {
        Err(format!("an event of version {}", text::cut(&record.format_version, 20)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::record::What;
    use crate::time::Timestamp;

    fn record(id: u64, count: u64) -> Record {
        Record { id, count, ..Record::new(Timestamp::UNIX_EPOCH, None, What::Stopped) }
    }

    #[test]
    fn torn_lines_are_skipped_and_named_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (record(1, 1).line(), record(2, 1).line());
        let text = format!("{one}\n{}\n{two}\n{}", &one[..20], &two[..9]);
        std::fs::write(folder.path().join(names::name(1)), text).unwrap();
        let found = read(folder.path()).unwrap();
        assert_eq!(found.records.iter().map(|record| record.id).collect::<Vec<_>>(), [1, 2]);
        let named: Vec<_> = found.skipped.iter().map(|line| line.rsplit_once('/').unwrap().1).collect();
        assert_eq!(
            named,
            [
                "events-000000000001.jsonl:2: no event of this version, or torn",
                "events-000000000001.jsonl:4: the line has no end"
            ]
        );
    }

    #[test]
    fn a_folder_without_a_log_is_no_empty_log() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(folder.path().join(names::LOCK), "").unwrap();
        assert!(read(folder.path()).unwrap().records.is_empty(), "a daemon that has told nothing yet");
    }

    #[test]
    fn an_event_that_is_told_anew_is_one_event() {
        let folder = tempfile::tempdir().unwrap();
        let lines = [record(1, 1), record(2, 1), record(1, 8)].map(|record| record.line() + "\n").concat();
        std::fs::write(folder.path().join(names::name(1)), lines).unwrap();
        let counts: Vec<_> = read(folder.path()).unwrap().records.iter().map(|r| (r.id, r.count)).collect();
        assert_eq!(counts, [(1, 8), (2, 1)]);
    }

    #[test]
    fn a_kind_of_a_later_version_is_no_error_and_a_later_major_version_is_skipped() {
        let mut by_id = BTreeMap::new();
        let mut skipped = Vec::new();
        let line = record(1, 1).line();
        let later = line.replace("\"stopped\"", "\"sung\",\"song\":7");
        let major = line.replace("\"1.1\"", "\"2.0\"").replace("\"id\":1", "\"id\":2");
        take(format!("{later}\n{major}\n").as_bytes(), "x", &mut by_id, &mut skipped);
        assert_eq!(by_id[&1].what, What::Other);
        assert_eq!(skipped, ["x:2: an event of version 2.0"]);
    }
}
