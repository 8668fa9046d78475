//! `CONCAT_WS(separator, s, …)`: leaves nulls out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, text, texts};

pub fn function() -> Function {
    let takes = Takes::Many { kind: Kind::Text, least: 1 };
    Function {
        name: "concat_ws",
        form: "CONCAT_WS(separator, s, …)",
        about: "leaves nulls out",
        takes,
        gives: text,
        body: Body::Plain(concat_ws),
    }
}

fn concat_ws(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let columns: Vec<&StringArray> = columns.iter().map(texts).collect();
    let made = (0..rows).map(|row| {
        let separator = columns[0].is_valid(row).then(|| columns[0].value(row))?;
        let parts = columns[1..].iter().filter(|part| part.is_valid(row));
        Some(parts.map(|part| part.value(row)).collect::<Vec<_>>().join(separator))
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
