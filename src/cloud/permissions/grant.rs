//! The subject of a policy: a task, and everything beside the clusters that it depends on.

/// Task that a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Keep them at their images.
    Control,
    /// Make throw-away copies of them, data included, and destroy these. Nothing is done to the clusters themselves.
    Rehearse,
}

/// Everything beside the clusters that a policy depends on.
pub struct Grant<'a> {
    pub task: Task,
    /// Value of the tag `hermitcrab:owner` on what the controller may touch.
    pub owner: &'a str,
    /// Customer-managed KMS keys that volumes are encrypted with and that no file names, as ARNs.
    pub kms_keys: &'a [String],
    /// The roles of the instance profiles, where they are not called like them.
    pub roles: &'a [String],
    /// The bucket that the claims are kept in, if they are kept in one.
    pub claims: Option<ClaimsBucket<'a>>,
    /// Ids of the adopted groups' launch templates. Where none are given, those that bear our owner tag.
    pub launch_templates: &'a [String],
}

/// A place for claims in a bucket of S3.
#[derive(Clone, Copy, Debug)]
pub struct ClaimsBucket<'a> {
    /// E.g. `platform-state`.
    pub name: &'a str,
    /// The beginning of every key, without a slash at either end, e.g. `hermitcrab`.
    pub prefix: &'a str,
}
