//! Text that is never shown.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A token, a password or a private key. Neither a log nor an error can print it by mistake: there is no `Display`, and
/// `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret that `text` is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The HMAC-SHA256 of a message by the secret as its key, in hexadecimal digits: whoever knows the secret can check that the
    /// message comes from somebody who knows it too, and is whole.
    pub fn signature(&self, message: &[u8]) -> String {
        // A key of any length is taken.
        let keyed = Hmac::<Sha256>::new_from_slice(self.0.as_bytes());
        let bytes = keyed.map(|mac| mac.chain_update(message).finalize().into_bytes()).unwrap_or_default();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// `text` without the secret, should somebody have repeated it there.
    pub fn blank_out(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[secret]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_no_text_that_is_made_of_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{:?} {:#?}", Some(&secret), secret), "Some([secret]) [secret]");
        assert_eq!(secret.blank_out("token hunter2 lacks operator:read"), "token [secret] lacks operator:read");
        assert_eq!(Secret::new("").blank_out("as it was"), "as it was");
    }

    /// RFC 4231, test case 2.
    #[test]
    fn a_signature_is_an_hmac_with_sha_256() {
        let signature = Secret::new("Jefe").signature(b"what do ya want for nothing?");
        assert_eq!(signature, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
