//! Reads just enough Rust to see which names a source text uses.

use std::ops::Range;

/// The modules at the crate's root that the code names, from a module `depth` below it.
pub fn imports(code: &str, depth: usize) -> Vec<String> {
    let upwards = "super::".repeat(depth);
    let mut modules = Vec::new();
    for root in ["crate::", "hermitcrab::", &upwards] {
        for at in places(code, root) {
            let path = &code[at + root.len()..];
            let names: Vec<_> = match path.strip_prefix('{') {
                Some(group) => group_heads(group),
                None => vec![first_name(path)],
            };
            modules.extend(names.into_iter().map(str::to_owned));
        }
    }
    modules.sort();
    modules.dedup();
    modules
}

/// Every path that the code of a module names, from the crate's root: `crate::`, `self::` and `super::` are resolved, and
/// a `use` group is several paths. A child that is declared with `mod` is named by that.
pub fn paths<'a>(code: &'a str, module: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut all = Vec::new();
    for root in ["crate::", "hermitcrab::"] {
        for at in places(code, root) {
            read_path(&code[at + root.len()..], &mut Vec::new(), &mut all);
        }
    }
    for at in places(code, "self::") {
        read_path(&code[at + "self::".len()..], &mut module.to_vec(), &mut all);
    }
    for at in places(code, "mod ") {
        read_path(&code[at + "mod ".len()..], &mut module.to_vec(), &mut all);
    }
    for at in places(code, "super::").filter(|at| !code[..*at].ends_with("::")) {
        let (mut rest, mut base) = (&code[at..], module.to_vec());
        while let Some(above) = rest.strip_prefix("super::") {
            base.pop();
            rest = above;
        }
        read_path(rest, &mut base, &mut all);
    }
    all
}

/// Reads a path, or a group of them, that continues `base`. Answers with the text after it.
fn read_path<'a>(text: &'a str, base: &mut Vec<&'a str>, all: &mut Vec<Vec<&'a str>>) -> &'a str {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let mut rest = group.trim_start();
        while !rest.is_empty() && !rest.starts_with('}') {
            rest = read_path(rest, base, all);
            rest = rest[rest.find([',', '}']).unwrap_or(rest.len())..].trim_start_matches(',').trim_start();
        }
        return rest.strip_prefix('}').unwrap_or(rest);
    }
    let name = first_name(text);
    let mut rest = &text[name.len()..];
    base.push(name);
    match rest.strip_prefix("::") {
        Some(further) if further.starts_with(|first| is_word(first) || first == '{') => {
            rest = read_path(further, base, all);
        }
        _ => all.push(base.clone()),
    }
    base.pop();
    rest
}

/// The first name of each member of a `use` group whose opening brace was read.
fn group_heads(group: &str) -> Vec<&str> {
    let mut heads = vec![first_name(group)];
    let mut depth = 0;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(first_name(&group[at + 1..])),
            _ => {}
        }
    }
    heads
}

fn first_name(path: &str) -> &str {
    let path = path.trim_start();
    &path[..path.find(|character| !is_word(character)).unwrap_or(path.len())]
}

/// Whether a path begins with the package, or a `use` item is it. A method or a module of that name is not meant.
pub fn names_package(code: &str, package: &str) -> bool {
    let stem = package.trim_end_matches('*');
    places(code, stem).any(|at| {
        let name = first_name(&code[at..]);
        let before = code[..at].trim_end();
        let after = code[at + name.len()..].trim_start();
        let whole = name == stem || package.ends_with('*');
        let used = before.ends_with("use") || before.ends_with("extern crate");
        whole && !before.ends_with('.') && (used || after.starts_with("::") && !inside_path(before))
    })
}

/// Whether what follows `before` is a later name of a path. A path that begins with `::` begins with a package.
fn inside_path(before: &str) -> bool {
    before.strip_suffix("::").is_some_and(|path| path.ends_with(is_word))
}

/// Whether the word stands in the code, and not as a part of another.
pub fn says(code: &str, word: &str) -> bool {
    let ends = |at: usize| !word.ends_with(is_word) || !code[at + word.len()..].starts_with(is_word);
    places(code, word).any(ends)
}

/// Where `word` stands and does not continue another.
fn places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(|at| !code[..*at].ends_with(is_word))
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// A part of a source text that is not code.
#[derive(Clone, Copy, PartialEq)]
pub enum Part {
    Comment,
    Literal,
}

/// The source without its comments, or without the content of its literals; braces in literals are always lost,
/// so that the rest can be counted.
pub fn without(text: &str, parts: &[Part]) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (part, length) = match part_at(rest, code.ends_with(is_word)) {
            Some((part, length)) => (Some(part), length),
            None => (None, first.len_utf8()),
        };
        match part {
            Some(part) if parts.contains(&part) => code.push(' '),
            Some(_) => code.extend(rest[..length].chars().filter(|character| !"{}".contains(*character))),
            None => code.push(first),
        }
        rest = &rest[length..];
    }
    code
}

/// One comment: all the lines of it that stand below each other.
pub struct Comment<'a> {
    /// The number of its first line, from 1.
    pub line: usize,
    /// The first line, without the marker.
    pub text: &'a str,
    /// Whether it documents something that is no function.
    pub names_a_thing: bool,
}

/// Lists the comments of a source text. Lines with one marker below each other are one comment.
pub fn comments(text: &str) -> Vec<Comment<'_>> {
    let mut comments = Vec::new();
    let mut at = 0;
    let mut last: Option<(&str, usize)> = None; // the marker of the line comment above, and its line
    while let Some(first) = text[at..].chars().next() {
        let within_word = text[..at].ends_with(is_word);
        let Some((part, length)) = part_at(&text[at..], within_word) else {
            at += first.len_utf8();
            continue;
        };
        if part == Part::Comment {
            let (line, whole) = (text[..at].matches('\n').count() + 1, &text[at..at + length]);
            let marker = marker(whole);
            let alone = text[..at].rsplit('\n').next().is_some_and(|before| before.trim().is_empty());
            if !(alone && last == Some((marker, line - 1))) {
                let first_line = whole[marker.len()..].lines().next().unwrap_or_default();
                let names_a_thing = marker == "///" && !is_function(after_docs(&text[at..]));
                comments.push(Comment { line, text: first_line, names_a_thing });
            }
            last = (alone && marker != "/*").then_some((marker, line));
        }
        at += length;
    }
    comments
}

/// The marker that a comment begins with.
fn marker(comment: &str) -> &'static str {
    ["///", "//!", "//"].into_iter().find(|marker| comment.starts_with(marker)).unwrap_or("/*")
}

/// The text without the comments and attributes that it begins with.
fn after_docs(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let length = match part_at(rest, false) {
            Some((Part::Comment, length)) => length,
            _ if rest.starts_with("#[") => attribute(rest),
            _ => return rest,
        };
        rest = rest[length..].trim_start();
    }
}

/// How long the attribute is that the text begins with.
fn attribute(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while let Some(character) = text[at..].chars().next() {
        let literal = part_at(&text[at..], false).map(|(_, length)| length);
        depth += i32::from(character == '[') - i32::from(character == ']');
        at += literal.unwrap_or(character.len_utf8());
        if character == ']' && depth == 0 {
            break;
        }
    }
    at
}

/// Whether an item is a function, by its first words.
fn is_function(item: &str) -> bool {
    let words = item.split_whitespace().take_while(|word| !word.contains(['{', ';', '=', ',']));
    words.map(|word| word.trim_start_matches("pub(")).take(6).any(|word| word == "fn")
}

/// The comment or literal that the text begins with, and how long it is.
fn part_at(text: &str, within_word: bool) -> Option<(Part, usize)> {
    let until = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    if text.starts_with("//") {
        return Some((Part::Comment, text.find('\n').unwrap_or(text.len())));
    }
    if text.starts_with("/*") {
        return Some((Part::Comment, block_comment(text)));
    }
    if text.starts_with('"') {
        return Some((Part::Literal, quoted(text, '"')));
    }
    if let Some(raw) = text.strip_prefix('r').filter(|_| !within_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            return Some((Part::Literal, until(hashes + 2, &format!("\"{}", "#".repeat(hashes)))));
        }
    }
    // `'a'` and `'\n'` are characters; `'a` is a lifetime.
    let mut characters = text.strip_prefix('\'')?.chars();
    let is_character = characters.next()? == '\\' || characters.next()? == '\'';
    is_character.then(|| (Part::Literal, quoted(text, '\'')))
}

/// How long the literal is that the text begins with.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = true; // the opening mark
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// How long the comment is that the text begins with; comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let (step, change) = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The code without its inline `#[cfg(test)] mod …`.
pub fn without_tests(code: &str) -> String {
    let mut kept = code.to_owned();
    while let Some(module) = test_module(&kept) {
        kept.replace_range(module, "");
    }
    kept
}

fn test_module(code: &str) -> Option<Range<usize>> {
    let marked = |at: &usize| code[*at..].trim_start_matches("#[cfg(test)]").trim_start().starts_with("mod ");
    let start = code.match_indices("#[cfg(test)]").map(|(at, _)| at).find(marked)?;
    let end = code[start..].find(['{', ';'])? + start;
    if code[end..].starts_with(';') {
        return Some(start..end + 1);
    }
    let mut depth = 0;
    let close = code[end..].char_indices().find(|(_, character)| {
        depth += i32::from(*character == '{') - i32::from(*character == '}');
        depth == 0
    });
    Some(start..close.map_or(code.len(), |(at, _)| end + at + 1))
}
