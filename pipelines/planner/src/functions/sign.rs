//! `SIGN(x)`: -1, 0 or 1 in the type of `x`.

use arrow::array::ArrayRef;
use datafusion_common::Result;

use super::number::{Operation, apply, one};
use super::scalar::{Function, Kind, Takes, same};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Number], required: 1 };
    Function { name: "sign", takes, gives: same, body: sign }
}

fn sign(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let operation = Operation {
        long: i64::signum,
        double: |value| if value == 0.0 { 0.0 } else { value.signum() },
        decimal: |value, scale| value.signum() * one(scale),
    };
    apply(&columns[0], &operation)
}
