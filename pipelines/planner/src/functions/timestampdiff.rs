//! `TIMESTAMPDIFF(unit, from, to)`: whole units between two times.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use datafusion_common::Result;

use super::scalar::{Function, Kind, Takes, int, texts, times};
use super::unit;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Time, Kind::Time], required: 3 };
    Function { name: "timestampdiff", takes, gives: int, body: timestampdiff }
}

fn timestampdiff(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let values = texts(&columns[0]).iter().zip(times(&columns[1])).zip(times(&columns[2]));
    let made = values.map(|((unit, from), to)| match (unit, from, to) {
        (Some(unit), Some(from), Some(to)) => {
            // Java's cast from long keeps the low bits.
            unit::difference(unit, from, to).map(|units| Some(units as i32))
        }
        _ => Ok(None),
    });
    Ok(Arc::new(Int32Array::from(made.collect::<Result<Vec<_>>>()?)))
}
