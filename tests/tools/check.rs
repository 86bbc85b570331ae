//! Programs that others wrote, which check what we ship.

use std::process::{Command, Stdio};

use crate::fetch::fetch;
use crate::left_out::left_out;

/// The program, ready for its arguments; none if it cannot be had, which is said.
pub fn tool(name: &str) -> Option<Command> {
    match fetch([name]) {
        Ok([program]) => Some(Command::new(program)),
        Err(why) => {
            left_out(name, &why);
            None
        }
    }
}

/// Runs a program that must succeed, and returns its output.
pub fn content(mut program: Command) -> String {
    program.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    let said = program.output().unwrap_or_else(|error| panic!("{program:?} cannot be run: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{program:?} is not content:\n{text}");
    text
}
