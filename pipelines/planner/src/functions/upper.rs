//! `UPPER(s)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, text, texts};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text], required: 1 };
    Function {
        name: "upper",
        form: "UPPER(s)",
        about: "",
        takes,
        gives: text,
        body: Body::Plain(upper),
    }
}

fn upper(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let made = texts(&columns[0]).iter().map(|text| text.map(str::to_uppercase));
    Ok(Arc::new(made.collect::<StringArray>()))
}
