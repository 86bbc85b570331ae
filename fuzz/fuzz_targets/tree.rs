//! A commit's files as git lists them, and their contents.
#![no_main]

#[path = "../../tests/hostile/properties.rs"]
#[allow(dead_code)] // each target holds one of them
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::tree(bytes));
