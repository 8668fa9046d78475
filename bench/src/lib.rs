//! Load for nowcast: seeded synthetic events, readers of the real data sets, workload files,
//! open-loop schedules, latency histograms and their verdict, reports and their comparison.
//!
//! Nothing in here reads a clock or prints; the binary and the examples do.

pub mod answers;
pub mod chart;
pub mod compare;
pub mod cpu;
pub mod curve;
pub mod datasets;
pub mod disorder;
pub mod duration;
mod error;
pub mod event;
pub mod extract;
mod file;
pub mod generate;
pub mod histogram;
mod json;
pub mod replay;
pub mod report;
pub mod rows;
pub mod run;
pub mod search;
pub mod slo;
pub mod timestamp;
pub mod workload;

pub use error::Error;
pub use event::Event;
