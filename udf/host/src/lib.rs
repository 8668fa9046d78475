//! Functions out of libraries that `nowcast-udf` or Arroyo's plugin made, behind the engine's `ScalarFunction`.

mod arrays;
mod arroyo;
mod declaration;
mod library;
#[cfg(test)]
mod tests;

pub use library::Libraries;
