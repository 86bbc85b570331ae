//! The signals that end the daemon: the first one asks it to finish, a second one ends it at once.

use std::cell::Cell;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{Exit, Failure};

/// SIGTERM, SIGINT and SIGHUP, from now on. A terminal that hangs up asks for no less than a service manager does.
pub(super) struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal. Answers the exit code of a process that it ends at once.
    async fn next(&mut self) -> Exit {
        tokio::select! {
            biased;
            _ = self.hang_up.recv() => Exit::Terminated,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.interrupt.recv() => Exit::Interrupted,
        }
    }
}

/// Waits for the first signal, or until the time is up if there is a limit. `is_asked` is set by then.
pub(super) async fn first(mut signals: Signals, limit: Option<Duration>, is_asked: &Cell<bool>) -> Exit {
    let exit = match limit {
        Some(limit) => tokio::time::timeout(limit, signals.next()).await.map_or(Exit::TimedOut, |_| Exit::Done),
        None => {
            signals.next().await;
            Exit::Done
        }
    };
    is_asked.set(true);
    exit
}

/// Waits for a signal after the daemon was asked to finish.
pub(super) async fn second(mut signals: Signals, is_asked: &Cell<bool>) -> Exit {
    loop {
        let exit = signals.next().await;
        if is_asked.get() {
            return exit;
        }
    }
}
