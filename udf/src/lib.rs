//! SQL functions in Rust: `#[udf]` on a function, `crate-type = ["cdylib"]`, and
//! `CREATE FUNCTION f AS 'f' LANGUAGE RUST USING LIBRARY '/path/libmine.so'`.
//!
//! ```
//! use nowcast_udf::udf;
//!
//! #[udf]
//! fn initials(first: &str, last: Option<&str>) -> String {
//!     first.chars().take(1).chain(last.and_then(|last| last.chars().next())).collect()
//! }
//! # assert_eq!(initials("Ada", Some("Lovelace")), "AL");
//! ```
//!
//! | in Rust | in SQL |
//! |---|---|
//! | `bool` | `BOOLEAN` |
//! | `i8`, `i16`, `i32`, `i64` | `TINYINT`, `SMALLINT`, `INT`, `BIGINT` |
//! | `f32`, `f64` | `FLOAT`, `DOUBLE` |
//! | `&str`, `String` | `STRING` |
//! | `&[u8]`, `Vec<u8>` | `BYTES` |
//!
//! A null argument gives null without a call; one of type `Option<T>` is handed over. `Option<T>` as
//! the result may be null. `Result<T, E>` sets the row aside where it is an error, and so does a panic
//! (in a library that unwinds, which is the default). A function must be pure: the same arguments
//! give the same result, for rows are read again after a crash.
//!
//! The two sides meet in Arrow's C data interface alone ([`abi`]): the library and nowcast need not be
//! built by the same compiler.

pub mod abi;
#[doc(hidden)]
pub mod guest;

pub use nowcast_udf_macros::udf;
