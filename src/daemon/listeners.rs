//! The listeners that a daemon may have, one file each. The progress lines of a terminal are in `cli/progress.rs`.

pub mod log;
pub mod recorder;
