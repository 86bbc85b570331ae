//! The command line: which commands there are, and which file runs each.

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub mod cores;
pub mod exit;
pub mod failure;
pub mod format;
pub mod logging;
pub mod output;
pub mod progress;
pub mod runtime;
pub mod signals;
pub mod stderr;
pub mod steps;

mod askpass;
pub mod aws;
pub mod cloud;
pub mod desired;
pub mod edit;
pub mod file;
pub mod from;
pub mod git;
pub mod image;
pub mod picture;
pub mod state;
pub mod world;

pub mod approve;
pub mod freeze;
pub mod init;
pub mod promote;
pub mod resume;
pub mod schema;
pub mod suspend;
pub mod undo;
pub mod validate;

pub mod events;
pub mod explain;
pub mod history;
pub mod plan;
pub mod receivers;
pub mod status;
pub mod wait;
pub mod watch;

pub mod destroy;
pub mod rehearse;
pub mod retry;
pub mod run;
pub mod simulate;

pub mod adapter;
pub mod adopt;
pub mod debug;
pub mod doctor;
pub mod iam_policy;

pub mod completions;
pub mod man;

mod effect;
mod help;
#[cfg(feature = "traces")]
mod traces;
mod unread;

use exit::Exit;
use failure::Failure;
use output::Output;

const EXAMPLES: &str = "\
Examples:
  hermitcrab validate
      Check every file below desired-state
  hermitcrab plan --cloud simulated --image ami-0bbbbbbbbbbbbbbbb
      Show what committing another image would do, without an AWS account
  hermitcrab explain consul-prod --cloud simulated
      Show every gate, and why nothing happens
";

/// The examples and the exit codes.
fn after_help() -> String {
    format!("{EXAMPLES}\n{}", exit::MEANINGS)
}

/// Keeps stateful clusters on EC2 at the image that was committed
///
/// One instance is replaced at a time: its member's data volume is moved to an instance launched from the new image. The
/// next slot waits until the cluster has proved itself healthy.
#[derive(Debug, Parser)]
#[command(name = "hermitcrab", version, after_help = after_help(), max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Whether to colour the output; `auto` does on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    color: Color,
    /// The format of the log on stderr; `auto` is pretty on a terminal and json elsewhere
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    log_format: logging::Format,
    /// The least important level that is logged
    #[arg(long, global = true, value_enum, value_name = "LEVEL", default_value_t)]
    log_level: logging::Level,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// The commands, in the order of their help.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Run(Box<run::Args>),
    Validate(validate::Args),
    Promote(promote::Args),
    Approve(approve::Args),
    Suspend(suspend::Args),
    Freeze(freeze::Args),
    Resume(resume::Args),
    Undo(undo::Args),
    Schema(schema::Args),
    Plan(plan::Args),
    Status(status::Args),
    Explain(explain::Args),
    Watch(watch::Args),
    Events(events::Args),
    History(history::Args),
    Notify(receivers::Args),
    Retry(retry::Args),
    Rehearse(rehearse::Args),
    Destroy(destroy::Args),
    Simulate(simulate::Args),
    Doctor(doctor::Args),
    Debug(debug::Args),
    Adopt(adopt::Args),
    IamPolicy(iam_policy::Args),
    Adapter(adapter::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Reads the arguments, runs the command, and reports its failure. The exit code is the command's verdict, even if its output
/// is lost.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if let Some(answered) = askpass::answer(&arguments) {
        return answered;
    }
    let (exit, mut out) = match read(&arguments) {
        Ok((cli, given)) => {
            anstream::ColorChoice::write_global(cli.global.color.into());
            let traces = cli.command.traces();
            let (traces, begun) = traces.map_or_else(|failure| (None, Err(failure)), |traces| (traces, Ok(())));
            logging::start(cli.global.log_format, cli.global.log_level, traces);
            let mut out = Output::standard();
            let may_run = begun.and_then(|()| effect::refuse_what_has_none(&given));
            (may_run.and_then(|()| cli.command.run(&mut out)), out)
        }
        Err(error) => {
            let mut out = Output::standard();
            (Ok(unread::tell(&error, &arguments, &mut out)), out)
        }
    };
    let exit = match (exit, out.finish()) {
        (Err(failure), _) | (Ok(Exit::Done), Err(failure)) => {
            failure.print(&mut out);
            failure.exit
        }
        (Ok(exit), _) => exit,
    };
    #[cfg(feature = "traces")]
    traces::finish();
    stderr::finish();
    exit
}

/// Reads the arguments, and tells which of them were given.
fn read(arguments: &[OsString]) -> Result<(Cli, ArgMatches), clap::Error> {
    let mut program = command();
    let given = program.try_get_matches_from_mut(arguments)?;
    let cli = Cli::from_arg_matches(&given).map_err(|error| error.format(&mut program))?;
    Ok((cli, given))
}

impl Command {
    /// The layer that sends traces, where that is asked for.
    fn traces(&self) -> Result<Option<logging::Sink>, Failure> {
        match self {
            #[cfg(feature = "traces")]
            Self::Run(args) => args.traces.begin(),
            _ => Ok(None),
        }
    }

    fn run(&self, out: &mut Output) -> Result<Exit, Failure> {
        cores::forbid();
        signals::listen()?;
        match self {
            Self::Init(args) => init::run(args, out),
            Self::Run(args) => run::run(args, out.unattended()),
            Self::Validate(args) => validate::run(args, out),
            Self::Promote(args) => promote::run(args, out),
            Self::Approve(args) => approve::run(args, out),
            Self::Suspend(args) => suspend::run(args, out),
            Self::Freeze(args) => freeze::run(args, out),
            Self::Resume(args) => resume::run(args, out),
            Self::Undo(args) => undo::run(args, out),
            Self::Schema(args) => schema::run(args, out),
            Self::Plan(args) => plan::run(args, out),
            Self::Status(args) => status::run(args, out),
            Self::Explain(args) => explain::run(args, out),
            Self::Watch(args) => watch::run(args, out),
            Self::Events(args) => events::run(args, out),
            Self::History(args) => history::run(args, out),
            Self::Notify(args) => receivers::run(args, out),
            Self::Retry(args) => retry::run(args, out),
            Self::Rehearse(args) => rehearse::run(args, out.unattended()),
            Self::Destroy(args) => destroy::run(args, out),
            Self::Simulate(args) => simulate::run(args, out),
            Self::Doctor(args) => doctor::run(args, out),
            Self::Debug(args) => debug::run(args, out),
            Self::Adopt(args) => adopt::run(args, out),
            Self::IamPolicy(args) => iam_policy::run(args, out),
            Self::Adapter(args) => adapter::run(args, out),
            Self::Completions(args) => completions::run(args, out),
            Self::Man(args) => man::run(args, out),
        }
    }
}

/// Describes the whole command line, for completions and the manual.
pub fn command() -> clap::Command {
    help::tidied(Cli::command())
}
