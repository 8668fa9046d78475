//! The `jdbc` connector, for PostgreSQL: tables read whole, written and looked up by their keys.

mod client;
mod lookup;
mod options;
mod sink;
mod source;
mod tls;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

use std::sync::Arc;

use nowcast_engine::{Lookup, Result, SinkFactory, SourceFactory, TableDefinition};

use self::options::JdbcTable;
use crate::registry::Environment;

pub fn source(table: &TableDefinition, _: &Environment) -> Result<Arc<dyn SourceFactory>> {
    Ok(Arc::new(source::JdbcSourceFactory(Arc::new(JdbcTable::read(table)?))))
}

pub fn lookup(table: &TableDefinition, _: &Environment, keys: &[usize]) -> Result<Arc<dyn Lookup>> {
    Ok(Arc::new(lookup::JdbcLookup::new(JdbcTable::read(table)?, keys)?))
}

pub fn sink(table: &TableDefinition, _: &Environment) -> Result<Arc<dyn SinkFactory>> {
    let table = JdbcTable::read(table)?;
    sink::check(&table)?;
    Ok(Arc::new(sink::JdbcSinkFactory(Arc::new(table))))
}
