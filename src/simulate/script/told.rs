//! The transcript between one command of a story and the next.

use crate::event::is_same_news;
use crate::sim::What;
use crate::simulate::{AnswerKind, Line, text};

use super::names::Names;

/// Words lines for a story. Waits are left out, and so are times and an answer that is given again.
pub(super) struct Told<'n, 't> {
    names: &'n mut Names,
    tell: &'t mut dyn FnMut(&str),
    last: String,
}

impl<'n, 't> Told<'n, 't> {
    /// Tells nothing yet.
    pub(super) fn new(names: &'n mut Names, tell: &'t mut dyn FnMut(&str)) -> Self {
        Self { names, tell, last: String::new() }
    }

    /// Tells a line of the simulation's transcript.
    pub(super) fn hear(&mut self, line: &Line) {
        self.names.learn(line);
        let said = match line {
            Line::World { event, .. } if matches!(event.what, What::World { .. }) => return,
            Line::Answer(answer) if answer.kind == AnswerKind::Wait => return,
            line => text::line(line),
        };
        let said = said.trim_start().split_once(' ').map_or("", |(_, rest)| rest).trim_end();
        let said = format!("  {}\n", self.names.called(said));
        if !is_same_news(&said, &self.last) {
            (self.tell)(&said);
            self.last = said;
        }
    }
}
