//! The syntax of a file: a tree of what is written where, without YAML's traps.
//!
//! serde stops at the first trap; a person wants to hear of all of them. So the events of serde-saphyr's own parser
//! are read here once more, and only what no reading can go on after ends the reading.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use serde_saphyr::granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::report::Report;
use super::unseen;

/// The number of aliases that a file may use. With so few, no nesting of them can grow large.
const MOST_ALIASES: usize = 16;
/// The deepest nesting that is read. Our own format needs six.
const DEEPEST: usize = 32;
/// The most items of a list and fields of a mapping. Our own format needs thirty, for tags.
const MOST_ENTRIES: usize = 1_000;

/// A node with the place where it is written.
#[derive(Clone, Debug)]
pub struct Node {
    pub bytes: Range<usize>,
    pub value: Rc<Value>,
}

/// A node of a YAML document.
#[derive(Debug)]
pub enum Value {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a mapping, with its value.
#[derive(Debug)]
pub struct Entry {
    pub key: String,
    pub key_bytes: Range<usize>,
    pub node: Node,
}

/// The part of a file that could be read.
pub struct Document {
    /// `None` if there is nothing in the file.
    pub root: Option<Node>,
    /// The reading came to the end.
    pub complete: bool,
}

/// Reads the text and reports every trap in it.
pub fn parse(report: &mut Report) -> Document {
    let text = report.text;
    Reader { parser: Parser::new_from_str(text), report, anchors: BTreeMap::new(), aliases: 0, complete: true }
        .document()
}

/// Finds `metadata.name` in a text whose problems are known already.
pub fn name_in(text: &str) -> Option<(String, Range<usize>)> {
    parse(&mut Report::new(Path::new(""), text, 1)).name().map(|(name, bytes)| (name.to_owned(), bytes))
}

/// Finds where `spec.image` is written in a text whose problems are known already.
pub fn image_in(text: &str) -> Option<Range<usize>> {
    parse(&mut Report::new(Path::new(""), text, 1)).scalar(&["spec", "image"]).map(|(_, bytes)| bytes)
}

/// A field as it is written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The bytes of its key.
    pub key: Range<usize>,
    /// The bytes of its value, with quotes if there are any.
    pub value: Range<usize>,
    /// The value, if it is a scalar.
    pub scalar: Option<String>,
    /// The bytes of the first key below it, if it is a mapping that has any.
    pub first: Option<Range<usize>>,
}

/// Finds the field at the end of a path of keys, in a text whose problems are known already.
pub fn field_in(text: &str, path: &[&str]) -> Option<Written> {
    let document = parse(&mut Report::new(Path::new(""), text, 1));
    let Entry { key_bytes, node, .. } = document.root.as_ref()?.entry(path)?;
    let (scalar, first) = match &*node.value {
        Value::Scalar { text, .. } => (Some(text.clone()), None),
        Value::Map(entries) => (None, entries.first().map(|entry| entry.key_bytes.clone())),
        Value::List(_) => (None, None),
    };
    Some(Written { key: key_bytes.clone(), value: node.bytes.clone(), scalar, first })
}

/// Finds where the list at the end of a path of keys has an item, in a text whose problems are known already.
pub fn item_in(text: &str, path: &[&str], item: &str) -> Option<Range<usize>> {
    let document = parse(&mut Report::new(Path::new(""), text, 1));
    let Value::List(items) = &*document.root.as_ref()?.entry(path)?.node.value else { return None };
    let is_it = |node: &&Node| matches!(&*node.value, Value::Scalar { text, .. } if text == item);
    items.iter().find(is_it).map(|node| node.bytes.clone())
}

impl Document {
    /// Finds `metadata.name`, as far as the reading came.
    pub fn name(&self) -> Option<(&str, Range<usize>)> {
        self.scalar(&["metadata", "name"])
    }

    /// Finds the scalar at the end of a path of keys.
    fn scalar(&self, path: &[&str]) -> Option<(&str, Range<usize>)> {
        let node = &self.root.as_ref()?.entry(path)?.node;
        match &*node.value {
            Value::Scalar { text, .. } => Some((text, node.bytes.clone())),
            _ => None,
        }
    }
}

impl Node {
    /// Finds the entry at the end of a path of keys.
    pub fn entry(&self, path: &[&str]) -> Option<&Entry> {
        let Value::Map(entries) = &*self.value else { return None };
        let (first, rest) = path.split_first()?;
        let entry = entries.iter().find(|entry| entry.key == *first)?;
        if rest.is_empty() { Some(entry) } else { entry.node.entry(rest) }
    }

    /// Finds where the last key of a path is written.
    pub fn key(&self, path: &[&str]) -> Option<Range<usize>> {
        self.entry(path).map(|entry| entry.key_bytes.clone())
    }
}

struct Reader<'r, 'a> {
    parser: Parser<'a, StrInput<'a>>,
    report: &'r mut Report<'a>,
    anchors: BTreeMap<usize, Node>,
    aliases: usize,
    complete: bool,
}

impl<'a> Reader<'_, 'a> {
    fn document(mut self) -> Document {
        let mut root = None;
        while let Some((event, span)) = self.next() {
            match event {
                Event::StreamStart | Event::DocumentStart(..) if root.is_none() => {}
                Event::DocumentStart(..) => {
                    let start = self.offset(&span).start;
                    self.stop(start..start + 3, "more than one document in the file")
                        .hint("write one cluster a file, and remove the `---`");
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                event => root = self.node(event, &span, 0),
            }
        }
        if root.is_none() && self.complete {
            self.report
                .error(None, "there is nothing in the file")
                .hint("an empty file changes nothing; remove it, or declare a cluster in it");
        }
        Document { root, complete: self.complete }
    }

    /// Reads the next event; `None` at the end, and for good after an error.
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        if !self.complete {
            return None;
        }
        match self.parser.next()? {
            Ok(next) => Some(next),
            Err(error) => {
                self.syntax_error(&error);
                None
            }
        }
    }

    /// Reads the node that begins with `event`; `None` if the event ends a collection instead.
    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Option<Node> {
        let bytes = self.offset(span);
        self.report.spend(1);
        if depth > DEEPEST {
            self.stop(bytes, "too deeply nested").hint("no field lies that deep");
            return None;
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                (anchor, Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                (anchor, Value::List(self.list(depth)))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                (anchor, Value::Map(self.map(depth)))
            }
            Event::Alias(anchor) => return self.alias(anchor, bytes),
            _ => return None,
        };
        let node = Node { bytes, value: Rc::new(value) };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Some(node)
    }

    fn list(&mut self, depth: usize) -> Vec<Node> {
        let mut nodes = Vec::new();
        while let Some((event, span)) = self.next() {
            match self.node(event, &span, depth + 1) {
                Some(node) if nodes.len() == MOST_ENTRIES => {
                    self.stop(node.bytes, format!("more than {MOST_ENTRIES} items in one list"))
                        .hint("no field has that many");
                }
                Some(node) => nodes.push(node),
                None => break,
            }
        }
        nodes
    }

    fn map(&mut self, depth: usize) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some((event, span)) = self.next() {
            let Some(key) = self.node(event, &span, depth + 1) else { break };
            let Some((event, span)) = self.next() else { break };
            let Some(node) = self.node(event, &span, depth + 1) else { break };
            match &*key.value {
                Value::Scalar { text, .. } => {
                    self.add(&mut entries, Entry { key: text.clone(), key_bytes: key.bytes, node })
                }
                _ => drop(self.report.error(key.bytes, "a key must be text").hint("is a `:` too much?")),
            }
        }
        entries
    }

    fn add(&mut self, entries: &mut Vec<Entry>, entry: Entry) {
        if entry.key == "<<" {
            self.report
                .error(entry.key_bytes, "merge keys are not read")
                .hint("write the fields out: what a file says should be seen where it is said");
        } else if entries.len() == MOST_ENTRIES {
            self.stop(entry.key_bytes, format!("more than {MOST_ENTRIES} fields in one mapping"))
                .hint("no field has that many");
        } else if let Some(first) = entries.iter().find(|other| other.key == entry.key) {
            let line = self.report.line(first.key_bytes.start);
            self.report
                .error(entry.key_bytes, format!("`{}` is given twice", entry.key))
                .label(format!("first given in line {line}"))
                .hint("remove one of them");
        } else {
            entries.push(entry);
        }
    }

    fn alias(&mut self, anchor: usize, bytes: Range<usize>) -> Option<Node> {
        self.aliases += 1;
        if self.aliases > MOST_ALIASES {
            self.stop(bytes, format!("more than {MOST_ALIASES} aliases in one file")).hint("write the values out");
            return None;
        }
        match self.anchors.get(&anchor) {
            Some(node) => Some(Node { bytes, value: node.value.clone() }),
            None => {
                self.stop(bytes, "an alias of what it is part of").hint("write the value out");
                None
            }
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: &Span) {
        if tag.is_none() {
            return;
        }
        let node = self.offset(span).start;
        let start = span.tag_start.and_then(|mark| mark.byte_offset()).unwrap_or(node);
        let length = self.report.text[start..].find(char::is_whitespace).unwrap_or(1);
        self.report
            .error(start..start + length, "tags are not read")
            .hint("remove the tag; put quotes around what should be text");
    }

    fn syntax_error(&mut self, error: &ScanError) {
        let start = error.marker().byte_offset().unwrap_or(self.report.text.len());
        let hint = match error.kind() {
            ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => "indent with spaces; YAML allows no tabs",
            ErrorKind::UnknownAnchor => "an alias `*name` needs an anchor `&name` before it",
            ErrorKind::UndeclaredTagHandle => "tags are not read: remove it, or put quotes around the value",
            _ => "look at the indentation, the quotes and the brackets of this line and the one before it",
        };
        let message = error.kind().to_string();
        let text = self.report.text.as_bytes();
        let begins = text[..start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = self.report.text.get(begins..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let hint = unseen::first_of(line).unwrap_or_else(|| hint.to_owned());
        self.stop(start..start + 1, format!("not valid YAML: {message}")).hint(hint);
    }

    fn stop(&mut self, bytes: Range<usize>, message: impl std::fmt::Display) -> &mut super::Problem {
        self.complete = false;
        self.report.error(bytes, message)
    }

    fn offset(&self, span: &Span) -> Range<usize> {
        let end = self.report.text.len();
        let start = span.start.byte_offset().unwrap_or(end);
        start..span.end.byte_offset().unwrap_or(end).max(start)
    }
}
