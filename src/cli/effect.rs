//! Options that would have no effect beside the others that were given: whoever gives one expects one, so they are refused.
//!
//! The environment speaks to all commands, so nothing that it says is a mistake. Options that exclude each other are told by `clap`.

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::cloud::Kind;
use super::exit::Exit;
use super::failure::Failure;

/// Options that count on AWS alone, with the reason.
const ON_AWS: [(&str, &str); 9] = [
    ("claims", "which keeps the claims itself"),
    ("claims_token_file", "which keeps the claims itself"),
    ("claims_token_in_clear", "which keeps the claims itself"),
    ("claims_ca_file", "which keeps the claims itself"),
    ("claims_cert_file", "which keeps the claims itself"),
    ("lease", "which has one controller"),
    ("profile", "which needs no credentials"),
    ("aws_api_share", "which nobody shares"),
    ("adapters", "which runs no program"),
];
/// Options that count in a simulated world alone.
const IN_SIMULATION: [&str; 5] = ["speed", "seed", "empty", "bad_image", "payload"];
/// A command, one of its options, and another one.
type Pair = (&'static str, &'static str, &'static str);
/// Options that count beside another one alone.
const BESIDE: [Pair; 6] = [
    ("run", "timeout", "once"),
    ("rehearse", "older_than", "sweep"),
    ("status", "wanted", "wait"),
    ("status", "timeout", "wait"),
    ("promote", "build", "manifest"),
    ("init", "build", "manifest"),
];
/// Options that do not count beside another one.
const NOT_BESIDE: [Pair; 6] = [
    ("events", "state", "from"),
    ("history", "state", "from"),
    ("rehearse", "payload", "sweep"),
    ("rehearse", "subnets", "sweep"),
    ("rehearse", "security_groups", "sweep"),
    ("rehearse", "instance_type", "sweep"),
];

/// Refuses the first option that would have no effect.
pub(super) fn refuse_what_has_none(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((command, given)) = matches.subcommand() else { return Ok(()) };
    let of_the_other_cloud = of_the_other_cloud(given).filter(|_| looks_at_a_cloud(command));
    let Some((option, why, hint)) = of_the_other_cloud.or_else(|| beside(command, given)) else { return Ok(()) };
    let failure = Failure::new(format!("`{}` has no effect {why}", named(command, option)));
    Err(Failure { exit: Exit::Usage, ..failure.hint(hint) })
}

/// An option, why it does not count, and what to do.
type Found = (&'static str, String, &'static str);

/// Says whether a command looks at a cloud at all, by its definition: of an option that it does not have, clap says so only in a debug
/// build. To make the definition once more takes time, so it is asked only where there is something to refuse.
fn looks_at_a_cloud(command: &str) -> bool {
    let program = super::command();
    let definition = program.find_subcommand(command);
    definition.is_some_and(|definition| definition.get_arguments().any(|argument| argument.get_id() == "cloud"))
}

/// Finds an option for the cloud that the command does not look at, if it looks at one.
fn of_the_other_cloud(given: &ArgMatches) -> Option<Found> {
    let cloud = given.try_get_one::<Kind>("cloud").ok()?;
    if cloud.map_or(is_given(given, "world"), |kind| *kind == Kind::Simulated) {
        let (option, why) = ON_AWS.into_iter().find(|(option, _)| is_given(given, option))?;
        return Some((option, format!("in a simulated world, {why}"), "leave it out, or name `--cloud aws`"));
    }
    let option = IN_SIMULATION.into_iter().find(|option| is_given(given, option))?;
    Some((option, "on AWS".to_owned(), "leave it out, or name `--cloud simulated`"))
}

/// Finds an option that counts only together with another one, or only without it.
fn beside(command: &str, given: &ArgMatches) -> Option<Found> {
    let is_of = |(of, option, _): &&Pair| *of == command && is_given(given, option);
    let alone = BESIDE.iter().filter(is_of).find(|(.., other)| !is_given(given, other));
    if let Some((_, option, other)) = alone {
        return Some((option, format!("without `{}`", named(command, other)), "leave it out, or give both"));
    }
    let (_, option, other) = NOT_BESIDE.iter().filter(is_of).find(|(.., other)| is_given(given, other))?;
    Some((option, format!("beside `{}`", named(command, other)), "leave it out"))
}

/// Whether somebody wrote the option on the command line.
fn is_given(given: &ArgMatches, option: &str) -> bool {
    given.ids().any(|id| id == option) && given.value_source(option) == Some(ValueSource::CommandLine)
}

/// An option as it is written, e.g. `--bad-image`.
fn named(command: &str, option: &str) -> String {
    let program = super::command();
    let arguments = program.find_subcommand(command).into_iter().flat_map(clap::Command::get_arguments);
    let long = arguments.filter(|argument| argument.get_id() == option).find_map(clap::Arg::get_long);
    format!("--{}", long.unwrap_or(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every option of the tables is one that some command has, by its id.
    #[test]
    fn the_tables_name_options_that_exist() {
        let program = crate::cli::command();
        let has = |command: &clap::Command, option: &str| command.get_arguments().any(|one| one.get_id() == option);
        let of = |command: &str| program.find_subcommand(command).unwrap_or_else(|| panic!("no command {command}"));
        for (command, option, other) in BESIDE.iter().chain(&NOT_BESIDE) {
            assert!(has(of(command), option) && has(of(command), other), "{command}: {option}, {other}");
        }
        for option in ON_AWS.iter().map(|(option, _)| *option).chain(IN_SIMULATION) {
            assert!(program.get_subcommands().any(|command| has(command, option)), "{option}");
        }
    }
}
