//! What a client sends over HTTP.

#![no_main]

#[allow(dead_code)] // the seeds are for the tests
#[path = "../entries/http.rs"]
mod http;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| http::run(bytes));
