//! Holds the mechanical part of how comments are written: which words a comment does not begin with.
//!
//! Only the first line of a comment counts: a line that continues a sentence may begin with any word.

use std::fs;
use std::path::Path;

use super::for_each_source;
use super::source::{Comment, comments};

/// Words whose noun stands somewhere else, or that put off the subject.
const NO_BEGINNING: [&str; 7] = ["It", "Its", "Those", "That", "They", "What", "Who"];
/// A type or field is described by a noun: "the time of the launch", and not "when it was launched".
const NO_NOUN: [&str; 4] = ["Where", "When", "Why", "How"];

#[test]
fn comments_begin_with_their_subject() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut violations = Vec::new();
    let mut seen = 0;
    for folder in ["src", "tests", "benches"] {
        for_each_source(&root.join(folder), &mut |path| {
            let file = path.strip_prefix(root).unwrap().to_str().unwrap();
            let text = fs::read_to_string(path).unwrap();
            seen += comments(&text).len();
            violations.extend(check(file, &text));
        });
    }
    assert!(seen > 0, "no comments found");
    assert!(violations.is_empty(), "{} comments:\n{}\n", violations.len(), violations.join("\n"));
}

/// Lists the comments of one file that begin with a word which they must not begin with.
fn check(file: &str, text: &str) -> Vec<String> {
    let refused = |comment: &Comment<'_>| {
        let word = first_word(comment.text);
        let is = |other: &&str| other.eq_ignore_ascii_case(word);
        let is_refused = NO_BEGINNING.iter().any(is) || (comment.names_a_thing && NO_NOUN.iter().any(is));
        is_refused.then(|| format!("{file}:{}: a comment begins with {word:?}: {}", comment.line, comment.text.trim()))
    };
    comments(text).iter().filter_map(refused).collect()
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|character: char| !character.is_alphabetic()).unwrap_or(text.len())]
}

#[test]
fn each_word_that_is_refused_is_found() {
    for word in NO_BEGINNING {
        for comment in ["//! {} x.", "/// {} x.\nfn f() {}", "let a = 1; // {} x", "// {} x.", "/* {} x */"] {
            let text = comment.replace("{}", word);
            assert_eq!(check("src/ids.rs", &text).len(), 1, "{text}");
            assert_eq!(check("src/ids.rs", &text.to_lowercase()).len(), 1, "{text}");
        }
    }
    for word in NO_NOUN {
        for item in ["pub struct S;", "#[derive(Debug)]\npub(super) enum E {}", "field: u8,", "Variant(u8),"] {
            let text = format!("/// {word} x.\n{item}");
            assert_eq!(check("src/ids.rs", &text).len(), 1, "{text}");
        }
    }
    let report = check("tests/a.rs", "\n/// It.\nfn f() {}\n");
    assert_eq!(report, ["tests/a.rs:2: a comment begins with \"It\": It."]);
}

#[test]
fn continued_lines_functions_and_literals_are_not_refused() {
    for text in [
        "/// Says a thing, and\n/// what follows.\nfn f() {}",
        "//! Says a thing.\n//!\n//! What follows is a later paragraph.",
        "/// Italic words, e.g. Itself.\nfn f() {}",
        "/// How long it takes.\npub(crate) async fn f() {}",
        "/// When it was.\n#[cfg(test)]\npub const fn f() {}",
        "const X: &str = \"// It is a text\"; // a comment",
        "const X: &str = r#\"\n/// What\n\"#;",
    ] {
        assert_eq!(check("src/ids.rs", text), [""; 0], "{text}");
    }
    assert_eq!(check("src/ids.rs", "let a = 1; // one\n// It is another comment.").len(), 1);
    assert_eq!(check("src/ids.rs", "// One.\n\n// It is another comment.").len(), 1);
}
