//! Messages of one partition into rows of the table.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, SchemaRef};
use nowcast_engine::{DeadLetter, Error, Result, TableDefinition};
use rdkafka::message::{BorrowedMessage, Message};

use super::metadata::MetadataColumns;
use super::options::{KafkaOptions, Part};
use crate::format::{Decoded, Decoder, Misfit};

/// Collects the rows of messages, and those that make no row.
pub struct Rows {
    stage: String,
    schema: SchemaRef,
    value: Box<dyn Decoder>,
    key: Option<Box<dyn Decoder>>,
    metadata: MetadataColumns,
    /// The table's column of each decoded one: the value's, then the key's, then metadata.
    order: Vec<usize>,
    rows: usize,
    rejected: Vec<DeadLetter>,
    /// Bytes of the messages collected.
    pub bytes: usize,
}

impl Rows {
    pub fn new(table: &TableDefinition, options: &KafkaOptions) -> Result<Self> {
        let mut order = options.value.columns.clone();
        let value = options.value.format.decoder(&fields(table, &options.value, &order))?;
        // A column that the value carries too is read from there, as in Flink.
        let of_key = options.key.as_ref().map(|key| {
            let columns = key.columns.iter().copied();
            (key, columns.filter(|at| !order.contains(at)).collect::<Vec<_>>())
        });
        let key = match of_key {
            Some((key, columns)) if !columns.is_empty() => {
                order.extend(&columns);
                Some(key.format.decoder(&fields(table, key, &columns))?)
            }
            _ => None,
        };
        order.extend(table.metadata.iter().map(|metadata| metadata.column));
        Ok(Self {
            stage: table.name.clone(),
            schema: Arc::clone(&table.schema),
            value,
            key,
            metadata: MetadataColumns::new(table)?,
            order,
            rows: 0,
            rejected: vec![],
            bytes: 0,
        })
    }

    pub fn len(&self) -> usize {
        self.rows + self.rejected.len()
    }

    /// Takes a message in. One without a value (a tombstone) makes no row.
    pub fn push(&mut self, message: &BorrowedMessage<'_>) {
        let Some(payload) = message.payload() else {
            tracing::trace!(
                "table \"{}\": tombstone at {}/{}/{}",
                self.stage,
                message.topic(),
                message.partition(),
                message.offset()
            );
            return;
        };
        self.bytes += payload.len() + message.key_len();
        match self.decode(payload, message) {
            Ok(Decoded::Row) => self.rows += 1,
            Ok(Decoded::Skipped) => self.truncate(),
            Err(error) => {
                self.truncate();
                self.rejected.push(DeadLetter {
                    stage: self.stage.clone(),
                    topic: Some(message.topic().to_owned()),
                    partition: Some(message.partition()),
                    offset: Some(message.offset()),
                    timestamp: message.timestamp().to_millis(),
                    error,
                    raw: payload.to_vec(),
                });
            }
        }
    }

    fn decode(&mut self, payload: &[u8], message: &BorrowedMessage<'_>) -> Result<Decoded, Misfit> {
        if self.value.decode(payload)? == Decoded::Skipped {
            return Ok(Decoded::Skipped);
        }
        if let Some(key) = &mut self.key {
            let decoded = match message.key() {
                Some(bytes) => key.decode(bytes),
                None => key.decode_nothing().map(|()| Decoded::Row),
            };
            if decoded.map_err(|misfit| format!("key: {misfit}"))? == Decoded::Skipped {
                return Ok(Decoded::Skipped);
            }
        }
        self.metadata.push(message)?;
        Ok(Decoded::Row)
    }

    fn truncate(&mut self) {
        self.value.truncate(self.rows);
        if let Some(key) = &mut self.key {
            key.truncate(self.rows);
        }
        self.metadata.truncate(self.rows);
    }

    /// What was collected; it is empty after.
    pub fn finish(&mut self) -> Result<(RecordBatch, Vec<DeadLetter>)> {
        let mut decoded = self.value.finish()?;
        if let Some(key) = &mut self.key {
            decoded.extend(key.finish()?);
        }
        decoded.extend(self.metadata.finish()?);
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.order.len()];
        for (at, column) in self.order.iter().zip(decoded) {
            columns[*at] = Some(column);
        }
        let columns: Option<Vec<_>> = columns.into_iter().collect();
        let columns = columns.ok_or_else(|| Error::bug("a column comes from nowhere"))?;
        let options =
            RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        self.bytes = 0;
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        Ok((rows, std::mem::take(&mut self.rejected)))
    }
}

/// The fields of a part for some of its columns, under the names they have in messages.
pub fn fields(table: &TableDefinition, part: &Part, columns: &[usize]) -> Vec<FieldRef> {
    let field = |at: &usize| {
        let field = table.schema.field(*at).clone();
        let name = field.name().strip_prefix(&part.prefix).unwrap_or(field.name()).to_owned();
        Arc::new(field.with_name(name))
    };
    columns.iter().map(field).collect()
}
