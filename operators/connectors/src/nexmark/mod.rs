//! The `nexmark` source: the events of an online auction that the Nexmark benchmark's queries ask about.
//!
//! Fields, proportions and distributions are those of the generator of <https://github.com/nexmark/nexmark>,
//! itself from Apache Beam; the random numbers are ours, so that the n-th event follows from n alone.

mod columns;
mod event;
mod settings;
mod source;
mod words;

pub use columns::{Columns, schema};
pub use settings::Settings;
pub use source::source;
