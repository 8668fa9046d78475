//! `ROUND(x[, digits])`: half away from zero, on the decimal digits that are shown.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{binary, cast};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion_common::Result;

use super::number::one;
use super::scalar::{Function, Kind, Takes, longs, same};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Number, Kind::Long], required: 1 };
    Function { name: "round", takes, gives: same, body: round }
}

fn round(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let zeros: ArrayRef = Arc::new(arrow::array::Int64Array::from_value(0, rows));
    let digits = longs(columns.get(1).unwrap_or(&zeros));
    let ty = columns[0].data_type();
    let made: ArrayRef = match ty {
        DataType::Decimal128(_, scale) => {
            let values = columns[0].as_primitive::<Decimal128Type>();
            let made: arrow::array::Decimal128Array = binary(values, digits, |value, digits| {
                round_units(value, i64::from(*scale) - digits)
            })?;
            Arc::new(made.with_data_type(ty.clone()))
        }
        ty if ty.is_integer() => {
            let values = cast(&columns[0], &DataType::Int64)?;
            let values = values.as_primitive::<Int64Type>();
            let made: arrow::array::Int64Array = binary(values, digits, |value, digits| {
                round_units(i128::from(value), -digits) as i64
            })?;
            Arc::new(made)
        }
        _ => {
            let values = cast(&columns[0], &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            let made: arrow::array::Float64Array = binary(values, digits, round_double)?;
            Arc::new(made)
        }
    };
    Ok(cast(&made, ty)?)
}

/// Rounds off the last `drop` decimal digits.
fn round_units(value: i128, drop: i64) -> i128 {
    match i8::try_from(drop) {
        Ok(drop) if drop <= 0 => value,
        Ok(drop) if drop <= 38 => {
            let unit = one(drop);
            let whole = value / unit * unit;
            if (value % unit).abs() * 2 >= unit { whole + value.signum() * unit } else { whole }
        }
        _ => 0,
    }
}

/// As Java's `BigDecimal.valueOf(value).setScale(digits, HALF_UP)`: 1.005 is 1.01 to two digits.
fn round_double(value: f64, digits: i64) -> f64 {
    if !value.is_finite() {
        return value;
    }
    let shown = format!("{}", value.abs());
    let (whole, fraction) = shown.split_once('.').unwrap_or((&shown, ""));
    let Ok(all) = format!("{whole}{fraction}").parse::<i128>() else { return value };
    let drop = fraction.len() as i64 - digits;
    if drop <= 0 {
        return value;
    }
    let rounded = round_units(all, drop);
    let made: f64 = format!("{rounded}e-{}", fraction.len()).parse().unwrap_or(value.abs());
    made.copysign(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_away_from_zero_on_shown_digits() {
        assert_eq!(round_double(1.005, 2), 1.01);
        assert_eq!(round_double(-2.5, 0), -3.0);
        assert_eq!(round_double(1234.5, -2), 1200.0);
        assert_eq!(round_units(-1250, 2), -1300);
        assert_eq!(round_units(1249, 2), 1200);
    }
}
