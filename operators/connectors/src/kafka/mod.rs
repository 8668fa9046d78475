//! The `kafka` connector, on librdkafka.

mod client;
mod metadata;
mod offsets;
mod options;
mod reader;
mod rows;
mod sink;
mod source;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use nowcast_engine::{Result, SinkFactory, SourceFactory, TableDefinition};

use self::options::KafkaOptions;
use crate::registry::Environment;

pub fn source(
    table: &TableDefinition,
    environment: &Environment,
) -> Result<Arc<dyn SourceFactory>> {
    let options = KafkaOptions::read(table, environment)?;
    Ok(Arc::new(source::KafkaSourceFactory::new(table, options)?))
}

pub fn sink(table: &TableDefinition, environment: &Environment) -> Result<Arc<dyn SinkFactory>> {
    let options = KafkaOptions::read(table, environment)?;
    Ok(Arc::new(sink::KafkaSinkFactory::new(table, options)?))
}
