//! `a / b` and `MOD(a, b)` of integers: division by zero sets the row aside, anything else wraps.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, failed};

const TWO: Takes = Takes::These { kinds: &[Kind::Number, Kind::Number], required: 2 };

pub fn divide() -> Function {
    Function {
        name: "int_divide",
        form: "a / b",
        about: "the whole part, of integers",
        takes: TWO,
        gives: wider,
        body: Body::Plain(|columns, _| both(columns, i64::wrapping_div, wider)),
    }
}

pub fn modulo() -> Function {
    Function {
        name: "int_modulo",
        form: "MOD(a, b)",
        about: "the rest of a division, with the sign of a; also a % b",
        takes: TWO,
        gives: second,
        body: Body::Plain(|columns, _| both(columns, i64::wrapping_rem, second)),
    }
}

fn wider(given: &[DataType]) -> DataType {
    match given[0].primitive_width() >= given[1].primitive_width() {
        true => given[0].clone(),
        false => given[1].clone(),
    }
}

fn second(given: &[DataType]) -> DataType {
    given[1].clone()
}

fn both(
    columns: &[ArrayRef],
    operation: fn(i64, i64) -> i64,
    gives: fn(&[DataType]) -> DataType,
) -> Result<ArrayRef> {
    let types: Vec<_> = columns.iter().map(|column| column.data_type().clone()).collect();
    let [left, right] = [0, 1].map(|side: usize| cast(&columns[side], &DataType::Int64));
    let (left, right) = (left?, right?);
    let pairs = left.as_primitive::<Int64Type>().iter().zip(right.as_primitive::<Int64Type>());
    let made = pairs.map(|(left, right)| match (left, right) {
        (Some(_), Some(0)) => Err(failed("division by zero")),
        (Some(left), Some(right)) => Ok(Some(operation(left, right))),
        _ => Ok(None),
    });
    let made: ArrayRef = Arc::new(made.collect::<Result<PrimitiveArray<Int64Type>>>()?);
    // i32::MIN / -1 does not fit again: the low bits are kept.
    super::number::narrow(&made, &gives(&types))
}
