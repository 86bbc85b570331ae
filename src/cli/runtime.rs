//! The runtime of a command that waits for the network.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Starts the one runtime of a process, on the thread that runs it. The process ends without it: at its own end a runtime
/// waits for whatever runs on threads beside it, such as a resolver of names that gets no answer.
pub fn start() -> io::Result<&'static Runtime> {
    Ok(Box::leak(Box::new(Builder::new_current_thread().enable_all().build()?)))
}
