//! `UNIX_TIMESTAMP(text[, pattern])`, or of a timestamp: seconds since the epoch.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::date_format::milliseconds;
use super::scalar::{Function, Kind, Takes, long};
use super::to_timestamp::parsed;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Any, Kind::Text], required: 1 };
    Function { name: "unix_timestamp", takes, gives: long, body: unix_timestamp }
}

fn unix_timestamp(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let times = match columns[0].data_type() {
        DataType::Utf8 => parsed(columns)?,
        _ => milliseconds(&columns[0])?,
    };
    let seconds = times.into_iter().map(|time| time.map(|time| time.div_euclid(1_000)));
    Ok(Arc::new(seconds.collect::<Int64Array>()))
}
