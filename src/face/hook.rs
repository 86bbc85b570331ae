//! The proof that a call of a webhook comes from whoever knows the secret: as GitHub and Gitea sign it, or as GitLab shows a token.

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use sha2::Sha256;

use crate::input::secret::Secret;

/// GitHub's, Gitea's and Forgejo's header: `sha256=` and the HMAC of the body, in hexadecimal digits.
const SIGNATURE: &str = "x-hub-signature-256";
/// GitLab's header: the secret itself.
const TOKEN: &str = "x-gitlab-token";

/// The proof that a call brings with it.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The HMAC of the body that is still to come.
    Signature([u8; 32]),
    /// The secret.
    Token(Secret),
}

impl Proof {
    /// Finds the proof in the head of a call. A call that has both must fulfil the stronger one.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        if let Some(signature) = headers.get(SIGNATURE) {
            return digest(text(signature)?.strip_prefix("sha256=")?).map(Self::Signature);
        }
        Some(Self::Token(Secret::new(text(headers.get(TOKEN)?)?)))
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}

/// A proof that is being checked, while the body comes. Nothing is kept of the body.
pub struct Checking {
    secret: Secret,
    proof: Proof,
    mac: Hmac<Sha256>,
}

impl Checking {
    /// Begins to check a proof.
    pub fn begin(secret: &Secret, proof: Proof) -> Option<Self> {
        let mac = Hmac::new_from_slice(secret.reveal().as_bytes()).ok()?;
        Some(Self { secret: secret.clone(), proof, mac })
    }

    /// Takes a part of the body.
    pub fn take(&mut self, part: &[u8]) {
        self.mac.update(part);
    }

    /// Says whether the proof holds. The time that it takes tells nothing about the secret.
    pub fn holds(self) -> bool {
        let Self { secret, proof, mac } = self;
        match proof {
            Proof::Signature(signature) => mac.verify_slice(&signature).is_ok(),
            Proof::Token(token) => {
                let of = |text: &Secret| {
                    let key = secret.reveal().as_bytes();
                    Some(Hmac::<Sha256>::new_from_slice(key).ok()?.chain_update(text.reveal()))
                };
                let expected = of(&secret).map(Mac::finalize);
                expected.zip(of(&token)).is_some_and(|(expected, given)| given.verify(&expected.into_bytes()).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(secret: &str, name: &'static str, value: &str, body: &[u8]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let Some(proof) = Proof::of(&headers) else { return false };
        let mut checking = Checking::begin(&Secret::new(secret), proof).unwrap();
        body.chunks(5).for_each(|part| checking.take(part));
        checking.holds()
    }

    /// The example of GitHub's documentation, "Validating webhook deliveries".
    #[test]
    fn a_signature_is_checked_as_github_makes_it() {
        let secret = "It's a Secret to Everybody";
        let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let holds = |signature: &str, body| holds(secret, SIGNATURE, signature, body);
        assert!(holds(&format!("sha256={signature}"), b"Hello, World!"));
        assert!(!holds(&format!("sha256={signature}"), b"Hello, World?"));
        for odd in
            [signature.to_owned(), format!("sha1={signature}"), format!("sha256={signature}00"), "sha256=".into()]
        {
            assert!(!holds(&odd, b"Hello, World!"), "{odd}");
        }
    }

    #[test]
    fn a_token_is_the_whole_secret() {
        for (token, is_right) in [("hunter2", true), ("hunter", false), ("hunter22", false), ("", false)] {
            assert_eq!(holds("hunter2", TOKEN, token, b"whatever"), is_right, "{token}");
        }
    }

    #[test]
    fn a_call_without_proof_has_none() {
        assert!(Proof::of(&HeaderMap::new()).is_none());
    }
}
