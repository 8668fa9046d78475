//! `DATE_FORMAT(time, pattern)`, with a timestamp or its text.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::pattern::{DEFAULT, Pattern};
use super::scalar::{Function, Kind, Takes, failed, text, texts, times};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Any, Kind::Text], required: 2 };
    Function { name: "date_format", takes, gives: text, body: date_format }
}

fn date_format(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let times = milliseconds(&columns[0])?;
    let times = times.iter();
    // The pattern is a literal in practice, so the last one is kept.
    let mut last: Option<Pattern> = None;
    let mut made = vec![];
    for (time, wanted) in times.copied().zip(texts(&columns[1])) {
        let (Some(time), Some(wanted)) = (time, wanted) else {
            made.push(None);
            continue;
        };
        if last.as_ref().is_none_or(|known| !known.is(wanted)) {
            last = Some(Pattern::new(wanted)?);
        }
        made.push(last.as_ref().and_then(|pattern| pattern.format(time)));
    }
    Ok(Arc::new(StringArray::from(made)))
}

/// Dates and timestamps of any kind, and texts in the default pattern.
pub fn milliseconds(column: &ArrayRef) -> Result<Vec<Option<i64>>> {
    match column.data_type() {
        DataType::Timestamp(..) | DataType::Date32 => {
            let ty = DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None);
            Ok(times(&arrow::compute::cast(column, &ty)?).iter().collect())
        }
        DataType::Utf8 => {
            let default = Pattern::new(DEFAULT)?;
            Ok(texts(column).iter().map(|text| default.parse(text?)).collect())
        }
        DataType::Null => Ok(vec![None; column.len()]),
        other => Err(failed(format!("{other} is no time"))),
    }
}
