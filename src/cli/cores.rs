//! No core of this process: one would have tokens in it, wherever the process runs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Keeps the system from writing a core, should the process crash. A container and a shell leave that to the process.
pub fn forbid() {
    // Lowering a limit fails only where it is forbidden, by somebody who had a reason.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) });
}
