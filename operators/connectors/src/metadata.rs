//! Metadata columns of messages.

use std::sync::Arc;

use crate::format::{Column, Misfit};
use crate::messages::Message;
use crate::nearest::did_you_mean;
use arrow::array::ArrayRef;
use nowcast_engine::{Error, Result, TableDefinition};

/// What a metadata column shows of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    Topic,
    Partition,
    Offset,
    Timestamp,
    TimestampType,
    Headers,
    #[cfg_attr(not(feature = "fluvio"), expect(dead_code))]
    Key,
}

/// Which metadata a connector's messages have.
pub struct Keys {
    pub connector: &'static str,
    pub keys: &'static [(&'static str, Metadata)],
}

impl Keys {
    pub fn read(&self, table: &TableDefinition, key: &str) -> Result<Metadata> {
        let found = self.keys.iter().find(|(name, _)| *name == key);
        found.map(|(_, metadata)| *metadata).ok_or_else(|| {
            let names: Vec<_> = self.keys.iter().map(|(name, _)| *name).collect();
            let (table, hint) = (&table.name, did_you_mean(key, names.iter().copied()));
            let (connector, names) = (self.connector, names.join(", "));
            Error::user(format!(
                "table \"{table}\": the {connector} connector has no metadata \"{key}\"{hint} \
                 (there are {names})"
            ))
        })
    }
}

/// The metadata columns of a table that are read, while messages are.
pub struct MetadataColumns {
    columns: Vec<(Metadata, Column)>,
    /// Their positions in the table.
    pub positions: Vec<usize>,
}

impl MetadataColumns {
    /// # Errors
    /// Where a column's type cannot hold what it is to show.
    pub fn new(table: &TableDefinition, keys: &Keys) -> Result<Self> {
        let (mut columns, mut positions) = (vec![], vec![]);
        for metadata in &table.metadata {
            let kind = keys.read(table, &metadata.key)?;
            let field = Arc::new(table.schema.field(metadata.column).clone());
            let mut column = Column::new(&field)?;
            let sample = match kind {
                Metadata::Topic | Metadata::TimestampType | Metadata::Key => {
                    column.push_bytes(b"sample")
                }
                Metadata::Partition | Metadata::Offset => column.push_i64(0),
                Metadata::Timestamp => column.push_millis(0),
                Metadata::Headers => column.push_entries(std::iter::empty()),
            };
            sample.map_err(|misfit| {
                let (table, name, key) = (&table.name, field.name(), &metadata.key);
                Error::user(format!(
                    "table \"{table}\": column \"{name}\" cannot hold the metadata \"{key}\": {misfit}"
                ))
            })?;
            column.truncate(0);
            if !table.unread.contains(&metadata.column) {
                columns.push((kind, column));
                positions.push(metadata.column);
            }
        }
        Ok(Self { columns, positions })
    }

    /// Appends a message's metadata; on an error some columns have it and [`Self::truncate`] must
    /// follow.
    pub fn push(&mut self, message: &impl Message) -> Result<(), Misfit> {
        for (kind, column) in &mut self.columns {
            let pushed = match kind {
                Metadata::Topic => column.push_bytes(message.topic().as_bytes()),
                Metadata::Partition => column.push_i64(message.partition().into()),
                Metadata::Offset => column.push_i64(message.offset()),
                Metadata::Timestamp => match message.timestamp() {
                    Some(millis) => column.push_millis(millis),
                    None => column.push_null(),
                },
                Metadata::TimestampType => column.push_bytes(message.timestamp_type().as_bytes()),
                Metadata::Headers => column.push_entries(message.headers()),
                Metadata::Key => match message.key() {
                    Some(key) => column.push_bytes(key),
                    None => column.push_null(),
                },
            };
            pushed.map_err(|misfit| format!("field \"{}\": {misfit}", column.name()))?;
        }
        Ok(())
    }

    pub fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|(_, column)| column.truncate(rows));
    }

    pub fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.columns.iter_mut().map(|(_, column)| column.finish()).collect()
    }
}
