//! `UNIX_TIMESTAMP(text[, pattern])`: seconds since the epoch.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use chrono_tz::Tz;
use datafusion_common::{DataFusionError, Result};
use nowcast_engine::time::to_millis;

use super::date_format::moments;
use super::pattern::Pattern;
use super::scalar::{Body, Function, Kind, Takes, long};
use super::to_timestamp::parsed;
use nowcast_transforms::zone::to_utc;

pub fn function() -> Function {
    Function {
        name: "unix_timestamp",
        form: "UNIX_TIMESTAMP(text[, pattern])",
        about: "seconds since the epoch of a text in the session's time zone",
        takes: Takes::These { kinds: &[Kind::Any, Kind::Text], required: 1 },
        gives: long,
        body: Body::Zoned(unix_timestamp),
    }
}

fn unix_timestamp(columns: &[ArrayRef], _rows: usize, zone: Tz) -> Result<ArrayRef> {
    if let DataType::Timestamp(_, Some(_)) = columns[0].data_type() {
        let seconds = to_millis(&columns[0])
            .map_err(|error| DataFusionError::External(Box::new(error)))?
            .unary::<_, Int64Type>(|ms| ms.div_euclid(1_000));
        return Ok(Arc::new(seconds));
    }
    let times = match columns[0].data_type() {
        DataType::Utf8 => parsed(columns, Pattern::parse_leniently)?,
        _ => moments(&columns[0], zone)?,
    };
    let seconds = times.into_iter().map(|time| Some(to_utc(time?, zone).and_utc().timestamp()));
    Ok(Arc::new(seconds.collect::<Int64Array>()))
}
