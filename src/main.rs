//! The `hermitcrab` command: arguments in, exit code out.

use std::process::ExitCode;

use hermitcrab::cli;
use hermitcrab::cli::exit::Exit;

fn main() -> ExitCode {
    match cli::run(std::env::args_os()) {
        Ok(exit) => exit.into(),
        Err(failure) if failure.is_closed_pipe() => Exit::Done.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}
