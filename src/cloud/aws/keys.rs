//! The account's own keys, for what else is reached with them.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use tokio::sync::Mutex;

use super::Aws;
use super::error::in_words;

/// The time before their end at which keys are fetched anew.
const MARGIN: Duration = Duration::from_secs(60);
/// The longest time for which keys are kept: somebody may have changed a profile.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// The keys of the account, from wherever the usual chain finds them. They are kept for as long as they last.
pub struct AccountKeys {
    config: SdkConfig,
    kept: Mutex<Option<(Credentials, SystemTime)>>,
}

impl AccountKeys {
    /// Gives keys that are good now, or says why there are none.
    pub async fn current(&self) -> Result<Credentials, String> {
        let now = self.config.time_source().map_or(SystemTime::UNIX_EPOCH, |time| time.now());
        let mut kept = self.kept.lock().await;
        if let Some((keys, until)) = &*kept
            && now < *until
        {
            return Ok(keys.clone());
        }
        let provider = self.config.credentials_provider().ok_or("there are no credentials for the AWS account")?;
        let keys = provider.provide_credentials().await.map_err(|error| in_words(&error))?;
        let until = keys.expiry().map_or(now + KEPT, |end| (end - MARGIN).min(now + KEPT));
        *kept = Some((keys.clone(), until));
        Ok(keys)
    }
}

impl fmt::Debug for AccountKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKeys")
    }
}

impl<C> Aws<C> {
    /// Gives the account's keys.
    pub fn keys(&self) -> AccountKeys {
        AccountKeys { config: self.config.clone(), kept: Mutex::default() }
    }

    /// Names the region that everything starts from.
    pub fn first_region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// Names the address to which everything is sent in place of AWS, if there is one.
    pub fn endpoint(&self) -> Option<&str> {
        self.config.endpoint_url()
    }
}
