//! SUM.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type,
};
use nowcast_engine::Result;

use super::total::{Kind, OVERFLOW, Total, Types, kind, power_of_ten};
use super::{Accumulator, as_type};

pub fn sum(ty: &DataType, output: &DataType) -> Option<Box<dyn Accumulator>> {
    let types = |sum| Types { sum, output: output.clone() };
    Some(match kind(ty)? {
        Kind::Int => Box::new(Total::<Int64Type>::new(types(DataType::Int64), ints)),
        Kind::Float => Box::new(Total::<Float64Type>::new(types(DataType::Float64), floats)),
        Kind::Decimal { scale } => {
            let sum = DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale);
            Box::new(Total::<Decimal128Type>::new(types(sum), decimals))
        }
    })
}

/// Narrow integers wrap around at their own width: the low bits of the wide sum.
fn ints(sums: &[i64], counts: &[i64], types: &Types) -> Result<ArrayRef> {
    let sums: Int64Array = present(sums, counts).collect();
    Ok(match types.output {
        DataType::Int8 => Arc::new(sums.unary::<_, Int8Type>(|sum| sum as i8)),
        DataType::Int16 => Arc::new(sums.unary::<_, Int16Type>(|sum| sum as i16)),
        DataType::Int32 => Arc::new(sums.unary::<_, Int32Type>(|sum| sum as i32)),
        DataType::Int64 => Arc::new(sums),
        ref other => cast(&sums, other)?,
    })
}

fn floats(sums: &[f64], counts: &[i64], types: &Types) -> Result<ArrayRef> {
    let sums: ArrayRef = Arc::new(present(sums, counts).collect::<Float64Array>());
    as_type(&sums, &types.output)
}

fn decimals(sums: &[i128], counts: &[i64], types: &Types) -> Result<ArrayRef> {
    let bound = power_of_ten(DECIMAL128_MAX_PRECISION.into()).unwrap_or(OVERFLOW);
    let fits = |sum: &i128| sum.unsigned_abs() < bound.unsigned_abs();
    let sums: Decimal128Array = present(sums, counts).map(|sum| sum.filter(fits)).collect();
    let sums: ArrayRef = Arc::new(sums.with_data_type(types.sum.clone()));
    as_type(&sums, &types.output)
}

fn present<'a, N: Copy>(sums: &'a [N], counts: &'a [i64]) -> impl Iterator<Item = Option<N>> + 'a {
    sums.iter().zip(counts).map(|(sum, count)| (*count != 0).then_some(*sum))
}
