//! `SUBSTRING(s, start[, length])`: counted from 1, from the end where negative.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, longs, text, texts};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Long, Kind::Long], required: 2 };
    Function {
        name: "substring",
        form: "SUBSTRING(s, start[, length])",
        about: "counted from 1, from the end where negative",
        takes,
        gives: text,
        body: Body::Plain(substring),
    }
}

fn substring(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let starts = longs(&columns[1]);
    let made = texts(&columns[0]).iter().enumerate().map(|(row, value)| {
        let value = value?;
        let start = starts.is_valid(row).then(|| starts.value(row))?;
        let length = match columns.get(2) {
            None => usize::MAX,
            // A negative length gives null.
            Some(lengths) if lengths.is_valid(row) => longs(lengths).value(row).try_into().ok()?,
            Some(_) => return None,
        };
        let skipped = match start {
            1.. => (start - 1) as usize,
            0 => 0,
            _ => match value.chars().count().checked_sub(start.unsigned_abs() as usize) {
                Some(skipped) => skipped,
                None => return Some(String::new()),
            },
        };
        Some(value.chars().skip(skipped).take(length).collect::<String>())
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
