//! Functions out of libraries that `nowcast-udf` made, behind the engine's `ScalarFunction`.

mod arrays;
mod library;
#[cfg(test)]
mod tests;

pub use library::Libraries;
