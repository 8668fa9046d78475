//! Expressions over columns, without naming who compiled them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, RecordBatchOptions, TimestampMillisecondArray, UInt32Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::{ErrorKind, Result};
use crate::time::Millis;

/// A compiled expression: one value a row. It is pure: the same rows give the same column.
pub trait Evaluate: Send + Sync {
    /// # Errors
    /// Of kind [`ErrorKind::Data`] where some row has no value (an overflow, a bad cast).
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef>;

    /// Whether it picks a column, or a field out of one: it has a value for each row, at no cost.
    fn picks(&self) -> bool {
        false
    }

    /// Whether it needs one more last column, the wall clock: [`stamped`] adds it.
    fn reads_clock(&self) -> bool {
        false
    }
}

/// The name of the column of [`stamped`].
pub const CLOCK_COLUMN: &str = "$clock";

/// The rows with the wall clock as a last column, `Timestamp(Millisecond, "UTC")`.
pub fn stamped(rows: &RecordBatch, now: Millis) -> Result<RecordBatch> {
    let zone: Arc<str> = "UTC".into();
    let column =
        TimestampMillisecondArray::from_value(now, rows.num_rows()).with_timezone(zone.clone());
    let mut fields = rows.schema().fields().to_vec();
    let ty = DataType::Timestamp(TimeUnit::Millisecond, Some(zone));
    fields.push(Arc::new(Field::new(CLOCK_COLUMN, ty, false)));
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(column) as ArrayRef);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The column at a position.
#[derive(Debug, Clone, Copy)]
pub struct ColumnAt(pub usize);

impl Evaluate for ColumnAt {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        Ok(rows.column(self.0).clone())
    }

    fn picks(&self) -> bool {
        true
    }
}

/// Several expressions over the same rows, together a new set of columns.
#[derive(Clone)]
pub struct Projection {
    pub schema: SchemaRef,
    pub columns: Vec<Arc<dyn Evaluate>>,
}

/// What a projection made of a batch.
pub struct Projected {
    pub rows: RecordBatch,
    /// Rows that are missing in `rows`, ascending, and why.
    pub rejected: Vec<(usize, String)>,
}

impl Projection {
    /// Whether one of the columns does: see [`Evaluate::reads_clock`].
    pub fn reads_clock(&self) -> bool {
        self.columns.iter().any(|column| column.reads_clock())
    }

    /// Whether all columns do: see [`Evaluate::picks`].
    pub fn picks(&self) -> bool {
        self.columns.iter().all(|column| column.picks())
    }

    /// Evaluates all columns. Where a row has no value it is rejected alone: the rows are then
    /// tried in halves, so that `n` rows with one bad one cost about `log2 n` more evaluations.
    pub fn evaluate(&self, rows: &RecordBatch) -> Result<Projected> {
        let mut made = vec![];
        let mut rejected = vec![];
        self.halves(rows, 0, &mut made, &mut rejected)?;
        let rows = match made.as_slice() {
            [one] => one.clone(),
            parts => concat_batches(&self.schema, parts)?,
        };
        Ok(Projected { rows, rejected })
    }

    fn halves(
        &self,
        rows: &RecordBatch,
        first: usize,
        made: &mut Vec<RecordBatch>,
        rejected: &mut Vec<(usize, String)>,
    ) -> Result<()> {
        match self.evaluate_all(rows) {
            Ok(batch) => made.push(batch),
            Err(error) if error.kind() != ErrorKind::Data => return Err(error),
            Err(error) if rows.num_rows() <= 1 => rejected.push((first, error.to_string())),
            Err(_) => {
                let half = rows.num_rows() / 2;
                self.halves(&rows.slice(0, half), first, made, rejected)?;
                let rest = rows.slice(half, rows.num_rows() - half);
                self.halves(&rest, first + half, made, rejected)?;
            }
        }
        Ok(())
    }

    fn evaluate_all(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|column| column.evaluate(rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// The rows whose positions are not in `rejected` (ascending).
pub fn kept_indices(rows: usize, rejected: &[(usize, String)]) -> UInt32Array {
    let mut bad = rejected.iter().map(|(row, _)| *row).peekable();
    let kept = (0..rows).filter(|row| bad.next_if_eq(row).is_none());
    UInt32Array::from_iter_values(kept.map(|row| row as u32))
}

/// The rows that `rejected` names, in its order.
pub fn rejected_rows(rows: &RecordBatch, rejected: &[(usize, String)]) -> Result<RecordBatch> {
    let indices = UInt32Array::from_iter_values(rejected.iter().map(|(row, _)| *row as u32));
    Ok(take_record_batch(rows, &indices)?)
}
