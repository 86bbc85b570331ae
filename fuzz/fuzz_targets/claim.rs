//! The record of a claim, and what the planner makes of it.
#![no_main]

#[path = "../../tests/hostile/properties.rs"]
#[allow(dead_code)] // each target holds one of them
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::claim(bytes));
