//! What a library and its host agree on, in C's words.

use std::ffi::c_void;

/// Of this file: a host takes functions of its own version alone.
pub const VERSION: u32 = 1;

/// In front of the name of a function makes the name of its [`Function`].
pub const PREFIX: &str = "nowcast_udf_";

/// `ArrowArray` of Arrow's C data interface.
#[repr(C)]
#[derive(Debug)]
pub struct ArrowArray {
    pub length: i64,
    pub null_count: i64,
    pub offset: i64,
    pub n_buffers: i64,
    pub n_children: i64,
    pub buffers: *mut *const c_void,
    pub children: *mut *mut ArrowArray,
    pub dictionary: *mut ArrowArray,
    pub release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    pub private_data: *mut c_void,
}

impl ArrowArray {
    /// One that holds nothing and needs no release.
    pub const fn empty() -> Self {
        Self {
            length: 0,
            null_count: 0,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: std::ptr::null_mut(),
            children: std::ptr::null_mut(),
            dictionary: std::ptr::null_mut(),
            release: None,
            private_data: std::ptr::null_mut(),
        }
    }
}

/// The type of an argument or a result.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// The letter of Arrow's C data interface: `b` `c` `s` `i` `l` `f` `g` `u` `z`.
    pub format: u8,
    /// Of an argument: nulls are handed over.
    pub nullable: bool,
}

/// Calls a function for `rows` rows. The arguments are lent: one array each, of that length.
///
/// Gives 0, and in `result` an array of that length without offset; or another number, and in
/// `result` one text (`u`) that says why some row has no value. The caller releases `result`.
pub type Call =
    unsafe extern "C" fn(arguments: *const ArrowArray, rows: u64, result: *mut ArrowArray) -> i32;

/// A function, as the symbol [`PREFIX`] + its name.
#[repr(C)]
pub struct Function {
    /// Stays first whatever becomes of the rest.
    pub version: u32,
    pub arguments_len: u32,
    pub arguments: *const Value,
    pub result: Value,
    pub call: Call,
}

// SAFETY: what it points to is constant.
#[allow(unsafe_code)]
unsafe impl Sync for Function {}
