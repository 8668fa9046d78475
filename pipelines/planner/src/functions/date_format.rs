//! `DATE_FORMAT(time, pattern)`, with a timestamp or its text.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use chrono_tz::Tz;
use datafusion_common::Result;

use super::cast::of_text;
use super::pattern::Patterns;
use super::scalar::{Body, Function, Kind, Takes, failed, text, texts, times};
use nowcast_transforms::zone::datetime;

pub fn function() -> Function {
    Function {
        name: "date_format",
        form: "DATE_FORMAT(time, pattern)",
        about: "a time, or the text of one, in a pattern such as yyyy-MM-dd HH:mm",
        takes: Takes::These { kinds: &[Kind::Any, Kind::Text], required: 2 },
        gives: text,
        body: Body::Zoned(date_format),
    }
}

fn date_format(columns: &[ArrayRef], _rows: usize, zone: Tz) -> Result<ArrayRef> {
    let mut patterns = Patterns::default();
    let mut made = vec![];
    for (time, pattern) in moments(&columns[0], zone)?.into_iter().zip(texts(&columns[1])) {
        made.push(match (time, pattern) {
            (Some(time), Some(pattern)) => Some(patterns.get(pattern)?.format(time)),
            _ => None,
        });
    }
    Ok(Arc::new(StringArray::from(made)))
}

/// Dates and timestamps as the session's clock shows them, and texts in the default pattern.
pub fn moments(column: &ArrayRef, zone: Tz) -> Result<Vec<Option<chrono::NaiveDateTime>>> {
    match column.data_type() {
        DataType::Timestamp(..) | DataType::Date32 => {
            let unit = arrow::datatypes::TimeUnit::Millisecond;
            let times = times(column, zone)?;
            Ok(times.iter().map(|time| datetime(time?, unit)).collect())
        }
        DataType::Utf8 => Ok(texts(column).iter().map(|text| of_text::timestamp(text?)).collect()),
        DataType::Null => Ok(vec![None; column.len()]),
        other => Err(failed(format!("{other} is no time"))),
    }
}
