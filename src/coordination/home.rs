//! The home of a cluster: a name alone is not unique over regions and accounts, and one place may keep the claims of many.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::ClusterName;
use crate::spec::ClusterSpec;

/// The region of a cluster, and its account where the file names one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Home {
    /// E.g. `us-east-1`.
    pub region: String,
    /// E.g. `123456789012`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl Home {
    /// Says whether two homes can be one: what is not known is no difference.
    pub fn may_be(&self, other: &Self) -> bool {
        let same_account = self.account.is_none() || other.account.is_none() || self.account == other.account;
        self.region == other.region && same_account
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(f, "{} of account {account}", self.region),
            None => f.write_str(&self.region),
        }
    }
}

/// The homes of the clusters whose claims are asked for.
#[derive(Debug, Default)]
pub(super) struct Homes(RefCell<BTreeMap<ClusterName, Home>>);

impl Homes {
    /// Takes note of a cluster's home.
    pub fn note(&self, spec: &ClusterSpec) {
        let home = Home { region: spec.region.clone(), account: spec.account.clone() };
        self.0.borrow_mut().insert(spec.name.clone(), home);
    }

    /// Gives a cluster's home, if it is known.
    pub fn of(&self, cluster: &ClusterName) -> Option<Home> {
        self.0.borrow().get(cluster).cloned()
    }

    /// Says how the names of records begin that a cluster may have written while its file named the account, if it names
    /// none now.
    pub fn prefix(&self, cluster: &ClusterName) -> Option<String> {
        let home = self.of(cluster).filter(|home| home.account.is_none())?;
        Some(format!("{cluster}@{}@", home.region))
    }

    /// Puts such a name before the others. Of several nobody can say which one is meant.
    pub fn with_account(mut keys: Vec<String>, mut found: Vec<String>) -> Result<Vec<String>, String> {
        match (found.pop(), found.len()) {
            (None, _) => Ok(keys),
            (Some(only), 0) => {
                keys.insert(0, only);
                Ok(keys)
            }
            (Some(_), more) => {
                Err(format!("{} accounts have a cluster of this name there: name `account` in its file", more + 1))
            }
        }
    }

    /// Lists the names under which a cluster's record may lie, e.g. `consul-prod@us-east-1@123456789012`. A new record gets
    /// the first. The last, the cluster's name alone, is what earlier versions wrote: a record stays where it is found.
    pub fn keys(&self, cluster: &ClusterName) -> Vec<String> {
        let home = self.of(cluster);
        let in_region = home.as_ref().map(|home| format!("{cluster}@{}", home.region));
        let in_account = home.and_then(|home| home.account).zip(in_region.as_ref());
        let in_account = in_account.map(|(account, in_region)| format!("{in_region}@{account}"));
        in_account.into_iter().chain(in_region).chain([cluster.to_string()]).collect()
    }
}
