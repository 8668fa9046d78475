//! `OVERLAY(s PLACING part FROM start [FOR length])`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, long_at, optional_text, some, text};

pub fn function() -> Function {
    Function {
        name: "overlay",
        form: "OVERLAY(s PLACING part FROM start [FOR length])",
        about: "with a part replaced",
        takes: some(&[Kind::Text, Kind::Text, Kind::Long, Kind::Long], 3),
        gives: text,
        body: Body::Plain(overlay),
    }
}

fn overlay(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let made = (0..rows).map(|row| {
        let (text, part) = (optional_text(columns, 0, row)?, optional_text(columns, 1, row)?);
        let start = long_at(columns, 2, row)?;
        let length = match columns.len() {
            4 => long_at(columns, 3, row)?,
            _ => part.chars().count() as i64,
        };
        let all = text.chars().count() as i64;
        if start <= 0 || start > all {
            return Some(text.to_owned());
        }
        let before = text.chars().take(start as usize - 1);
        let rest = match length > 0 && start + length <= all {
            true => (start - 1 + length) as usize,
            false => all as usize,
        };
        Some(before.chain(part.chars()).chain(text.chars().skip(rest)).collect::<String>())
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
