//! Observations of a cluster, and the planner's answers to them.
#![no_main]

#[path = "../../tests/hostile/properties.rs"]
#[allow(dead_code)] // each target holds one of them
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::observation(bytes));
