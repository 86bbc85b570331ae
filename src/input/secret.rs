//! Text that is never shown.

use std::fmt;
use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A token, a password or a private key. Neither a log nor an error can print it by mistake: there is no `Display`, and
/// `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret that `text` is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The HMAC-SHA256 of a message by the secret as its key, in hexadecimal digits: whoever knows the secret can check that the
    /// message comes from somebody who knows it too, and is whole.
    pub fn signature(&self, message: &[u8]) -> String {
        // A key of any length is taken.
        let keyed = Hmac::<Sha256>::new_from_slice(self.0.as_bytes());
        let bytes = keyed.map(|mac| mac.chain_update(message).finalize().into_bytes()).unwrap_or_default();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// `text` without the secret, should somebody have repeated it there.
    pub fn blank_out(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[secret]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The ends of names whose value is a secret, letters and digits alone.
const NAMES: [&str; 10] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secretkey",
    "accesskey",
    "apikey",
    "privatekey",
    "credentials",
];

/// A line of somebody's file as it may be shown: whatever may be a secret is written in stars, as many as it has bytes, so that
/// everything else stays in its place. That is the value of what is named as one (`token: …`, `export DB_PASSWORD=…`), and in an
/// address the user with the password, and what stands behind a `?`.
pub fn covered(line: &str) -> String {
    let mut covered = line.to_owned();
    for part in named(line).chain(in_addresses(line)) {
        covered.replace_range(part.clone(), &"*".repeat(part.len()));
    }
    covered
}

/// The values whose names say that they are secret.
fn named(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices([':', '=']).filter_map(|(at, _)| {
        let is_of_name = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let name = before.chars().rev().take_while(is_of_name).filter(char::is_ascii_alphanumeric);
        let name: String = name.map(|c| c.to_ascii_lowercase()).collect();
        let rest = &line[at + 1..];
        let value = rest.trim_start();
        let begins = line.len() - value.len();
        let is_secret =
            NAMES.iter().any(|end| end.chars().rev().eq(name.chars().take(end.len()))) && !rest.starts_with("//");
        is_secret.then(|| begins..begins + value.trim_end().len())
    })
}

/// The parts of addresses that may be secret.
fn in_addresses(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices("://").flat_map(|(at, mark)| {
        let begins = at + mark.len();
        let ends = line[begins..].find(|c: char| c.is_whitespace() || "'`\"".contains(c));
        let address = &line[begins..ends.map_or(line.len(), |end| begins + end)];
        let login = address.rfind('@').map(|end| begins..begins + end);
        let query = address.find('?').map(|mark| begins + mark + 1..begins + address.len());
        login.into_iter().chain(query)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_in_a_line_is_covered_in_its_place() {
        for (line, shown) in [
            ("token: s3cr3t  # é", "token: ************"),
            ("  dbPassword: \"a b\"", "  dbPassword: *****"),
            ("{\"api-key\": x, \"y\": 1}", "{\"api-key\": **********"),
            ("export DB_SECRET=x", "export DB_SECRET=*"),
            ("- aws_secret_access_key = é", "- aws_secret_access_key = **"),
            ("url: https://u:p@h/x?t=é y", "url: https://***@h/x?**** y"),
            ("tokenFile: /run/token", "tokenFile: /run/token"),
            ("tokenInClear: true", "tokenInClear: true"),
            ("secret://h", "secret://h"),
            ("kmsKey: arn:aws:kms:eu-central-1:1:key/2", "kmsKey: arn:aws:kms:eu-central-1:1:key/2"),
            ("kölntoken: é", "kölntoken: **"),
            ("token:", "token:"),
            ("=:", "=:"),
        ] {
            assert_eq!(covered(line), shown);
            assert_eq!(shown.len(), line.len());
        }
    }

    #[test]
    fn a_secret_is_in_no_text_that_is_made_of_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{:?} {:#?}", Some(&secret), secret), "Some([secret]) [secret]");
        assert_eq!(secret.blank_out("token hunter2 lacks operator:read"), "token [secret] lacks operator:read");
        assert_eq!(Secret::new("").blank_out("as it was"), "as it was");
    }

    /// RFC 4231, test case 2.
    #[test]
    fn a_signature_is_an_hmac_with_sha_256() {
        let signature = Secret::new("Jefe").signature(b"what do ya want for nothing?");
        assert_eq!(signature, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
