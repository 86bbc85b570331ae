//! The streams that a command writes to: data to stdout, everything else to stderr, coloured where colour is wanted.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use rustix::termios::tcgetwinsize;

use super::Failure;
use super::stderr::{Lines, Notes};
use crate::input::text;

/// The two streams. Text that is written with colours arrives without them where they are not wanted.
///
/// Writing never fails: a command goes on to its end and its verdict, whoever listens. Whether data were lost is asked at
/// the end.
pub struct Output {
    /// The data that were asked for.
    pub data: Box<dyn Write>,
    /// Notes of which a person should know beside the data.
    pub notes: Box<dyn Write>,
    lost: Rc<RefCell<Option<io::Error>>>,
}

impl Output {
    /// The process's own streams.
    pub fn standard() -> Self {
        let lost = Rc::default();
        let data: Box<dyn Write> = Box::new(Data { stdout: io::stdout(), lost: Rc::clone(&lost) });
        let data = Box::new(Clean(AutoStream::new(data, AutoStream::choice(&io::stdout()))));
        Self { data, notes: notes(Notes), lost }
    }

    /// Has notes dropped where they cannot be written at once, as lines of the log are: for commands that must go on
    /// with what they have begun, although nobody reads what they say.
    pub fn unattended(&mut self) -> &mut Self {
        self.notes = notes(Lines::default());
        self
    }

    /// Says whether notes are coloured, for a renderer that colours by itself.
    pub fn colors_notes(&self) -> bool {
        AutoStream::choice(&io::stderr()) != ColorChoice::Never
    }

    /// Whether somebody may still read the data, for a command that has no end of its own.
    pub fn is_read(&self) -> bool {
        self.lost.borrow().is_none()
    }

    /// Writes text for people. On a terminal a line that is too long is continued below, between two words.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        let folded = width().map(|width| fold(text, width));
        self.data.write_all(folded.as_deref().unwrap_or(text).as_bytes())?;
        Ok(())
    }

    /// Writes a value as indented JSON.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        writeln!(self.data, "{}", text::clean_json(&serde_json::to_string_pretty(value)?))?;
        Ok(())
    }

    /// Writes a value as one line of JSON.
    pub fn json_line(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        writeln!(self.data, "{}", text::clean_json(&serde_json::to_string(value)?))?;
        Ok(())
    }

    /// Whether the data were written, once a command has come to its end. A reader who went away has seen enough, as in
    /// `hermitcrab plan | head`; a disk that is full has kept less than was asked for.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let _ = self.data.flush();
        match self.lost.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Unwritten(error)).hint("the command itself has come to its end"))
            }
            _ => Ok(()),
        }
    }
}

fn notes(writer: impl Write + 'static) -> Box<dyn Write> {
    let raw: Box<dyn Write> = Box::new(writer);
    Box::new(Clean(AutoStream::new(raw, AutoStream::choice(&io::stderr()))))
}

/// A stream on which nothing that others wrote steers a terminal, wherever it comes from: text goes through it in pieces
/// that are whole characters, as `write!` hands them over.
struct Clean<W>(W);

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(text::clean_screen(text).as_bytes())?,
            Err(_) => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Data that did not reach stdout.
#[derive(Debug, thiserror::Error)]
#[error("what was asked for could not be written to stdout")]
struct Unwritten(#[source] io::Error);

/// Stdout, until it fails; then nothing more is written, and the first error is kept.
struct Data {
    stdout: io::Stdout,
    lost: Rc<RefCell<Option<io::Error>>>,
}

impl Data {
    fn keep<T>(&self, result: io::Result<T>, otherwise: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.lost.borrow_mut().get_or_insert(error);
                Ok(otherwise)
            }
            result => result,
        }
    }
}

impl Write for Data {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.lost.borrow().is_some() {
            return Ok(bytes.len());
        }
        let written = self.stdout.write(bytes);
        self.keep(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stdout.flush();
        self.keep(flushed, ())
    }
}

/// The narrowest terminal that text is fitted to.
const NARROWEST: u16 = 20;
/// The width of a terminal that does not say how wide it is, as `indicatif` takes it to be.
pub const USUAL_WIDTH: usize = 79;

/// The width of the terminal that stdout is, if it is one.
pub fn width() -> Option<usize> {
    let width = Table::new().width().filter(|width| *width >= NARROWEST)?;
    Some(usize::from(width))
}

/// The height of the terminal that stdout is, if it is one.
pub fn height() -> Option<usize> {
    let height = tcgetwinsize(io::stdout()).ok()?.ws_row;
    (height > 1).then_some(usize::from(height))
}

/// The width of the terminal that stderr is, if it is one.
pub fn width_of_notes() -> Option<usize> {
    let width = Table::new().use_stderr().width().filter(|width| *width >= NARROWEST)?;
    Some(usize::from(width))
}

/// Continues each line that is longer than `width` on the next one, two columns further in than it begins. A word that is
/// longer than a line stays whole.
fn fold(text: &str, width: usize) -> String {
    text.split_inclusive('\n').map(|line| fold_line(line, width)).collect()
}

fn fold_line(line: &str, width: usize) -> String {
    if shown(line) <= width {
        return line.to_owned();
    }
    let begins = line.len() - line.trim_start_matches(' ').len();
    let further = " ".repeat((begins + 2).min(width / 2));
    let (mut folded, mut used) = (String::new(), 0);
    for (index, word) in line[begins..].trim_end_matches('\n').split(' ').enumerate() {
        let long = shown(word);
        let is_first = index == 0;
        if !is_first && used + 1 + long > width {
            folded = folded.trim_end_matches(' ').to_owned();
            folded.push('\n');
            folded.push_str(&further);
            used = further.len();
        } else if !is_first {
            folded.push(' ');
            used += 1;
        } else {
            folded.push_str(&line[..begins]);
            used = begins;
        }
        folded.push_str(word);
        used += long;
    }
    folded.extend(line.ends_with('\n').then_some('\n'));
    folded
}

/// Counts the characters of a text that a terminal shows.
fn shown(text: &str) -> usize {
    anstream::adapter::strip_str(text.trim_end_matches('\n')).to_string().chars().count()
}

/// The style of a name.
pub const NAME: Style = Style::new().bold();
/// The style of a thing that is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// The style of a thing that is under way, or not allowed now.
pub const SO_SO: Style = AnsiColor::Yellow.on_default();
/// The style of a thing that a person must look at.
pub const BAD: Style = AnsiColor::Red.on_default();
/// The style of a detail.
pub const DIM: Style = Style::new().dimmed();

/// Cuts a line to a width, with a mark where something is missing.
pub fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width { line.to_owned() } else { line.chars().take(width - 1).chain(['…']).collect() }
}

/// Puts text into a style.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes rows below their titles. On a terminal the columns keep to its width; elsewhere each row has one line. A cell may hold
/// what others wrote.
pub fn rows<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(titles);
    for row in rows {
        table.add_row(row.map(|cell| text::clean(&cell).into_owned()));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_continued_between_two_words_and_further_in() {
        let text = format!("  {}: a slot that is next, and may not begin now\nshort\n", styled(BAD, "blocked"));
        let folded = anstream::adapter::strip_str(&fold(&text, 30)).to_string();
        assert_eq!(folded, "  blocked: a slot that is\n    next, and may not begin\n    now\nshort\n");
        assert_eq!(fold(&text, 80), text);
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_stays_whole() {
        let id = "x".repeat(40);
        assert_eq!(fold(&format!("a {id} b\n"), 20), format!("a\n  {id}\n  b\n"));
    }
}
