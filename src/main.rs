//! The `hermitcrab` command: arguments in, exit code out.

use std::process::ExitCode;

use hermitcrab::cli;

fn main() -> ExitCode {
    cli::run(std::env::args_os()).into()
}
