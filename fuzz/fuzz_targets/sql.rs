//! A SQL file.

#![no_main]

#[allow(dead_code)] // the seeds are for the tests
#[path = "../entries/sql.rs"]
mod sql;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sql::run(bytes));
