//! User data: a script of others, which gets the care that the file itself gets.

use super::find::cause;
use super::meaning::{Meaning, bytes};
use crate::input::file::{self, Refusal};
use crate::input::text::{Unseen, is_utf16, unseen, without_mark};
use crate::spec::raw::Text;

/// The ways in which user data begins that cloud-init acts on; <https://cloudinit.readthedocs.io/en/latest/explanation/format.html>.
const BEGINNINGS: [&str; 11] = [
    "#!",
    "#cloud-config",
    "#cloud-boothook",
    "#include",
    "#part-handler",
    "#upstart-job",
    "## template:",
    "Content-Type:",
    "MIME-Version:",
    "Mime-Version:",
    "From ",
];
/// The same, encoded: of `#!`, `#cloud`, `#include`, `Content-`, `MIME-` and of a gzip stream.
const ENCODED: [&str; 6] = ["IyE", "I2Nsb3V", "I2luY2x1", "Q29udGVudC", "TUlNRS", "H4sI"];

impl Meaning<'_, '_> {
    /// Reads the user data. Line ends are those of Unix whatever they are in the file, and a byte order mark is left out, so that
    /// one commit means one generation on every checkout, and the script starts.
    pub fn user_data(&mut self, text: &Text) -> Option<String> {
        let text = text.as_ref()?;
        let at = bytes(text);
        if text.value.is_empty() {
            self.report.error(at, "an empty path").hint("name a file, or remove the field");
            return None;
        }
        let path = self.found.folder.join(&text.value);
        let read = file::read_below(&path, &self.found.root, file::USER_DATA);
        let problem = match read.map(String::from_utf8) {
            Ok(Ok(user_data)) => {
                let user_data = without_mark(&user_data).replace("\r\n", "\n").replace('\r', "\n");
                return self.is_user_data(at, &user_data).then_some(user_data);
            }
            Ok(Err(error)) => {
                let wide = is_utf16(error.as_bytes());
                let zipped = error.as_bytes().starts_with(b"\x1f\x8b");
                let hint = match (wide, zipped) {
                    (true, _) => "it is UTF-16, as PowerShell writes it; save the file as UTF-8",
                    (_, true) => "it is compressed with gzip; give the text itself",
                    _ => "save the file as UTF-8",
                };
                ("the user data is not UTF-8".to_owned(), hint)
            }
            Err(error) => match Refusal::of(&error) {
                Some(Refusal::TooLarge { .. }) => (
                    "the user data is larger than 16 KiB".to_owned(),
                    "EC2 takes no more; let a short script fetch the rest",
                ),
                Some(Refusal::LeadsOut { .. }) => (
                    format!("cannot read the user data: {}", cause(&error)),
                    "user data is read from the folder of desired state alone, because instances show it to whoever is on them",
                ),
                Some(Refusal::NotRegular) | None => {
                    (format!("cannot read the user data: {}", cause(&error)), "the path is relative to this file")
                }
            },
        };
        self.report.error(at, problem.0).hint(problem.1);
        None
    }

    /// Says whether guests can make something of user data, and reports what they would not understand.
    fn is_user_data(&mut self, at: std::ops::Range<usize>, text: &str) -> bool {
        let is_steering = |c: char| unseen(c).is_some() && !matches!(c, '\n' | '\t' | '\u{1b}' | '\u{c}');
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=\n".contains(c);
        if text.trim().is_empty() {
            self.report.error(at, "the user data is empty").hint("remove `userDataFile`, or write the script");
            return false;
        }
        if ENCODED.iter().any(|beginning| text.starts_with(beginning)) && text.chars().all(is_base64) {
            self.report
                .error(at, "the user data is base64 already")
                .hint("give the text itself; it is encoded on its way to EC2");
            return false;
        }
        if text.contains('\0') {
            self.report.error(at, "the user data has a NUL in it").hint("save the file as plain text, UTF-8");
            return false;
        }
        if !BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) {
            self.report
                .warning(at.clone(), "cloud-init makes nothing of this user data")
                .hint("its first characters must be `#!`, `#cloud-config`, or what else cloud-init knows; no line and no space before");
        }
        if let Some(c) = text.chars().find(|c| is_steering(*c)) {
            let line = text.split('\n').position(|line| line.contains(c)).unwrap_or_default() + 1;
            let kind = if unseen(c) == Some(Unseen::Control) { "a control character" } else { "not what is seen" };
            self.report
                .warning(at, format!("character U+{:04X} in line {line} of the user data is {kind}", u32::from(c)))
                .hint("remove it, unless it is meant");
        }
        true
    }
}
