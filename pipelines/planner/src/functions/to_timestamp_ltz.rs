//! `TO_TIMESTAMP_LTZ(number, precision)`: seconds (0) or milliseconds (3) since the epoch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, failed, longs};
use crate::types::timestamp_ltz;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Long, Kind::Long], required: 1 };
    Function {
        name: "to_timestamp_ltz",
        form: "TO_TIMESTAMP_LTZ(number, precision)",
        about: "seconds (0) or milliseconds (3) since the epoch",
        takes,
        gives: timestamp,
        body: Body::Plain(to_timestamp_ltz),
    }
}

fn timestamp(_: &[DataType]) -> DataType {
    timestamp_ltz()
}

fn to_timestamp_ltz(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let mut made = Vec::with_capacity(columns[0].len());
    for (row, number) in longs(&columns[0]).iter().enumerate() {
        // Milliseconds where no precision is given.
        let precision = match columns.get(1) {
            None => 3,
            Some(precisions) if precisions.is_valid(row) => longs(precisions).value(row),
            Some(_) => {
                made.push(None);
                continue;
            }
        };
        made.push(match precision {
            0 => number.and_then(|seconds| seconds.checked_mul(1_000)),
            3 => number,
            other => {
                return Err(failed(format!(
                    "TO_TIMESTAMP_LTZ takes precision 0 or 3, not {other}"
                )));
            }
        });
    }
    Ok(Arc::new(TimestampMillisecondArray::from(made).with_timezone("UTC")))
}
