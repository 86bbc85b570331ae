//! Tokens: each covers the whole request, so that a request that differs in anything is another one to EC2 too.

use std::collections::BTreeSet;

use super::{CreateVolume, Launch};
use crate::ids::{Attempt, Token, digest};
use crate::spec::ClusterSpec;

impl Launch {
    /// Gives a digest of everything that is asked for, whatever the attempt.
    pub fn request(&self) -> String {
        let asked = Self { token: Token::from(""), attempt: Attempt::default(), ..self.clone() };
        digest(format!("{asked:?}").as_bytes())
    }

    /// Gives the launch the token of its request and its attempt.
    pub fn with_token(self, spec: &ClusterSpec) -> Self {
        let token = token(spec, &["launch", &self.request(), &self.attempt.to_string()]);
        Self { token, ..self }
    }
}

impl CreateVolume {
    /// Gives a digest of everything that is asked for, whatever the try.
    pub fn request(&self) -> String {
        let asked = Self { token: Token::from(""), number: 0, ..self.clone() };
        digest(format!("{asked:?}").as_bytes())
    }

    /// Gives a digest of what a person could change about the volume: what it remembers changes by itself.
    pub fn wish(&self) -> String {
        Self { slots: BTreeSet::new(), ..self.clone() }.request()
    }

    /// Gives the creation the token of its request and its number, for a cluster that was built again so many times.
    pub fn with_token(self, spec: &ClusterSpec, rebuilt: u32) -> Self {
        let token = token(spec, &["volume", &self.request(), &rebuilt.to_string(), &self.number.to_string()]);
        Self { token, ..self }
    }
}

/// Makes a token that counts for one cluster of one account in one region.
fn token(spec: &ClusterSpec, parts: &[&str]) -> Token {
    let account = spec.account.as_deref().unwrap_or_default();
    Token::of(&[&[account, &spec.region, &spec.name], parts].concat())
}
