//! `TO_TIMESTAMP(text[, pattern])`: null where the text is no time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, TimestampMillisecondArray};
use chrono::NaiveDateTime;
use datafusion_common::Result;

use super::cast::of_text;
use super::pattern::{Pattern, Patterns};
use super::scalar::{Body, Function, Kind, Takes, optional_text, texts};
use crate::types::WINDOW_BOUND;

pub fn function() -> Function {
    Function {
        name: "to_timestamp",
        form: "TO_TIMESTAMP(text[, pattern])",
        about: "a TIMESTAMP(3); null where the text is no time",
        takes: Takes::These { kinds: &[Kind::Text, Kind::Text], required: 1 },
        gives: |_| WINDOW_BOUND,
        body: Body::Plain(|columns, _| {
            let millis = |time: Option<NaiveDateTime>| Some(time?.and_utc().timestamp_millis());
            let made = parsed(columns, Pattern::parse)?.into_iter().map(millis);
            Ok(Arc::new(made.collect::<TimestampMillisecondArray>()))
        }),
    }
}

/// Texts in the pattern of a second column, or in the default.
pub fn parsed(
    columns: &[ArrayRef],
    parse: fn(&Pattern, &str) -> Option<NaiveDateTime>,
) -> Result<Vec<Option<NaiveDateTime>>> {
    let mut patterns = Patterns::default();
    let mut made = Vec::with_capacity(columns[0].len());
    for (row, text) in texts(&columns[0]).iter().enumerate() {
        let Some(text) = text else {
            made.push(None);
            continue;
        };
        made.push(match (columns.len(), optional_text(columns, 1, row)) {
            (1, _) => of_text::timestamp(text),
            (_, Some(pattern)) => parse(patterns.get(pattern)?, text),
            (_, None) => None,
        });
    }
    Ok(made)
}
