//! The system's allocator, told to keep few heaps.
//!
//! glibc gives each thread a heap of its own, up to eight for each core, and a heap gives back what is free at its end
//! alone. A job has a dozen threads, of which one frees what another has made: its heaps grow for hours, though what is
//! in use does not. With a heap for each core no more threads share one than would share the core.
#![allow(unsafe_code)] // a call of C

/// What a person sets it with instead.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTING: &str = "MALLOC_ARENA_MAX";

/// Of glibc's `malloc.h`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const M_ARENA_MAX: std::ffi::c_int = -8;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe extern "C" {
    fn mallopt(setting: std::ffi::c_int, value: std::ffi::c_int) -> std::ffi::c_int;
}

/// Call before there are threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_few_heaps() {
    if std::env::var_os(SETTING).is_some() {
        return;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let heaps = cores.max(2).try_into().unwrap_or(std::ffi::c_int::MAX);
    // An allocator that does not take it goes on as it was.
    // SAFETY: it takes two numbers and sets one; no other thread runs yet.
    let _ = unsafe { mallopt(M_ARENA_MAX, heaps) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_few_heaps() {}
