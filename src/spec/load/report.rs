//! The problems of one file, as many as a person reads, each with its place.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use super::{Place, Problem, Severity};
use crate::input::text;

/// The most characters of a message, a label or a hint.
const LONGEST: usize = 2_000;

/// Collects what is wrong with one file.
pub struct Report<'a> {
    pub path: &'a Path,
    pub text: &'a str,
    lines: Lines,
    problems: Vec<Problem>,
    /// The most problems that are kept.
    most: usize,
    /// The last problem that was one too many; `None` if there was none.
    left_out: Option<Problem>,
    has_errors: bool,
    /// The number of reported problems, those that are not kept among them.
    count: usize,
    work: u64,
}

impl<'a> Report<'a> {
    /// Begins a report in which at most `most` problems are kept.
    pub fn new(path: &'a Path, text: &'a str, most: usize) -> Self {
        let (lines, work) = (Lines::default(), text.len() as u64);
        Self { path, text, lines, problems: Vec::new(), most, left_out: None, has_errors: false, count: 0, work }
    }

    /// Reports something that keeps the file from being used.
    pub fn error(&mut self, bytes: impl Into<Option<Range<usize>>>, message: impl Display) -> &mut Problem {
        self.add(Severity::Error, bytes.into(), message)
    }

    /// Reports something that somebody should look at.
    pub fn warning(&mut self, bytes: impl Into<Option<Range<usize>>>, message: impl Display) -> &mut Problem {
        self.add(Severity::Warning, bytes.into(), message)
    }

    fn add(&mut self, severity: Severity, bytes: Option<Range<usize>>, message: impl Display) -> &mut Problem {
        self.count += 1;
        self.has_errors |= severity == Severity::Error;
        if self.is_full() {
            return self.left_out.insert(Problem::new(Severity::Error, self.path, ""));
        }
        let place = bytes.map(|bytes| self.place(bytes));
        self.problems.push(Problem { place, ..Problem::new(severity, self.path, message) });
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// Whether nothing more that is wrong would be kept, so that nothing more need be looked for.
    pub fn is_full(&self) -> bool {
        self.problems.len() >= self.most
    }

    /// Whether the file cannot be used.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// How many problems were reported so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The line that a place in the text begins in, counted from 1.
    pub fn line(&mut self, start: usize) -> usize {
        self.lines.index(self.text);
        self.lines.line(start) + 1
    }

    /// The place of `bytes`, cut to the line that it begins in.
    fn place(&mut self, bytes: Range<usize>) -> Place {
        self.lines.index(self.text);
        let (place, work) = self.lines.place(self.text, bytes);
        self.work += work;
        place
    }

    /// Counts what was looked at.
    pub fn spend(&mut self, work: usize) {
        self.work += work as u64;
    }

    /// The problems in the order of the file, and the work that it took to find them.
    pub fn finish(mut self) -> (Vec<Problem>, u64) {
        self.problems.sort_by_key(Problem::start);
        self.drop_outdone();
        if self.left_out.is_some() {
            let mut more = Problem::new(
                Severity::Error,
                self.path,
                format!("there are more problems than these {} in the file", self.problems.len()),
            );
            more.hint("mend these, and look again");
            self.problems.push(more);
        }
        (self.problems, self.work)
    }

    /// Drops the advice to put a value in quotes where the value is wrong with them also: two problems of one value would
    /// give two pieces of advice, and following the first would not help.
    fn drop_outdone(&mut self) {
        let is_quotes =
            |problem: &Problem| problem.hint.as_ref().is_some_and(|hint| hint.starts_with(super::shape::QUOTES));
        let others: Vec<_> = self
            .problems
            .iter()
            .filter(|problem| !is_quotes(problem))
            .filter_map(|problem| problem.place.clone())
            .collect();
        self.problems.retain(|problem| {
            !is_quotes(problem) || !problem.place.as_ref().is_some_and(|place| others.contains(place))
        });
    }
}

impl Problem {
    pub(super) fn new(severity: Severity, path: &Path, message: impl Display) -> Self {
        let (path, message) = (path.to_owned(), told(&message.to_string()));
        Self { severity, path, place: None, message, label: None, hint: None }
    }

    pub(super) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = Some(told(&label.into()));
        self
    }

    pub(super) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(told(&hint.into()));
        self
    }

    /// Where the problem begins; one of the whole file comes first.
    pub(super) fn start(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.bytes.start)
    }
}

/// Gives what is said of a file as it may be shown, whatever it repeats of it.
fn told(text: &str) -> String {
    text::cut(&text::without_passwords(text), LONGEST)
}

/// The beginnings of the lines of a text. Every problem asks, so the text is walked through once.
#[derive(Default)]
struct Lines {
    starts: Vec<usize>,
    /// The last place whose column was counted: its offset and column. The next one is mostly a little further on.
    last: (usize, usize),
}

impl Lines {
    fn index(&mut self, text: &str) {
        if !self.starts.is_empty() {
            return;
        }
        let bytes = text.as_bytes();
        let ends = |at: &usize| bytes[*at] == b'\n' || bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
        self.starts.push(0);
        self.last = (0, 1);
        self.starts.extend((0..bytes.len()).filter(ends).map(|at| at + 1));
    }

    /// The index of the line that `at` lies in.
    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// A place, and how many bytes had to be looked at to find it.
    fn place(&mut self, text: &str, bytes: Range<usize>) -> (Place, u64) {
        let start = text.floor_char_boundary(bytes.start.min(text.len()));
        let end = text.ceil_char_boundary(bytes.end.clamp(start, text.len()));
        let line = self.line(start);
        let line_start = self.starts[line];
        let line_end = self.starts.get(line + 1).map_or(text.len(), |next| next - 1);
        let line_end = if text[..line_end].ends_with('\r') { line_end - 1 } else { line_end };
        let (from, column) = if (line_start..=start).contains(&self.last.0) { self.last } else { (line_start, 1) };
        let column = column + text[from..start].chars().count();
        self.last = (start, column);
        let place = Place { line: line + 1, column, bytes: start..end.min(line_end).max(start) };
        (place, (start - from) as u64)
    }
}

impl Place {
    /// The place of `bytes` in `text`, cut to the line that it begins in.
    pub(in crate::spec) fn new(text: &str, bytes: Range<usize>) -> Self {
        let mut lines = Lines::default();
        lines.index(text);
        lines.place(text, bytes).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_readers_of_yaml_see_them_end() {
        let place = |text: &str, at: usize| {
            let place = Place::new(text, at..at + 100);
            (place.line, place.column, text[place.bytes].to_owned())
        };
        for end in ["\n", "\r", "\r\n"] {
            let text = ["one", "twö two", "three"].join(end);
            assert_eq!(place(&text, text.find("two").unwrap()), (2, 5, "two".into()));
            assert_eq!(place(&text, text.find("three").unwrap()), (3, 1, "three".into()));
        }
    }

    #[test]
    fn places_are_the_same_in_any_order() {
        let text = "äb cd ef\ngh ij";
        let mut lines = Lines::default();
        lines.index(text);
        let mut columns =
            |order: &[usize]| order.iter().map(|at| lines.place(text, *at..*at).0.column).collect::<Vec<_>>();
        assert_eq!(columns(&[1, 3, 6, 10, 13]), [1, 3, 6, 1, 4]);
        assert_eq!(columns(&[13, 10, 6, 3, 1]), [4, 1, 6, 3, 1]);
    }
}
