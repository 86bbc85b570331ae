//! The answer to git's question for a password: the token of a file. Git runs this program once more to ask, so that the token
//! stands in no argument, no variable and no file of git's.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::daemon::git::ask::TOKEN_FILE;
use crate::input::file;

use super::Exit;

/// The beginning of git's question.
const QUESTION: &str = "Password for 'https://";

/// Answers, if it is git that asks. None if a person has run the program.
pub(super) fn answer(arguments: &[OsString]) -> Option<Exit> {
    let file = PathBuf::from(std::env::var_os(TOKEN_FILE)?);
    match arguments {
        [_, question] if question.to_string_lossy().starts_with(QUESTION) => {}
        _ => return None,
    }
    let token = file::read_text(&file, file::TOKEN);
    let told = token.and_then(|token| io::stdout().write_all(format!("{}\n", token.trim()).as_bytes()));
    Some(if told.is_ok() { Exit::Done } else { Exit::Error })
}
