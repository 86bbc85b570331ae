//! The file that names receivers: as it is written, and as it is meant. No secret stands in it, only the paths of files that hold one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_saphyr::options::MergeKeyPolicy;

use super::email;
use super::hook::{Address, Hook};
use super::news::Kind;
use super::way::Way;
use crate::http::is_private;
use crate::input::{file, text};

/// The most receivers that a file may name.
const MOST: usize = 20;

/// A receiver that is to be told.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The name, by which logs and metrics know it, e.g. `ops-chat`.
    pub name: String,
    /// The kinds of news that it is told.
    pub kinds: BTreeSet<Kind>,
    pub way: Way,
}

/// The receivers of a file, with what all their messages share.
#[derive(Clone, Debug)]
pub struct Receivers {
    pub all: Vec<Receiver>,
    /// The address at which the daemon's page is reached, without a `/` at its end, e.g. `https://crab.example`.
    pub page: Option<String>,
}

/// A file that names no receivers that could be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("{} cannot be read", text::path(path))]
    Unread { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be used", text::path(path))]
    Wrong { path: PathBuf, source: Wrong },
}

/// The mistake in a file.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The reader's words, with the line and without what stands in it.
    #[error("{0}")]
    Form(String),
    #[error("it names no receiver")]
    Empty,
    #[error("it names more than {MOST} receivers")]
    TooMany,
    #[error("the name `{0}` is no name: letters, digits, `-` and `_`, at most 40")]
    Name(String),
    #[error("the name `{0}` stands twice")]
    Twice(String),
    #[error("{receiver} needs one way of being told: `slack`, `webhook`, `github`, `gitlab` or `email`")]
    Ways { receiver: String },
    #[error("{receiver} needs either `url` or `urlFile`")]
    Address { receiver: String },
    #[error("`{what}` of {receiver} is no address that begins with https:// and names a host")]
    NoAddress { receiver: String, what: &'static str },
    #[error("`{what}` of {receiver} is not of the form {form}")]
    Field { receiver: String, what: &'static str, form: &'static str },
    #[error("`page` is no address that begins with https:// or http://")]
    Page,
}

/// The whole file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "hermitcrab notifications", rename = "Notifications")]
struct Document {
    /// Always `hermitcrab/v1`.
    #[allow(dead_code)] // an enum of one word, which reading checks
    api_version: Version,
    /// Always `Notifications`.
    #[allow(dead_code)] // the same
    kind: Word,
    /// The address at which the daemon's page is reached, for links in messages, e.g. `https://crab.example`.
    #[serde(default)]
    page: Option<String>,
    receivers: Vec<Written>,
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Version {
    #[serde(rename = "hermitcrab/v1")]
    V1,
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Word {
    Notifications,
}

/// A receiver, told in exactly one way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Receiver")]
struct Written {
    /// The name, by which logs and metrics know it, e.g. `ops-chat`.
    name: String,
    /// The kinds of news that it is told; all of them if left out.
    #[serde(default)]
    on: Option<BTreeSet<Kind>>,
    #[serde(default)]
    slack: Option<Slack>,
    #[serde(default)]
    webhook: Option<Webhook>,
    #[serde(default)]
    github: Option<GitHub>,
    #[serde(default)]
    gitlab: Option<GitLab>,
    #[serde(default)]
    email: Option<email::Written>,
}

/// A channel of Slack, by an incoming webhook.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Slack {
    /// A file with the webhook's address, which is a secret; relative to this file.
    url_file: String,
    /// A PEM file with the only CAs that are trusted; relative to this file.
    #[serde(default)]
    ca_file: Option<String>,
}

/// Any server: it is sent CloudEvents by POST.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Webhook {
    /// The address, e.g. `https://hooks.example/hermitcrab`. One that holds a secret belongs in `urlFile`.
    #[serde(default)]
    url: Option<String>,
    /// A file with the address; relative to this file.
    #[serde(default)]
    url_file: Option<String>,
    /// A file with the secret that messages are signed with; relative to this file.
    #[serde(default)]
    secret_file: Option<String>,
    /// A PEM file with the only CAs that are trusted; relative to this file.
    #[serde(default)]
    ca_file: Option<String>,
}

/// The status of a commit on GitHub.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GitHub {
    /// The repository that desired state lies in, e.g. `example/clusters`.
    repository: String,
    /// A file with a token that may write commit statuses; relative to this file.
    token_file: String,
    /// The API, of GitHub Enterprise e.g. `https://github.example/api/v3`.
    #[serde(default)]
    api: Option<String>,
    /// A PEM file with the only CAs that are trusted; relative to this file.
    #[serde(default)]
    ca_file: Option<String>,
}

/// The status of a commit on GitLab.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GitLab {
    /// The project that desired state lies in, e.g. `example/clusters`.
    project: String,
    /// A file with a token that may use the API; relative to this file.
    token_file: String,
    /// The API, e.g. `https://gitlab.example/api/v4`.
    #[serde(default)]
    api: Option<String>,
    /// A PEM file with the only CAs that are trusted; relative to this file.
    #[serde(default)]
    ca_file: Option<String>,
}

/// Reads the file.
pub fn read(path: &Path) -> Result<Receivers, Unusable> {
    let text = file::read_text(path, file::DESIRED_STATE)
        .map_err(|source| Unusable::Unread { path: path.to_owned(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    understand(&text, folder).map_err(|source| Unusable::Wrong { path: path.to_owned(), source })
}

fn understand(text: &str, folder: &Path) -> Result<Receivers, Wrong> {
    // No snippet: somebody may have written a secret in place of a path.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    };
    let read: Result<Document, _> = serde_saphyr::from_str_with_options(text, options);
    let document = read.map_err(|error| Wrong::Form(text::cut(&error.to_string(), 500)))?;
    let page = document.page.map(|page| page.trim_end_matches('/').to_owned());
    if page.as_deref().is_some_and(|page| !["https://", "http://"].iter().any(|scheme| page.starts_with(scheme))) {
        return Err(Wrong::Page);
    }
    if document.receivers.is_empty() {
        return Err(Wrong::Empty);
    }
    if document.receivers.len() > MOST {
        return Err(Wrong::TooMany);
    }
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for written in document.receivers {
        let receiver = meant(written, folder)?;
        if !names.insert(receiver.name.clone()) {
            return Err(Wrong::Twice(receiver.name));
        }
        all.push(receiver);
    }
    Ok(Receivers { all, page })
}

fn meant(written: Written, folder: &Path) -> Result<Receiver, Wrong> {
    let Written { name, on, slack, webhook, github, gitlab, email } = written;
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !(1..=40).contains(&name.len()) || !name.chars().all(inner) {
        return Err(Wrong::Name(text::cut(&name, 60)));
    }
    let way = match (slack, webhook, github, gitlab, email) {
        (Some(slack), None, None, None, None) => Way::Http(self::slack(slack, folder)),
        (None, Some(webhook), None, None, None) => Way::Http(self::webhook(webhook, &name, folder)?),
        (None, None, Some(github), None, None) => Way::Http(self::github(github, &name, folder)?),
        (None, None, None, Some(gitlab), None) => Way::Http(self::gitlab(gitlab, &name, folder)?),
        (None, None, None, None, Some(email)) => {
            let meant = email.meant(|path| beside(folder, path));
            Way::Email(meant.map_err(|(what, form)| Wrong::Field { receiver: name.clone(), what, form })?)
        }
        _ => return Err(Wrong::Ways { receiver: name }),
    };
    let kinds = on.unwrap_or_else(|| Kind::ALL.into_iter().collect());
    Ok(Receiver { name, kinds, way })
}

fn slack(slack: Slack, folder: &Path) -> Hook {
    Hook::Slack {
        url: Address::InFile(beside(folder, &slack.url_file)),
        ca_file: slack.ca_file.map(|ca| beside(folder, &ca)),
    }
}

fn webhook(webhook: Webhook, receiver: &str, folder: &Path) -> Result<Hook, Wrong> {
    let url = match (webhook.url, webhook.url_file) {
        // Nothing secret travels in the clear: a message is signed, and the key stays here.
        (Some(url), None) if url.starts_with("http://") || url.starts_with("https://") => Address::Known(url),
        (Some(_), None) => return Err(Wrong::NoAddress { receiver: receiver.to_owned(), what: "url" }),
        (None, Some(file)) => Address::InFile(beside(folder, &file)),
        _ => return Err(Wrong::Address { receiver: receiver.to_owned() }),
    };
    Ok(Hook::Webhook {
        url,
        secret_file: webhook.secret_file.map(|file| beside(folder, &file)),
        ca_file: webhook.ca_file.map(|ca| beside(folder, &ca)),
    })
}

fn github(github: GitHub, receiver: &str, folder: &Path) -> Result<Hook, Wrong> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(inner);
    let is_name = github.repository.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name));
    if !is_name {
        let (what, form) = ("repository", "owner/name");
        return Err(Wrong::Field { receiver: receiver.to_owned(), what, form });
    }
    let api = api(github.api, "https://api.github.com", receiver)?;
    let token_file = beside(folder, &github.token_file);
    let ca_file = github.ca_file.map(|ca| beside(folder, &ca));
    Ok(Hook::GitHub { api, repository: github.repository, token_file, ca_file })
}

fn gitlab(gitlab: GitLab, receiver: &str, folder: &Path) -> Result<Hook, Wrong> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if gitlab.project.is_empty() || !gitlab.project.chars().all(inner) {
        let (what, form) = ("project", "group/name");
        return Err(Wrong::Field { receiver: receiver.to_owned(), what, form });
    }
    let api = api(gitlab.api, "https://gitlab.com/api/v4", receiver)?;
    let token_file = beside(folder, &gitlab.token_file);
    let ca_file = gitlab.ca_file.map(|ca| beside(folder, &ca));
    Ok(Hook::GitLab { api, project: gitlab.project, token_file, ca_file })
}

/// The address of an API that a token is sent to: never in the clear, unless it stays on this machine.
fn api(given: Option<String>, usual: &str, receiver: &str) -> Result<String, Wrong> {
    let api = given.unwrap_or_else(|| usual.to_owned());
    if is_private(&api) {
        Ok(api.trim_end_matches('/').to_owned())
    } else {
        Err(Wrong::NoAddress { receiver: receiver.to_owned(), what: "api" })
    }
}

/// A path that is relative to the file that names it.
fn beside(folder: &Path, path: &str) -> String {
    folder.join(path).to_string_lossy().into_owned()
}

/// Writes the JSON schema of the file.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<Document>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: hermitcrab/v1\nkind: Notifications\n";

    fn read(rest: &str) -> Result<Receivers, String> {
        understand(&format!("{HEAD}{rest}"), Path::new("conf")).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn receivers_are_read_with_paths_beside_the_file() {
        let receivers = read(
            "page: https://crab.example/\nreceivers:\n  - name: chat\n    slack: {urlFile: slack-url}\n  - name: pager\n    on: \
             [stalled, no-quorum]\n    webhook: {url: 'http://10.0.0.1/hook', secretFile: /etc/secret}\n",
        )
        .unwrap();
        assert_eq!(receivers.page.as_deref(), Some("https://crab.example"));
        let [chat, pager] = receivers.all.as_slice() else { panic!("{receivers:?}") };
        assert!(
            matches!(&chat.way, Way::Http(Hook::Slack { url: Address::InFile(path), .. }) if path == "conf/slack-url"),
            "{chat:?}"
        );
        assert_eq!(chat.kinds.len(), Kind::ALL.len());
        assert_eq!(pager.kinds, BTreeSet::from([Kind::Stalled, Kind::NoQuorum]));
    }

    #[test]
    fn each_mistake_is_named_and_no_value_is_shown() {
        let secret = "xoxb-0000-5ecret";
        for (rest, says) in [
            ("receivers: []".to_owned(), "it names no receiver"),
            (
                "receivers:\n  - name: a\n    slack: {urlFile: x}\n    github: {repository: a/b, tokenFile: t}"
                    .to_owned(),
                "a needs one way",
            ),
            ("receivers:\n  - name: a".to_owned(), "a needs one way"),
            ("receivers:\n  - name: a b\n    slack: {urlFile: x}".to_owned(), "`a b` is no name"),
            (
                "receivers:\n  - name: a\n    slack: {urlFile: x}\n  - name: a\n    slack: {urlFile: x}".to_owned(),
                "`a` stands twice",
            ),
            ("receivers:\n  - name: a\n    webhook: {}".to_owned(), "either `url` or `urlFile`"),
            ("receivers:\n  - name: a\n    webhook: {url: ftp://x}".to_owned(), "`url` of a is no address"),
            (
                "receivers:\n  - name: a\n    github: {repository: a/../b, tokenFile: t}".to_owned(),
                "`repository` of a is not of the form owner/name",
            ),
            (
                "receivers:\n  - name: a\n    github: {repository: a/b, tokenFile: t, api: 'http://api.example'}"
                    .to_owned(),
                "`api` of a is no address",
            ),
            (format!("receivers:\n  - name: a\n    slack: {{url: {secret}}}"), "unknown field `url`"),
            (format!("receivers:\n  - name: a\n    slack: {secret}"), "line 5"),
            ("receivers:\n  - name: a\n    on: [sung]\n    slack: {urlFile: x}".to_owned(), "unknown variant `sung`"),
        ] {
            let said = read(&rest).unwrap_err();
            assert!(said.contains(says) && !said.contains("5ecret"), "{rest}: {said}");
        }
    }
}
