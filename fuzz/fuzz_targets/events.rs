//! A log of events, and what is shown of it.
#![no_main]

#[path = "../../tests/hostile/properties.rs"]
#[allow(dead_code)] // each target holds one of them
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::events(bytes));
