//! The place of claims, as a person writes it, and what is needed to get there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::input::secret::Secret;
use crate::input::text;

/// A place for claims: a directory, `s3://BUCKET/PREFIX`, or `consul+http://HOST:PORT,…/PREFIX` (`consul+https://…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory on a local disk. Every controller that uses it runs on this machine.
    Directory(PathBuf),
    /// A bucket of S3.
    Bucket(Bucket),
    /// Consul servers, which may be the ones that are rolled.
    Consul(Remote),
}

/// A place in a bucket of S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket, e.g. `platform-state`.
    pub name: String,
    /// The beginning of every key, without a slash at either end, e.g. `hermitcrab`.
    pub prefix: String,
    /// The bucket's region, where it is not the account's usual one.
    pub region: Option<String>,
}

/// A place in a Consul's key-value store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The servers' or agents' addresses, each with scheme and port. They are asked in turn until one answers.
    pub servers: Vec<String>,
    /// The beginning of every key, without a slash at either end, e.g. `hermitcrab`.
    pub prefix: String,
}

/// Files and keys that open the way to the claims. Files are read again with every call; a directory needs nothing.
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
    /// For a bucket: the AWS account.
    pub account: Option<Account>,
}

/// An AWS account, as far as a bucket needs it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The region of a bucket that names none.
    pub region: String,
    /// The address of S3, where it is not AWS's own.
    pub endpoint: Option<String>,
    /// The keys to sign with.
    pub keys: Arc<dyn Keys>,
}

/// A source of an account's keys, which change from time to time.
pub trait Keys: fmt::Debug + Send + Sync {
    /// Gives keys that are good now, or says why there are none.
    fn key(&self) -> BoxFuture<'_, Result<Key, String>>;
}

/// A key of an account.
#[derive(Clone, Debug)]
pub struct Key {
    /// The access key's id, e.g. `AKIAIOSFODNN7EXAMPLE`.
    pub id: String,
    /// The secret that belongs to it.
    pub secret: Secret,
    /// The token of a session, where the key is a temporary one.
    pub session: Option<Secret>,
}

/// The beginning of every key, unless the place says another.
const PREFIX: &str = "hermitcrab";

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str =
            "name a directory, s3://BUCKET/PREFIX, or consul+http://HOST:PORT/PREFIX (or consul+https://…)";
        let (scheme, port, rest) = match text.split_once("://") {
            None if text.is_empty() => return Err(FORMS.to_owned()),
            None => return Ok(Self::Directory(PathBuf::from(text))),
            Some(("s3", rest)) => return bucket(rest).map(Self::Bucket),
            Some(("consul+http", rest)) => ("http", 8500, rest),
            Some(("consul+https", rest)) => ("https", 8501, rest),
            Some((scheme, _)) => return Err(format!("claims cannot be kept at `{scheme}://`: {FORMS}")),
        };
        let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix_of(prefix)?;
        let server = |host: &str| match host {
            // Not repeated: a password may stand before the `@`, in the place of a port, or behind a `?`.
            _ if rest.contains('@') => Err(format!("a host with a user or a password: {FORMS}; tokens go in a file")),
            _ if host.is_empty() || host.contains(['?', '#']) || host.contains(char::is_whitespace) => {
                Err(format!("that is no host: {FORMS}; tokens go in a file"))
            }
            _ => match host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
                None => Ok(format!("{scheme}://{host}:{port}")),
                Some((host, "")) => Ok(format!("{scheme}://{host}:{port}")),
                Some((_, named)) if named.parse::<u16>().is_ok() => Ok(format!("{scheme}://{host}")),
                Some(_) => Err(format!("a port that is no number: {FORMS}")),
            },
        };
        let servers = hosts.split(',').map(server).collect::<Result<_, _>>()?;
        Ok(Self::Consul(Remote { servers, prefix }))
    }
}

/// Takes the prefix of keys, or the usual one where none is named.
fn prefix_of(text: &str) -> Result<String, String> {
    let prefix = match text.trim_end_matches('/') {
        "" => PREFIX,
        prefix => prefix,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if prefix.contains(['?', '#']) {
        // Not repeated: somebody may have thought that a token goes there.
        return Err("nothing may stand after a `?` here: tokens go in a file".to_owned());
    }
    if !prefix.chars().all(plain) || prefix.split('/').any(|part| part.trim_matches('.').is_empty()) {
        return Err(format!("`{prefix}` is no prefix of keys: use letters, digits, `-`, `_`, `.` and `/`"));
    }
    Ok(prefix.to_owned())
}

/// Takes `BUCKET/PREFIX?region=REGION`, of which a bucket is enough. A bucket's name is as S3 has it.
fn bucket(text: &str) -> Result<Bucket, String> {
    const FORM: &str = "name s3://BUCKET/PREFIX, or s3://BUCKET/PREFIX?region=REGION";
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = (3..=63).contains(&name.len())
        && name.chars().all(|c| small(c) || ".-".contains(c))
        && name.starts_with(small)
        && name.ends_with(small);
    if !is_name {
        let name = if name.contains('@') { "that" } else { &format!("`{name}`") };
        return Err(format!("{name} is no bucket: {FORM}; its keys are the account's own"));
    }
    let region = match query.map(|query| query.split_once('=')) {
        None => None,
        Some(Some(("region", region))) if region.len() > 4 && region.chars().all(|c| small(c) || c == '-') => {
            Some(region.to_owned())
        }
        Some(_) => return Err(format!("after the `?` stands something else than a region: {FORM}")),
    };
    Ok(Bucket { name: name.to_owned(), prefix: prefix_of(prefix)?, region })
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.name, self.prefix)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => f.write_str(&text::path(directory)),
            Self::Bucket(bucket) => bucket.fmt(f),
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
    fn a_place_may_be_a_bucket_with_a_prefix_and_a_region() {
        let bucket = |text: &str| match text.parse() {
            Ok(Place::Bucket(Bucket { name, prefix, region })) => (name, prefix, region),
            other => panic!("{text}: {other:?}"),
        };
        let usual = ("my.state-1".to_owned(), "hermitcrab".to_owned(), None);
        assert_eq!(bucket("s3://my.state-1"), usual);
        assert_eq!(bucket("s3://my.state-1/"), usual);
        let named = ("state".to_owned(), "ops/crab".to_owned(), Some("eu-central-1".to_owned()));
        assert_eq!(bucket("s3://state/ops/crab/?region=eu-central-1"), named);
    }

    #[test]
    fn what_is_no_place_is_told_the_next_step() {
        for (text, says) in [
            ("", "name a directory"),
            ("gs://bucket", "claims cannot be kept at `gs://`"),
            ("s3://", "`` is no bucket: name s3://BUCKET/PREFIX"),
            ("s3://Capitals/x", "`Capitals` is no bucket"),
            ("s3://-abc/x", "`-abc` is no bucket"),
            ("s3://key:secret@bucket/x", "that is no bucket"),
            ("s3://bucket/a//b", "is no prefix of keys"),
            ("s3://bucket/x?versionId=1", "something else than a region"),
            ("s3://bucket/x?region=EU", "something else than a region"),
            ("consul+http://", "that is no host"),
            ("consul+http://a,,b", "that is no host"),
            ("consul+http://a:secret/x", "a port that is no number"),
            ("consul+http://user:secret@a", "tokens go in a file"),
            ("consul+http://a/x?token=secret", "tokens go in a file"),
            ("consul+http://a/x/../y", "is no prefix of keys"),
        ] {
            let error = text.parse::<Place>().unwrap_err();
            assert!(error.contains(says) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
