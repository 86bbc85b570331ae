//! The help as it is read on a terminal: no line is torn, and words that are no command lead to what they mean.

use clap::Command;

/// The width that help is written for.
const WIDTH: usize = 80;

/// Words that people look for, none of them a command, with what to do instead.
const MEANT: &[(&[&str], &str)] = &[
    (
        &["hold"],
        "`hermitcrab suspend` lets no upgrade begin, and healing goes on. For all clusters at once: the file that \
         `hermitcrab run --kill-switch` names",
    ),
    (&["unpause", "unsuspend", "continue", "unfreeze"], "`hermitcrab resume` ends a suspension and a freeze"),
    (
        &["stop", "abort", "halt", "cancel"],
        "`hermitcrab freeze` has nothing at all done, not even to heal. With `hermitcrab suspend` a replacement that has begun is \
         finished, and no other begins",
    ),
    (&["confirm"], "`hermitcrab approve` approves what `hermitcrab plan` shows"),
    (
        &["roll-back", "revert", "downgrade"],
        "`hermitcrab undo` brings back the image that was there before, with its `version`. An image that fails is taken back \
         without that",
    ),
    (
        &["log", "logs", "audit"],
        "`hermitcrab events` tells what the controller has seen and done, and `hermitcrab history` its rollouts",
    ),
    (&["diff", "preview", "dry-run"], "`hermitcrab plan` shows what differs, and what will be changed"),
    (
        &["apply", "deploy", "upgrade", "update", "rollout", "roll", "sync", "reconcile", "image"],
        "commit another image: `hermitcrab promote` writes it into the file, and `hermitcrab run` does the rest",
    ),
    (&["get", "list", "ls", "show", "describe", "top", "ps"], "`hermitcrab status` shows every cluster"),
    (&["why", "gates", "blocked"], "`hermitcrab explain CLUSTER` shows every gate, and why nothing happens"),
    (
        &["check", "lint", "test"],
        "`hermitcrab validate` checks files, and `hermitcrab doctor` everything that a rollout needs",
    ),
    (&["preflight", "verify"], "`hermitcrab doctor` checks everything that a rollout needs"),
    (&["delete", "remove", "terminate", "rm"], "`hermitcrab destroy` ends a cluster, and asks for its name before"),
    (&["create", "new", "add"], "`hermitcrab init` writes a first file, and `hermitcrab run` creates what it declares"),
    (&["daemon", "start", "serve", "controller", "agent"], "`hermitcrab run` is the controller"),
    (&["import", "own"], "`hermitcrab adopt` takes over an existing cluster"),
    (&["policy", "iam"], "`hermitcrab iam-policy` prints the policy that the controller needs"),
    (&["bundle", "support", "report"], "`hermitcrab debug` gathers what helps to find out what went wrong"),
    (&["version"], "`hermitcrab --version` prints it"),
];

/// Says what somebody means who types that word as a command, as far as it is known.
pub(super) fn meant_by(word: &str) -> Option<&'static str> {
    MEANT.iter().find(|(words, _)| words.contains(&word)).map(|(_, hint)| *hint)
}

/// Options that several commands share and that mean something else for some: a command, an option, and its help there.
#[rustfmt::skip]
const SAID_OTHERWISE: &[(&str, &str, &str)] = &[
    ("rehearse", "image", "The image to rehearse; the file's own if it is left out"),
    ("rehearse", "cloud", "The cloud to rehearse in"),
    ("retry", "cloud", "The cloud that the cluster is in"),
    ("destroy", "cloud", "The cloud that the cluster is in"),
];

/// Puts the help of a program and of its commands into lines that fit.
pub(super) fn tidied(program: Command) -> Command {
    // One by one in their places: `mut_subcommand` would put a command behind all others.
    with_lines(program).mut_subcommands(|command| with_lines(said_otherwise(command)))
}

fn said_otherwise(command: Command) -> Command {
    let name = command.get_name().to_owned();
    let own = SAID_OTHERWISE.iter().filter(|(of, ..)| *of == name);
    own.fold(command, |command, (_, option, help)| {
        command.mut_arg(option, |argument| argument.help(*help).long_help(*help))
    })
}

fn with_lines(mut command: Command) -> Command {
    if let Some(text) = command.get_after_help().map(|text| lines(&text.to_string())) {
        command = command.after_help(text);
    }
    if let Some(text) = command.get_after_long_help().map(|text| lines(&text.to_string())) {
        command = command.after_long_help(text);
    }
    command
}

/// Breaks a text into lines that fit. Lines of a paragraph are put together before, a command is continued as a shell
/// reads it, and whatever is indented is continued further in.
fn lines(text: &str) -> String {
    let mut paragraphs = Vec::<String>::new();
    for line in text.lines() {
        let is_prose = |line: &str| !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':');
        match paragraphs.last_mut() {
            Some(last) if is_prose(last) && is_prose(line) => *last += &format!(" {line}"),
            _ => paragraphs.push(line.to_owned()),
        }
    }
    paragraphs.iter().map(|paragraph| broken(paragraph)).collect::<Vec<_>>().join("\n")
}

fn broken(line: &str) -> String {
    let length = |text: &str| text.chars().count();
    if length(line) <= WIDTH {
        return line.to_owned();
    }
    let begins = length(line) - length(line.trim_start());
    let is_command = line.trim_start().starts_with("hermitcrab ");
    let (further, mark) = if is_command { (begins + 4, " \\") } else { (hanging(line), "") };
    let (mut done, mut current) = (String::new(), " ".repeat(begins));
    for (index, word) in line.trim_start().split(' ').enumerate() {
        if index > 0 && length(&current) + 1 + length(word) + mark.len() > WIDTH {
            done += &format!("{}{mark}\n", current.trim_end());
            current = " ".repeat(further) + word;
        } else {
            current += if index > 0 { " " } else { "" };
            current += word;
        }
    }
    done + &current
}

/// Finds where a line that is continued goes on: below its text, behind the word and the gap that a list begins with.
fn hanging(line: &str) -> usize {
    let text = line.trim_start();
    let begins = line.len() - text.len();
    match text.split_once("  ") {
        Some((first, rest)) if begins > 0 && first.len() < 20 => {
            begins + first.len() + 2 + (rest.len() - rest.trim_start().len())
        }
        _ => begins,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_any_help_text_is_torn() {
        let program = crate::cli::command();
        for command in program.get_subcommands().chain([&program]) {
            let texts = [command.get_after_help(), command.get_after_long_help()];
            for line in texts
                .into_iter()
                .flatten()
                .flat_map(|text| text.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
            {
                assert!(line.chars().count() <= WIDTH, "{}: {line}", command.get_name());
            }
        }
    }

    #[test]
    fn a_command_is_continued_as_a_shell_reads_it_and_a_list_below_its_text() {
        let command = format!("  hermitcrab plan {} --cloud simulated", "x".repeat(60));
        assert_eq!(lines(&command), format!("  hermitcrab plan {} \\\n      --cloud simulated", "x".repeat(60)));
        let item = format!("  64   wrong usage, {} and so on", "y".repeat(60));
        assert!(lines(&item).ends_with("\n       and so on"), "{}", lines(&item));
        assert_eq!(lines("One thought\nof two lines.\n\nAnother:\n  x"), "One thought of two lines.\n\nAnother:\n  x");
    }

    #[test]
    fn no_word_that_leads_elsewhere_is_a_command_or_stands_twice() {
        let program = crate::cli::command();
        let mut words: Vec<_> = MEANT.iter().flat_map(|(words, _)| words.iter()).collect();
        for word in &words {
            assert!(program.find_subcommand(word).is_none(), "{word} is a command");
        }
        let count = words.len();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), count);
    }

    #[test]
    fn an_option_that_is_said_otherwise_is_one_that_the_command_has() {
        let program = crate::cli::command();
        for (command, option, help) in SAID_OTHERWISE {
            let command = program.find_subcommand(command).unwrap_or_else(|| panic!("no command {command}"));
            let found = command.get_arguments().find(|argument| argument.get_id() == *option);
            let said = found.and_then(|found| found.get_help()).map(ToString::to_string);
            assert_eq!(said.as_deref(), Some(*help), "{} --{option}", command.get_name());
        }
    }
}
