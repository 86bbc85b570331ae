//! Text that is never shown.

use std::fmt;

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
}
