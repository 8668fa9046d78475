//! `EXTRACT(unit FROM time)`, also as YEAR(time), HOUR(time), DAYOFWEEK(time), ….

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use chrono_tz::Tz;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, long, texts, times};
use super::unit;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Time], required: 2 };
    Function {
        name: "extract",
        form: "EXTRACT(unit FROM time)",
        about: "also as YEAR(time), HOUR(time), DAYOFWEEK(time), …",
        takes,
        gives: long,
        body: Body::Zoned(extract),
    }
}

fn extract(columns: &[ArrayRef], _rows: usize, zone: Tz) -> Result<ArrayRef> {
    let times = times(&columns[1], zone)?;
    let pairs = texts(&columns[0]).iter().zip(&times);
    let made = pairs.map(|(unit, time)| match (unit, time) {
        (Some(unit), Some(time)) => unit::part(unit, time).map(Some),
        _ => Ok(None),
    });
    Ok(Arc::new(Int64Array::from(made.collect::<Result<Vec<_>>>()?)))
}
