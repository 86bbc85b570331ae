//! Shows what is wrong with desired-state files, with the lines that are meant.

use std::io::Write;

use crate::cli::stderr::Lines;
use crate::event::{Event, EventKind, Listener};
use crate::spec::render;

/// Writes problems to stderr, beside the log.
pub(super) struct Problems {
    pub(super) is_colored: bool,
}

impl Listener for Problems {
    fn hear(&self, event: &Event) {
        if let EventKind::ProblemsFound(loaded) = &event.kind {
            // A stderr that is closed does not keep the clusters from being looked after.
            let _ = Lines::default().write_all(render::text(loaded, self.is_colored).as_bytes());
        }
    }
}
