//! `ABS(x)`.

use arrow::array::ArrayRef;
use datafusion_common::Result;

use super::number::{Operation, apply};
use super::scalar::{Body, Function, Kind, Takes, same};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Number], required: 1 };
    Function { name: "abs", form: "ABS(x)", about: "", takes, gives: same, body: Body::Plain(abs) }
}

fn abs(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let operation =
        Operation { long: i64::wrapping_abs, double: f64::abs, decimal: |value, _| value.abs() };
    apply(&columns[0], &operation)
}
