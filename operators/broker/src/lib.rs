//! An embedded broker: a small, durable, single-node server of the Kafka protocol.
//!
//! Record batches are appended as they come: only `base_offset` and `leader_epoch`, twelve bytes
//! outside the batch checksum, are patched, and produce and fetch decompress nothing. A write is
//! acknowledged after `write(2)`: killing the process loses nothing acknowledged, losing power
//! may, unless [`Fsync`] says otherwise. Only three things look into records, and decode them for
//! that: an append to a compacted topic (each record must have a key), compaction itself, and a search
//! by time.
//!
//! Compaction (`cleanup.policy=compact`) leaves what Kafka's leaves, record by record: the last of each
//! key at its offset, tombstones and the markers of transactions for `delete.retention.ms`, nothing
//! of aborted transactions, and open ones as they are. It writes closed segments anew beside the old
//! ones and renames them into place; a crash at any point leaves the one or the other.
//!
//! Transactions are those of the protocol's first version, in which clients add partitions
//! themselves: a marker ends each in all its partitions, and a reader of committed records stops
//! before the first that is open. A decision to commit is in the coordinator's file before any
//! marker is written, and the next start finishes what a crash left between.
//!
//! Groups are those of both protocols, and a group may change over while it is empty. In the newer
//! one (KIP-848, `group.protocol=consumer`) the broker assigns, by `uniform` or `range`. Members are in
//! memory: a restart forgets them, they join again and go on from what is committed.
//!
//! Not here: replication, TLS, authentication, quotas, share groups, and members of both protocols in
//! one group at a time. What is not here is not advertised, and asking for it all the same gets an error
//! answer, never a closed connection. Bytes that are no request close their connection and do nothing
//! else; whoever can connect may do anything, so listen only where clients are trusted.
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
mod codec;
mod config;
mod connection;
mod error;
mod files;
mod groups;
mod guard;
mod log;
mod memory;
mod pattern;
mod producer_ids;
mod producers;
mod records;
mod server;
mod stats;
mod topic_config;
mod topics;
mod transactions;

pub use config::{Config, Fsync, Limits};
pub use error::{Error, Result};
pub use server::Broker;
pub use stats::{Stats, StatsSnapshot};
pub use topic_config::{CleanupPolicy, TopicConfig};
pub use topics::{PartitionStatus, TopicStatus};
