//! The world: wires the rooms, owns clock and chance, and takes what has happened in one room to the others.

mod applications;
mod calls;
mod controllers;
mod facts;
mod guests;
mod reads;
mod settle;
mod state;

pub use state::{Amend, Cluster, MemberRecord, Sender, State, Taking, Tick, Undo};
