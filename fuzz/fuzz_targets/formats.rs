//! Messages of every other format.

#![no_main]

#[allow(dead_code)] // the seeds are for the tests
#[path = "../entries/formats.rs"]
mod formats;
#[allow(dead_code)] // the seeds are for the tests
#[path = "../entries/tables.rs"]
mod tables;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| formats::run(bytes));
