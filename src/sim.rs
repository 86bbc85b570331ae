//! A simulated world: EC2, the application, the claim store and the clock, on one seed.
//!
//! A [`World`] fills in every port. It serves `simulate` and `run --cloud simulated`, and it is the ground that the
//! safety rules are tested on: it knows the state, and after each step it checks them itself
//! ([`World::violations`]). The same seed and the same calls give the same world, to the byte.
//!
//! ```text
//!                 ports, executor                    who calls, and who runs
//!                        │
//!                      turn                          time passes
//!                  ┌─────┴──────┐
//!               unkind          │                    faults, accidents, people
//!                  └─────┬──────┘
//!                      world                         wires the rooms; owns clock and chance
//!     ┌────────┬─────────┼────────┬─────────┐
//!    ec2    members    guest    claims    judge      rooms: each its own state, and none knows another
//!     └────────┴─────────┼────────┴─────────┘
//!            content, words, chance, time
//! ```
//!
//! A room says what has happened in it, and the world takes that to the others: the table of who may import whom is in
//! `tests/layers.rs`. A kind of application is a variant of `members::Members`, with a file of its own.
//!
//! Absent on purpose: a network between the members (they reach each other, or a few are cut off), and partial pages. Members of
//! an application that is not built in go by the rules of their file (`command`). Auto Scaling groups act if a spec adopts them
//! ([`World::group`]); an instance of any other group is terminated when it stops, and that is all.

// From the ground up.
mod chance;
mod content;
mod pack;
mod time;
mod words;

mod claims;
mod ec2;
mod guest;
mod judge;
mod members;

mod clock;
pub mod event;
mod latency;
mod pace;
mod share;
mod transcript;
mod unkind;
mod world;

mod store;
mod turn;

mod handle;

pub mod executor;
mod ports;
pub mod wire;

mod carry;

pub use ec2::{Move, Protection};
pub use event::{Event, SlotLine, UpDown, Violation, What};
pub use executor::{Executor, block_on};
pub use handle::{Changes, World};
pub use judge::{AnswerFacts, Rule};
pub use ports::Through;
pub use share::{Looks, Share};
pub use unkind::accident::Accident;
pub use unkind::standing::Look;
pub use words::{CrashPoint, DEFAULT_VERSION, FaultLevel, OWNER, Payload};
