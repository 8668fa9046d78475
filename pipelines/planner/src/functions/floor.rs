//! `FLOOR(x)`.

use arrow::array::ArrayRef;
use datafusion_common::Result;

use super::decimal::one;
use super::number::{Operation, apply, at_type, without_scale};
use super::scalar::{Body, Function, Kind, Takes};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Number], required: 1 };
    Function {
        name: "floor",
        form: "FLOOR(x)",
        about: "",
        takes,
        gives: without_scale,
        body: Body::Plain(floor),
    }
}

fn floor(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let operation = Operation {
        long: |value| value,
        double: f64::floor,
        decimal: |value, scale| value.div_euclid(one(scale)) * one(scale),
    };
    let made = apply(&columns[0], &operation)?;
    at_type(made, without_scale)
}
