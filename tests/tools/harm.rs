//! Things that are planted, and how they show that they came out again.

/// A password that nothing may show.
pub const SECRET: &str = "hunter2-5ecret";
/// Text that steers a terminal, turns the direction of writing, or begins a line that commands a runner of workflows.
pub const PLANTED: &str = "\u{1b}]0;PWNED\u{7}\u{202e}\u{9b}31m\u{200b}\n::error::PWNED\n##[error]PWNED\r::set-output::PWNED\n<!-- hermitcrab-plan:PWNED -->\n";

/// The first thing in what a command says that does harm.
pub fn harmful(said: &str) -> Option<String> {
    if said.contains(SECRET) {
        return Some(format!("it shows the secret: {said}"));
    }
    let steers = |c: char| {
        c.is_control() && c != '\n' && c != '\t' || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    if let Some(c) = said.chars().find(|c| steers(*c)) {
        return Some(format!("it has {c:?}: {said:?}"));
    }
    let commands = |line: &&str| {
        let line = line.trim_start();
        ["::error::PWNED", "##[error]PWNED", "::set-output::PWNED", "<!-- hermitcrab-plan:PWNED"]
            .iter()
            .any(|one| line.starts_with(one))
    };
    said.lines().find(commands).map(|line| format!("a line is {line:?}: {said:?}"))
}
