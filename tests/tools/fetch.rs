//! Programs of others that tests need: fetched if necessary, by `tests/tools/fetch.sh`.

use std::process::{Command, Stdio};

/// Returns the path of each program, in this order; or the reason why one of them cannot be fetched.
pub fn fetch<const N: usize>(names: [&str; N]) -> Result<[String; N], String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/fetch.sh");
    let output = Command::new("bash").arg(script).args(names).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{script} cannot be run: {error}"))?;
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(complaint.lines().last().unwrap_or("tests/tools/fetch.sh says nothing").to_owned());
    }
    Ok(names.map(|name| {
        let of = |line: &str| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        said.lines().find_map(of).unwrap_or_else(|| panic!("tests/tools/fetch.sh does not say where {name} is: {said}"))
    }))
}

/// Nothing that can be fetched may be missing.
pub fn is_required() -> bool {
    std::env::var("HERMITCRAB_RIG").is_ok_and(|is| is == "required")
}
