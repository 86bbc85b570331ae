//! Client tokens: EC2 answers a call that it has had before as it did then. moto makes a second resource.

use std::collections::BTreeMap;

use crate::ec2::Refused;
use crate::query::Request;
use crate::world::{Life, World};

/// Every token that was used, for what, and what came of it.
#[derive(Default)]
pub struct Tokens(BTreeMap<(String, String), Spent>);

struct Spent {
    params: BTreeMap<String, String>,
    answer: String,
    made: String,
}

impl Tokens {
    /// The answer that was given to the same call before, or why there is none.
    pub fn replay(&self, request: &Request, world: &World) -> Option<Result<String, Refused>> {
        let spent = self.0.get(&key(request)?)?;
        if spent.params != request.params {
            let message = "The client token was used with other parameters.";
            return Some(refused("IdempotentParameterMismatch", message));
        }
        if request.action == "CreateVolume" && !world.disks.contains_key(&spent.made) {
            let message = "The client token you have provided is associated with a resource that is already deleted.";
            return Some(refused("IdempotentParameterMismatch", message));
        }
        match world.machines.get(&spent.made).map(|machine| machine.life) {
            Some(Life::ShuttingDown | Life::Terminated) => {
                Some(refused("IdempotentInstanceTerminated", "The instance of that client token is terminated."))
            }
            _ => Some(Ok(spent.answer.clone())),
        }
    }

    /// Remembers what came of a call.
    pub fn spend(&mut self, request: &Request, answer: &str, made: &str) {
        if let Some(key) = key(request) {
            let (params, answer, made) = (request.params.clone(), answer.to_owned(), made.to_owned());
            self.0.insert(key, Spent { params, answer, made });
        }
    }
}

fn key(request: &Request) -> Option<(String, String)> {
    let honoured = matches!(request.action.as_str(), "RunInstances" | "CreateVolume");
    let token = request.param("ClientToken");
    (honoured && !token.is_empty()).then(|| (request.action.clone(), token.to_owned()))
}

fn refused(code: &str, message: &str) -> Result<String, Refused> {
    Err(Refused { code: code.into(), message: message.into() })
}
