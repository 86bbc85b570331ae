//! Events that outlast the daemon: what is written down, the log on disk that it is written to, and the rollouts read off it.
//!
//! [`notes`] turns what listeners are told into [`record::Record`]s, [`log`] appends those to files from a thread of its own, and
//! [`read`] reads them back; a [`book::Book`] keeps them for as long as one command lasts,
//! and [`latest::Latest`] the newest for as long as a daemon does. A [`rollout::Rollout`] is folded from the records alone, and so is a [`soak::Soak`], so that nothing is kept twice.

pub mod book;
mod fold;
pub mod latest;
pub mod log;
mod names;
pub mod notes;
pub mod read;
pub mod record;
pub mod rollout;
pub mod soak;
