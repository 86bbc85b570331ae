//! How EBS encrypts what names no key, in one account and region.

use serde::{Deserialize, Serialize};

/// The name of the key that AWS keeps in every account.
const OF_AWS: &str = "alias/aws/ebs";

/// The account's settings of encryption by EBS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EbsDefaults {
    /// Whether every new volume is encrypted, whatever its maker asks for.
    pub encrypts_all: bool,
    /// The key of volumes that are made without one: `alias/aws/ebs`, or the ARN of a key of the account's own.
    pub key: String,
}

/// The settings that every account begins with.
impl Default for EbsDefaults {
    fn default() -> Self {
        Self { encrypts_all: false, key: OF_AWS.to_owned() }
    }
}

impl EbsDefaults {
    /// Says whether the key is AWS's own, which whoever may make volumes may use.
    pub fn is_key_of_aws(&self) -> bool {
        self.key.ends_with(OF_AWS)
    }
}
