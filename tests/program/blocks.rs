//! The commands that a document shows: runs them in order, and writes the document as it should be.
//!
//! A block marked `sh` is run. The `text` block below it, with nothing but empty lines between, is what it prints, and
//! without one it prints nothing. Blocks with any other mark, such as `sh not-run`, are left alone.

use std::path::Path;
use std::process::{Command, Stdio};

/// Under which headings a block stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The last `## `.
    pub chapter: String,
    /// The last `### ` in it.
    pub section: String,
}

/// The document with what its commands print now. `run` says that, or `None` where a block is not for it.
pub fn rewritten(document: &str, mut run: impl FnMut(&Place, &str) -> Option<String>) -> String {
    let mut lines = document.lines().peekable();
    let (mut place, mut written) = (Place::default(), Vec::new());
    while let Some(line) = lines.next() {
        written.push(line.to_owned());
        if let Some(chapter) = line.strip_prefix("## ") {
            place = Place { chapter: chapter.to_owned(), section: String::new() };
        } else if let Some(section) = line.strip_prefix("### ") {
            section.clone_into(&mut place.section);
        }
        let Some(mark) = line.strip_prefix("```") else { continue };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        written.extend(block.iter().map(|line| (*line).to_owned()));
        written.push("```".to_owned());
        let Some(printed) = (mark == "sh").then(|| run(&place, &block.join("\n"))).flatten() else { continue };
        let mut gap = 0;
        while lines.next_if(|line| line.is_empty()).is_some() {
            gap += 1;
        }
        if lines.next_if_eq(&"```text").is_some() {
            lines.by_ref().take_while(|line| *line != "```").for_each(drop);
            gap = 0;
        }
        if !printed.is_empty() {
            written.extend(["", "```text", printed.trim_end(), "```"].map(str::to_owned));
        }
        written.extend(std::iter::repeat_n(String::new(), gap));
    }
    written.join("\n") + "\n"
}

/// Runs a command, and returns its stdout, its stderr and its exit code unless that is 0. `programs` come first on the path.
pub fn printed(command: &str, folder: &Path, programs: &Path) -> String {
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let ended = match output.status.code() {
        Some(0) => String::new(),
        Some(code) => format!("(exit code {code})\n"),
        None => format!("({})\n", output.status),
    };
    String::from_utf8(output.stdout).unwrap() + &ended
}
