//! Text of others, made safe to show: on a terminal, in a log, in a comment and in a command for a workflow.

use std::borrow::Cow;
use std::path::Path;

use super::secret;

/// Text in which every character that steers instead of showing is written as its code, e.g. `\u{1b}`: controls, line
/// ends among them, and marks that have no width or turn the direction of writing.
pub fn clean(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte); // nearly all that is ever shown
    if text.bytes().all(is_plain) || !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// The same for text of several lines, which stay lines. None of them is a command to the runner of a workflow, or a mark by
/// which a pipeline finds its comment.
pub fn clean_lines(text: &str) -> String {
    let line = |line: &str| match line.trim_start() {
        command if ["::", "##[", "<!--"].iter().any(|one| command.starts_with(one)) => format!("| {}", clean(command)),
        _ => clean(line).into_owned(),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The same for what a whole command writes: lines, tabs and our own colours stay, e.g. `\x1b[31m`.
pub fn clean_screen(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| steers(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let (mut clean, mut rest) = (String::with_capacity(text.len() + 16), text);
    while let Some(c) = rest.chars().next() {
        let length = color(rest).unwrap_or(c.len_utf8());
        if length > 1 && c == '\u{1b}' || matches!(c, '\n' | '\t') || !steers(c) {
            clean.push_str(&rest[..length]);
        } else {
            clean.extend(c.escape_default());
        }
        rest = &rest[length..];
    }
    Cow::Owned(clean)
}

/// How long the change of colour is that a text begins with.
fn color(text: &str) -> Option<usize> {
    let codes = text.strip_prefix("\u{1b}[")?;
    let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    codes[end..].starts_with('m').then_some(2 + end + 1)
}

/// Clean text of at most `most` characters of the original, with `…` in place of the rest.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", clean(&text[..end])),
        None => clean(text).into_owned(),
    }
}

/// The same for text of several lines, which stay lines.
pub fn cut_lines(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", clean_lines(&text[..end])),
        None => clean_lines(text),
    }
}

/// A JSON document in which such characters are written as JSON's own codes, e.g. `\u202e`: it says the same to a program,
/// and steers no terminal that it is shown on. The line ends between its values stay.
pub fn clean_json(document: &str) -> String {
    let mut clean = String::with_capacity(document.len());
    for c in document.chars() {
        if c == '\n' || !steers(c) {
            clean.push(c);
        } else {
            clean.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    clean
}

/// Text in which every address is without [what may be a secret](secret::in_addresses). So `http://u:p@host/x?token=t` is
/// `http://[secret]@host/x?[secret]`.
pub fn without_passwords(text: &str) -> String {
    let mut clean = text.to_owned();
    for part in secret::in_addresses(text).into_iter().rev() {
        clean.replace_range(part, "[secret]");
    }
    clean
}

/// Text in which every word such as `user:password@host`, an address that lacks its scheme, is without user and password.
pub fn without_logins(text: &str) -> String {
    let mut is_code = false;
    let hidden = |word: &str| {
        // The rest of a colour's code is no part of the word.
        let end = if is_code { word.find('m').map_or(0, |end| end + 1) } else { 0 };
        is_code = word.ends_with('\u{1b}');
        let (code, word) = word.split_at(end);
        match word.rsplit_once('@') {
            Some((login, host)) if login.contains(':') && !login.contains("://") => format!("{code}[secret]@{host}"),
            _ => format!("{code}{word}"),
        }
    };
    text.split_inclusive(|c: char| c.is_whitespace() || "'`\"\u{1b}".contains(c)).map(hidden).collect()
}

/// Says whether bytes are UTF-16, as PowerShell's `>` writes it, by the mark of the order of its bytes.
pub fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

/// Text without the byte-order mark that PowerShell and some editors put before it.
pub fn without_mark(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// An argument as clean text. Somebody may have given an address, whatever was asked for.
pub fn argument(text: &str) -> String {
    clean(&without_passwords(text)).into_owned()
}

/// The path as clean text.
pub fn path(path: &Path) -> String {
    argument(&path.to_string_lossy())
}

/// A way in which a character is not what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// A control character.
    Control,
    /// A character without width, e.g. U+200B.
    Width,
    /// A mark that turns the direction of writing, e.g. U+202E.
    Direction,
    /// A character that looks like a space, e.g. U+00A0.
    Blank,
}

/// Says in which way a character is not what is seen, if it is not.
pub fn unseen(c: char) -> Option<Unseen> {
    Some(match c {
        ' '..='~' => return None, // nearly all that is ever asked about
        '\u{2028}' | '\u{2029}' => Unseen::Control,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Unseen::Direction,
        // Soft hyphen, joiners, fillers, selectors of variants, byte order mark, annotations, tags.
        '\u{ad}'
        | '\u{34f}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => Unseen::Width,
        '\u{a0}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{2800}'
        | '\u{3000}'
        | '\u{3164}'
        | '\u{ffa0}' => Unseen::Blank,
        c if c.is_control() => Unseen::Control,
        _ => return None,
    })
}

/// Whether a character steers a reader instead of being read.
fn steers(c: char) -> bool {
    unseen(c).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_written_as_its_code() {
        for (text, shown) in [
            ("consul-a, köln, 東京, ✓ → …", "consul-a, köln, 東京, ✓ → …"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\nb\r\tc\u{85}", "a\\nb\\r\\tc\\u{85}"),
            ("evil\u{202e}gpj", "evil\\u{202e}gpj"),
            ("a\u{200b}b\u{feff}\u{2028}", "a\\u{200b}b\\u{feff}\\u{2028}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(clean(text), shown);
        }
    }

    #[test]
    fn a_json_document_means_the_same_when_it_is_clean() {
        let value = serde_json::json!({"a\u{202e}": ["\u{9b}31m", "\u{e0041}", "line\nend \u{1b} \" \\ 東"]});
        let document = clean_json(&format!("{value:#}"));
        assert!(document.contains(r"\u202e") && document.contains(r"\udb40\udc41"), "{document}");
        assert!(!document.replace('\n', "").contains(steers));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&document).unwrap(), value);
    }

    #[test]
    fn passwords_in_addresses_are_left_out() {
        for (text, shown) in [
            ("no address, but me@home", "no address, but me@home"),
            ("invalid value 'consul+http://u:hunter2@h/x' for", "invalid value 'consul+http://[secret]@h/x' for"),
            ("https://a/b http://u:p@ss/w@c,d@e", "https://a/b http://[secret]@e"),
            ("http://@h", "http://[secret]@h"),
            ("consul+http://h:8500/x?token=hunter2 y", "consul+http://h:8500/x?[secret] y"),
            ("'consul+https://h:hunter2,i:8501/x'", "'consul+https://h:[secret],i:8501/x'"),
            ("https://[::1]:8501/x, https://[2001:db8::1]", "https://[::1]:8501/x, https://[2001:db8::1]"),
            ("git+https://h/r.git//prod?ref=rel/1 x?ref=a&k=v", "git+https://h/r.git//prod?ref=rel/1 x?ref=a&k=v"),
            ("https://h/r?ref=a&token=t", "https://h/r?[secret]"),
            ("s3://b/x?region=eu-west-1 s3://b?region=a&k=v", "s3://b/x?region=eu-west-1 s3://b?[secret]"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }

    #[test]
    fn a_password_in_an_address_without_a_scheme_is_left_out() {
        for (text, shown) in [
            (
                "invalid value '\u{1b}[33mu:hunter2@h:9\u{1b}[0m' for",
                "invalid value '\u{1b}[33m[secret]@h:9\u{1b}[0m' for",
            ),
            ("git@host:repo, me@home: x http://[secret]@h", "git@host:repo, me@home: x http://[secret]@h"),
        ] {
            assert_eq!(without_logins(text), shown);
        }
    }

    #[test]
    fn lines_stay_lines_and_command_no_workflow() {
        assert_eq!(clean_lines("two\n  lines\u{1b}"), "two\n  lines\\u{1b}");
        assert_eq!(clean_lines("x\n::error::y\n  ##[group]"), "x\n| ::error::y\n| ##[group]");
    }

    #[test]
    fn a_screen_keeps_its_lines_and_colours_alone() {
        assert_eq!(
            clean_screen("\u{1b}[1m\u{1b}[38;5;4mname\u{1b}[0m\tx\n"),
            "\u{1b}[1m\u{1b}[38;5;4mname\u{1b}[0m\tx\n"
        );
        assert_eq!(
            clean_screen("\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\r\u{1b}["),
            "\\u{1b}[2J\\u{1b}]0;t\\u{7}\\u{9b}31m\\r\\u{1b}["
        );
    }

    #[test]
    fn long_text_is_cut_before_it_is_cleaned() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer\u{1b}", 5), "longe…");
        assert_eq!(cut(&"東".repeat(10_000), 2), "東東…");
        assert_eq!(cut("\n\n\n", 2), "\\n\\n…");
        assert_eq!(cut_lines("a\n::b\u{1b}", 5), "a\n| ::b…");
    }
}
