//! Clouds beside the simulated one.

#[cfg(feature = "aws")]
pub mod aws;
