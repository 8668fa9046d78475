//! `EXTRACT(unit FROM time)`, also as YEAR(time), HOUR(time), DAYOFWEEK(time), ….

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use datafusion_common::Result;

use super::scalar::{Function, Kind, Takes, long, texts, times};
use super::unit;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Time], required: 2 };
    Function { name: "extract", takes, gives: long, body: extract }
}

fn extract(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let pairs = texts(&columns[0]).iter().zip(times(&columns[1]));
    let made = pairs.map(|(unit, time)| match (unit, time) {
        (Some(unit), Some(time)) => unit::part(unit, time).map(Some),
        _ => Ok(None),
    });
    Ok(Arc::new(Int64Array::from(made.collect::<Result<Vec<_>>>()?)))
}
