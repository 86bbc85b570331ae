//! The commands of a document, as whoever reads it would type them.

use std::collections::VecDeque;
use std::fs;

/// The blocks of commands below one heading of a document, in order.
pub struct Page {
    blocks: VecDeque<(String, String)>,
}

impl Page {
    /// Reads them; those that another test runs are marked otherwise.
    pub fn read(document: &str, chapter: &str) -> Self {
        let text = fs::read_to_string(format!("{}/{document}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let heading = format!("\n## {chapter}\n");
        let (_, chapter) = text.split_once(&heading).unwrap_or_else(|| panic!("{document} has no `{chapter}`"));
        let chapter = chapter.split("\n## ").next().unwrap();
        let (mut section, mut blocks) = (String::new(), VecDeque::new());
        let mut lines = chapter.lines();
        while let Some(line) = lines.next() {
            if let Some(heading) = line.strip_prefix("### ") {
                heading.clone_into(&mut section);
            } else if line == "```sh not-run" {
                let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
                blocks.push_back((section.clone(), block.join("\n")));
            }
        }
        Self { blocks }
    }

    /// Takes the next block, which stands in this section, with some words of it in place of others.
    pub fn next(&mut self, section: &str, instead: &[(&str, &str)]) -> String {
        let (of, mut text) =
            self.blocks.pop_front().unwrap_or_else(|| panic!("there is no further block in {section}"));
        assert_eq!(of, section, "the next block is\n{text}");
        for (from, to) in instead {
            assert!(text.contains(from), "{section}: nobody types `{from}` any more:\n{text}");
            text = text.replace(from, to);
        }
        text
    }

    /// Takes the next block, which is tried elsewhere.
    pub fn leave_out(&mut self, section: &str, words: &str) {
        let text = self.next(section, &[]);
        assert!(text.contains(words), "{section}: this is another block:\n{text}");
    }

    /// Every block was taken.
    pub fn is_at_its_end(&self) {
        assert!(self.blocks.is_empty(), "these are not typed by the test: {:?}", self.blocks);
    }
}
