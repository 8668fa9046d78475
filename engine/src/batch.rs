//! Rows on their way through the graph: Arrow columns plus what the engine keeps beside them.

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{
    concat, concat_batches, filter, filter_record_batch, take, take_record_batch,
};
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};

/// Columns of equal length, with two optional companions as long as the columns.
///
/// * `weights` (Z-set): `+1` inserts a row, `-1` deletes an equal one. Absent: all rows are inserts.
/// * `bounds`: the watermark of the row's own source partition just before the row, in ms. A row is
///   late for everything that ended at or before it. Lateness so decided does not depend on how
///   rows were cut into batches. Absent: no row is late by its own partition.
#[derive(Debug, Clone)]
pub struct Batch {
    rows: RecordBatch,
    weights: Option<Int64Array>,
    bounds: Option<Int64Array>,
}

impl Batch {
    pub fn new(rows: RecordBatch) -> Self {
        Self { rows, weights: None, bounds: None }
    }

    /// # Panics
    /// If there are not as many weights as rows.
    pub fn with_weights(mut self, weights: Option<Int64Array>) -> Self {
        assert!(weights.as_ref().is_none_or(|weights| weights.len() == self.num_rows()));
        self.weights = weights;
        self
    }

    /// # Panics
    /// If there are not as many bounds as rows.
    pub fn with_bounds(mut self, bounds: Option<Int64Array>) -> Self {
        assert!(bounds.as_ref().is_none_or(|bounds| bounds.len() == self.num_rows()));
        self.bounds = bounds;
        self
    }

    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    pub fn column(&self, index: usize) -> &ArrayRef {
        self.rows.column(index)
    }

    pub fn columns(&self, indices: &[usize]) -> Vec<ArrayRef> {
        indices.iter().map(|index| self.rows.column(*index).clone()).collect()
    }

    pub fn num_rows(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn weights(&self) -> Option<&Int64Array> {
        self.weights.as_ref()
    }

    pub fn bounds(&self) -> Option<&Int64Array> {
        self.bounds.as_ref()
    }

    /// Other columns for the same rows: weights and bounds stay.
    ///
    /// # Panics
    /// If the number of rows differs.
    pub fn with_rows(self, rows: RecordBatch) -> Self {
        assert_eq!(rows.num_rows(), self.rows.num_rows(), "columns of other rows");
        Self { rows, ..self }
    }

    pub fn filter(&self, keep: &BooleanArray) -> Result<Self> {
        let side = |column: &Option<Int64Array>| match column {
            Some(column) => Ok::<_, Error>(Some(ints(&filter(column, keep)?))),
            None => Ok(None),
        };
        Ok(Self {
            rows: filter_record_batch(&self.rows, keep)?,
            weights: side(&self.weights)?,
            bounds: side(&self.bounds)?,
        })
    }

    /// The rows at `indices`, in that order; an index may repeat.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self> {
        let side = |column: &Option<Int64Array>| match column {
            Some(column) => Ok::<_, Error>(Some(ints(&take(column, indices, None)?))),
            None => Ok(None),
        };
        Ok(Self {
            rows: take_record_batch(&self.rows, indices)?,
            weights: side(&self.weights)?,
            bounds: side(&self.bounds)?,
        })
    }

    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            rows: self.rows.slice(offset, length),
            weights: self.weights.as_ref().map(|column| column.slice(offset, length)),
            bounds: self.bounds.as_ref().map(|column| column.slice(offset, length)),
        }
    }

    /// One batch of all rows in order. A companion that some batches lack is filled in: weight 1,
    /// bound `i64::MIN`.
    pub fn concat(schema: &SchemaRef, batches: &[Batch]) -> Result<Self> {
        let rows = concat_batches(schema, batches.iter().map(|batch| &batch.rows))?;
        let side = |get: fn(&Batch) -> Option<&Int64Array>, default: i64| {
            if batches.iter().all(|batch| get(batch).is_none()) {
                return Ok::<_, Error>(None);
            }
            let parts: Vec<Int64Array> = batches
                .iter()
                .map(|batch| match get(batch) {
                    Some(column) => column.clone(),
                    None => Int64Array::from_value(default, batch.num_rows()),
                })
                .collect();
            let parts: Vec<&dyn Array> = parts.iter().map(|part| part as &dyn Array).collect();
            Ok(Some(ints(&concat(&parts)?)))
        };
        Ok(Self { weights: side(Self::weights, 1)?, bounds: side(Self::bounds, i64::MIN)?, rows })
    }
}

/// Arrow kernels keep the type of what they select from.
fn ints(array: &ArrayRef) -> Int64Array {
    array.as_any().downcast_ref::<Int64Array>().expect("selected from an Int64Array").clone()
}
