//! The built program as its users meet it: processes that are started, edited for, asked, signalled and killed.
//!
//! These tests wait more than they work, for processes and for what must not come. They are one program, so that they wait
//! beside each other.
#![allow(clippy::unwrap_used)] // a test may panic

mod at_once;
mod blocks;
mod commands;
mod endpoint;
mod face;
#[path = "../tools/fetch.rs"]
mod fetch;
#[path = "../tools/harm.rs"]
mod harm;
#[path = "../tools/left_out.rs"]
mod left_out;
#[path = "../tools/moto.rs"]
mod moto;
mod neighbours;
mod notifications;
mod operations;
mod pipes;
mod planted;
mod run;
mod service;
mod signals;
mod streams;
mod tutorial;
