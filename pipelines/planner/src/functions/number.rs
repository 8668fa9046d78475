//! Numbers of any type, one operation for integers, floats and decimals each.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use chrono_tz::Tz;
use datafusion_common::{Result, exec_err};

use super::cast::{Failure, How, convert};

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
            let made: ArrayRef = Arc::new(made.unary::<_, Int64Type>(operation.long));
            narrow(&made, ty)?
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

/// A decimal without digits behind the point; other types stay.
pub fn without_scale(given: &[DataType]) -> DataType {
    match &given[0] {
        DataType::Decimal128(precision, _) => DataType::Decimal128(*precision, 0),
        other => other.clone(),
    }
}

/// A decimal in the type that a function of its own type promises.
pub fn at_type(column: ArrayRef, gives: fn(&[DataType]) -> DataType) -> Result<ArrayRef> {
    let target = Field::new("", gives(&[column.data_type().clone()]), true);
    convert(&column, &target, How { failure: Failure::Null, zone: Tz::UTC })
}

/// The low bits of `BIGINT`s, as Java narrows them.
pub fn narrow(longs: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    let longs = longs.as_primitive::<Int64Type>();
    Ok(match ty {
        DataType::Int8 => Arc::new(longs.unary::<_, Int8Type>(|value| value as i8)),
        DataType::Int16 => Arc::new(longs.unary::<_, Int16Type>(|value| value as i16)),
        DataType::Int32 => Arc::new(longs.unary::<_, Int32Type>(|value| value as i32)),
        _ => Arc::new(longs.clone()),
    })
}
