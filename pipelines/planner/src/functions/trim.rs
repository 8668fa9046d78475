//! `TRIM([BOTH | LEADING | TRAILING] [what FROM] s)`, as `TRIM(s, side[, what])`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, optional_text, text, texts};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Text, Kind::Text], required: 1 };
    Function {
        name: "trim",
        form: "TRIM([BOTH | LEADING | TRAILING] [what FROM] s)",
        about: "as TRIM(s, side[, what])",
        takes,
        gives: text,
        body: Body::Plain(trim),
    }
}

fn trim(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let made = texts(&columns[0]).iter().enumerate().map(|(row, value)| {
        let what = match columns.get(2) {
            Some(_) => optional_text(columns, 2, row)?,
            None => " ",
        };
        let is_trimmed = |c: char| what.contains(c);
        Some(match optional_text(columns, 1, row) {
            Some("LEADING") => value?.trim_start_matches(is_trimmed),
            Some("TRAILING") => value?.trim_end_matches(is_trimmed),
            _ => value?.trim_matches(is_trimmed),
        })
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
