//! The words of one line, read from left to right; whatever is not as expected is named with its place.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::ids::{ImageId, SlotName, Zone};
use crate::spec::load::why_no_image;

use super::mistake::Mistake;

/// A line of which the words up to here have been read.
pub(super) struct Words<'t> {
    text: &'t str,
    /// The number of bytes that have been read.
    at: usize,
    line: usize,
}

/// A word with its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed<T> {
    pub value: T,
    pub column: usize,
}

impl<'t> Words<'t> {
    /// Reads a line's text from a byte on.
    pub(super) fn new(text: &'t str, at: usize, line: usize) -> Self {
        Self { text, at, line }
    }

    fn column(&self) -> usize {
        let rest = &self.text[self.at..];
        let blanks = rest.len() - rest.trim_start().len();
        self.text[..self.at + blanks].chars().count() + 1
    }

    /// The next word, which stays there.
    pub(super) fn peek(&self) -> Option<&'t str> {
        self.text[self.at..].split_whitespace().next()
    }

    fn next(&mut self) -> Option<&'t str> {
        let rest = &self.text[self.at..];
        let start = rest.len() - rest.trim_start().len();
        let word = rest.split_whitespace().next()?;
        self.at += start + word.len();
        Some(word)
    }

    /// A mistake at the next word.
    pub(super) fn expected(&self, wanted: impl Display) -> Mistake {
        let found = self.peek().map_or_else(|| "the end of the line".to_owned(), |word| format!("`{word}`"));
        Mistake::new(self.line, self.column(), format!("expected {wanted}, and found {found}"))
    }

    /// Takes one of these words.
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[(&str, T)]) -> Result<T, Mistake> {
        let found = self.peek().and_then(|word| choices.iter().find(|(choice, _)| *choice == word));
        let Some((_, value)) = found else {
            let words: Vec<_> = choices.iter().map(|(choice, _)| format!("`{choice}`")).collect();
            let lead = if words.len() == 1 { "" } else { "one of " };
            return Err(self.expected(format!("{lead}{}", words.join(", "))));
        };
        self.next();
        Ok(*value)
    }

    /// Takes these words, one after the other.
    pub(super) fn say(&mut self, phrase: &str) -> Result<(), Mistake> {
        phrase.split(' ').try_for_each(|word| self.one_of(&[(word, ())]))
    }

    /// Takes a word if it is this one.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let is_next = self.peek() == Some(word);
        if is_next {
            self.next();
        }
        is_next
    }

    fn parsed<T: FromStr>(&mut self, wanted: &str) -> Result<T, Mistake> {
        let parsed = self.peek().and_then(|word| word.parse().ok()).ok_or_else(|| self.expected(wanted));
        self.next();
        parsed
    }

    pub(super) fn word(&mut self, wanted: &str) -> Result<Placed<String>, Mistake> {
        let column = self.column();
        let value = self.parsed(wanted)?;
        Ok(Placed { value, column })
    }

    pub(super) fn slot(&mut self) -> Result<Placed<SlotName>, Mistake> {
        let Placed { value, column } = self.word("a slot, e.g. `consul-b`")?;
        Ok(Placed { value: SlotName::from(value), column })
    }

    pub(super) fn zone(&mut self) -> Result<Placed<Zone>, Mistake> {
        let Placed { value, column } = self.word("a zone, e.g. `us-east-1b`")?;
        Ok(Placed { value: Zone::from(value), column })
    }

    pub(super) fn image(&mut self) -> Result<ImageId, Mistake> {
        let is_image = self.peek().is_some_and(|word| why_no_image(word).is_none());
        let wanted = "an image, e.g. `ami-0bbbbbbbbbbbbbbbb`";
        let image = if is_image { self.parsed::<String>(wanted) } else { Err(self.expected(wanted)) };
        image.map(ImageId::from)
    }

    pub(super) fn span(&mut self) -> Result<Duration, Mistake> {
        let span = self.parsed_span().ok_or_else(|| self.expected("a span of time, e.g. `90s`, `20m` or `2h`"));
        self.next();
        span
    }

    fn parsed_span(&self) -> Option<Duration> {
        let span: jiff::SignedDuration = self.peek()?.parse().ok()?;
        (!span.is_negative()).then(|| span.unsigned_abs())
    }

    /// The number of a controller, as transcripts have it; the first one is 0.
    pub(super) fn controller(&mut self) -> Result<u8, Mistake> {
        let wanted = "the number of a controller, e.g. `1`";
        let number = self.peek().and_then(|word| word.parse::<u8>().ok()).filter(|number| *number < 10);
        let number = number.ok_or_else(|| self.expected(wanted));
        self.next();
        number
    }

    pub(super) fn count(&mut self) -> Result<u64, Mistake> {
        self.parsed("a number, e.g. `50000`")
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self, wanted: &str) -> Result<String, Mistake> {
        let rest = self.text[self.at..].trim();
        if rest.is_empty() {
            return Err(self.expected(wanted));
        }
        self.at = self.text.len();
        Ok(rest.to_owned())
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Result<(), Mistake> {
        if self.peek().is_none() { Ok(()) } else { Err(self.expected("the end of the line")) }
    }
}
