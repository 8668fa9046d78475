//! `ARRAY[a, …]`.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field};
use datafusion_common::Result;

use super::scalar::{Body, Function, Takes};
use crate::types::list_of;

pub fn function() -> Function {
    Function {
        name: "array",
        form: "ARRAY[a, …]",
        about: "",
        takes: Takes::Alike { least: 1 },
        gives: list,
        body: Body::Plain(array),
    }
}

fn list(given: &[DataType]) -> DataType {
    list_of(given[0].clone())
}

fn array(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let one_after_another = columns.iter().map(AsRef::as_ref).collect::<Vec<_>>();
    let items = concat(&one_after_another)?;
    // Row by row instead of column by column.
    let order = (0..rows).flat_map(|row| (0..columns.len()).map(move |column| column * rows + row));
    let items =
        take(&items, &UInt64Array::from_iter_values(order.map(|index| index as u64)), None)?;
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    let ends = OffsetBuffer::from_repeated_length(columns.len(), rows);
    Ok(Arc::new(ListArray::try_new(field, ends, items, None)?))
}
