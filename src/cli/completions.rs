//! `completions`: prints what a shell needs to complete our arguments.

use clap_complete::Shell;

use super::{Exit, Failure, Output};

const EXAMPLES: &str = "\
Examples:
  hermitcrab completions bash > /etc/bash_completion.d/hermitcrab
  hermitcrab completions zsh > \"${fpath[1]}/_hermitcrab\"
  hermitcrab completions fish > ~/.config/fish/completions/hermitcrab.fish";

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    // Into memory first: clap_complete panics where its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "hermitcrab", &mut script);
    out.data.write_all(&script)?;
    Ok(Exit::Done)
}
