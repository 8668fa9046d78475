//! The `fluvio` connector, on Fluvio's own client.
//!
//! The client's sockets and timers are async-io's and its tasks run in an executor of their own, so
//! its futures can be awaited anywhere. A source awaits them on a thread of its own, where it also
//! decodes.

mod client;
mod offsets;
mod options;
mod reader;
mod record;
mod sink;
mod source;

#[cfg(test)]
mod double;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use nowcast_engine::{Result, SinkFactory, SourceFactory, TableDefinition};

use self::options::FluvioOptions;
use crate::registry::Environment;

pub fn source(table: &TableDefinition, _: &Environment) -> Result<Arc<dyn SourceFactory>> {
    let options = FluvioOptions::read(table)?;
    Ok(Arc::new(source::FluvioSourceFactory::new(table, options)?))
}

pub fn sink(table: &TableDefinition, _: &Environment) -> Result<Arc<dyn SinkFactory>> {
    let options = FluvioOptions::read(table)?;
    Ok(Arc::new(sink::FluvioSinkFactory::new(table, options)?))
}
