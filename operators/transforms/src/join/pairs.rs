//! Pairs of rows of two sides: the condition on them, and the rows that a join makes of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatchOptions;
use nowcast_engine::evaluate::stamped;
use nowcast_engine::{Batch, Error, Evaluate, Output, Result};

use super::side::Side;
use crate::calc;
use crate::groups::EMIT_ROWS_MAX;

/// Which input a row came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Left,
    Right,
}

impl Port {
    pub fn of(port: usize) -> Result<Self> {
        match port {
            0 => Ok(Self::Left),
            1 => Ok(Self::Right),
            _ => Err(Error::bug(format!("a join has no port {port}"))),
        }
    }

    pub fn index(self) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => 1,
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// What must be true of a pair of rows beside their keys.
pub(crate) struct Condition {
    evaluate: Option<Arc<dyn Evaluate>>,
    /// The columns of the left, then those of the right.
    schema: SchemaRef,
}

impl Condition {
    pub fn new(evaluate: Option<Arc<dyn Evaluate>>, left: &SchemaRef, right: &SchemaRef) -> Self {
        let fields = left.fields().iter().chain(right.fields().iter());
        let fields: Vec<_> =
            fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        Self { evaluate, schema: Arc::new(Schema::new(fields)) }
    }

    /// For each pair of a row of `batch`, which came at `port`, and a row that the other side holds,
    /// whether the condition is true. A pair for which it has no value is set aside and does not
    /// match.
    pub fn of(
        &self,
        port: Port,
        (batch, rows): (&RecordBatch, &[u32]),
        (other, numbers): (&Side, &[u32]),
        out: &mut Output,
    ) -> Result<Matching> {
        let Some(condition) = &self.evaluate else { return Ok(Matching(None)) };
        let rows = UInt32Array::from(rows.to_vec());
        let own = batch.columns().iter().map(|column| Ok(take(column, &rows, None)?));
        let own = own.collect::<Result<Vec<ArrayRef>>>()?;
        let other = other.columns(numbers)?;
        let columns = match port {
            Port::Left => [own, other].concat(),
            Port::Right => [other, own].concat(),
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let schema = Arc::clone(&self.schema);
        let pairs = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let pairs = match condition.reads_clock() {
            true => stamped(&pairs, out.now())?,
            false => pairs,
        };
        Ok(Matching(Some(calc::mask(condition.as_ref(), &pairs, out)?)))
    }
}

/// Which pairs match: all, where there is no condition.
pub(crate) struct Matching(Option<BooleanArray>);

impl Matching {
    pub fn has(&self, pair: usize) -> bool {
        self.0.as_ref().is_none_or(|mask| mask.value(pair))
    }
}

/// Rows of a join's output as they are made: of a row of the batch at hand and a row that the other
/// side holds; where one is missing its columns are null.
pub(crate) struct Made {
    port: Port,
    /// Whether the output has the columns of the left input alone.
    left_only: bool,
    own: Vec<Option<u32>>,
    other: Vec<Option<u32>>,
    weights: Vec<i64>,
}

impl Made {
    pub fn new(port: Port, left_only: bool) -> Self {
        Self { port, left_only, own: vec![], other: vec![], weights: vec![] }
    }

    /// Adds a row `weight` times: each change is a row of its own.
    pub fn push(&mut self, own: Option<u32>, other: Option<u32>, weight: i64) {
        for _ in 0..weight.unsigned_abs() {
            self.own.push(own);
            self.other.push(other);
            self.weights.push(weight.signum());
        }
    }

    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Emits what was made so far.
    pub fn emit(
        &mut self,
        schema: &SchemaRef,
        batch: &RecordBatch,
        other: &Side,
        out: &mut Output,
    ) -> Result<()> {
        let made = std::mem::replace(self, Self::new(self.port, self.left_only));
        let mut first = 0;
        while first < made.len() {
            let end = made.len().min(first + EMIT_ROWS_MAX);
            let rows = end - first;
            let own = || own_columns(batch, &made.own[first..end]);
            let others = || other_columns(other, &made.other[first..end]);
            let columns = match (made.port, made.left_only) {
                (Port::Left, true) => own()?,
                (Port::Right, true) => others()?,
                (Port::Left, false) => [own()?, others()?].concat(),
                (Port::Right, false) => [others()?, own()?].concat(),
            };
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let rows = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
            let weights = &made.weights[first..end];
            let changes = weights.iter().any(|weight| *weight < 0);
            let weights = changes.then(|| Int64Array::from(weights.to_vec()));
            out.emit(Batch::new(rows).with_weights(weights));
            first = end;
        }
        Ok(())
    }
}

fn own_columns(batch: &RecordBatch, rows: &[Option<u32>]) -> Result<Vec<ArrayRef>> {
    if batch.num_rows() == 0 {
        let nulls = batch.columns().iter();
        return Ok(nulls.map(|column| new_null_array(column.data_type(), rows.len())).collect());
    }
    let rows = UInt32Array::from(rows.to_vec());
    batch.columns().iter().map(|column| Ok(take(column, &rows, None)?)).collect()
}

fn other_columns(side: &Side, numbers: &[Option<u32>]) -> Result<Vec<ArrayRef>> {
    let held: Vec<u32> = numbers.iter().flatten().copied().collect();
    let columns = side.columns(&held)?;
    if held.len() == numbers.len() {
        return Ok(columns);
    }
    if held.is_empty() {
        let nulls = columns.iter();
        return Ok(nulls.map(|column| new_null_array(column.data_type(), numbers.len())).collect());
    }
    let mut next = 0;
    let positions = numbers.iter().map(|number| {
        number.map(|_| {
            next += 1;
            next - 1
        })
    });
    let positions: UInt32Array = positions.collect();
    columns.iter().map(|column| Ok(take(column, &positions, None)?)).collect()
}
