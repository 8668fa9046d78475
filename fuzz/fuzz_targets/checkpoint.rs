//! What lies where checkpoints are kept.

#![no_main]

#[allow(dead_code)] // the seeds are for the tests
#[path = "../entries/checkpoint.rs"]
mod checkpoint;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| checkpoint::run(bytes));
