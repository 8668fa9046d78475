//! Dates, times, timestamps and decimals as text, in the forms of Flink's formats.

use std::io::Write;

use arrow::datatypes::{DataType, TimeUnit};

/// How a format writes timestamps (`json.timestamp-format.standard`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampStandard {
    /// `2024-01-31 12:30:00.5`, with `Z` behind where the type has a local time zone.
    #[default]
    Sql,
    /// `2024-01-31T12:30:00.5`, with `Z` behind where the type has a local time zone.
    Iso8601,
}

impl TimestampStandard {
    fn separator(self) -> u8 {
        match self {
            Self::Sql => b' ',
            Self::Iso8601 => b'T',
        }
    }
}

const DAY_SECONDS: i64 = 86_400;
const NANOS: i64 = 1_000_000_000;

/// Units in a second.
pub fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => NANOS,
    }
}

/// `yyyy-MM-dd` as days since the epoch.
pub fn parse_date(text: &str) -> Option<i32> {
    let (date, rest) = date(text.as_bytes(), false)?;
    rest.is_empty().then_some(date)
}

/// `HH:mm[:ss[.fffffffff]]` as nanoseconds of the day.
pub fn parse_time(text: &str) -> Option<i64> {
    let (nanos, rest) = time(text.as_bytes())?;
    rest.is_empty().then_some(nanos)
}

/// A timestamp in `unit`; digits finer than the unit are cut off. `zoned` timestamps end in `Z`,
/// others must not. In [`TimestampStandard::Sql`] a day up to 31 that its month does not have is the
/// month's last, as Java's formatter of that standard has it.
pub fn parse_timestamp(
    text: &str,
    standard: TimestampStandard,
    zoned: bool,
    unit: TimeUnit,
) -> Option<i64> {
    let (days, rest) = date(text.as_bytes(), standard == TimestampStandard::Sql)?;
    let (separator, rest) = rest.split_first()?;
    let (nanos, rest) = time(rest)?;
    let end: &[u8] = if zoned { b"Z" } else { b"" };
    if *separator != standard.separator() || rest != end {
        return None;
    }
    let second = i64::from(days) * DAY_SECONDS + nanos.div_euclid(NANOS);
    let factor = per_second(unit);
    second.checked_mul(factor)?.checked_add(nanos.rem_euclid(NANOS) / (NANOS / factor))
}

fn number(text: &[u8], digits: usize) -> Option<(i64, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let mut value = 0;
    for byte in number {
        value = value * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    Some((value, rest))
}

fn date(text: &[u8], clamp: bool) -> Option<(i32, &[u8])> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix(b"-")?, 2)?;
    let (day, rest) = number(rest.strip_prefix(b"-")?, 2)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let day = if clamp && day <= 31 { day.min(length) } else { day };
    (1..=length).contains(&day).then(|| (days_from_civil(year, month, day) as i32, rest))
}

fn time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = number(text, 2)?;
    let (minute, mut rest) = number(rest.strip_prefix(b":")?, 2)?;
    let mut second = 0;
    let mut nanos = 0;
    if let Some(after) = rest.strip_prefix(b":") {
        (second, rest) = number(after, 2)?;
        if let Some(after) = rest.strip_prefix(b".") {
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits > 9 {
                return None;
            }
            let (fraction, after) = number(after, digits)?;
            nanos = fraction * 10_i64.pow(9 - digits as u32);
            rest = after;
        }
    }
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then(|| (((hour * 60 + minute) * 60 + second) * NANOS + nanos, rest))
}

/// Days since the epoch of a date in the proleptic Gregorian calendar (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse, `civil_from_days` there.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

pub fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    // Others than SQL knows.
    if !(0..10_000).contains(&year) {
        return write!(out, "{year:04}-{month:02}-{day:02}").expect("a Vec takes all bytes");
    }
    let ([a, b], [c, d]) = (two_digits(year / 100), two_digits(year % 100));
    let ([e, f], [g, h]) = (two_digits(month), two_digits(day));
    out.extend_from_slice(&[a, b, c, d, b'-', e, f, b'-', g, h]);
}

fn two_digits(value: i64) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

/// `HH:mm:ss` and as many digits of the second as are not zero at the end.
pub fn write_time(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let factor = per_second(unit);
    let (second, fraction) = (value.div_euclid(factor), value.rem_euclid(factor));
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    if value >= 0 && hour < 100 {
        let ([a, b], [c, d]) = (two_digits(hour), two_digits(minute));
        let [e, f] = two_digits(second);
        out.extend_from_slice(&[a, b, b':', c, d, b':', e, f]);
    } else {
        write!(out, "{hour:02}:{minute:02}:{second:02}").expect("a Vec takes all bytes");
    }
    if fraction > 0 {
        write_fraction(fraction * (NANOS / factor), out);
    }
}

/// `.` and the digits of some nanoseconds, more than none.
fn write_fraction(nanos: i64, out: &mut Vec<u8>) {
    let (mut digits, mut left) = ([b'.'; 10], nanos);
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    out.extend_from_slice(&digits[..digits.len() - zeros]);
}

pub fn write_timestamp(
    value: i64,
    unit: TimeUnit,
    standard: TimestampStandard,
    zoned: bool,
    out: &mut Vec<u8>,
) {
    let day = DAY_SECONDS * per_second(unit);
    write_date(value.div_euclid(day), out);
    out.push(standard.separator());
    write_time(value.rem_euclid(day), unit, out);
    if zoned {
        out.push(b'Z');
    }
}

/// A decimal with `scale` digits behind the point, rounded half up; `None` where the text is no
/// number or has more than `precision` digits.
pub fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let shift = exponent.checked_add(i32::from(scale))?.checked_sub(fraction.len() as i32)?;
    let mut value: i128 = 0;
    let mut dropped = None;
    // Digits that do not reach the scale are dropped; the first of them decides the rounding.
    let kept = (whole.len() + fraction.len()) as i64 + i64::from(shift.min(0));
    for (at, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        if (at as i64) < kept {
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        } else if at as i64 == kept {
            dropped = Some(digit);
        }
    }
    if shift > 0 && value != 0 {
        value = value.checked_mul(10_i128.checked_pow(shift as u32)?)?;
    }
    value += i128::from(dropped.is_some_and(|digit| digit >= 5));
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (value < limit).then_some(if negative { -value } else { value })
}

pub fn write_decimal(value: i128, scale: i8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = match u64::try_from(value.unsigned_abs()) {
        // Dividing by ten takes longer in 128 bits.
        Ok(short) => buffer.format(short),
        Err(_) => buffer.format(value.unsigned_abs()),
    };
    let zeros = |count: usize| std::iter::repeat_n(b'0', count);
    let Ok(scale) = usize::try_from(scale) else {
        out.extend_from_slice(digits.as_bytes());
        return out.extend(zeros(usize::from(scale.unsigned_abs())));
    };
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
    if scale > 0 {
        out.push(b'.');
        out.extend(zeros(scale - fraction.len()));
        out.extend_from_slice(fraction.as_bytes());
    }
}

/// As Java's `BigDecimal.toString`: with an exponent where the first digit is more than six places
/// behind the point.
pub fn write_decimal_as_java(value: i128, scale: i8, out: &mut Vec<u8>) {
    let digits = value.unsigned_abs().to_string();
    let exponent = digits.len() as i32 - 1 - i32::from(scale);
    if scale >= 0 && exponent >= -6 {
        return write_decimal(value, scale, out);
    }
    let sign = if value < 0 { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    write!(out, "{sign}{first}{point}{rest}E{exponent:+}").expect("a Vec takes all bytes");
}

/// The SQL name of a type, for messages.
pub fn sql_name(ty: &DataType) -> String {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match ty {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Utf8 => "STRING".into(),
        DataType::Binary => "BYTES".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("TIME({})", digits(unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(unit)),
        DataType::List(_) => "ARRAY".into(),
        DataType::Struct(_) => "ROW".into(),
        DataType::Map(..) => "MAP".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = vec![];
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_of_either_standard() {
        use TimestampStandard::{Iso8601, Sql};
        let ms =
            |text, standard, zoned| parse_timestamp(text, standard, zoned, TimeUnit::Millisecond);
        assert_eq!(ms("1970-01-01 00:00:01.5", Sql, false), Some(1_500));
        assert_eq!(ms("1970-01-01 00:00:01.5Z", Sql, true), Some(1_500));
        assert_eq!(ms("1970-01-01T00:00:01.123456789Z", Iso8601, true), Some(1_123));
        assert_eq!(ms("1969-12-31T23:59:59.999", Iso8601, false), Some(-1));
        assert_eq!(ms("2000-02-29 00:00", Sql, false), Some(951_782_400_000));
        assert_eq!(ms("1970-02-30 00:00:00", Sql, false), ms("1970-02-28 00:00:00", Sql, false));
        assert_eq!(ms("1970-02-30T00:00:00", Iso8601, false), None);
        assert_eq!(parse_date("1900-02-29"), None);
        for wrong in [
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-1-1 00:00:00",
            "1970-02-32 00:00:00",
            "1970-01-01 24:00:00",
            "1970-01-01 00:00:00.1234567890",
            "1970-01-01",
            "",
        ] {
            assert_eq!(ms(wrong, Sql, false), None, "{wrong}");
        }
    }

    #[test]
    fn decimals_round_half_up_and_overflow_is_none() {
        assert_eq!(parse_decimal("12.345", 10, 2), Some(1_235));
        assert_eq!(parse_decimal("-12.345", 10, 2), Some(-1_235));
        assert_eq!(parse_decimal("1.2e3", 10, 2), Some(120_000));
        assert_eq!(parse_decimal("5e-3", 10, 2), Some(1));
        assert_eq!(parse_decimal("4e-3", 10, 2), Some(0));
        assert_eq!(parse_decimal("1e-9", 10, 2), Some(0));
        assert_eq!(parse_decimal("99.995", 4, 2), None);
        assert_eq!(parse_decimal("0e99", 4, 2), Some(0));
        for wrong in ["", "-", ".", "1x", "1e", "1e99", "--1", "0x1"] {
            assert_eq!(parse_decimal(wrong, 10, 2), None, "{wrong}");
        }
        assert_eq!(written(|out| write_decimal(-5, 2, out)), "-0.05");
        assert_eq!(written(|out| write_decimal(5, -2, out)), "500");
        for (value, scale, text) in [
            (27, 9, "2.7E-8"),
            (0, 8, "0E-8"),
            (-1, 7, "-1E-7"),
            (1, 6, "0.000001"),
            (1_230, 2, "12.30"),
        ] {
            assert_eq!(written(|out| write_decimal_as_java(value, scale, out)), text);
        }
    }

    proptest! {
        #[test]
        fn dates_and_times_are_as_format_has_them(
            days in -4_000_000_i64..4_000_000,
            value in prop_oneof![-10_000..10_000_i64, 0..NANOS * DAY_SECONDS, any::<i64>()],
        ) {
            let (year, month, day) = civil_from_days(days);
            let date = format!("{year:04}-{month:02}-{day:02}");
            prop_assert_eq!(written(|out| write_date(days, out)), date);
            for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Nanosecond] {
                let factor = per_second(unit);
                let second = value.div_euclid(factor);
                let (hour, minute) = (second / 3_600, second / 60 % 60);
                let mut time = format!("{hour:02}:{minute:02}:{:02}", second % 60);
                let nanos = value.rem_euclid(factor) * (NANOS / factor);
                if nanos > 0 {
                    time.push_str(format!(".{nanos:09}").trim_end_matches('0'));
                }
                prop_assert_eq!(written(|out| write_time(value, unit, out)), time);
            }
        }

        #[test]
        fn decimals_are_as_format_has_them(
            value in prop_oneof![-100_000..100_000_i128, any::<i128>()],
            scale in 0_u32..38,
        ) {
            let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
            let (one, width) = (10_u128.pow(scale), scale as usize);
            let mut expected = format!("{sign}{}", digits / one);
            if scale > 0 {
                expected.push_str(&format!(".{:0width$}", digits % one));
            }
            prop_assert_eq!(written(|out| write_decimal(value, scale as i8, out)), expected);
        }

        #[test]
        fn timestamps_survive_a_round_trip(value in -62_135_596_800_000_i64..253_402_300_800_000) {
            for standard in [TimestampStandard::Sql, TimestampStandard::Iso8601] {
                for zoned in [false, true] {
                    let unit = TimeUnit::Millisecond;
                    let text = written(|out| write_timestamp(value, unit, standard, zoned, out));
                    prop_assert_eq!(parse_timestamp(&text, standard, zoned, unit), Some(value));
                }
            }
        }

        #[test]
        fn decimals_survive_a_round_trip(value in -999_999_999_999_i128..=999_999_999_999) {
            let text = written(|out| write_decimal(value, 4, out));
            prop_assert_eq!(parse_decimal(&text, 12, 4), Some(value));
        }
    }
}
