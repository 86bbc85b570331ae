//! News by e-mail: the message that they become, and the relay that takes it.

use std::io;
use std::time::Duration;

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::raw::Raw;
use schemars::JsonSchema;
use serde::Deserialize;

use super::news::News;
use super::smtp::{self, Envelope, Fault};
use super::way::Untold;
use crate::http::{self, Tls, Trust, is_here};
use crate::input::secret::Secret;
use crate::input::text;
use crate::revision::short;
use crate::time::Timestamp;

/// The time that a relay has for each of its answers.
pub(super) const WITHIN: Duration = Duration::from_secs(5);
/// The time that a relay has for a whole message.
const WITHIN_ALL: Duration = Duration::from_secs(20);
/// The most characters of a relay's answer that are shown.
const LONGEST: usize = 200;
/// The most people that one receiver may name.
const MOST: usize = 20;

/// Mail by a relay, as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Email")]
pub struct Written {
    /// The relay's name, e.g. `smtp.example`.
    relay: String,
    /// The port; 587 for `starttls`, 465 for `tls`, 25 for `none` if left out.
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    encryption: Encryption,
    /// The name that the relay knows us by, with `passwordFile`.
    #[serde(default)]
    user: Option<String>,
    /// A file with the password; relative to this file.
    #[serde(default)]
    password_file: Option<String>,
    /// The sender, e.g. `hermitcrab <crab@example.org>`.
    from: String,
    /// The people to write to, e.g. `ops@example.org`.
    to: Vec<String>,
    /// A PEM file with the only CAs that are trusted; relative to this file.
    #[serde(default)]
    ca_file: Option<String>,
}

/// The ways in which a connection to a relay is kept from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// The connection begins in the clear and must be encrypted before anything is said.
    #[default]
    StartTls,
    /// The connection is encrypted from its beginning.
    Tls,
    /// The connection is not encrypted: what is said can be read on the way. No password is sent so, but to this machine.
    None,
}

/// A relay, and the letters that it is given.
#[derive(Clone, Debug)]
pub struct Email {
    relay: String,
    port: u16,
    encryption: Encryption,
    /// The user's name, and the path of the file with the password.
    login: Option<(String, String)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    trust: Trust,
}

/// Somebody who writes or is written to.
#[derive(Clone, Debug)]
struct Mailbox {
    name: Option<String>,
    address: String,
}

/// A mistake in what is written: the field, and its form.
pub type Mistake = (&'static str, &'static str);

/// The reason why a relay did not take a message.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    #[error("the message cannot be made")]
    Unmade(#[source] io::Error),
    #[error("the relay {relay} cannot be reached: {why}")]
    Unreachable { relay: String, why: String },
    #[error("the relay {relay} refuses: {said}")]
    Refused {
        relay: String,
        said: String,
        /// The same message will be refused again.
        for_good: bool,
    },
}

impl Written {
    /// Understands what is written; `beside` makes a path that is relative to its file.
    pub fn meant(self, beside: impl Fn(&str) -> String) -> Result<Email, Mistake> {
        let inner = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if self.relay.is_empty() || !self.relay.chars().all(inner) {
            return Err(("relay", "smtp.example, without a port"));
        }
        let login = match (self.user, self.password_file) {
            (Some(user), Some(file)) => Some((user, beside(&file))),
            (None, None) => None,
            _ => return Err(("user", "a name, with `passwordFile`")),
        };
        // The port that `is_here` expects stands behind the last colon.
        if login.is_some() && self.encryption == Encryption::None && !is_here(&format!("{}:", self.relay)) {
            return Err(("encryption", "`starttls` or `tls`, because a password is sent"));
        }
        let to: Option<Vec<_>> = self.to.iter().map(|to| Mailbox::read(to)).collect();
        Ok(Email {
            relay: self.relay,
            port: self.port.unwrap_or(match self.encryption {
                Encryption::StartTls => 587,
                Encryption::Tls => 465,
                Encryption::None => 25,
            }),
            encryption: self.encryption,
            login,
            from: Mailbox::read(&self.from).ok_or(("from", "`crab@example.org` or `Name <crab@example.org>`"))?,
            to: to.filter(|to| (1..=MOST).contains(&to.len())).ok_or(("to", "one to twenty of `ops@example.org`"))?,
            trust: match self.encryption {
                Encryption::None => Trust::Plain,
                Encryption::StartTls | Encryption::Tls => {
                    Trust::Tls(Tls { ca_file: self.ca_file.map(|file| beside(&file)), ..Tls::default() })
                }
            },
        })
    }
}

impl Mailbox {
    /// Reads `crab@example.org` or `Name <crab@example.org>`. None of it can end a line or a command.
    fn read(text: &str) -> Option<Self> {
        let (name, address) = match text.trim().strip_suffix('>') {
            Some(text) => text.split_once('<').map(|(name, address)| (name.trim().trim_matches('"'), address))?,
            None => ("", text.trim()),
        };
        let is_plain = |text: &str| {
            !text.is_empty() && text.chars().all(|one| one.is_ascii_graphic() && !"<>()[]\\,;:@\"".contains(one))
        };
        let (local, host) = address.split_once('@')?;
        let is_name = name.chars().all(|one| (' '..='~').contains(&one) && !"<>\\\"".contains(one));
        (is_plain(local) && is_plain(host) && is_name)
            .then(|| Self { name: Some(name.to_owned()).filter(|name| !name.is_empty()), address: address.to_owned() })
    }

    fn written(&self) -> Address<'_> {
        Address::new_address(self.name.as_deref(), self.address.as_str())
    }
}

impl Email {
    /// Writes a letter with the news, and gives it to the relay.
    pub async fn tell(&self, news: &News, page: Option<&str>, now: Timestamp) -> Result<(), Untold> {
        let letter = self.letter(news, news.link(page), now).map_err(Unsent::Unmade)?;
        let password = match &self.login {
            Some((_, file)) => Some(http::secret(file, "password")?),
            None => None,
        };
        let login = self.login.as_ref().zip(password.as_ref()).map(|((user, _), password)| (user.as_str(), password));
        let envelope = Envelope {
            from: &self.from.address,
            to: self.to.iter().map(|to| to.address.as_str()).collect(),
            letter: &letter,
        };
        let sending = smtp::send((&self.relay, self.port), self.encryption, self.trust.config()?, login, &envelope);
        match tokio::time::timeout(WITHIN_ALL, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(self.unsent(&fault, password.as_ref()).into()),
            Err(_) => Err(self.unreachable("it does not come to an end with a message").into()),
        }
    }

    fn letter(&self, news: &News, link: Option<String>, now: Timestamp) -> io::Result<Vec<u8>> {
        let mut lines = vec![news.title.clone()];
        if !news.detail.is_empty() {
            lines.push(news.detail.clone());
        }
        lines.extend(news.revision.as_ref().map(|revision| format!("commit {}", short(revision))));
        lines.extend(link);
        let text: Vec<_> = lines.iter().flat_map(|line| line.lines().chain([""])).map(text::clean).collect();
        let letter = MessageBuilder::new()
            .from(self.from.written())
            .to(Address::new_list(self.to.iter().map(Mailbox::written).collect()))
            .subject(text::clean(&news.title).into_owned())
            .date(now.as_second())
            // The same for every try, so that whoever is told twice can know it.
            .message_id(format!("{}@hermitcrab", news.id))
            // Programs that answer mail know by it that nobody waits for an answer (RFC 3834).
            .header("Auto-Submitted", Raw::new("auto-generated"))
            .text_body(text.join("\r\n"));
        letter.write_to_vec()
    }

    fn unreachable(&self, why: &str) -> Unsent {
        Unsent::Unreachable { relay: format!("{}:{}", self.relay, self.port), why: why.to_owned() }
    }

    fn unsent(&self, fault: &Fault, password: Option<&Secret>) -> Unsent {
        let shown = |said: &str| {
            let said = password.map_or_else(|| said.to_owned(), |password| password.blank_out(said));
            text::cut(&text::clean(&said), LONGEST)
        };
        let said = shown(&crate::ports::chain(fault));
        match fault {
            Fault::Refused { code, .. } => {
                // A person may mend a password meanwhile, and time whatever is refused for now.
                let for_good = (500..600).contains(code) && !matches!(code, 530 | 534 | 535 | 538);
                let end = if for_good { "; it is not tried again" } else { "" };
                Unsent::Refused { relay: format!("{}:{}", self.relay, self.port), said: said + end, for_good }
            }
            _ => self.unreachable(&said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::news::Kind;
    use super::*;

    fn email() -> Email {
        let written =
            serde_json::json!({"relay": "smtp.example", "from": "Crab <crab@example.org>", "to": ["ops@example.org"]});
        serde_json::from_value::<Written>(written).unwrap().meant(str::to_owned).unwrap()
    }

    #[test]
    fn nothing_that_others_wrote_becomes_a_header() {
        let title = "consul-prod\r\nBcc: all@example.org\r\n\r\nis stalled";
        let news = News::new(Kind::Stalled, Timestamp::UNIX_EPOCH, Some("consul-prod"), title, "a\nb\r\n.\r\nQUIT");
        let text = email().letter(&news, Some("https://crab.example".to_owned()), Timestamp::UNIX_EPOCH);
        let text = String::from_utf8(text.unwrap()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let is_begun = |line: &&str| !line.starts_with([' ', '\t']);
        let names: Vec<_> = head.lines().filter(is_begun).filter_map(|line| line.split(':').next()).collect();
        let expected = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"];
        assert_eq!(names[..7], expected, "{text}");
        assert_eq!(names[7..], ["Content-Type", "Content-Transfer-Encoding"], "{text}");
        assert!(text.is_ascii(), "{text}");
    }

    #[test]
    fn a_password_is_sent_to_nobody_in_the_clear() {
        let meant = |relay: &str, encryption: &str| {
            let written = serde_json::json!({"relay": relay, "encryption": encryption, "user": "crab", "passwordFile": "password",
                "from": "crab@example.org", "to": ["ops@example.org"]});
            serde_json::from_value::<Written>(written)
                .unwrap()
                .meant(str::to_owned)
                .map(|email| email.port)
                .map_err(|(what, _)| what)
        };
        assert_eq!(meant("smtp.example", "none"), Err("encryption"));
        assert_eq!(meant("localhost.example", "none"), Err("encryption"));
        for (relay, encryption, port) in [
            ("127.0.0.1", "none", 25),
            ("localhost", "none", 25),
            ("smtp.example", "starttls", 587),
            ("smtp.example", "tls", 465),
        ] {
            assert_eq!(meant(relay, encryption), Ok(port), "{relay}");
        }
    }

    #[test]
    fn mistakes_name_their_field() {
        let good = serde_json::json!({"relay": "smtp.example", "from": "crab@example.org", "to": ["ops@example.org"]});
        for (field, value) in [
            ("relay", serde_json::json!("smtp.example/x")),
            ("relay", serde_json::json!("")),
            ("user", serde_json::json!("crab")),
            ("from", serde_json::json!("nobody")),
            ("to", serde_json::json!([])),
            ("to", serde_json::json!(["ops@example.org", "not one"])),
            ("to", serde_json::json!(["ops@example.org> SIZE=1"])),
            ("from", serde_json::json!("crab@example.org\r\nRCPT TO:<all@example.org>")),
        ] {
            let mut written = good.clone();
            written[field] = value;
            let meant = serde_json::from_value::<Written>(written.clone()).unwrap().meant(str::to_owned);
            assert_eq!(meant.map(|_| ()).map_err(|(what, _)| what), Err(field), "{written}");
        }
    }
}
