//! Reports checks that are left out because another program is missing.

use std::io::{self, Write};

use crate::fetch::is_required;

/// Says what is not tested, and why, past the harness, which would keep to itself what a test that passes has to say. A
/// failure where nothing may be missing.
pub fn left_out(what: &str, why: &str) {
    assert!(!is_required(), "{what} cannot be had: {why}");
    say(&format!("\n*** NOT TESTED with {what}: {why} ***\n"));
}

/// Says something past the harness.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
