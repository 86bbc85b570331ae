//! Programs that others wrote, which check what we ship: fetched if need be.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

/// The program, ready for its arguments. Where it cannot be had, that is said, and there is none; with
/// `HERMITCRAB_RIG=required` that is a failure.
pub fn tool(name: &str) -> Option<Command> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/fetch.sh");
    let fetched = Command::new("bash").args([script, name]).stdin(Stdio::null()).output();
    let why = match fetched {
        Ok(fetched) if fetched.status.success() => {
            return Some(Command::new(String::from_utf8_lossy(&fetched.stdout).trim()));
        }
        Ok(fetched) => String::from_utf8_lossy(&fetched.stderr).lines().last().unwrap_or("it says nothing").to_owned(),
        Err(error) => error.to_string(),
    };
    assert_ne!(std::env::var("HERMITCRAB_RIG").as_deref(), Ok("required"), "{name} cannot be had: {why}");
    say(&format!("NOT checked by {name}, which cannot be had: {why}"));
    None
}

/// Says something past what the test runner captures.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// What the program says, which must be content.
pub fn content(mut program: Command) -> String {
    let said = said(&mut program);
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{program:?} is not content:\n{text}");
    text
}

fn said(program: &mut Command) -> Output {
    program.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    program.output().unwrap_or_else(|error| panic!("{program:?} cannot be run: {error}"))
}
