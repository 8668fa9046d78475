//! Numbers of any type, one operation for integers, floats and decimals each.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion_common::{Result, exec_err};

/// What to do with a number; a decimal comes with its scale.
pub struct Operation {
    pub long: fn(i64) -> i64,
    pub double: fn(f64) -> f64,
    pub decimal: fn(i128, i8) -> i128,
}

/// Applies the operation; the type stays.
pub fn apply(column: &ArrayRef, operation: &Operation) -> Result<ArrayRef> {
    let ty = column.data_type();
    let made: ArrayRef = match ty {
        ty if ty.is_integer() => {
            let longs = cast(column, &DataType::Int64)?;
            let made = longs.as_primitive::<Int64Type>();
            Arc::new(made.unary::<_, Int64Type>(operation.long))
        }
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            let made = column.as_primitive::<Decimal128Type>();
            let made = made.unary::<_, Decimal128Type>(|value| (operation.decimal)(value, scale));
            Arc::new(made.with_data_type(ty.clone()))
        }
        ty if ty.is_floating() => {
            let doubles = cast(column, &DataType::Float64)?;
            let made = doubles.as_primitive::<Float64Type>();
            Arc::new(made.unary::<_, Float64Type>(operation.double))
        }
        other => return exec_err!("{other} is no number"),
    };
    Ok(cast(&made, ty)?)
}

/// `10^scale`, the one of a decimal.
pub fn one(scale: i8) -> i128 {
    10_i128.pow(u32::try_from(scale).unwrap_or(0))
}
