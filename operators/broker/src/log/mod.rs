//! The log of one partition: segment files, their indexes, and putting them right after a crash.

mod partition;
mod recovery;
mod segment;
mod walk;

pub(crate) use partition::{Allowance, Bounds, Found, Isolation, Markers, Partition};
