//! The log of one partition: segment files, their indexes, compaction, and putting all right after a
//! crash.

mod aborted;
mod batches;
mod compact;
mod compacted;
mod filter;
mod key_map;
mod partition;
mod recovery;
mod segment;
mod walk;

pub(crate) use compact::Compaction;
pub(crate) use partition::{Allowance, Bounds, Found, Isolation, Markers, Partition};
