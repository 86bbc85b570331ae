//! The address of a source in git, e.g. `git+https://host/org/repo.git//prod?ref=main`: read, and refused where it says too much.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a folder in a repository, at whatever commit a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub scheme: Scheme,
    /// The repository as git knows it, e.g. `https://host/org/repo.git`. No password is in it.
    pub url: String,
    /// The user that the address names, e.g. `git`.
    pub user: Option<String>,
    /// The last part of the repository's path, e.g. `repo`.
    pub name: String,
    /// The folder in the repository, e.g. `prod`; empty for all of it.
    pub folder: PathBuf,
    /// The name that leads to the commit; none for the repository's default branch.
    reference: Option<String>,
    /// The address as it was given.
    given: String,
}

/// The ways to reach a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Https,
    Ssh,
    File,
}

impl Scheme {
    /// Git's word for it, e.g. `https`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Ssh => "ssh",
            Self::File => "file",
        }
    }
}

impl Address {
    /// The name that the server lists, e.g. `refs/heads/main`.
    pub fn full_reference(&self) -> String {
        match self.reference.as_deref() {
            None => "HEAD".to_owned(),
            Some(full) if full.starts_with("refs/") => full.to_owned(),
            Some(branch) => format!("refs/heads/{branch}"),
        }
    }

    /// The name for people, e.g. `main`.
    pub fn reference(&self) -> &str {
        self.reference.as_deref().unwrap_or("HEAD")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "an address begins with git+https://, git+ssh:// or git+file://";
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || "\\\"'`^<>".contains(c)) {
            return Err("an address has no spaces, quotes or other marks in it");
        }
        let (scheme, rest) = text.strip_prefix("git+").and_then(|rest| rest.split_once("://")).ok_or(FORMS)?;
        let scheme = match scheme {
            "https" => Scheme::Https,
            "ssh" => Scheme::Ssh,
            "file" => Scheme::File,
            _ => return Err(FORMS),
        };
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let reference = query.map(reference).transpose()?;
        let start = place.find('/').ok_or("the path of the repository is missing")?;
        let (authority, path) = place.split_at(start);
        let user = user(scheme, authority)?;
        let (repository, folder) = path.split_once("//").unwrap_or((path, ""));
        let name = repository.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let name = name.strip_suffix(".git").unwrap_or(name).trim_start_matches('.');
        if name.is_empty() {
            return Err("the path of the repository is missing");
        }
        if repository.split('/').chain(folder.split('/')).any(|part| part == "..") {
            return Err("no part of a path is `..`");
        }
        let url = format!("{}://{authority}{repository}", scheme.word());
        let folder = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        Ok(Self { scheme, url, user, name: name.to_owned(), folder, reference, given: text.to_owned() })
    }
}

/// Reads the user off the part of an address that names the server.
fn user(scheme: Scheme, authority: &str) -> Result<Option<String>, &'static str> {
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]+~".contains(c));
    match (scheme, user) {
        (Scheme::File, _) if !authority.is_empty() => Err("a file has no host: write git+file:///path"),
        (Scheme::File, _) => Ok(None),
        (_, Some(user)) if user.contains(':') => {
            Err("an address has no password in it: put it into a file, and name that with --source-token-file")
        }
        _ if host.is_empty() || host.starts_with('-') || !is_word(host) => Err("the host is missing"),
        (_, Some(user)) if user.is_empty() || user.starts_with('-') || !is_word(user) => Err("the user is no name"),
        (_, user) => Ok(user.map(str::to_owned)),
    }
}

/// Reads the name of a branch, or a whole name such as `refs/tags/v1`. Git's own rules for names, as far as they protect.
fn reference(query: &str) -> Result<String, &'static str> {
    let name = query.strip_prefix("ref=").ok_or("behind the `?` stands `ref=NAME`, and nothing else")?;
    let is_allowed = |c: char| c.is_alphanumeric() || "/._-+@#=,".contains(c);
    let is_odd = name.starts_with(['-', '/', '.']) || name.ends_with(['/', '.']);
    let is_odd = is_odd || ["..", "//", "/.", "@{"].iter().any(|odd| name.contains(odd)) || name.ends_with(".lock");
    if name.is_empty() || is_odd || !name.chars().all(is_allowed) || name == "@" {
        return Err("`ref` is a branch, e.g. `ref=main`, or a whole name, e.g. `ref=refs/tags/v1`");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn an_address_says_where_which_folder_and_which_branch() {
        let all = read("git+https://bot@git.example.com:8443/org/repo.git//desired-state/prod?ref=release/1");
        assert_eq!(all.url, "https://bot@git.example.com:8443/org/repo.git");
        assert_eq!((all.name.as_str(), all.folder.to_str()), ("repo", Some("desired-state/prod")));
        assert_eq!((all.user.as_deref(), all.full_reference().as_str()), (Some("bot"), "refs/heads/release/1"));
        let ssh = read("git+ssh://git@example.com/org/repo");
        assert_eq!((ssh.url.as_str(), ssh.reference()), ("ssh://git@example.com/org/repo", "HEAD"));
        let file = read("git+file:///srv/git/state.git//?ref=refs/tags/v1");
        assert_eq!((file.url.as_str(), file.folder.to_str()), ("file:///srv/git/state.git", Some("")));
        assert_eq!(file.full_reference(), "refs/tags/v1");
    }

    #[test]
    fn an_address_that_says_too_much_or_too_little_is_refused() {
        for (text, why) in [
            ("https://host/repo", "begins with git+https://"),
            ("git+http://host/repo", "begins with git+https://"),
            ("git+ext://sh -c id", "no spaces"),
            ("git+ext://host/repo", "begins with git+https://"),
            ("git+https://u:hunter2@host/repo", "no password"),
            ("git+https:///repo", "host is missing"),
            ("git+ssh://-oProxyCommand=x/repo", "host is missing"),
            ("git+ssh://-x@host/repo", "user is no name"),
            ("git+https://host", "path of the repository is missing"),
            ("git+https://host/", "path of the repository is missing"),
            ("git+file://host/repo", "a file has no host"),
            ("git+https://host/repo//a/../../b", "no part of a path"),
            ("git+https://host/repo?token=x", "`ref=NAME`"),
            ("git+https://host/repo?ref=", "`ref` is a branch"),
            ("git+https://host/repo?ref=--upload-pack=x", "`ref` is a branch"),
            ("git+https://host/repo?ref=a..b", "`ref` is a branch"),
            ("git+https://host/repo?ref=a:b", "`ref` is a branch"),
        ] {
            let said = text.parse::<Address>().unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
