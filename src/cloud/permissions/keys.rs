//! KMS keys that volumes are encrypted with, as a policy names them.

use std::collections::BTreeSet;

use crate::spec::ClusterSpec;

use super::partition::partition_of;

/// Lists the ARNs of the keys that some clusters name, and of others that are given. A key by its id alone is one of the
/// cluster's own account.
pub fn used(specs: &[ClusterSpec], given: &[String]) -> BTreeSet<String> {
    let named = specs.iter().flat_map(|spec| spec.kms_keys().map(move |key| arn(spec, key)));
    named.chain(given.iter().cloned()).collect()
}

fn arn(spec: &ClusterSpec, key: &str) -> String {
    if key.starts_with("arn:") {
        return key.to_owned();
    }
    let (partition, account) = (partition_of(&spec.region).name, spec.account.as_deref().unwrap_or("*"));
    format!("arn:{partition}:kms:{}:{account}:key/{key}", spec.region)
}
