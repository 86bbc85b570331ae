//! The account's default key for EBS, which moto keeps none of.

use std::sync::Mutex;

/// AWS's own key, which every account begins with.
const OF_AWS: &str = "alias/aws/ebs";

/// The key that is the default.
pub struct EbsKey(Mutex<String>);

impl Default for EbsKey {
    fn default() -> Self {
        Self(Mutex::new(OF_AWS.to_owned()))
    }
}

impl EbsKey {
    /// Answers a call that is about it, and no other.
    pub fn answer(&self, body: &str) -> Option<String> {
        let parameter = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let action = parameter("Action").filter(|action| action.ends_with("EbsDefaultKmsKeyId"))?;
        let mut key = self.0.lock().unwrap();
        match action.strip_suffix("EbsDefaultKmsKeyId") {
            Some("Modify") => *key = parameter("KmsKeyId")?.replace("%3A", ":").replace("%2F", "/"),
            Some("Reset") => *key = OF_AWS.to_owned(),
            _ => (),
        }
        Some(format!("<{action}Response><kmsKeyId>{key}</kmsKeyId></{action}Response>"))
    }
}
