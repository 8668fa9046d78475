//! What lies where checkpoints are kept.

#![no_main]

#[allow(dead_code)] // the seeds are for the tests
#[path = "../entries/checkpoint.rs"]
mod checkpoint;

use std::sync::Once;

use libfuzzer_sys::fuzz_target;

static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    // libFuzzer's ends the run at each panic, also at those of Arrow's reader, which are caught.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| ())));
    checkpoint::run(bytes);
});
