//! `REPEAT(s, n)`: empty where `n` is not positive.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, failed, longs, text, texts};

pub fn function() -> Function {
    Function {
        name: "repeat",
        form: "REPEAT(s, n)",
        about: "the text so many times",
        takes: all(&[Kind::Text, Kind::Long]),
        gives: text,
        body: Body::Plain(repeat),
    }
}

/// Longer texts are refused: one row must not fill the memory.
const BYTES_MAX: usize = 16 << 20;

fn repeat(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let pairs = texts(&columns[0]).iter().zip(longs(&columns[1]));
    let made = pairs.map(|(text, times)| {
        let (Some(text), Some(times)) = (text, times) else { return Ok(None) };
        let times = usize::try_from(times).unwrap_or(0);
        match text.len().saturating_mul(times) {
            ..=BYTES_MAX => Ok(Some(text.repeat(times))),
            _ => Err(failed(format!("REPEAT of more than {BYTES_MAX} bytes"))),
        }
    });
    Ok(Arc::new(made.collect::<Result<StringArray>>()?))
}
