//! The answers of Consul servers, and what the planner makes of them.
#![no_main]

#[path = "../../tests/hostile/properties.rs"]
#[allow(dead_code)] // each target holds one of them
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::consul(bytes));
