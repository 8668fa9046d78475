//! `TO_TIMESTAMP(text[, pattern])`: null where the text is no time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::pattern::{DEFAULT, Pattern};
use super::scalar::{Function, Kind, Takes, optional_text, texts};
use crate::types::WINDOW_BOUND;

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Text], required: 1 };
    Function { name: "to_timestamp", takes, gives: timestamp, body: to_timestamp }
}

fn timestamp(_: &[DataType]) -> DataType {
    WINDOW_BOUND
}

fn to_timestamp(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    Ok(Arc::new(TimestampMillisecondArray::from(parsed(columns)?)))
}

/// Milliseconds of texts in the pattern of a second column, or in the default.
pub fn parsed(columns: &[ArrayRef]) -> Result<Vec<Option<i64>>> {
    let mut pattern = Pattern::new(DEFAULT)?;
    let mut made = Vec::with_capacity(columns[0].len());
    for (row, text) in texts(&columns[0]).iter().enumerate() {
        let wanted = if columns.len() > 1 { optional_text(columns, 1, row) } else { Some(DEFAULT) };
        let (Some(text), Some(wanted)) = (text, wanted) else {
            made.push(None);
            continue;
        };
        if !pattern.is(wanted) {
            pattern = Pattern::new(wanted)?;
        }
        made.push(pattern.parse(text));
    }
    Ok(made)
}
