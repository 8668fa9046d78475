//! AVG.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int64Type,
};
use nowcast_engine::{Error, Result};

use super::total::{Kind, OVERFLOW, Total, Types, kind, power_of_ten};
use super::{Accumulator, as_type};

pub fn avg(ty: &DataType, output: &DataType) -> Option<Box<dyn Accumulator>> {
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

/// Towards zero where the result is an integer.
fn ints(sums: &[i64], counts: &[i64], types: &Types) -> Result<ArrayRef> {
    let averages: ArrayRef = match types.output.is_integer() {
        true => Arc::new(
            pairs(sums, counts)
                .map(|pair| pair.map(|(sum, count)| sum.wrapping_div(count)))
                .collect::<Int64Array>(),
        ),
        false => Arc::new(
            pairs(sums, counts)
                .map(|pair| pair.map(|(sum, count)| sum as f64 / count as f64))
                .collect::<Float64Array>(),
        ),
    };
    as_type(&averages, &types.output)
}

fn floats(sums: &[f64], counts: &[i64], types: &Types) -> Result<ArrayRef> {
    let averages: ArrayRef = Arc::new(
        pairs(sums, counts)
            .map(|pair| pair.map(|(sum, count)| sum / count as f64))
            .collect::<Float64Array>(),
    );
    as_type(&averages, &types.output)
}

/// Rounded half away from zero at the scale of the result, as Flink's HALF_UP.
fn decimals(sums: &[i128], counts: &[i64], types: &Types) -> Result<ArrayRef> {
    let DataType::Decimal128(_, from) = types.sum else {
        return Err(Error::bug(format!("a decimal summed as {}", types.sum)));
    };
    let DataType::Decimal128(_, to) = types.output else {
        let unit = 10f64.powi(from.into());
        let sums: Vec<f64> = sums.iter().map(|sum| *sum as f64 / unit).collect();
        return floats(&sums, counts, types);
    };
    let up = power_of_ten(i16::from(to).saturating_sub(i16::from(from)).max(0) as u32);
    let down = power_of_ten(i16::from(from).saturating_sub(i16::from(to)).max(0) as u32);
    let divide = |(sum, count): (i128, i64)| {
        if sum == OVERFLOW {
            return None;
        }
        let sum = sum.checked_mul(up?)?;
        let count = i128::from(count).checked_mul(down?)?;
        let (whole, rest) = (sum / count, sum % count);
        let rounds = rest.unsigned_abs() * 2 >= count.unsigned_abs();
        Some(if rounds { whole + sum.signum() } else { whole })
    };
    let averages: Decimal128Array = pairs(sums, counts).map(|pair| pair.and_then(divide)).collect();
    Ok(Arc::new(averages.with_data_type(types.output.clone())))
}

fn pairs<'a, N: Copy>(
    sums: &'a [N],
    counts: &'a [i64],
) -> impl Iterator<Item = Option<(N, i64)>> + 'a {
    sums.iter().zip(counts).map(|(sum, count)| (*count != 0).then_some((*sum, *count)))
}
