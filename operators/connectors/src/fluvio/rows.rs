//! Records of one partition into rows of the table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use nowcast_engine::{DeadLetter, Error, Result, TableDefinition};

use super::metadata::MetadataColumns;
use super::options::FluvioOptions;
use crate::format::{Decoder, Misfit};
use crate::parts::fields;

/// A record as it lies in its partition.
pub struct Record<'a> {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch, where the producer said when.
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: &'a [u8],
}

/// Rows ready to be handed over.
pub struct Collected {
    pub rows: RecordBatch,
    pub weights: Option<Int64Array>,
    pub rejected: Vec<DeadLetter>,
}

/// Collects the rows of records, and those that make no row.
pub struct Rows {
    stage: String,
    topic: String,
    schema: SchemaRef,
    value: Box<dyn Decoder>,
    key: Option<Box<dyn Decoder>>,
    metadata: MetadataColumns,
    /// The table's columns of the value's fields, and of the key's.
    value_columns: Vec<usize>,
    key_columns: Vec<usize>,
    metadata_columns: Vec<usize>,
    rows: usize,
    rejected: Vec<DeadLetter>,
    /// Bytes of the records collected.
    pub bytes: usize,
}

impl Rows {
    pub fn new(table: &TableDefinition, options: &FluvioOptions) -> Result<Self> {
        let value_columns = options.value.columns.clone();
        let value = options.value.format.decoder(&fields(table, &options.value, &value_columns))?;
        // A column that the value carries too is read from there.
        let of_key = options.key.as_ref().map(|key| {
            let columns = key.columns.iter().copied();
            (key, columns.filter(|at| !value_columns.contains(at)).collect::<Vec<_>>())
        });
        let (key, key_columns) = match of_key {
            Some((key, columns)) if !columns.is_empty() => {
                (Some(key.format.decoder(&fields(table, key, &columns))?), columns)
            }
            _ => (None, vec![]),
        };
        Ok(Self {
            stage: table.name.clone(),
            topic: options.topic.clone(),
            schema: Arc::clone(&table.schema),
            value,
            key,
            metadata: MetadataColumns::new(table)?,
            value_columns,
            key_columns,
            metadata_columns: table.metadata.iter().map(|metadata| metadata.column).collect(),
            rows: 0,
            rejected: vec![],
            bytes: 0,
        })
    }

    pub fn len(&self) -> usize {
        self.rows + self.rejected.len()
    }

    /// Takes a record in.
    pub fn push(&mut self, record: &Record<'_>) {
        self.bytes += record.value.len() + record.key.map_or(0, <[u8]>::len);
        match self.decode(record) {
            Ok(rows) => {
                self.rows += rows;
                self.truncate();
            }
            Err(error) => {
                self.truncate();
                self.rejected.push(DeadLetter {
                    stage: self.stage.clone(),
                    topic: Some(self.topic.clone()),
                    partition: Some(record.partition),
                    offset: Some(record.offset),
                    timestamp: record.timestamp,
                    error,
                    raw: record.value.to_vec(),
                });
            }
        }
    }

    /// The rows of a record: none where one of its parts was passed over.
    fn decode(&mut self, record: &Record<'_>) -> Result<usize, Misfit> {
        let rows = self.value.decode(record.value)?;
        for _ in 0..rows {
            if let Some(key) = &mut self.key {
                let decoded = match record.key {
                    Some(bytes) => key.decode(bytes),
                    None => key.rows().push_nulls().map(|()| 1),
                };
                if decoded.map_err(|misfit| format!("key: {misfit}"))? != 1 {
                    return Ok(0);
                }
            }
            self.metadata.push(&self.topic, record)?;
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
        let (values, weights) = self.value.rows().finish()?;
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        if let Some(key) = &mut self.key {
            for (at, column) in self.key_columns.iter().zip(key.rows().finish()?.0) {
                columns[*at] = Some(column);
            }
        }
        for (at, value) in self.value_columns.iter().zip(values) {
            columns[*at] = Some(value);
        }
        for (at, column) in self.metadata_columns.iter().zip(self.metadata.finish()?) {
            columns[*at] = Some(column);
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
