//! Progress on a terminal: one line for each slot, below the log. Elsewhere there is only the log.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::stderr;
use crate::event::{Event, EventKind, Listener};
use crate::ids::{ClusterName, SlotName};
use crate::status::{SlotStatus, Status};

/// The lines, if stderr is a terminal. The log has to know of the lines, so that the two do not overwrite each other.
static LINES: OnceLock<MultiProgress> = OnceLock::new();

/// One line for each slot.
#[derive(Default)]
pub struct Progress {
    slots: RefCell<BTreeMap<(ClusterName, SlotName), ProgressBar>>,
}

impl Progress {
    /// Begins to show progress, if there is a terminal to show it on.
    pub fn start() -> Self {
        if io::stderr().is_terminal() {
            LINES.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        }
        Self::default()
    }

    /// Shows how a cluster's slots are.
    fn show(&self, status: &Status) {
        let Some(lines) = LINES.get() else { return };
        for slot in &status.slots {
            let key = (status.cluster.clone(), slot.slot.clone());
            // Not drawn by this thread: a terminal that was stopped with Ctrl-S would stop the controller too.
            let line = self.slots.borrow_mut().entry(key).or_insert_with(|| begin(lines)).clone();
            let (prefix, message) = (format!("{} {}", status.cluster, slot.slot), message(slot, status));
            stderr::draw(move || {
                line.set_prefix(prefix);
                line.set_message(message);
            });
        }
    }

    /// Takes the lines off the terminal.
    pub fn end(&self) {
        for line in self.slots.take().into_values() {
            stderr::draw(move || line.finish_and_clear());
        }
    }
}

impl Listener for Progress {
    fn hear(&self, event: &Event) {
        match &event.kind {
            EventKind::Planned(pass) => self.show(&pass.status),
            EventKind::Stopped => self.end(),
            _ => {}
        }
    }
}

/// A line that is shown as soon as the terminal takes it.
fn begin(lines: &'static MultiProgress) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix:28} {wide_msg}");
    let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let begun = line.clone();
    stderr::draw(move || lines.add(begun).enable_steady_tick(Duration::from_millis(250)));
    line
}

fn message(slot: &SlotStatus, status: &Status) -> String {
    let image = slot.image.as_ref().map_or_else(|| "no instance".to_owned(), ToString::to_string);
    let mark = if slot.current { "✓" } else { "→" };
    let doing = if slot.claimed { status.answer.as_str() } else { "" };
    format!("{image} {mark}  {:<9} {:<10} {doing}", slot.role, slot.health.word())
}

/// Writes something to stderr without tearing the progress lines apart.
pub fn suspended<T>(write: impl FnOnce() -> T) -> T {
    match LINES.get() {
        Some(lines) => lines.suspend(write),
        None => write(),
    }
}
