//! The recorder: every event that is new goes to the log on disk.

use std::cell::RefCell;

use crate::event::{Event, Listener};
use crate::history::log::Log;
use crate::history::notes::Notes;

/// Writes events to a log, which keeps nobody waiting.
#[derive(Debug)]
pub struct Recorder {
    log: Log,
    notes: RefCell<Notes>,
}

impl Recorder {
    /// Makes a listener that writes to this log.
    pub fn new(log: Log) -> Self {
        Self { log, notes: RefCell::default() }
    }
}

impl Listener for Recorder {
    fn hear(&self, event: &Event) {
        self.notes.borrow_mut().of(event).into_iter().for_each(|record| self.log.write(record));
    }
}
