//! `FLOOR(time TO unit)`.

use arrow::array::ArrayRef;
use datafusion_common::Result;

use super::scalar::{Function, Kind, Takes, same, texts, time_column, times};
use super::unit;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Time, Kind::Text], required: 2 };
    Function { name: "floor_to", takes, gives: same, body: floor_to }
}

fn floor_to(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let pairs = times(&columns[0]).iter().zip(texts(&columns[1]));
    let made = pairs.map(|(time, unit)| match (time, unit) {
        (Some(time), Some(unit)) => unit::floor(unit, time).map(Some),
        _ => Ok(None),
    });
    let made = made.collect::<Result<Vec<_>>>()?;
    Ok(time_column(made.into_iter(), columns[0].data_type()))
}
