//! A call to AWS that was recorded, with the tags that its resources bore when it was sent.

use std::collections::BTreeMap;

use crate::query::Request;

/// One call.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub who: String,
    /// As IAM names it, e.g. `ec2:StopInstances`.
    pub action: String,
    pub params: Request,
    /// The tags of each resource that the call names by its id.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    /// The bucket, or the object in it, that the call is about, e.g. `consul-prod-0a1b/claims/x.json`.
    pub object: Option<String>,
}

/// The beginnings of ids of resources that have tags.
const KINDS: [&str; 7] = ["i-", "vol-", "snap-", "eni-", "lt-", "sg-", "subnet-"];

/// Says whether a parameter is the id of a resource that has tags.
pub fn is_id(value: &str) -> bool {
    KINDS.iter().any(|kind| value.starts_with(kind))
}
