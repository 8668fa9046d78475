//! `ASCII(s)` and `CHR(n)`: a character and its number.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, all, int, longs, text, texts};

pub fn ascii_function() -> Function {
    Function {
        name: "ascii",
        form: "ASCII(s)",
        about: "the number of the first character; 0 where there is none",
        takes: all(&[Kind::Text]),
        gives: int,
        body: Body::Plain(ascii),
    }
}

pub fn chr_function() -> Function {
    Function {
        name: "chr",
        form: "CHR(n)",
        about: "the character of a number, of its last eight bits",
        takes: all(&[Kind::Long]),
        gives: text,
        body: Body::Plain(chr),
    }
}

fn ascii(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    // Flink takes the first byte, signed.
    let first = |text: &str| text.bytes().next().map_or(0, |byte| i32::from(byte as i8));
    let made = texts(&columns[0]).iter().map(|text| text.map(first));
    Ok(Arc::new(made.collect::<Int32Array>()))
}

fn chr(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let letter = |number: i64| match number {
        ..0 => String::new(),
        number => char::from((number & 0xff) as u8).to_string(),
    };
    let made = longs(&columns[0]).iter().map(|number| number.map(letter));
    Ok(Arc::new(made.collect::<StringArray>()))
}
