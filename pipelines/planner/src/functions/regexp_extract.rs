//! `REGEXP_EXTRACT(s, pattern[, group])`: null where nothing matches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use datafusion_common::Result;
use regex::Regex;

use super::scalar::{Function, Kind, Takes, failed, longs, text, texts};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Text, Kind::Long], required: 2 };
    Function { name: "regexp_extract", takes, gives: text, body: regexp_extract }
}

fn regexp_extract(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let pairs = texts(&columns[0]).iter().zip(texts(&columns[1]));
    // The pattern is a literal in practice, so the last one is kept.
    let mut last: Option<Regex> = None;
    let mut made = Vec::with_capacity(columns[0].len());
    for (row, (value, pattern)) in pairs.enumerate() {
        let group = match columns.get(2) {
            None => Some(0),
            Some(groups) => groups.is_valid(row).then(|| longs(groups).value(row)),
        };
        let (Some(value), Some(pattern), Some(group)) = (value, pattern, group) else {
            made.push(None);
            continue;
        };
        if last.as_ref().is_none_or(|known| known.as_str() != pattern) {
            last = Some(Regex::new(pattern).map_err(failed)?);
        }
        let found = last.as_ref().and_then(|regex| regex.captures(value));
        let found = found.and_then(|found| found.get(usize::try_from(group).ok()?));
        made.push(found.map(|found| found.as_str()));
    }
    Ok(Arc::new(StringArray::from(made)))
}
