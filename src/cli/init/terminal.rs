//! Puts questions on the terminal.

use std::io::{ErrorKind, IsTerminal, stderr, stdin};

use dialoguer::Input;

use super::questions::{Ask, Check, Question};
use crate::cli::{Exit, Failure};

/// The person in front of the terminal.
pub struct Terminal;

impl Terminal {
    /// Says whether there is a person to ask.
    pub fn is_there() -> bool {
        stdin().is_terminal() && stderr().is_terminal()
    }
}

impl Ask for Terminal {
    fn ask(&mut self, question: &Question, check: Check<'_>) -> Result<String, Failure> {
        let mut input = Input::<String>::new().with_prompt(&question.text);
        if let Some(default) = &question.default {
            input = input.default(default.clone()).show_default(!default.is_empty());
        }
        let allow_empty = question.default.as_ref().is_some_and(String::is_empty);
        input.allow_empty(allow_empty).validate_with(|answer: &String| check(answer)).interact_text().map_err(|error| {
            let dialoguer::Error::IO(cause) = &error;
            let exit = if cause.kind() == ErrorKind::Interrupted { Exit::Interrupted } else { Exit::Error };
            let failure = Failure { exit, ..Failure::new(error) };
            failure.hint("nothing was written; `hermitcrab init --help` lists the flags to give instead")
        })
    }
}
