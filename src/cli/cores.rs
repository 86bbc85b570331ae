//! No core of this process: one would have tokens in it, wherever the process runs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Keeps the system from writing a core, should the process crash. A container and a shell leave that to the process.
pub fn forbid() {
    // Who may not lower a limit of its own has it from somebody who knew why.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) });
}
