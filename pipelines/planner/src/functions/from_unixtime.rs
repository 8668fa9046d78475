//! `FROM_UNIXTIME(seconds[, pattern])`: text.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::TimeUnit;
use chrono_tz::Tz;
use datafusion_common::Result;

use super::pattern::{DEFAULT, Patterns};
use super::scalar::{Body, Function, Kind, Takes, longs, optional_text, text};
use nowcast_transforms::zone::{datetime, to_local};

pub fn function() -> Function {
    Function {
        name: "from_unixtime",
        form: "FROM_UNIXTIME(seconds[, pattern])",
        about: "the text of a time in seconds since the epoch, in the session's time zone",
        takes: Takes::These { kinds: &[Kind::Long, Kind::Text], required: 1 },
        gives: text,
        body: Body::Zoned(from_unixtime),
    }
}

fn from_unixtime(columns: &[ArrayRef], _rows: usize, zone: Tz) -> Result<ArrayRef> {
    let mut patterns = Patterns::default();
    let mut made = vec![];
    for (row, seconds) in longs(&columns[0]).iter().enumerate() {
        let pattern =
            if columns.len() > 1 { optional_text(columns, 1, row) } else { Some(DEFAULT) };
        let time = seconds.and_then(|seconds| datetime(seconds, TimeUnit::Second));
        made.push(match (time, pattern) {
            (Some(time), Some(pattern)) => {
                Some(patterns.get(pattern)?.format(to_local(time, zone)))
            }
            _ => None,
        });
    }
    Ok(Arc::new(StringArray::from(made)))
}
