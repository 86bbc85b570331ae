//! Tells that the arguments could not be read, or the help that they ask for.

use std::ffi::{OsStr, OsString};
use std::io::Write;

use clap::error::{ContextKind, ContextValue};

use super::exit::Exit;
use super::failure::Failure;
use super::help;
use super::output::Output;
use crate::input::text;

/// Prints help, or the errors in the arguments. clap would exit with 2, which means that changes are pending.
pub(super) fn tell(error: &clap::Error, arguments: &[OsString], out: &mut Output) -> Exit {
    if let Some((word, hint)) = meant(error) {
        let failure = Failure::new(format!("there is no command `{}`", text::clean(&word))).hint(hint);
        failure.print(out);
        return Exit::Usage;
    }
    let told = error.render().ansi().to_string();
    let told = text::without_passwords(&on_one_line(told, given(arguments).iter().map(OsString::as_os_str)));
    let told = text::without_logins(&told);
    let (to, exit) = if error.use_stderr() { (&mut out.notes, Exit::Usage) } else { (&mut out.data, Exit::Done) };
    let _ = write!(to, "{told}");
    exit
}

/// Finds the word that somebody took for a command, and what they mean, where that is known. clap would name the command that
/// is spelt most like it, whatever that does.
fn meant(error: &clap::Error) -> Option<(String, &'static str)> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    Some((word.clone(), help::meant_by(word)?))
}

/// Lists everything that clap may quote: the arguments, and the variables that stand for some.
fn given(arguments: &[OsString]) -> Vec<OsString> {
    let program = super::command();
    let variables = program.get_subcommands().flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_env);
    arguments.iter().cloned().chain(variables.filter_map(std::env::var_os)).collect()
}

/// Writes the line ends as their code that are quoted of somebody's text, and leaves those that are clap's.
fn on_one_line<'a>(told: String, given: impl Iterator<Item = &'a OsStr>) -> String {
    let lines = |text: &OsStr| text.to_string_lossy().lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let quoted = given.flat_map(lines).filter(|line| !line.trim().is_empty());
    quoted.fold(told, |told, line| told.replace(&format!("\n{line}"), &format!("\\n{line}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_stays_on_its_line() {
        let given = ["plan", "a\n::error::b\n\nc"].map(OsStr::new);
        let told = "error: 'a\n::error::b\n\nc' is no image\n\nUsage: x\n".to_owned();
        assert_eq!(on_one_line(told, given.into_iter()), "error: 'a\\n::error::b\n\\nc' is no image\n\nUsage: x\n");
    }
}
