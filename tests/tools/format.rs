//! The changes that `terraform fmt` would make, as far as they show line by line: indentation, alignment, blanks.

use std::path::Path;

/// Every line that is not as `terraform fmt` would write it, with what is wrong.
pub fn faults(path: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines: Vec<_> = text.lines().collect();
    let mut depth = 0_usize;
    for (number, line) in lines.iter().enumerate() {
        let mut fault = |what: &str| faults.push(format!("{}:{}: {what}", path.display(), number + 1));
        let (opens, closes, leading) = brackets(line);
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim();
        if line.contains('\t') {
            fault("a tab");
        }
        if line.trim_end() != *line {
            fault("a blank at its end");
        }
        if !trimmed.is_empty() && indent != 2 * depth.saturating_sub(leading) {
            fault("its indentation is not two blanks a level");
        }
        depth = (depth + opens).saturating_sub(closes);
        if let Some(wanted) = column(&lines, number)
            && assignment(line) != Some(wanted)
        {
            fault("its `=` is not below or above its neighbour's");
        }
    }
    if depth != 0 || !text.ends_with('\n') || text.ends_with("\n\n") {
        faults.push(format!("{}: it does not end as it should", path.display()));
    }
    faults
}

/// How many levels a line opens and closes, and how many it closes before anything else. Brackets that open together on
/// one line indent together.
fn brackets(line: &str) -> (usize, usize, usize) {
    let code = code(line);
    let leading = code.trim_start().chars().take_while(|c| ")]}".contains(*c)).count();
    let mut open = 0_usize;
    let mut closes = 0;
    for character in code.chars() {
        match character {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' if open > 0 => open -= 1,
            ')' | ']' | '}' => closes += 1,
            _ => (),
        }
    }
    (open.min(1), closes.min(1), leading.min(1))
}

/// The line without strings and comments.
fn code(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut escaped = false;
    for character in line.chars() {
        match character {
            '"' if !escaped => quoted = !quoted,
            '#' if !quoted => break,
            _ if quoted => (),
            _ => code.push(character),
        }
        escaped = quoted && character == '\\' && !escaped;
    }
    code
}

/// Where a line's `=` stands, if it assigns something that ends on it.
fn assignment(line: &str) -> Option<usize> {
    let (name, rest) = line.split_once(" = ")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-\" ".contains(c);
    let ends = { brackets(line).0 == 0 };
    // A quote that is still open before the `=`: a string with one in it.
    let is_text = name.matches('"').count() % 2 == 1;
    (name.chars().all(is_name) && !is_text && !rest.is_empty() && ends).then_some(name.len() + 1)
}

/// Where the `=` of a line must stand: one blank behind the longest name of its block of neighbours.
fn column(lines: &[&str], number: usize) -> Option<usize> {
    assignment(lines[number])?;
    let below = lines[number..].iter().map_while(|line| assignment(line).map(|_| *line));
    let above = lines[..number].iter().rev().map_while(|line| assignment(line).map(|_| *line));
    let name = |line: &str| line.split_once(" = ").map_or(0, |(name, _)| name.trim_end().len());
    below.chain(above).map(name).max().map(|longest| longest + 1)
}
