//! `DATE_FORMAT(time, pattern)`, with a timestamp or its text.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, TimeUnit};
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
    let (column, formats) = (&columns[0], texts(&columns[1]));
    let mut patterns = Patterns::default();
    let mut made = StringBuilder::new();
    let mut shown = String::new();
    if !matches!(column.data_type(), DataType::Timestamp(..) | DataType::Date32) {
        for (time, format) in moments(column, zone)?.into_iter().zip(formats) {
            let (Some(time), Some(format)) = (time, format) else {
                made.append_null();
                continue;
            };
            shown.clear();
            patterns.get(format)?.write(time, &mut shown);
            made.append_value(&shown);
        }
        return Ok(Arc::new(made.finish()));
    }
    // Times that follow one another are often shown alike.
    let mut last: Option<(i64, &str)> = None;
    for (time, format) in times(column, zone)?.iter().zip(formats) {
        let (Some(time), Some(format)) = (time, format) else {
            made.append_null();
            continue;
        };
        let pattern = patterns.get(format)?;
        let this = (pattern.alike(time), format);
        if last != Some(this) {
            let Some(time) = datetime(time, TimeUnit::Millisecond) else {
                made.append_null();
                continue;
            };
            shown.clear();
            pattern.write(time, &mut shown);
            last = Some(this);
        }
        made.append_value(&shown);
    }
    Ok(Arc::new(made.finish()))
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
