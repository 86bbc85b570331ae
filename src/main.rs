//! The `hermitcrab` command: arguments in, exit code out.

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::thread;

use hermitcrab::cli;

/// The most stack that the program may take; it takes what it needs. Of an unoptimised build with the SDK that is more than the 8 MiB
/// which a program has as a rule, because a look at EC2 is many futures deep.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    let run = || cli::run(std::env::args_os());
    let exit = match thread::Builder::new().name("main".to_owned()).stack_size(STACK).spawn(run) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
        // Without a further thread there is no daemon either; a command that looks at files alone may do.
        Err(_) => run(),
    };
    exit.into()
}
