//! Numbers and truth values as other numbers: integers wrap around, doubles saturate, and what does
//! not fit a decimal is null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::compute;
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use datafusion_common::Result;

use super::How;
use crate::functions::decimal::{self, rescaled};
use crate::functions::scalar::failed;

/// Any number, without loss.
#[derive(Clone, Copy)]
enum Number {
    Long(i64),
    Double(f64),
    Decimal(i128, i8),
}

pub fn convert(column: &ArrayRef, to: &DataType, how: How) -> Result<ArrayRef> {
    let numbers = read(column)?;
    Ok(match to {
        DataType::Boolean => {
            let is_set = |number| match number {
                Number::Long(value) => value != 0,
                Number::Double(value) => value != 0.0,
                Number::Decimal(value, _) => value != 0,
            };
            let made = numbers.map(|number| number.map(is_set));
            Arc::new(made.collect::<BooleanArray>())
        }
        DataType::Int8 => primitive::<Int8Type>(numbers, |number| match number {
            Number::Double(value) => value as i32 as i8,
            other => long(other) as i8,
        }),
        DataType::Int16 => primitive::<Int16Type>(numbers, |number| match number {
            Number::Double(value) => value as i32 as i16,
            other => long(other) as i16,
        }),
        DataType::Int32 => primitive::<Int32Type>(numbers, |number| match number {
            Number::Double(value) => value as i32,
            other => long(other) as i32,
        }),
        DataType::Int64 => primitive::<Int64Type>(numbers, long),
        DataType::Float32 => primitive::<Float32Type>(numbers, |number| match number {
            Number::Long(value) => value as f32,
            other => double(other) as f32,
        }),
        DataType::Float64 => primitive::<Float64Type>(numbers, double),
        DataType::Decimal128(precision, scale) => {
            let mut made = Vec::with_capacity(column.len());
            for number in numbers {
                made.push(match number {
                    None => None,
                    Some(number) => how.settle(decimal_of(number, *precision, *scale))?,
                });
            }
            let made = PrimitiveArray::<Decimal128Type>::from(made);
            Arc::new(made.with_precision_and_scale(*precision, *scale)?)
        }
        other => return Err(failed(format!("{other} is no number"))),
    })
}

fn read(column: &ArrayRef) -> Result<Box<dyn Iterator<Item = Option<Number>>>> {
    Ok(match column.data_type() {
        DataType::Boolean => {
            let values: Vec<_> = column.as_boolean().iter().collect();
            Box::new(values.into_iter().map(|value| value.map(|value| Number::Long(value.into()))))
        }
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            let values: Vec<_> = column.as_primitive::<Decimal128Type>().iter().collect();
            Box::new(values.into_iter().map(move |value| Some(Number::Decimal(value?, scale))))
        }
        ty if ty.is_integer() => {
            let values = compute::cast(column, &DataType::Int64)?;
            let values: Vec<_> = values.as_primitive::<Int64Type>().iter().collect();
            Box::new(values.into_iter().map(|value| value.map(Number::Long)))
        }
        _ => {
            let values = compute::cast(column, &DataType::Float64)?;
            let values: Vec<_> = values.as_primitive::<Float64Type>().iter().collect();
            Box::new(values.into_iter().map(|value| value.map(Number::Double)))
        }
    })
}

fn primitive<T: ArrowPrimitiveType>(
    numbers: impl Iterator<Item = Option<Number>>,
    made: impl Fn(Number) -> T::Native,
) -> ArrayRef {
    Arc::new(numbers.map(|number| number.map(&made)).collect::<PrimitiveArray<T>>())
}

fn long(number: Number) -> i64 {
    match number {
        Number::Long(value) => value,
        Number::Double(value) => value as i64,
        Number::Decimal(value, scale) => (value / decimal::one(scale)) as i64,
    }
}

fn double(number: Number) -> f64 {
    match number {
        Number::Long(value) => value as f64,
        Number::Double(value) => value,
        Number::Decimal(value, scale) => decimal::to_double(value, scale),
    }
}

fn decimal_of(number: Number, precision: u8, scale: i8) -> Result<Option<i128>> {
    match number {
        Number::Long(value) => Ok(rescaled(value.into(), 0, precision, scale)),
        Number::Decimal(value, from) => Ok(rescaled(value, from, precision, scale)),
        Number::Double(value) if value.is_finite() => {
            decimal::parse(&format!("{value:e}"), precision, scale)
        }
        Number::Double(value) => Err(failed(format!("{value} is no DECIMAL"))),
    }
}
