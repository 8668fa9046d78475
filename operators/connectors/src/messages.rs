//! Messages of one partition into rows of the table.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::SchemaRef;
use nowcast_engine::{DeadLetter, Error, Result, TableDefinition};

use crate::blank::Blanks;
use crate::format::{Decoder, Misfit};
use crate::metadata::{Keys, MetadataColumns};
use crate::parts::{Part, TopicMode, fields};

/// A message as it lies in its partition.
pub trait Message {
    fn topic(&self) -> &str;

    fn partition(&self) -> i32;

    fn offset(&self) -> i64;

    /// Milliseconds since the epoch, where it is known when the message was made.
    fn timestamp(&self) -> Option<i64>;

    fn timestamp_type(&self) -> &'static str {
        "CreateTime"
    }

    fn key(&self) -> Option<&[u8]>;

    /// `None`: a tombstone.
    fn value(&self) -> Option<&[u8]>;

    fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        std::iter::empty()
    }
}

/// Rows ready to be handed over.
pub struct Collected {
    pub rows: RecordBatch,
    pub weights: Option<Int64Array>,
    pub rejected: Vec<DeadLetter>,
}

/// Collects the rows of messages, and those that make no row.
pub struct Rows {
    stage: String,
    schema: SchemaRef,
    value: Box<dyn Decoder>,
    key: Option<Box<dyn Decoder>>,
    metadata: MetadataColumns,
    /// The table's columns that are read of the value, and of the key.
    value_columns: Vec<usize>,
    key_columns: Vec<usize>,
    /// Those that nobody reads.
    blanks: Vec<(usize, Blanks)>,
    /// Of an upsert table: the weight of each row.
    weights: Option<Vec<i64>>,
    rows: usize,
    rejected: Vec<DeadLetter>,
    /// Bytes of the messages collected.
    pub bytes: usize,
}

impl Rows {
    /// `keys` are the metadata that messages have.
    pub fn new(
        table: &TableDefinition,
        value: &Part,
        key: Option<&Part>,
        mode: TopicMode,
        keys: &Keys,
    ) -> Result<Self> {
        // The rows of an upsert table are told apart as a whole.
        let (unread, unread_fields) = match mode {
            TopicMode::Log => (table.unread.as_slice(), table.unread_fields.as_slice()),
            TopicMode::Upsert => (&[][..], &[][..]),
        };
        let decoder = |part: &Part, unread_fields: &_, wanted: &dyn Fn(&usize) -> bool| {
            let read = |at: &usize| wanted(at) && !unread.contains(at);
            let (positions, columns): (Vec<_>, Vec<_>) =
                part.columns.iter().copied().enumerate().filter(|(_, at)| read(at)).unzip();
            let decoder =
                part.format.decoder_of(&fields(table, part), &positions, unread_fields)?;
            Ok::<_, Error>((decoder, columns))
        };
        let (value_decoder, value_columns) = decoder(value, unread_fields, &|_| true)?;
        // A column that the value carries too is read from there, as in Flink; of a tombstone
        // the key is all there is.
        let of_key = |at: &usize| mode == TopicMode::Upsert || !value.columns.contains(at);
        let (key, key_columns) = match key.map(|key| decoder(key, &[], &of_key)).transpose()? {
            Some((key, columns)) if !columns.is_empty() => (Some(key), columns),
            _ => (None, vec![]),
        };
        let blanks = unread.iter().map(|at| Ok((*at, Blanks::new(&table.schema.fields()[*at])?)));
        Ok(Self {
            stage: table.name.clone(),
            schema: Arc::clone(&table.schema),
            value: value_decoder,
            key,
            metadata: MetadataColumns::new(table, keys)?,
            value_columns,
            key_columns,
            blanks: blanks.collect::<Result<_>>()?,
            weights: (mode == TopicMode::Upsert).then(Vec::new),
            rows: 0,
            rejected: vec![],
            bytes: 0,
        })
    }

    pub fn len(&self) -> usize {
        self.rows + self.rejected.len()
    }

    /// Takes a message in. One without a value (a tombstone) deletes the row of its key in an upsert
    /// table, and makes no row in others.
    pub fn push(&mut self, message: &impl Message) {
        let payload = message.value();
        if payload.is_none() && self.weights.is_none() {
            tracing::trace!(
                "table \"{}\": tombstone at {}/{}/{}",
                self.stage,
                message.topic(),
                message.partition(),
                message.offset()
            );
            return;
        }
        self.bytes += payload.map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len);
        match self.decode(payload, message) {
            Ok(rows) => {
                self.rows += rows;
                if let Some(weights) = &mut self.weights {
                    weights.resize(self.rows, if payload.is_some() { 1 } else { -1 });
                }
            }
            Err(error) => {
                self.truncate();
                self.rejected.push(DeadLetter {
                    stage: self.stage.clone(),
                    topic: Some(message.topic().to_owned()),
                    partition: Some(message.partition()),
                    offset: Some(message.offset()),
                    timestamp: message.timestamp(),
                    error,
                    key: message.key().map(<[u8]>::to_vec),
                    raw: payload.unwrap_or_default().to_vec(),
                });
            }
        }
    }

    /// The rows of a message: none where one of its parts was passed over. On an error some columns
    /// have parts of them, and [`Self::truncate`] must follow.
    fn decode(&mut self, payload: Option<&[u8]>, message: &impl Message) -> Result<usize, Misfit> {
        let rows = match payload {
            Some(payload) => self.value.decode(payload)?,
            None => {
                self.value.rows().push_blanks();
                1
            }
        };
        for _ in 0..rows {
            if let Some(key) = &mut self.key {
                let decoded = match message.key() {
                    Some(bytes) => key.decode(bytes),
                    None if self.weights.is_some() => Err("is missing".into()),
                    None => key.rows().push_nulls().map(|()| 1),
                };
                if decoded.map_err(|misfit| format!("key: {misfit}"))? != 1 {
                    self.truncate();
                    return Ok(0);
                }
            }
            self.metadata.push(message)?;
        }
        Ok(rows)
    }

    fn truncate(&mut self) {
        self.value.rows().truncate(self.rows);
        if let Some(key) = &mut self.key {
            key.rows().truncate(self.rows);
        }
        self.metadata.truncate(self.rows);
    }

    /// What was collected; it is empty after.
    pub fn finish(&mut self) -> Result<Collected> {
        let (values, mut weights) = self.value.rows().finish()?;
        if let Some(own) = &mut self.weights {
            weights = Some(Int64Array::from(std::mem::take(own)));
        }
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        if let Some(key) = &mut self.key {
            for (at, column) in self.key_columns.iter().zip(key.rows().finish()?.0) {
                columns[*at] = Some(column);
            }
        }
        for (at, value) in self.value_columns.iter().zip(values) {
            columns[*at] = Some(match (&columns[*at], &weights) {
                // Both have it: the key's of tombstones, the value's of others.
                (Some(key), Some(weights)) => zip(&inserts(weights), &value, key)?,
                _ => value,
            });
        }
        for (at, column) in self.metadata.positions.clone().into_iter().zip(self.metadata.finish()?)
        {
            columns[at] = Some(column);
        }
        for (at, blanks) in &mut self.blanks {
            columns[*at] = Some(blanks.rows(self.rows)?);
        }
        let columns: Option<Vec<_>> = columns.into_iter().collect();
        let columns = columns.ok_or_else(|| Error::bug("a column comes from nowhere"))?;
        let options =
            RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        self.bytes = 0;
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        Ok(Collected { rows, weights, rejected: std::mem::take(&mut self.rejected) })
    }
}

fn inserts(weights: &Int64Array) -> BooleanArray {
    weights.values().iter().map(|weight| Some(*weight > 0)).collect()
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
