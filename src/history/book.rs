//! Records that are kept in memory, for as long as one command lasts.

use std::cell::RefCell;

use super::notes::Notes;
use super::record::Record;
use crate::event::{Event, Listener};

/// A listener that keeps a record of everything that is new.
#[derive(Debug, Default)]
pub struct Book {
    notes: RefCell<Notes>,
    records: RefCell<Vec<Record>>,
}

impl Book {
    /// The records so far, in their order.
    pub fn records(&self) -> Vec<Record> {
        self.records.borrow().clone()
    }
}

impl Listener for Book {
    fn hear(&self, event: &Event) {
        let mut records = self.records.borrow_mut();
        for record in self.notes.borrow_mut().of(event) {
            let id = records.len() as u64 + 1;
            records.push(Record { id, ..record });
        }
    }
}
