//! Stories: scripts for the simulated world, and the transcripts that they produce.
//!
//! A line that begins with `> ` is a command, one with `#` is a comment, and everything else is what happened when the story
//! was played last: it is read over, and told anew. So a story that was played is a story still.

use std::path::{Path, PathBuf};

use crate::sim::{FaultLevel, World};

use super::{Ending, Reach};

mod command;
mod files;
mod forms;
mod mistake;
mod names;
mod shown;
mod stage;
mod told;
mod trouble;
mod words;

pub use forms::FORMS;
pub use mistake::Mistake;

use command::{Cluster, Command};
use stage::{Stage, Tell};
use words::Words;

/// The mark of a command.
const MARK: &str = "> ";

/// A story that can be played.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    parts: Vec<Part>,
}

/// A part of a story, with the text that it is told with.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    /// The line, counted from 1.
    line: usize,
    text: String,
    does: Does,
}

#[derive(Clone, Debug, PartialEq)]
enum Does {
    /// A comment or an empty line.
    Nothing,
    Begin(Cluster),
    Further(Command),
}

/// The choices that a story leaves to whoever plays it.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// The file that declares the cluster, in the place of the one that the story names.
    pub path: Option<PathBuf>,
    /// The cluster, where the path declares several.
    pub cluster: Option<String>,
    /// Decides all chance.
    pub seed: u64,
    /// The unkindness of the world beside what the story does.
    pub faults: FaultLevel,
    /// The way in which controllers reach the world.
    pub reach: Reach,
}

/// A story that was played.
pub struct Played {
    /// The ending, if the story went on to its end or a safety rule was broken.
    pub ending: Option<Ending>,
    /// The world as it is in the end.
    pub world: World,
}

impl Story {
    /// Reads a story. The first line that is not understood is named.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let mut parts = Vec::new();
        let mut has_begun = false;
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
            let does = if line.starts_with(MARK) {
                let mut words = Words::new(line, MARK.len(), number);
                let first = !std::mem::replace(&mut has_begun, true);
                if first {
                    command::first(&mut words).map(Does::Begin)?
                } else {
                    Does::Further(command::further(&mut words)?)
                }
            } else if line.is_empty() || line.starts_with('#') {
                Does::Nothing
            } else {
                continue;
            };
            parts.push(Part { line: number, text: line.to_owned(), does });
        }
        if !has_begun {
            let lines = text.lines().count().max(1);
            return Err(Mistake::new(lines, 1, "there is no command in the story")
                .hint("a command begins with `> `, and the first one is `> cluster FILE`"));
        }
        Ok(Self { parts })
    }

    /// Plays the story, and tells it anew with what happens.
    pub fn play(&self, setting: &Setting, tell: Tell) -> Result<Played, Mistake> {
        let mut stage: Option<Stage> = None;
        for Part { line, text, does } in &self.parts {
            tell(&format!("{text}\n"));
            match (does, &mut stage) {
                (Does::Begin(cluster), _) => stage = Some(setting.begin(*line, cluster)?),
                (Does::Further(command), Some(stage)) => stage.command(*line, command, tell)?,
                (Does::Further(_), None) | (Does::Nothing, _) => {}
            }
        }
        let stage = stage.ok_or_else(|| Mistake::new(1, 1, "there is no command in the story"))?;
        Ok(Played { ending: stage.ending(), world: stage.world })
    }
}

impl Setting {
    fn begin(&self, line: usize, cluster: &Cluster) -> Result<Stage, Mistake> {
        let path = self.path.as_deref().or(cluster.file.as_deref().map(Path::new));
        let path = path.ok_or_else(|| {
            Mistake::new(line, MARK.len() + 1, "the story names no file")
                .hint("name one on the command line, or write `> cluster FILE`")
        })?;
        Stage::begin(line, path, cluster, self)
    }
}
