//! An embedded broker: a small, durable, single-node server of the Kafka protocol.
//!
//! Record batches are appended as they come: only `base_offset` and `leader_epoch`, twelve bytes
//! outside the batch checksum, are patched, so nothing is ever decompressed. A write is
//! acknowledged after `write(2)`: killing the process loses nothing acknowledged, losing power
//! may, unless [`Fsync`] says otherwise. Since compressed batches are not looked into, an offset
//! asked for by time is exact for uncompressed batches and otherwise the start of its batch: a
//! reader from there misses nothing and may see some earlier records.
//!
//! Transactions are those of the protocol's first version, in which clients add partitions
//! themselves: a marker ends each in all its partitions, and a reader of committed records stops
//! before the first that is open. A decision to commit is in the coordinator's file before any
//! marker is written, and the next start finishes what a crash left between.
//!
//! Not here: replication, TLS, authentication, quotas, compaction and KIP-848 groups. What is not here is not advertised, and asking for it all the same gets an error
//! answer, never a closed connection. The codecs trust the array lengths inside a request, so
//! listen only where clients are trusted.
//!
//! ```no_run
//! # async fn example() -> Result<(), nowcast_broker::Error> {
//! use nowcast_broker::{Broker, Config};
//!
//! let broker = Broker::start(Config { dir: "broker-data".into(), ..Config::default() }).await?;
//! broker.create_topic("clicks", 4, &[("retention.ms", "-1")])?;
//! // ... point any Kafka client at broker.address() ...
//! broker.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod batch;
mod config;
mod connection;
mod error;
mod files;
mod groups;
mod log;
mod memory;
mod producer_ids;
mod producers;
mod server;
mod stats;
mod topic_config;
mod topics;
mod transactions;

pub use config::{Config, Fsync, Limits};
pub use error::{Error, Result};
pub use server::Broker;
pub use stats::{Stats, StatsSnapshot};
pub use topic_config::TopicConfig;
pub use topics::{PartitionStatus, TopicStatus};
