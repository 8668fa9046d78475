//! `CARDINALITY(array or map)`: the number of elements.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, failed, int};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Any], required: 1 };
    Function {
        name: "cardinality",
        form: "CARDINALITY(array or map)",
        about: "the number of elements",
        takes,
        gives: int,
        body: Body::Plain(cardinality),
    }
}

fn cardinality(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let column = &columns[0];
    let ends = match column.data_type() {
        DataType::List(_) => column.as_list::<i32>().value_offsets(),
        DataType::Map(..) => column.as_map().value_offsets(),
        other => return Err(failed(format!("{other} has no CARDINALITY"))),
    };
    let made = (0..rows).map(|row| column.is_valid(row).then(|| ends[row + 1] - ends[row]));
    Ok(Arc::new(made.collect::<Int32Array>()))
}
