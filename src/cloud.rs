//! The cloud that instances and volumes are in.

#[cfg(feature = "aws")]
pub mod aws;
pub mod candidates;
pub mod permissions;
