//! `LOCATE(part, s[, from])` and `INSTR(s, part)`: counted from 1; 0 where there is none.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, int, long_at, optional_text, some};

pub fn function() -> Function {
    Function {
        name: "locate",
        form: "LOCATE(part, s[, from])",
        about: "the place of a part, counted from 1; 0 where there is none",
        takes: some(&[Kind::Text, Kind::Text, Kind::Long], 2),
        gives: int,
        body: Body::Plain(|columns, rows| placed(columns, rows, 1, 0)),
    }
}

pub fn instr() -> Function {
    Function {
        name: "instr",
        form: "INSTR(s, part)",
        about: "the place of a part, counted from 1; 0 where there is none",
        takes: all(&[Kind::Text, Kind::Text]),
        gives: int,
        body: Body::Plain(|columns, rows| placed(columns, rows, 0, 1)),
    }
}

fn placed(columns: &[ArrayRef], rows: usize, text: usize, part: usize) -> Result<ArrayRef> {
    let made = (0..rows).map(|row| {
        let (text, part) = (optional_text(columns, text, row)?, optional_text(columns, part, row)?);
        let from = match columns.len() {
            3 => long_at(columns, 2, row)?,
            _ => 1,
        };
        let Some(skipped) = usize::try_from(from).ok().and_then(|from| from.checked_sub(1)) else {
            return Some(0);
        };
        if part.is_empty() {
            return Some(1);
        }
        let start = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(skipped);
        let found = start.and_then(|start| Some(start + text[start..].find(part)?));
        Some(found.map_or(0, |byte| text[..byte].chars().count() as i32 + 1))
    });
    Ok(Arc::new(made.collect::<Int32Array>()))
}
