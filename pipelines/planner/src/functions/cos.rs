//! `COS(x)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use datafusion_common::Result;

use super::scalar::{Function, Kind, Takes, double, doubles};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Double], required: 1 };
    Function { name: "cos", takes, gives: double, body: cos }
}

fn cos(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    Ok(Arc::new(
        doubles(&columns[0]).unary::<_, arrow::datatypes::Float64Type>(f64::cos) as Float64Array
    ))
}
