//! The exit codes: part of the interface, so a script may rely on them.

/// The way a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command succeeded. Without `--detailed-exitcode` that includes a plan with changes.
    Done = 0,
    /// The command failed.
    Error = 1,
    /// `plan --detailed-exitcode` found changes to make. The code is Terraform's.
    ChangesPending = 2,
    /// A rollout failed, or a cluster is stalled: a person must act.
    Failed = 3,
    /// The command was not finished in time; another run continues.
    TimedOut = 4,
    /// A cluster waits for a person: suspended, not approved, not rehearsed, outside the change window, or its image has not
    /// proved itself (`promote --check`).
    NeedsPerson = 5,
    /// The arguments are wrong. Not clap's 2, which would read as "changes are pending".
    Usage = 64,
    /// The simulated world could not be saved, e.g. because the disk is full: the file has an earlier one.
    NotSaved = 74,
    /// SIGHUP ended the command.
    HungUp = 129,
    /// SIGINT ended the command.
    Interrupted = 130,
    /// SIGTERM ended the command.
    Terminated = 143,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Every code with what it means, for the help of the whole program.
pub const MEANINGS: &str = "\
Exit codes (the help of each command says which of them it has):
  0    done
  1    error, or something could not be seen
  2    changes are to be made (plan --detailed-exitcode)
  3    a cluster is stalled, or a rollout failed: a person must act
  4    not finished in time, and still going on
  5    a cluster waits for a person (status --detailed-exitcode, run --once, simulate, promote --check)
  64   wrong usage
  74   the simulated world could not be saved
  129  ended by SIGHUP
  130  ended by SIGINT
  143  ended by SIGTERM";
