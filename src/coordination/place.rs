//! The place of claims, as a person writes it, and what is needed to get there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A place for claims: a directory, or `consul+http://HOST:PORT,…/PREFIX` (`consul+https://…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory on a local disk. Every controller that uses it runs on this machine.
    Directory(PathBuf),
    /// Consul servers, which may be the ones that are rolled.
    Consul(Remote),
}

/// A place in a Consul's key-value store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The servers' or agents' addresses, each with scheme and port. They are asked in turn until one answers.
    pub servers: Vec<String>,
    /// The beginning of every key, without a slash at either end, e.g. `hermitcrab`.
    pub prefix: String,
}

/// Files that open the way to Consul. They are read again with every call; a directory needs none.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The file with the ACL token.
    pub token_file: Option<String>,
    /// The token may be sent over plain HTTP, where everybody on the way can read it.
    pub token_in_clear: bool,
    /// The PEM file with the only CAs that are trusted; without one, the system's are. Certificates must bear the hosts as
    /// written.
    pub ca_file: Option<String>,
    /// The PEM files with our own certificate, and with its key.
    pub own_files: Option<(String, String)>,
}

/// The beginning of every key, unless the place says another.
const PREFIX: &str = "hermitcrab";

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str = "name a directory, or consul+http://HOST:PORT/PREFIX (or consul+https://…)";
        let (scheme, port, rest) = match text.split_once("://") {
            None if text.is_empty() => return Err(FORMS.to_owned()),
            None => return Ok(Self::Directory(PathBuf::from(text))),
            Some(("consul+http", rest)) => ("http", 8500, rest),
            Some(("consul+https", rest)) => ("https", 8501, rest),
            Some((scheme, _)) => return Err(format!("claims cannot be kept at `{scheme}://`: {FORMS}")),
        };
        let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = match prefix.trim_end_matches('/') {
            "" => PREFIX,
            prefix => prefix,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if !prefix.chars().all(plain) || prefix.split('/').any(|part| part.trim_matches('.').is_empty()) {
            return Err(format!("`{prefix}` is no prefix of keys: use letters, digits, `-`, `_`, `.` and `/`"));
        }
        let server = |host: &str| match host {
            // Not repeated: a password may stand before the `@`.
            _ if rest.contains('@') => Err(format!("a host with a user or a password: {FORMS}; tokens go in a file")),
            _ if host.is_empty() || host.contains(['?', '#']) || host.contains(char::is_whitespace) => {
                Err(format!("`{host}` is no host: {FORMS}; tokens go in a file"))
            }
            _ if host.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(':') && !host.ends_with(':') => {
                Ok(format!("{scheme}://{host}"))
            }
            _ => Ok(format!("{scheme}://{}:{port}", host.trim_end_matches(':'))),
        };
        let servers = hosts.split(',').map(server).collect::<Result<_, _>>()?;
        Ok(Self::Consul(Remote { servers, prefix: prefix.to_owned() }))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::Consul(Remote { servers, prefix }) => write!(f, "{prefix} in Consul at {}", servers.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> (Vec<String>, String) {
        match text.parse() {
            Ok(Place::Consul(Remote { servers, prefix })) => (servers, prefix),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_place_is_a_directory_or_servers_with_a_prefix() {
        assert_eq!("state/claims".parse(), Ok(Place::Directory(PathBuf::from("state/claims"))));
        let one = (vec!["http://10.0.0.1:8500".to_owned()], "hermitcrab".to_owned());
        assert_eq!(remote("consul+http://10.0.0.1"), one);
        assert_eq!(remote("consul+http://10.0.0.1:8500/"), one);
        let two = (vec!["https://a:8501".to_owned(), "https://[::1]:9501".to_owned()], "ops/crab".to_owned());
        assert_eq!(remote("consul+https://a,[::1]:9501/ops/crab/"), two);
    }

    #[test]
    fn what_is_no_place_is_told_the_next_step() {
        for (text, says) in [
            ("", "name a directory"),
            ("s3://bucket", "claims cannot be kept at `s3://`"),
            ("consul+http://", "`` is no host"),
            ("consul+http://a,,b", "`` is no host"),
            ("consul+http://user:secret@a", "tokens go in a file"),
            ("consul+http://a/x?token=y", "is no prefix of keys"),
            ("consul+http://a/x/../y", "is no prefix of keys"),
        ] {
            let error = text.parse::<Place>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
