//! The ways of telling somebody, and why news do not arrive.

use super::email::{Email, Unsent};
use super::hook::Hook;
use super::news::News;
use crate::http::{Http, Refused, Silence, Unusable};
use crate::time::Timestamp;

/// A way of telling somebody.
#[derive(Clone, Debug)]
pub enum Way {
    Http(Hook),
    Email(Email),
}

/// The reason why news did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Untold {
    /// This machine's files are at fault.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error(transparent)]
    Silent(#[from] Silence),
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The same request will be refused again.
    #[error("{0}; it is not tried again")]
    ForGood(#[source] Refused),
    #[error(transparent)]
    Unsent(#[from] Unsent),
}

impl Untold {
    /// Whether another try can do no better.
    pub fn is_for_good(&self) -> bool {
        matches!(self, Self::ForGood(_) | Self::Unsent(Unsent::Unmade(_) | Unsent::Refused { for_good: true, .. }))
    }
}

impl Way {
    /// Tells the news. `page` is the address of the daemon's page. Answers false if they are of no use to the receiver, and nothing
    /// was sent.
    pub async fn tell(&self, http: &Http, news: &News, page: Option<&str>, now: Timestamp) -> Result<bool, Untold> {
        match self {
            Self::Http(hook) => hook.tell(http, news, page, now).await,
            Self::Email(email) => email.tell(news, page, now).await.map(|()| true),
        }
    }

    /// Tries out whether the receiver can be told: with a message where messages are read, and by reading the repository where
    /// statuses are set. Answers with what was done.
    pub async fn try_out(&self, http: &Http, page: Option<&str>, now: Timestamp) -> Result<&'static str, Untold> {
        match self {
            Self::Http(hook) => hook.try_out(http, page, now).await,
            Self::Email(email) => {
                email.tell(&News::test(now), page, now).await?;
                Ok("the relay took a test message")
            }
        }
    }
}
