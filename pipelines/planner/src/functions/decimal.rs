//! Decimals: their types as Flink derives them, rounding, and text.

use arrow::datatypes::{DataType, i256};
use datafusion_common::Result;

use super::scalar::failed;

const PRECISION_MAX: i64 = 38;
/// Digits behind the point that a result keeps where all digits are too many.
const SCALE_KEPT: i64 = 6;

/// `10^scale`, the one of a decimal.
pub fn one(scale: i8) -> i128 {
    10_i128.pow(u32::try_from(scale).unwrap_or(0).min(38))
}

/// The type of a result that needs `precision` digits, cut where those are too many.
pub fn fitted(precision: i64, scale: i64) -> DataType {
    if precision <= PRECISION_MAX {
        return DataType::Decimal128(precision as u8, scale as i8);
    }
    let whole = precision - scale;
    let scale = (PRECISION_MAX - whole).max(scale.min(SCALE_KEPT));
    DataType::Decimal128(PRECISION_MAX as u8, scale as i8)
}

/// The decimal that holds every value of an integer type; decimals stay.
pub fn of_integer(ty: &DataType) -> Option<(i64, i64)> {
    Some(match ty {
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::Decimal128(precision, scale) => (i64::from(*precision), i64::from(*scale)),
        _ => return None,
    })
}

/// Another precision and scale: rounded half away from zero, none where the value does not fit.
pub fn rescaled(value: i128, from: i8, precision: u8, to: i8) -> Option<i128> {
    let made = if to >= from {
        value.checked_mul(one(to - from))?
    } else {
        let unit = one(from - to);
        let rest = value % unit;
        let away = i128::from(rest.abs() >= unit - rest.abs()) * value.signum();
        value / unit + away
    };
    fits(made, precision).then_some(made)
}

pub fn fits(value: i128, precision: u8) -> bool {
    value.unsigned_abs() < one(precision as i8).unsigned_abs()
}

/// A wide value rounded half away from zero by `10^drop`, none where it does not fit.
pub fn rounded(value: i256, drop: u32, precision: u8) -> Option<i128> {
    let value = match drop {
        0 => value,
        _ => {
            let unit = i256::from_i128(10).checked_pow(drop)?;
            divided(value, unit)?
        }
    };
    value.to_i128().filter(|value| fits(*value, precision))
}

/// Rounded half away from zero.
pub fn divided(value: i256, by: i256) -> Option<i256> {
    let zero = i256::ZERO;
    let negative = (value < zero) != (by < zero);
    let (value, by) = (value.wrapping_abs(), by.wrapping_abs());
    let whole = value.checked_div(by)?;
    let rest = value.checked_rem(by)?;
    let whole = match rest >= by.wrapping_sub(rest) {
        true => whole.wrapping_add(i256::ONE),
        false => whole,
    };
    Some(if negative { whole.wrapping_neg() } else { whole })
}

/// Reads `-12.5e3`; none where the number does not fit.
///
/// # Errors
/// Where the text is no number.
pub fn parse(text: &str, precision: u8, scale: i8) -> Result<Option<i128>> {
    let bad = || failed(format!("'{text}' is no DECIMAL({precision}, {scale})"));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().map_err(|_| bad())?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    // How many of the digits stand before the last one that is kept.
    let kept = whole.len() as i64 + exponent + i64::from(scale);
    let mut value: i128 = 0;
    for place in 0..kept {
        let digit = usize::try_from(place).ok().and_then(|place| all.as_bytes().get(place));
        let digit = digit.map_or(0, |digit| i128::from(digit - b'0'));
        value = match value.checked_mul(10).and_then(|value| value.checked_add(digit)) {
            Some(value) => value,
            None => return Ok(None),
        };
        if value == 0 && place >= all.len() as i64 {
            break;
        }
    }
    let next = usize::try_from(kept).ok().and_then(|place| all.as_bytes().get(place));
    if next.is_some_and(|digit| *digit >= b'5') {
        value += 1;
    }
    let value = if negative { -value } else { value };
    Ok(fits(value, precision).then_some(value))
}

/// Plain digits: `-0.50`.
pub fn to_text(value: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

/// The nearest double.
pub fn to_double(value: i128, scale: i8) -> f64 {
    to_text(value, scale).parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_written() {
        assert_eq!(parse("-12.345", 10, 2).unwrap(), Some(-1235));
        assert_eq!(parse("1.5e3", 10, 1).unwrap(), Some(15000));
        assert_eq!(parse("1e-3", 10, 2).unwrap(), Some(0));
        assert_eq!(parse("0.005", 10, 2).unwrap(), Some(1));
        assert_eq!(parse("1e30", 10, 2).unwrap(), None);
        assert_eq!(parse("1e2000000000", 10, 2).unwrap(), None);
        assert_eq!(parse("0e2000000000", 10, 2).unwrap(), Some(0));
        assert!(parse("1,5", 10, 2).is_err());
        assert!(parse("", 10, 2).is_err());
        assert_eq!(to_text(-5, 2), "-0.05");
        assert_eq!(to_text(1234, 0), "1234");
    }

    #[test]
    fn types_are_cut_to_38_digits() {
        assert_eq!(fitted(20, 4), DataType::Decimal128(20, 4));
        assert_eq!(fitted(77, 38), DataType::Decimal128(38, 6));
        assert_eq!(fitted(41, 10), DataType::Decimal128(38, 7));
    }

    #[test]
    fn scales_change_with_rounding() {
        assert_eq!(rescaled(-1250, 3, 10, 1), Some(-13));
        assert_eq!(rescaled(12, 0, 3, 2), None);
        assert_eq!(divided(i256::from_i128(-7), i256::from_i128(2)), Some(i256::from_i128(-4)));
    }
}
