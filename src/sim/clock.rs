//! A controller's clock, which may be wrong.

use serde::{Deserialize, Serialize};

/// A controller's clock, in milliseconds ahead of the world's, or behind it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Clock {
    /// The machine's, which people set, and which requests are signed by.
    machine: i64,
    /// The one that the process is shown: as in [`crate::clock`], it never goes back while the process lives.
    shown: i64,
}

impl Clock {
    /// Sets the machine's clock. A process follows it forward only.
    pub fn set(&mut self, ahead: i64) {
        *self = Self { machine: ahead, shown: self.shown.max(ahead) };
    }

    /// Has the machine show a new process its time.
    pub fn restart(&mut self) {
        self.shown = self.machine;
    }

    /// The milliseconds by which the machine's clock is ahead, or behind.
    pub fn machine(self) -> i64 {
        self.machine
    }

    /// The milliseconds by which the time that the process is shown is ahead, or behind.
    pub fn shown(self) -> i64 {
        self.shown
    }
}
