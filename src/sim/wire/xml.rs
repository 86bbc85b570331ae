//! Elements of XML, as AWS answers with them.

use std::fmt::Display;
use std::io;

use quick_xml::Writer;
use quick_xml::events::BytesText;

/// An element: its name, and text or further elements in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Xml {
    name: &'static str,
    content: Content,
}

#[derive(Clone, Debug, PartialEq)]
enum Content {
    Text(String),
    Elements(Vec<Xml>),
}

impl Xml {
    /// An element with text in it.
    pub fn text(name: &'static str, text: impl Display) -> Self {
        Self { name, content: Content::Text(text.to_string()) }
    }

    /// An element with elements in it.
    pub fn group(name: &'static str, elements: impl IntoIterator<Item = Self>) -> Self {
        Self { name, content: Content::Elements(elements.into_iter().collect()) }
    }

    /// A list as EC2 writes one: each entry in an `item`.
    pub fn set(name: &'static str, entries: impl IntoIterator<Item = Vec<Self>>) -> Self {
        Self::group(name, entries.into_iter().map(|entry| Self::group("item", entry)))
    }

    /// A list as Auto Scaling writes one: each entry in a `member`.
    pub fn members(name: &'static str, entries: impl IntoIterator<Item = Vec<Self>>) -> Self {
        Self::group(name, entries.into_iter().map(|entry| Self::group("member", entry)))
    }

    fn write_to(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let element = writer.create_element(self.name);
        match &self.content {
            Content::Text(text) => element.write_text_content(BytesText::new(text)).map(drop),
            Content::Elements(elements) => element
                .write_inner_content(|writer| elements.iter().try_for_each(|element| element.write_to(writer)))
                .map(drop),
        }
    }
}

/// Writes a document whose outermost element has that name, which need not be known beforehand, and that namespace.
pub fn document(name: &str, namespace: Option<&str>, elements: &[Xml]) -> String {
    let mut writer = Writer::new(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_vec());
    let root = writer.create_element(name).with_attributes(namespace.map(|uri| ("xmlns", uri)));
    // Nothing fails that is written to memory.
    root.write_inner_content(|writer| elements.iter().try_for_each(|element| element.write_to(writer))).ok();
    String::from_utf8(writer.into_inner()).unwrap_or_default()
}
