//! Puts questions on the terminal.

use std::io::{IsTerminal, stderr, stdin};

use dialoguer::Input;

use super::questions::{Ask, Check, Question};
use crate::cli::Failure;

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
            Failure::new(error).hint("nothing was written; `hermitcrab init --help` lists the flags to give instead")
        })
    }
}
