//! Holds that every public function, type, trait and constant says what it is for.
//!
//! Fields and variants are free to speak for themselves, as `id` and `zone` do, so the compiler's `missing_docs`, which asks for
//! a comment on each of them too, is not used. A field whose value is not obvious has a comment with an example.

use std::fs;
use std::path::Path;

use super::for_each_source;
use super::source::without_tests;

/// The beginnings of items that need a comment. A module has one inside, which another test asks for.
const ITEMS: [&str; 8] =
    ["pub fn ", "pub async fn ", "pub const ", "pub static ", "pub struct ", "pub enum ", "pub trait ", "pub type "];

#[test]
fn every_public_item_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bare = Vec::new();
    for_each_source(&root.join("src"), &mut |path| {
        let file = path.strip_prefix(root).unwrap().display().to_string();
        bare.extend(undocumented(&fs::read_to_string(path).unwrap()).map(|item| format!("{file}: {item}")));
    });
    assert!(bare.is_empty(), "without a doc comment:\n{}\n", bare.join("\n"));
}

#[test]
fn a_bare_item_is_found_and_a_documented_one_is_not() {
    let bare = |text: &str| undocumented(text).collect::<Vec<_>>();
    assert_eq!(bare("use x;\n\n#[derive(\n    Clone,\n)]\npub struct Bare {\n"), ["pub struct Bare {"]);
    assert_eq!(bare("/// Closes.\n}\npub fn bare() {}\n    pub field: u8,"), ["pub fn bare() {}"]);
    assert_eq!(bare("/// Says.\n#[derive(\n    Clone,\n)]\npub struct Said;\n"), [""; 0]);
    assert_eq!(bare("#[cfg(test)]\nmod tests {\n    pub fn helper() {}\n}\n"), [""; 0]);
}

/// Lists the public items of one source text that no comment stands above.
fn undocumented(text: &str) -> impl Iterator<Item = String> {
    let code = without_tests(text);
    let lines: Vec<_> = code.lines().map(|line| line.trim().to_owned()).collect();
    let mut bare = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let ends = |above: &&String| above.is_empty() || above.ends_with(['{', '}', ';']);
        let documents = |above: &String| above.starts_with("///") || above.starts_with("$(#[");
        let is_item = ITEMS.iter().any(|item| line.starts_with(item));
        if is_item && !lines[..at].iter().rev().take_while(|above| !ends(above)).any(documents) {
            bare.push(line.clone());
        }
    }
    bare.into_iter()
}
