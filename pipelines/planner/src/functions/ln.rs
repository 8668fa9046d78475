//! `LN(x)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use datafusion_common::Result;

use super::scalar::{Function, Kind, Takes, double, doubles};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Double], required: 1 };
    Function { name: "ln", takes, gives: double, body: ln }
}

fn ln(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    Ok(Arc::new(
        doubles(&columns[0]).unary::<_, arrow::datatypes::Float64Type>(f64::ln) as Float64Array
    ))
}
