//! The exit codes: part of the interface, so a script may rely on them.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked to. Without `--detailed-exitcode` that includes finding changes.
    Done = 0,
    /// It could not do it.
    Error = 1,
    /// `plan --detailed-exitcode`: something is to be done. The same code as Terraform's.
    ChangesPending = 2,
    /// A rollout failed, or a cluster is stalled: a person must act.
    Failed = 3,
    /// It was not finished in time, and goes on.
    TimedOut = 4,
    /// It waits for a person: suspended, not approved, not rehearsed, or outside the change window.
    NeedsPerson = 5,
    /// The arguments are wrong. Not clap's 2, which would read as "changes are pending".
    Usage = 64,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
