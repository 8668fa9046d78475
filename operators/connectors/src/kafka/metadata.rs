//! Metadata columns of messages.

use std::sync::Arc;

use arrow::array::ArrayRef;
use nowcast_engine::{Error, Result, TableDefinition};
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp};

use crate::format::{Column, Misfit};
use crate::nearest::did_you_mean;

/// What a metadata column shows of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    Topic,
    Partition,
    Offset,
    Timestamp,
    TimestampType,
    Headers,
}

/// librdkafka's bindings do not hand out Flink's `leader-epoch`.
const KEYS: [(&str, Metadata); 6] = [
    ("topic", Metadata::Topic),
    ("partition", Metadata::Partition),
    ("offset", Metadata::Offset),
    ("timestamp", Metadata::Timestamp),
    ("timestamp-type", Metadata::TimestampType),
    ("headers", Metadata::Headers),
];

impl Metadata {
    pub fn read(table: &TableDefinition, key: &str) -> Result<Self> {
        let found = KEYS.iter().find(|(name, _)| *name == key);
        found.map(|(_, metadata)| *metadata).ok_or_else(|| {
            let names = KEYS.map(|(name, _)| name);
            let (table, hint) = (&table.name, did_you_mean(key, names));
            let names = names.join(", ");
            Error::user(format!(
                "table \"{table}\": the kafka connector has no metadata \"{key}\"{hint} (there are \
                 {names})"
            ))
        })
    }
}

/// The metadata columns of a table while messages are read.
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
                Metadata::Topic | Metadata::TimestampType => column.push_bytes(b"sample"),
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
            columns.push((kind, column));
        }
        Ok(Self(columns))
    }

    /// Appends a message's metadata; on an error some columns have it and [`Self::truncate`] must
    /// follow.
    pub fn push(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Misfit> {
        for (kind, column) in &mut self.0 {
            let pushed = match kind {
                Metadata::Topic => column.push_bytes(message.topic().as_bytes()),
                Metadata::Partition => column.push_i64(message.partition().into()),
                Metadata::Offset => column.push_i64(message.offset()),
                Metadata::Timestamp => match message.timestamp().to_millis() {
                    Some(millis) => column.push_millis(millis),
                    None => column.push_null(),
                },
                Metadata::TimestampType => column.push_bytes(match message.timestamp() {
                    Timestamp::NotAvailable => b"NoTimestampType",
                    Timestamp::CreateTime(_) => b"CreateTime",
                    Timestamp::LogAppendTime(_) => b"LogAppendTime",
                }),
                Metadata::Headers => {
                    let headers = message.headers();
                    let headers = headers.iter().flat_map(|headers| headers.iter());
                    column.push_entries(headers.map(|header| (header.key, header.value)))
                }
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
