//! News by HTTP: the request that each kind of receiver is made, and whether it was accepted.

use serde_json::{Value, json};

use super::news::{Kind, News};
use super::way::Untold;
use crate::http::{self, Answer, Http, Server, Tls, Trust, Unusable};
use crate::input::secret::Secret;
use crate::revision::short;
use crate::time::Timestamp;

/// The most characters that GitHub takes for a status's description.
const DESCRIPTION: usize = 140;
/// The most bytes of an answer that are read: only its status counts.
const ANSWER: usize = 64 << 10;

/// A receiver that is told by HTTP.
#[derive(Clone, Debug)]
pub enum Hook {
    /// An incoming webhook of Slack.
    Slack { url: Address, ca_file: Option<String> },
    /// CloudEvents to any server.
    Webhook { url: Address, secret_file: Option<String>, ca_file: Option<String> },
    /// The status of a commit on GitHub.
    GitHub { api: String, repository: String, token_file: String, ca_file: Option<String> },
    /// The status of a commit on GitLab.
    GitLab { api: String, project: String, token_file: String, ca_file: Option<String> },
}

/// An address that messages are sent to.
#[derive(Clone, Debug)]
pub enum Address {
    Known(String),
    /// The path of the file that holds it, which is a secret.
    InFile(String),
}

/// A message that is ready to be sent.
struct Message {
    /// The path below the address of an API; none where the address is complete.
    path: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

impl Hook {
    /// Tells the news. Answers false if they are of no use to the receiver, and nothing was sent.
    pub async fn tell(&self, http: &Http, news: &News, page: Option<&str>, now: Timestamp) -> Result<bool, Untold> {
        let Some(message) = self.message(news, page) else { return Ok(false) };
        let (server, secret) = self.server(http)?;
        let body = message.body.to_string();
        let mut headers = message.headers;
        if let Self::Webhook { secret_file: Some(file), .. } = self {
            let at = now.as_second();
            let signature = http::secret(file, "secret")?.signature(format!("{at}.{body}").as_bytes());
            headers.push(("hermitcrab-signature", format!("t={at},sha256={signature}")));
        }
        let server = message.path.map_or_else(|| server.clone(), |path| server.at(&path));
        accepted(&server.deliver(&headers, body.into_bytes(), secret.as_ref(), ANSWER).await?)?;
        Ok(true)
    }

    /// Tries out whether the receiver can be told: with a message where messages are read, and by reading the repository where
    /// statuses are set. Answers with what was done.
    pub async fn try_out(&self, http: &Http, page: Option<&str>, now: Timestamp) -> Result<&'static str, Untold> {
        let path = match self {
            Self::Slack { .. } | Self::Webhook { .. } => {
                self.tell(http, &News::test(now), page, now).await?;
                return Ok("a test message was accepted");
            }
            Self::GitHub { repository, .. } => format!("/repos/{repository}"),
            Self::GitLab { project, .. } => format!("/projects/{}", project.replace('/', "%2F")),
        };
        let (server, _) = self.server(http)?;
        accepted(&server.at(&path).look(ANSWER).await?)?;
        Ok("the repository can be read; no status was set")
    }

    /// The server to send to, and what no error may show of the address.
    fn server(&self, http: &Http) -> Result<(Server, Option<Secret>), Unusable> {
        let open = |base: &str, ca_file: &Option<String>, credential| {
            let tls = Trust::Tls(Tls { ca_file: ca_file.clone(), ..Tls::default() });
            let trust = if base.starts_with("https://") { tls } else { Trust::Plain };
            Server::new(&http.client(&trust)?, base, credential)
        };
        match self {
            Self::Slack { url, ca_file } | Self::Webhook { url, ca_file, .. } => {
                let (address, secret) = match url {
                    Address::Known(url) => (url.clone(), None),
                    Address::InFile(path) => {
                        let secret = http::secret(path, "address")?;
                        let is_slack = matches!(self, Self::Slack { .. });
                        // Whoever knows the address of Slack's may write there.
                        if is_slack && !http::is_private(secret.reveal()) {
                            return Err(Unusable::Content { path: path.clone(), what: "address with https://" });
                        }
                        (secret.reveal().to_owned(), Some((path, secret)))
                    }
                };
                match (open(&address, ca_file, None), secret) {
                    // The address itself is not shown.
                    (Err(Unusable::Address(_)), Some((path, _))) => {
                        Err(Unusable::Content { path: path.clone(), what: "address" })
                    }
                    (server, secret) => Ok((server?, secret.map(|(_, secret)| secret))),
                }
            }
            Self::GitHub { api, token_file, ca_file, .. } => {
                let token = http::secret(token_file, "token")?;
                let bearer = Secret::new(format!("Bearer {}", token.reveal()));
                Ok((open(api, ca_file, Some(("authorization", bearer)))?, Some(token)))
            }
            Self::GitLab { api, token_file, ca_file, .. } => {
                let token = http::secret(token_file, "token")?;
                Ok((open(api, ca_file, Some(("private-token", token.clone())))?, Some(token)))
            }
        }
    }

    fn message(&self, news: &News, page: Option<&str>) -> Option<Message> {
        let link = news.link(page);
        let json_text = |kind: &str| ("content-type", kind.to_owned());
        Some(match self {
            Self::Slack { .. } => {
                Message { path: None, headers: vec![json_text("application/json")], body: slack(news, link.as_deref()) }
            }
            Self::Webhook { .. } => Message {
                path: None,
                headers: vec![json_text("application/cloudevents+json; charset=utf-8")],
                body: cloud_event(news, page, link.as_deref()),
            },
            Self::GitHub { repository, .. } => {
                let (revision, context) = (news.revision.as_deref()?, context(news)?);
                let state = match standing(news.kind, news.is_rolling)? {
                    Standing::Waiting | Standing::Running => "pending",
                    Standing::Good => "success",
                    Standing::Bad => "failure",
                };
                let body =
                    json!({"state": state, "context": context, "description": description(news), "target_url": link});
                let headers = vec![
                    json_text("application/json"),
                    ("accept", "application/vnd.github+json".to_owned()),
                    ("x-github-api-version", "2022-11-28".to_owned()),
                ];
                Message { path: Some(format!("/repos/{repository}/statuses/{revision}")), headers, body }
            }
            Self::GitLab { project, .. } => {
                let (revision, context) = (news.revision.as_deref()?, context(news)?);
                let state = match standing(news.kind, news.is_rolling)? {
                    // GitLab refuses to let what runs wait again.
                    Standing::Waiting if news.is_rolling => return None,
                    Standing::Waiting => "pending",
                    Standing::Running => "running",
                    Standing::Good => "success",
                    Standing::Bad => "failed",
                };
                let body =
                    json!({"state": state, "name": context, "description": description(news), "target_url": link});
                let path = format!("/projects/{}/statuses/{revision}", project.replace('/', "%2F"));
                Message { path: Some(path), headers: vec![json_text("application/json")], body }
            }
        })
    }
}

/// Fails unless a server has accepted what it was sent.
fn accepted(answer: &Answer) -> Result<(), Untold> {
    match answer.status {
        200..300 => Ok(()),
        // A person may mend a token or a name meanwhile; time mends the others.
        401 | 403 | 404 | 408 | 425 | 429 | 500..600 => Err(answer.refused().into()),
        _ => Err(Untold::ForGood(answer.refused())),
    }
}

/// The name under which a commit has a status: one for each cluster, so that none hides another.
fn context(news: &News) -> Option<String> {
    Some(format!("hermitcrab/{}/{}", news.environment.as_deref().unwrap_or("-"), news.cluster.as_ref()?))
}

/// A commit's standing with one cluster.
enum Standing {
    Waiting,
    Running,
    Good,
    Bad,
}

/// Says how a commit stands by the news; none where they say nothing.
fn standing(kind: Kind, is_rolling: bool) -> Option<Standing> {
    match kind {
        Kind::RolloutBegan => Some(Standing::Running),
        Kind::Settled => Some(Standing::Good),
        Kind::TakenBack | Kind::Stalled | Kind::NoQuorum | Kind::FileBroken => Some(Standing::Bad),
        Kind::ApprovalAwaited | Kind::NeedsPerson => Some(Standing::Waiting),
        Kind::Recovered => is_rolling.then_some(Standing::Running),
        Kind::NotSeen | Kind::Orphaned | Kind::Test => None,
    }
}

fn description(news: &News) -> String {
    match news.title.char_indices().nth(DESCRIPTION) {
        Some(_) => format!("{}…", news.title.chars().take(DESCRIPTION - 1).collect::<String>()),
        None => news.title.clone(),
    }
}

fn slack(news: &News, link: Option<&str>) -> Value {
    // Slack's own three marks; nothing of others becomes a link or calls a person.
    let plain = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut text = format!("*{}*", plain(&news.title));
    if !news.detail.is_empty() {
        text += &format!("\n{}", plain(&news.detail));
    }
    if let Some(revision) = &news.revision {
        text += &format!("\ncommit {}", short(revision));
    }
    if let Some(link) = link {
        text += &format!("\n<{}>", plain(link));
    }
    json!({ "text": text })
}

/// CloudEvents 1.0, in its structured mode.
fn cloud_event(news: &News, page: Option<&str>, link: Option<&str>) -> Value {
    json!({
        "specversion": "1.0",
        "id": news.id,
        "source": page.unwrap_or("/hermitcrab"),
        "type": format!("hermitcrab.{}", news.kind.word()),
        "subject": news.cluster.as_deref().or(news.file.as_deref()).unwrap_or("hermitcrab"),
        "time": news.at.to_string(),
        "datacontenttype": "application/json",
        "data": {
            "cluster": news.cluster,
            "environment": news.environment,
            "title": news.title,
            "detail": news.detail,
            "image": news.image,
            "file": news.file,
            "revision": news.revision,
            "rolling": news.is_rolling,
            "page": link,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(kind: Kind) -> News {
        let news = News::new(kind, Timestamp::UNIX_EPOCH, Some("consul-prod"), "<!channel> & more", "why");
        News { environment: Some("prod".to_owned()), revision: Some("a".repeat(40)), ..news }
    }

    #[test]
    fn nothing_that_others_wrote_calls_people_in_a_channel() {
        let text = slack(&news(Kind::Stalled), Some("https://crab.example/clusters/consul-prod"));
        let lines =
            "*&lt;!channel&gt; &amp; more*\nwhy\ncommit aaaaaaaaaaaa\n<https://crab.example/clusters/consul-prod>";
        assert_eq!(text["text"], lines);
    }

    #[test]
    fn a_commit_has_a_status_for_each_cluster_where_the_commit_is_known() {
        let way = Hook::GitLab {
            api: "https://gitlab.example/api/v4".to_owned(),
            project: "group/sub/name".to_owned(),
            token_file: "token".to_owned(),
            ca_file: None,
        };
        let told = |news: News| Some(way.message(&news, None)?.body);
        assert_eq!(told(news(Kind::Settled)).unwrap()["name"], "hermitcrab/prod/consul-prod");
        let path = way.message(&news(Kind::Settled), None).unwrap().path.unwrap();
        assert_eq!(path, format!("/projects/group%2Fsub%2Fname/statuses/{}", "a".repeat(40)));
        assert_eq!(told(news(Kind::ApprovalAwaited)).unwrap()["state"], "pending");
        assert_eq!(told(News { is_rolling: true, ..news(Kind::ApprovalAwaited) }), None);
        assert_eq!(told(News { revision: None, ..news(Kind::Settled) }), None);
        assert_eq!(told(news(Kind::Recovered)), None);
    }
}
