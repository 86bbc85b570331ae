//! `man`: prints the manual page.

use crate::input::text;

use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab man | man -l -
      Read it
  hermitcrab man plan > /usr/share/man/man1/hermitcrab-plan.1
      Install the page of one command";

/// Print the manual page, as roff
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The command whose page it is; the one that lists them all if left out
    command: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let mut whole = super::command();
    whole.build();
    let page = match &args.command {
        None => whole,
        Some(name) => {
            let names = whole.get_subcommands().map(clap::Command::get_name);
            let known = names.collect::<Vec<_>>().join(", ");
            let found = whole.find_subcommand(name).cloned();
            found.ok_or_else(|| {
                let name = text::argument(name);
                Failure::new(format!("there is no command `{name}`")).hint(format!("the commands are {known}"))
            })?
        }
    };
    clap_mangen::Man::new(page).render(&mut out.data)?;
    Ok(Exit::Done)
}
