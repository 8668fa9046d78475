//! Connectors and formats: how rows come in from Kafka and files and leave to Kafka, Redis, files and
//! the console. Named and optioned as in Apache Flink.

mod blackhole;
mod blank;
mod datagen;
mod filesystem;
#[cfg(feature = "fluvio")]
mod fluvio;
pub mod format;
mod handover;
mod jdbc;
mod kafka;
mod lookup;
mod messages;
mod metadata;
mod nearest;
pub mod nexmark;
mod numbered;
mod options;
mod parts;
mod print;
mod random;
mod redis;
mod registry;
pub mod store;
mod tls;
#[cfg(test)]
mod tls_tests;

pub use kafka::{Drained as DrainedTopic, drain as drain_topic};
pub use options::parse_size;
pub use redis::Reconciled;
pub use registry::{Environment, Output, Registry, StoredTable};
pub use store::{EmbeddedStore, Fields, Patience, RedisAddress, RedisStore, Store, Write};
