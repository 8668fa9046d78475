//! `SIGN(x)`: -1, 0 or 1 in the type of `x`.

use arrow::array::ArrayRef;
use datafusion_common::Result;

use super::decimal::one;
use super::number::{Operation, apply};
use super::scalar::{Body, Function, Kind, Takes, same};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Number], required: 1 };
    Function {
        name: "sign",
        form: "SIGN(x)",
        about: "-1, 0 or 1 in the type of x",
        takes,
        gives: same,
        body: Body::Plain(sign),
    }
}

fn sign(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let operation = Operation {
        long: i64::signum,
        double: |value| if value == 0.0 { 0.0 } else { value.signum() },
        decimal: |value, scale| value.signum() * one(scale),
    };
    apply(&columns[0], &operation)
}
