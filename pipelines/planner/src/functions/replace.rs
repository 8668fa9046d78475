//! `REPLACE(s, from, to)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, text, texts};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Text, Kind::Text], required: 3 };
    Function {
        name: "replace",
        form: "REPLACE(s, from, to)",
        about: "",
        takes,
        gives: text,
        body: Body::Plain(replace),
    }
}

fn replace(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let [values, from, to] = [0, 1, 2].map(|column: usize| texts(&columns[column]));
    let made =
        values.iter().zip(from).zip(to).map(|((value, from), to)| Some(value?.replace(from?, to?)));
    Ok(Arc::new(made.collect::<StringArray>()))
}
