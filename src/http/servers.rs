//! Servers that take turns: each can answer for all, and whoever asks has others to ask.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;

use serde::de::DeserializeOwned;

use super::{Answer, Http, Server, Silence, Trust, Unusable};
use crate::input::secret::Secret;
use crate::ports::{ErrorKind, PortError};

/// Servers of one cluster, each of which can answer for all.
pub struct Servers {
    all: Vec<Server>,
}

/// The server that answered last, e.g. `http://10.0.0.1:8500/`, shared by all that ask. A server that hangs should not hold
/// up every request anew.
#[derive(Clone, Debug, Default)]
pub struct LastAnswer(Rc<RefCell<Option<String>>>);

impl Servers {
    /// Reads certificates, and asks nobody yet. `addresses` have a scheme and a port; `credential` is a header that is sent
    /// with each request.
    pub fn open(
        http: &Http,
        trust: &Trust,
        credential: Option<(&'static str, Secret)>,
        addresses: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, Unusable> {
        let client = http.client(trust)?;
        let open = |address: &str| Server::new(&client, address, credential.clone());
        Ok(Self { all: addresses.into_iter().map(|address| open(address.as_ref())).collect::<Result<_, _>>()? })
    }

    /// Lists every server, in the order of the addresses.
    pub fn iter(&self) -> impl Iterator<Item = &Server> {
        self.all.iter()
    }

    /// Asks one server after the other until one has an answer of its own, be that a refusal, and remembers which. A
    /// server's error is no answer: most come from a server that has lost its leader.
    pub async fn in_turn(
        &self,
        last: &LastAnswer,
        doing: &str,
        request: impl AsyncFn(&Server) -> Result<Answer, Silence>,
    ) -> Result<Answer, PortError> {
        let first = last.0.borrow().clone();
        let start = self.all.iter().position(|server| Some(server.address()) == first.as_deref()).unwrap_or(0);
        let (before, after) = self.all.split_at(start);
        let mut trouble = Vec::new();
        for server in after.iter().chain(before) {
            let error = match request(server).await {
                Ok(answer) if answer.trouble() == Some(ErrorKind::Unreachable) => {
                    PortError::new(doing, ErrorKind::Unreachable, answer.refused())
                }
                Ok(answer) => {
                    last.0.replace(Some(server.address().to_owned()));
                    return Ok(answer);
                }
                Err(silence) => PortError::new(doing, ErrorKind::Unreachable, silence),
            };
            trouble.push((server, error));
        }
        Err(nobody(doing, trouble))
    }
}

/// Gathers what went wrong with each server. A server that answers, though not as it should, says more than a silent
/// one.
pub fn nobody(doing: &str, mut trouble: Vec<(&Server, PortError)>) -> PortError {
    if let Some(spoke) = trouble.iter().position(|(_, error)| error.kind != ErrorKind::Unreachable) {
        return trouble.swap_remove(spoke).1;
    }
    let each: Vec<_> = trouble.iter().map(|(server, error)| named(server, &root(&*error.source))).collect();
    PortError::new(doing, ErrorKind::Unreachable, each.join("; "))
}

fn named(server: &Server, text: &str) -> String {
    if text.starts_with(server.host()) { text.to_owned() } else { format!("{}: {text}", server.host()) }
}

fn root(error: &(dyn Error + Send + Sync + 'static)) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Reads a successful answer.
pub fn read<T: DeserializeOwned>(doing: &str, answer: &Answer) -> Result<T, PortError> {
    answer.json().map_err(|error| PortError::new(doing, ErrorKind::Unknown, error))
}
