//! Metadata columns of records.

use std::sync::Arc;

use arrow::array::ArrayRef;
use nowcast_engine::{Error, Result, TableDefinition};

use super::rows::Record;
use crate::format::{Column, Misfit};
use crate::nearest::did_you_mean;

/// What a metadata column shows of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metadata {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
}

const KEYS: [(&str, Metadata); 5] = [
    ("topic", Metadata::Topic),
    ("partition", Metadata::Partition),
    ("offset", Metadata::Offset),
    ("timestamp", Metadata::Timestamp),
    ("key", Metadata::Key),
];

impl Metadata {
    fn read(table: &TableDefinition, key: &str) -> Result<Self> {
        let found = KEYS.iter().find(|(name, _)| *name == key);
        found.map(|(_, metadata)| *metadata).ok_or_else(|| {
            let names = KEYS.map(|(name, _)| name);
            let (table, hint) = (&table.name, did_you_mean(key, names));
            let names = names.join(", ");
            Error::user(format!(
                "table \"{table}\": the fluvio connector has no metadata \"{key}\"{hint} (there \
                 are {names})"
            ))
        })
    }
}

/// A producer sets none of them: the client gives records their time, and the key is the columns of
/// `key.fields`.
///
/// # Errors
/// Where one of the table's is to be written.
pub fn check_none_is_written(table: &TableDefinition) -> Result<()> {
    let written = table.metadata.iter().find(|metadata| !metadata.is_virtual);
    let Some(metadata) = written else { return Ok(()) };
    Metadata::read(table, &metadata.key)?;
    let (table, key) = (&table.name, &metadata.key);
    Err(Error::user(format!(
        "table \"{table}\": the metadata \"{key}\" cannot be written; declare it VIRTUAL"
    )))
}

/// The metadata columns of a table while records are read.
pub struct MetadataColumns(Vec<(Metadata, Column)>);

impl MetadataColumns {
    /// # Errors
    /// Where a column's type cannot hold what it is to show.
    pub fn new(table: &TableDefinition) -> Result<Self> {
        let mut columns = vec![];
        for metadata in &table.metadata {
            let kind = Metadata::read(table, &metadata.key)?;
            let field = Arc::new(table.schema.field(metadata.column).clone());
            let mut column = Column::new(&field)?;
            let sample = match kind {
                Metadata::Topic | Metadata::Key => column.push_bytes(b"sample"),
                Metadata::Partition | Metadata::Offset => column.push_i64(0),
                Metadata::Timestamp => column.push_millis(0),
            };
            sample.map_err(|misfit| {
                let (table, name, key) = (&table.name, field.name(), &metadata.key);
                Error::user(format!(
                    "table \"{table}\": column \"{name}\" cannot hold the metadata \"{key}\": {misfit}"
                ))
            })?;
            column.truncate(0);
            columns.push((kind, column));
        }
        Ok(Self(columns))
    }

    /// Appends a record's metadata; on an error some columns have it and [`Self::truncate`] must
    /// follow.
    pub fn push(&mut self, topic: &str, record: &Record<'_>) -> Result<(), Misfit> {
        for (kind, column) in &mut self.0 {
            let pushed = match kind {
                Metadata::Topic => column.push_bytes(topic.as_bytes()),
                Metadata::Partition => column.push_i64(record.partition.into()),
                Metadata::Offset => column.push_i64(record.offset),
                Metadata::Timestamp => match record.timestamp {
                    Some(millis) => column.push_millis(millis),
                    None => column.push_null(),
                },
                Metadata::Key => match record.key {
                    Some(key) => column.push_bytes(key),
                    None => column.push_null(),
                },
            };
            pushed.map_err(|misfit| format!("field \"{}\": {misfit}", column.name()))?;
        }
        Ok(())
    }

    pub fn truncate(&mut self, rows: usize) {
        self.0.iter_mut().for_each(|(_, column)| column.truncate(rows));
    }

    pub fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.0.iter_mut().map(|(_, column)| column.finish()).collect()
    }
}
