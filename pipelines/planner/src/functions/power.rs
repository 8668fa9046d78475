//! `POWER(x, y)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::compute::binary;
use datafusion_common::Result;

use super::scalar::{Function, Kind, Takes, double, doubles};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Double, Kind::Double], required: 2 };
    Function { name: "power", takes, gives: double, body: power }
}

fn power(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let made: Float64Array = binary(doubles(&columns[0]), doubles(&columns[1]), f64::powf)?;
    Ok(Arc::new(made))
}
