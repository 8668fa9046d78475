//! Joins: rows of two inputs that belong together.

mod pairs;
mod regular;
mod side;

pub use regular::{Join, JoinKind, JoinSpec};
