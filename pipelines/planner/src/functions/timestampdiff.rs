//! `TIMESTAMPDIFF(unit, from, to)`: whole units between two times.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use arrow::datatypes::DataType;
use chrono_tz::Tz;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, int, texts, times};
use super::unit;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Time, Kind::Time], required: 3 };
    Function {
        name: "timestampdiff",
        form: "TIMESTAMPDIFF(unit, from, to)",
        about: "whole units between two times",
        takes,
        gives: int,
        body: Body::Zoned(timestampdiff),
    }
}

fn timestampdiff(columns: &[ArrayRef], _rows: usize, zone: Tz) -> Result<ArrayRef> {
    // Between two instants no clock changes.
    let is_instant =
        |column: &ArrayRef| matches!(column.data_type(), DataType::Timestamp(_, Some(_)));
    let zone = if columns[1..].iter().all(is_instant) { Tz::UTC } else { zone };
    let (from, to) = (times(&columns[1], zone)?, times(&columns[2], zone)?);
    let values = texts(&columns[0]).iter().zip(&from).zip(&to);
    let made = values.map(|((unit, from), to)| match (unit, from, to) {
        (Some(unit), Some(from), Some(to)) => {
            // Java's cast from long keeps the low bits.
            unit::difference(unit, from, to).map(|units| Some(units as i32))
        }
        _ => Ok(None),
    });
    Ok(Arc::new(Int32Array::from(made.collect::<Result<Vec<_>>>()?)))
}
