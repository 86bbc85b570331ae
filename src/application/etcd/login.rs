//! The user that etcd asks for. A token is got when somebody asks for one, and kept until it is refused: to check a password
//! costs etcd a tenth of a second.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};

use super::wire::{self, Problem};
use crate::http::{Answer, Server, Silence};
use crate::input::secret::Secret;

const AUTHENTICATE: &str = "/v3/auth/authenticate";
/// The header that bears the token.
const TOKEN: &str = "Authorization";

/// The token of one cluster, shared by all that ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Token(Rc<RefCell<Option<Secret>>>);

/// The user, if there is one, and the token.
pub(super) struct Login {
    pub user: Option<(String, Secret)>,
    pub token: Token,
}

impl Login {
    /// Sends a request; after a refusal that a token may change, once again with a new one.
    pub(super) async fn post(&self, server: &Server, path: &str, body: &Value, most: usize) -> Result<Answer, Silence> {
        let known = self.token.0.borrow().clone();
        let first = match known {
            Some(token) => server.with_credential(TOKEN, token).post_json(path, body, most).await?,
            None => server.post_json(path, body, most).await?,
        };
        let (Some((name, password)), true) = (&self.user, is_refused(&first)) else { return Ok(first) };
        let body_of_login = json!({ "name": name, "password": password.reveal() });
        let answer = server.post_secret(AUTHENTICATE, &body_of_login, password).await?;
        match answer.json::<wire::Login>() {
            Ok(login) if answer.trouble().is_none() => {
                let token = Secret::new(login.token);
                self.token.0.replace(Some(token.clone()));
                server.with_credential(TOKEN, token).post_json(path, body, most).await
            }
            // Nobody has to log in.
            _ if problem(&answer) == Problem::PRECONDITION => Ok(first),
            _ => Ok(answer),
        }
    }
}

/// Says whether a token could change a refusal. Without one 3.4 and 3.5 answer 400, to an old one 401.
fn is_refused(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 401 | 403) && problem(answer) != Problem::PRECONDITION
}

/// Reads the code of an answer that is no success; 0 where it has none.
pub(super) fn problem(answer: &Answer) -> u32 {
    answer.json::<Problem>().unwrap_or_default().code
}
