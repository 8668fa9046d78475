//! `ROUND(x[, digits])`: half away from zero, on the decimal digits that are shown.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::{binary, cast};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion_common::Result;

use super::decimal::{self, one};
use super::number::narrow;
use super::scalar::{Body, Function, Kind, longs, same, some};

pub fn function() -> Function {
    Function {
        name: "round",
        form: "ROUND(x[, digits])",
        about: "half away from zero, to so many digits behind the point",
        takes: some(&[Kind::Number, Kind::Long], 1),
        gives: same,
        body: Body::Plain(|columns, rows| to_digits(columns, rows, rounded)),
    }
}

fn rounded(value: i128, unit: i128) -> i128 {
    let whole = value / unit * unit;
    if (value % unit).abs() * 2 >= unit { whole + value.signum() * unit } else { whole }
}

/// What `cut` leaves of the digits: of a value and the unit of its last digit that stays.
pub fn to_digits(
    columns: &[ArrayRef],
    rows: usize,
    cut: fn(i128, i128) -> i128,
) -> Result<ArrayRef> {
    let zeros: ArrayRef = Arc::new(Int64Array::from_value(0, rows));
    let digits = longs(columns.get(1).unwrap_or(&zeros));
    let ty = columns[0].data_type();
    Ok(match ty {
        DataType::Decimal128(_, scale) => {
            let values = columns[0].as_primitive::<Decimal128Type>();
            let made: Decimal128Array = binary(values, digits, |value, digits| {
                without(value, i64::from(*scale).saturating_sub(digits), cut)
            })?;
            Arc::new(made.with_data_type(ty.clone()))
        }
        ty if ty.is_integer() => {
            let values = cast(&columns[0], &DataType::Int64)?;
            let values = values.as_primitive::<Int64Type>();
            let made: Int64Array = binary(values, digits, |value, digits| {
                without(value.into(), digits.saturating_neg(), cut) as i64
            })?;
            let made: ArrayRef = Arc::new(made);
            narrow(&made, ty)?
        }
        _ => {
            let values = cast(&columns[0], &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            let made: Float64Array =
                binary(values, digits, |value, digits| double(value, digits, cut))?;
            cast(&made, ty)?
        }
    })
}

/// Without the last `drop` decimal digits.
fn without(value: i128, drop: i64, cut: fn(i128, i128) -> i128) -> i128 {
    match i8::try_from(drop) {
        Ok(drop) if drop <= 0 => value,
        Ok(drop) if drop <= 38 => cut(value, one(drop)),
        _ => 0,
    }
}

/// As Java's `BigDecimal.valueOf(value).setScale(digits, HALF_UP)`: 1.005 is 1.01 to two digits.
fn double(value: f64, digits: i64, cut: fn(i128, i128) -> i128) -> f64 {
    if !value.is_finite() {
        return value;
    }
    let shown = format!("{}", value.abs());
    let (whole, fraction) = shown.split_once('.').unwrap_or((&shown, ""));
    let Ok(all) = format!("{whole}{fraction}").parse::<i128>() else { return value };
    let drop = (fraction.len() as i64).saturating_sub(digits);
    if drop <= 0 {
        return value;
    }
    let left = without(all, drop, cut);
    let made: f64 = format!("{left}e-{}", fraction.len()).parse().unwrap_or(value.abs());
    made.copysign(value)
}

/// The text of a number with so many digits behind the point.
pub fn shown(number: &str, digits: usize) -> String {
    let scale = i8::try_from(digits).unwrap_or(i8::MAX);
    match decimal::parse(&number.to_lowercase(), 38, scale.min(38)) {
        Ok(Some(value)) if digits <= 38 => decimal::to_text(value, scale),
        _ => format!("{:.digits$}", number.parse::<f64>().unwrap_or(f64::NAN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_away_from_zero_on_shown_digits() {
        assert_eq!(double(1.005, 2, rounded), 1.01);
        assert_eq!(double(-2.5, 0, rounded), -3.0);
        assert_eq!(double(1234.5, -2, rounded), 1200.0);
        assert_eq!(without(-1250, 2, rounded), -1300);
        assert_eq!(without(1249, 2, rounded), 1200);
        assert_eq!(without(1, i64::MAX, rounded), 0);
        assert_eq!(shown("1.0E10", 2), "10000000000.00");
    }
}
