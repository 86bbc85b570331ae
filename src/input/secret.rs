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
/// everything else stays in its place. That is the value of what is named as one (`token: …`, `export DB_PASSWORD=…`), and
/// [what may be one in an address](in_addresses).
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

/// The parts of all addresses in a text that may be secret, in their order: a user and a password, a port that is no number, and
/// what stands behind a `?`.
pub fn in_addresses(text: &str) -> Vec<Range<usize>> {
    let (mut parts, mut from) = (Vec::new(), 0);
    while let Some(mark) = text[from..].find("://") {
        let begins = from + mark + "://".len();
        let ends = text[begins..].find(|c: char| c.is_whitespace() || "'`\"\u{1b}".contains(c));
        from = ends.map_or(text.len(), |end| begins + end);
        in_address(&text[begins..from], begins, &mut parts);
    }
    parts
}

/// The parts of one address, of what stands behind its `://`, which is `at` that place of a text.
fn in_address(address: &str, at: usize, parts: &mut Vec<Range<usize>>) {
    let login = address.rfind('@');
    parts.extend(login.map(|end| at..at + end));
    let (mut at, rest) = login.map_or((at, address), |end| (at + end + 1, &address[end + 1..]));
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let query =
        query.filter(|query| !is_ours(query)).map(|query| at + place.len() + 1..at + place.len() + 1 + query.len());
    for host in place.split('/').next().unwrap_or_default().split(',') {
        let port = host.rsplit_once(':').filter(|(name, _)| !name.contains('['));
        let secret = port.filter(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()));
        parts.extend(secret.map(|(name, _)| at + name.len() + 1..at + host.len()));
        at += host.len() + 1;
    }
    parts.extend(query);
}

/// Says whether a query names the region of a bucket or the branch of a repository, and nothing else: these are the only things
/// that our own addresses have there.
fn is_ours(query: &str) -> bool {
    let is_plain = |name: &str, marks: &[u8]| name.bytes().all(|c| c.is_ascii_alphanumeric() || marks.contains(&c));
    let region = query.strip_prefix("region=").filter(|region| region.len() < 30 && is_plain(region, b"-"));
    let branch = query.strip_prefix("ref=").filter(|branch| branch.len() < 100 && is_plain(branch, b"-_./"));
    region.or(branch).is_some()
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
            ("consul+http://h:hunter2,i:8501/x", "consul+http://h:*******,i:8501/x"),
            ("- git+https://h/r.git?ref=main", "- git+https://h/r.git?ref=main"),
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
