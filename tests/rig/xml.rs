//! Reading EC2's XML, and changing it in place.

use std::ops::Range;

use roxmltree::{Document, Node};

/// The text of a child element, empty if there is none.
pub fn text<'a>(node: Node<'a, '_>, path: &[&str]) -> &'a str {
    find(node, path).and_then(|found| found.text()).unwrap_or_default()
}

/// The element at the end of a path of child elements.
pub fn find<'a, 'i>(node: Node<'a, 'i>, path: &[&str]) -> Option<Node<'a, 'i>> {
    path.iter().try_fold(node, |at, name| at.children().find(|child| child.has_tag_name(*name)))
}

/// The `item` elements of a list.
pub fn items<'a, 'i>(node: Node<'a, 'i>, list: &[&str]) -> Vec<Node<'a, 'i>> {
    find(node, list).into_iter().flat_map(|found| found.children().filter(|child| child.has_tag_name("item"))).collect()
}

/// The `key` and `value` of each tag.
pub fn tags(node: Node<'_, '_>) -> impl Iterator<Item = (String, String)> {
    items(node, &["tagSet"]).into_iter().map(|tag| (text(tag, &["key"]).to_owned(), text(tag, &["value"]).to_owned()))
}

/// Parses an answer without its namespace, which nobody needs.
pub fn parse(body: &str) -> Option<Document<'_>> {
    Document::parse(body).ok()
}

/// Everything that is to be changed in one answer.
#[derive(Default)]
pub struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Gives an element another text.
    pub fn set(&mut self, node: Option<Node<'_, '_>>, value: &str) {
        if let Some(node) = node {
            let name = node.tag_name().name();
            self.0.push((node.range(), format!("<{name}>{value}</{name}>")));
        }
    }

    /// Leaves an element out.
    pub fn remove(&mut self, node: Option<Node<'_, '_>>) {
        if let Some(node) = node {
            self.0.push((node.range(), String::new()));
        }
    }

    /// Puts text in behind an element.
    pub fn insert_after(&mut self, node: Option<Node<'_, '_>>, addition: &str) {
        if let Some(node) = node {
            self.0.push((node.range().end..node.range().end, addition.to_owned()));
        }
    }

    /// The answer with all changes. One that lies within another that begins earlier is overtaken by it.
    pub fn apply(mut self, body: &str) -> String {
        self.0.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let (mut changed, mut at) = (String::with_capacity(body.len()), 0);
        for (range, value) in self.0.into_iter() {
            if range.start < at {
                continue;
            }
            changed.push_str(&body[at..range.start]);
            changed.push_str(&value);
            at = range.end;
        }
        changed + &body[at..]
    }
}

/// Escapes text for XML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
