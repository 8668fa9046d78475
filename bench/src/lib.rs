//! Load for nowcast: seeded synthetic events, readers of the real data sets, an open-loop schedule, latency histograms and their verdict.
//!
//! Nothing in here reads a clock or prints; the binary and the examples do.

pub mod cpu;
pub mod datasets;
pub mod disorder;
mod error;
pub mod event;
mod file;
pub mod generate;
pub mod histogram;
mod json;
pub mod replay;
pub mod rows;
pub mod schedule;
pub mod slo;
pub mod timestamp;

pub use error::Error;
pub use event::Event;
