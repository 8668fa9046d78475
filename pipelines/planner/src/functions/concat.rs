//! `CONCAT(s, …)`: null where any part is.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, text, texts};

pub fn function() -> Function {
    let takes = Takes::Many { kind: Kind::Text, least: 1 };
    Function {
        name: "concat",
        form: "CONCAT(s, …)",
        about: "null where any part is",
        takes,
        gives: text,
        body: Body::Plain(concat),
    }
}

fn concat(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let parts: Vec<&StringArray> = columns.iter().map(texts).collect();
    let made = (0..rows).map(|row| {
        let all = parts.iter().all(|part| part.is_valid(row));
        all.then(|| parts.iter().map(|part| part.value(row)).collect::<String>())
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
