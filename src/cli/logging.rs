//! The log: to stderr, in a form for whoever reads it there.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use super::stderr::{Form, Lines};

/// The form in which the log is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Format {
    /// Pretty on a terminal, json elsewhere
    #[default]
    Auto,
    /// A line for a person
    Pretty,
    /// A JSON object a line
    Json,
}

/// The least important lines that are written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Level {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::OFF,
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Whether the log has a JSON object a line.
static IS_JSON: OnceLock<bool> = OnceLock::new();

/// Says whether a program reads the log, so that nothing else may stand between its lines.
pub fn is_json() -> bool {
    IS_JSON.get().copied().unwrap_or_default()
}

/// A layer that takes lines or spans, and writes or sends them somewhere.
pub type Sink = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging, and what takes spans beside it. Once in a process; a second call changes nothing.
pub fn start(format: Format, level: Level, traces: Option<Sink>) {
    let pretty = match format {
        Format::Auto => io::stderr().is_terminal(),
        Format::Pretty => true,
        Format::Json => false,
    };
    let _ = IS_JSON.set(!pretty);
    let colored = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    // An error of the log itself would be printed to stderr, and printing panics where stderr is what has failed.
    let log = tracing_subscriber::fmt::layer()
        .with_writer(move || Lines(if pretty { Form::Line } else { Form::Json }))
        .log_internal_errors(false);
    let log: Sink = if pretty {
        log.with_ansi(colored).with_target(false).compact().boxed()
    } else {
        log.json().flatten_event(true).boxed()
    };
    let level = LevelFilter::from(level);
    let lines = filter_fn(move |told| told.is_event() && *told.level() <= level).with_max_level_hint(level);
    // Starting fails where somebody else has started a log, who will have had a reason.
    let layers: Vec<Sink> = [log.with_filter(lines).boxed()].into_iter().chain(traces).collect();
    let _ = tracing_subscriber::registry().with(layers).try_init();
}
