//! `FLOOR(x)`.

use arrow::array::ArrayRef;
use datafusion_common::Result;

use super::number::{Operation, apply, one};
use super::scalar::{Function, Kind, Takes, same};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Number], required: 1 };
    Function { name: "floor", takes, gives: same, body: floor }
}

fn floor(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let operation = Operation {
        long: |value| value,
        double: f64::floor,
        decimal: |value, scale| value.div_euclid(one(scale)) * one(scale),
    };
    apply(&columns[0], &operation)
}
