//! `FROM_UNIXTIME(seconds[, pattern])`: text, in UTC.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::pattern::{DEFAULT, Pattern};
use super::scalar::{Function, Kind, Takes, longs, optional_text, text};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Long, Kind::Text], required: 1 };
    Function { name: "from_unixtime", takes, gives: text, body: from_unixtime }
}

fn from_unixtime(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let mut pattern = Pattern::new(DEFAULT)?;
    let mut made = vec![];
    for (row, seconds) in longs(&columns[0]).iter().enumerate() {
        let wanted = if columns.len() > 1 { optional_text(columns, 1, row) } else { Some(DEFAULT) };
        let (Some(seconds), Some(wanted)) = (seconds, wanted) else {
            made.push(None);
            continue;
        };
        if !pattern.is(wanted) {
            pattern = Pattern::new(wanted)?;
        }
        made.push(seconds.checked_mul(1_000).and_then(|time| pattern.format(time)));
    }
    Ok(Arc::new(StringArray::from(made)))
}
