//! The door for what others wrote: files of a limited size, text that steers nothing, secrets that are never shown.
//!
//! Whoever reads a file of another's, or shows a word of it, does so through here. `tests/layers.rs` refuses other ways.

#[cfg(feature = "aws")]
pub mod environment;
pub mod file;
pub mod secret;
pub mod text;
