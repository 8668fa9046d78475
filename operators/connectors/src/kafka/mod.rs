//! The `kafka` and `upsert-kafka` connectors: reading and writing by our own client or librdkafka.

mod brokers;
mod client;
mod contact;
mod drain;
mod latest;
mod librdkafka;
mod librdkafka_writer;
mod message;
mod native;
mod offsets;
mod options;
mod reader;
mod reading;
mod security;
mod sink;
mod source;
mod transaction;
mod writing;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use nowcast_engine::{Result, SinkFactory, SourceFactory, TableDefinition};

pub use self::drain::{Drained, drain};
use self::options::KafkaOptions;
pub use self::transaction::Transactions;
use crate::parts::TopicMode;
use crate::registry::Environment;

pub fn source(
    table: &TableDefinition,
    environment: &Environment,
) -> Result<Arc<dyn SourceFactory>> {
    source_of(table, environment, TopicMode::Log)
}

pub fn sink(table: &TableDefinition, environment: &Environment) -> Result<Arc<dyn SinkFactory>> {
    sink_of(table, environment, TopicMode::Log)
}

/// The `upsert-kafka` connector: the topic's messages are the latest rows of their keys.
pub fn upsert_source(
    table: &TableDefinition,
    environment: &Environment,
) -> Result<Arc<dyn SourceFactory>> {
    source_of(table, environment, TopicMode::Upsert)
}

pub fn upsert_sink(
    table: &TableDefinition,
    environment: &Environment,
) -> Result<Arc<dyn SinkFactory>> {
    sink_of(table, environment, TopicMode::Upsert)
}

fn source_of(
    table: &TableDefinition,
    environment: &Environment,
    mode: TopicMode,
) -> Result<Arc<dyn SourceFactory>> {
    let options = KafkaOptions::read(table, environment, mode)?;
    Ok(Arc::new(source::KafkaSourceFactory::new(table, options)?))
}

fn sink_of(
    table: &TableDefinition,
    environment: &Environment,
    mode: TopicMode,
) -> Result<Arc<dyn SinkFactory>> {
    let options = KafkaOptions::read(table, environment, mode)?;
    Ok(Arc::new(sink::KafkaSinkFactory::new(table, options, environment)?))
}
