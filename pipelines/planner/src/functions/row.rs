//! `ROW(a, …)`, with fields `EXPR$0`, ….

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes};

pub fn function() -> Function {
    let takes = Takes::Many { kind: Kind::Any, least: 1 };
    Function {
        name: "row",
        form: "ROW(a, …)",
        about: "with fields EXPR$0, …",
        takes,
        gives: fields,
        body: Body::Plain(row),
    }
}

fn fields(given: &[DataType]) -> DataType {
    DataType::Struct(named(given.iter().cloned()))
}

fn named(types: impl Iterator<Item = DataType>) -> Fields {
    types.enumerate().map(|(n, ty)| Field::new(format!("EXPR${n}"), ty, true)).collect()
}

fn row(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let fields = named(columns.iter().map(|column| column.data_type().clone()));
    Ok(Arc::new(StructArray::try_new(fields, columns.to_vec(), None)?))
}
