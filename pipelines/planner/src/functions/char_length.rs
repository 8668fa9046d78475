//! `CHAR_LENGTH(s)`: characters, not bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, int, texts};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text], required: 1 };
    Function {
        name: "char_length",
        form: "CHAR_LENGTH(s)",
        about: "characters, not bytes",
        takes,
        gives: int,
        body: Body::Plain(char_length),
    }
}

fn char_length(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let made = texts(&columns[0]).iter().map(|text| text.map(|text| text.chars().count() as i32));
    Ok(Arc::new(made.collect::<Int32Array>()))
}
