//! UNNEST: a row for every element of an array or map.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use nowcast_engine::{Batch, Error, Operator, Output, Result};

use crate::groups::EMIT_ROWS_MAX;

/// The output columns are the first `kept` of the input, those of the element (the fields of a row,
/// key and value of a map, else the one value), and its position from 1 as `Int32`.
#[derive(Debug, Clone)]
pub struct UnnestSpec {
    /// The column with the array or map.
    pub column: usize,
    pub kept: usize,
    /// Whether a row without elements stays, padded with nulls.
    pub outer: bool,
    pub ordinality: bool,
    /// Of the output.
    pub schema: SchemaRef,
}

/// Weights and bounds stay with their rows, so a changelog stays one.
pub struct Unnest {
    spec: UnnestSpec,
}

impl Unnest {
    pub fn new(spec: UnnestSpec) -> Self {
        Self { spec }
    }

    fn emit(
        &self,
        batch: &Batch,
        elements: &[ArrayRef],
        made: &mut Made,
        out: &mut Output,
    ) -> Result<()> {
        let Made { rows, elements: places, positions } = std::mem::take(made);
        if rows.is_empty() {
            return Ok(());
        }
        let taken = batch.take(&UInt32Array::from(rows))?;
        let places = UInt32Array::from(places);
        let mut columns = taken.rows().columns()[..self.spec.kept].to_vec();
        for element in elements {
            columns.push(take(element, &places, None)?);
        }
        if self.spec.ordinality {
            columns.push(Arc::new(Int32Array::from(positions)));
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?;
        out.emit(taken.with_rows(rows));
        Ok(())
    }
}

/// Output rows: which input row, which element, at which position.
#[derive(Default)]
struct Made {
    rows: Vec<u32>,
    elements: Vec<Option<u32>>,
    positions: Vec<Option<i32>>,
}

impl Operator for Unnest {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let column = batch.column(self.spec.column).clone();
        let (offsets, elements) = elements(&column)?;
        let mut made = Made::default();
        for row in 0..batch.num_rows() {
            let range = match column.is_valid(row) {
                true => offsets[row] as u32..offsets[row + 1] as u32,
                false => 0..0,
            };
            if range.is_empty() && self.spec.outer {
                made.rows.push(row as u32);
                made.elements.push(None);
                made.positions.push(None);
            }
            for (nth, element) in range.enumerate() {
                made.rows.push(row as u32);
                made.elements.push(Some(element));
                made.positions.push(Some(nth as i32 + 1));
            }
            if made.rows.len() >= EMIT_ROWS_MAX {
                self.emit(&batch, &elements, &mut made, out)?;
            }
        }
        self.emit(&batch, &elements, &mut made, out)
    }
}

/// Where the elements of each row begin, and the columns of all elements.
fn elements(column: &ArrayRef) -> Result<(Vec<i32>, Vec<ArrayRef>)> {
    match column.data_type() {
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let values = lists.values();
            let columns = match values.data_type() {
                DataType::Struct(_) => fields(values)?,
                _ => vec![values.clone()],
            };
            Ok((lists.offsets().to_vec(), columns))
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            Ok((maps.offsets().to_vec(), vec![maps.keys().clone(), maps.values().clone()]))
        }
        other => Err(Error::bug(format!("unnest: {other} has no elements"))),
    }
}

/// The fields of rows; those of a null row are null.
fn fields(rows: &ArrayRef) -> Result<Vec<ArrayRef>> {
    let rows = rows.as_struct();
    if rows.null_count() == 0 {
        return Ok(rows.columns().to_vec());
    }
    let valid = (0..rows.len()).map(|row| rows.is_valid(row).then_some(row as u32));
    let valid = UInt32Array::from_iter(valid);
    rows.columns().iter().map(|column| Ok(take(column, &valid, None)?)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first error")]
mod tests {
    use arrow::array::{Int64Array, ListArray};
    use arrow::datatypes::{Field, Int32Type, Schema};

    use super::*;

    #[test]
    fn elements_keep_the_weight_of_their_row() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(7), None]),
            None,
            Some(vec![]),
            Some(vec![Some(9)]),
        ]);
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
        let rows = [("id", ids, true), ("xs", Arc::new(lists) as ArrayRef, true)];
        let rows = RecordBatch::try_from_iter_with_nullable(rows).unwrap();
        let weights = Int64Array::from(vec![1, 1, -1, -1]);
        let batch = Batch::new(rows).with_weights(Some(weights));
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("x", DataType::Int32, true),
            Field::new("at", DataType::Int32, true),
        ]));
        for (outer, ids, weights) in [
            (false, vec![1, 1, 4], vec![1, 1, -1]),
            (true, vec![1, 1, 2, 3, 4], vec![1, 1, 1, -1, -1]),
        ] {
            let schema = Arc::clone(&schema);
            let spec = UnnestSpec { column: 1, kept: 1, outer, ordinality: true, schema };
            let mut out = Output::default();
            Unnest::new(spec).on_batch(0, batch.clone(), &mut out).unwrap();
            let made = out.take_batches().remove(0);
            assert_eq!(*made.column(0).as_ref(), Int64Array::from(ids));
            assert_eq!(*made.weights().unwrap(), Int64Array::from(weights));
            assert_eq!(made.column(2).as_primitive::<Int32Type>().value(1), 2);
            assert!(made.column(1).is_null(1));
        }
    }
}
