//! `POSITION(part IN s)`: counted from 1; 0 where there is none.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, int, texts};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Text], required: 2 };
    Function {
        name: "position",
        form: "POSITION(part IN s)",
        about: "counted from 1; 0 where there is none",
        takes,
        gives: int,
        body: Body::Plain(position),
    }
}

fn position(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let made = texts(&columns[0]).iter().zip(texts(&columns[1])).map(|(part, whole)| {
        let whole = whole?;
        Some(whole.find(part?).map_or(0, |byte| whole[..byte].chars().count() as i32 + 1))
    });
    Ok(Arc::new(made.collect::<Int32Array>()))
}
