//! JSON messages, with serde_json as the judge.

#![no_main]

#[allow(dead_code)] // the seeds are for the tests
#[path = "../entries/json.rs"]
mod json;
#[allow(dead_code)] // the seeds are for the tests
#[path = "../entries/tables.rs"]
mod tables;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| json::run(bytes));
