//! Text as numbers, truth values and times.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use datafusion_common::Result;

use super::How;
use crate::functions::decimal;
use crate::functions::scalar::failed;
use nowcast_transforms::zone;

pub fn convert(texts: &StringArray, to: &DataType, how: How) -> Result<ArrayRef> {
    Ok(match to {
        DataType::Boolean => {
            let made = each(texts, how, |text| boolean(text).map(Some))?;
            Arc::new(BooleanArray::from(made))
        }
        DataType::Int8 => whole::<Int8Type>(texts, how)?,
        DataType::Int16 => whole::<Int16Type>(texts, how)?,
        DataType::Int32 => whole::<Int32Type>(texts, how)?,
        DataType::Int64 => whole::<Int64Type>(texts, how)?,
        DataType::Float32 => primitive::<Float32Type>(texts, how, |text| {
            Ok(double(text, text.trim().parse::<f32>().ok().map(f64::from))? as f32)
        })?,
        DataType::Float64 => {
            primitive::<Float64Type>(texts, how, |text| double(text, text.trim().parse().ok()))?
        }
        DataType::Decimal128(precision, scale) => {
            let made = each(texts, how, |text| {
                let text = text.trim();
                // Flink overlooks one last character that is no digit.
                let digits = text.strip_suffix(|c: char| !c.is_ascii_digit() && !"+-".contains(c));
                let digits = digits.unwrap_or(text);
                let digits = if digits.is_empty() && !text.is_empty() { "0" } else { digits };
                let made = decimal::parse(digits, *precision, *scale)?;
                // A number has null here, a text is refused.
                made.map(Some).ok_or_else(|| bad(text, &crate::types::sql_name(to)))
            })?;
            let made = PrimitiveArray::<Decimal128Type>::from(made);
            Arc::new(made.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Date32 => primitive::<Date32Type>(texts, how, |text| {
            Ok(date(text).ok_or_else(|| bad(text, "DATE"))?.num_days_from_ce() - EPOCH_DAY)
        })?,
        DataType::Time32(TimeUnit::Millisecond) => {
            primitive::<Time32MillisecondType>(texts, how, |text| {
                let time = time(text).ok_or_else(|| bad(text, "TIME"))?;
                let millis = time.nanosecond() / 1_000_000;
                Ok((time.num_seconds_from_midnight() * 1_000 + millis) as i32)
            })?
        }
        DataType::Timestamp(unit, zoned) => {
            let units = |text: &str| {
                let local = timestamp(text).ok_or_else(|| bad(text, "TIMESTAMP"))?;
                let time = match zoned {
                    Some(_) => zone::to_utc(local, how.zone),
                    None => local,
                };
                units_of(time, *unit).ok_or_else(|| bad(text, "TIMESTAMP"))
            };
            let zone = zoned.clone();
            match unit {
                TimeUnit::Second => timestamps::<TimestampSecondType>(texts, how, units, zone)?,
                TimeUnit::Millisecond => {
                    timestamps::<TimestampMillisecondType>(texts, how, units, zone)?
                }
                TimeUnit::Microsecond => {
                    timestamps::<TimestampMicrosecondType>(texts, how, units, zone)?
                }
                TimeUnit::Nanosecond => {
                    timestamps::<TimestampNanosecondType>(texts, how, units, zone)?
                }
            }
        }
        other => return Err(failed(format!("text cannot be read as {other}"))),
    })
}

/// 1970-01-01, counted from the year 1.
const EPOCH_DAY: i32 = 719_163;

fn bad(text: &str, ty: &str) -> datafusion_common::DataFusionError {
    failed(format!("'{text}' is no {ty}"))
}

fn each<T>(
    texts: &StringArray,
    how: How,
    read: impl Fn(&str) -> Result<Option<T>>,
) -> Result<Vec<Option<T>>> {
    let value = |text: Option<&str>| match text {
        Some(text) => how.settle(read(text)),
        None => Ok(None),
    };
    texts.iter().map(value).collect()
}

fn primitive<T: ArrowPrimitiveType>(
    texts: &StringArray,
    how: How,
    read: impl Fn(&str) -> Result<T::Native>,
) -> Result<ArrayRef> {
    let made = each(texts, how, |text| read(text).map(Some))?;
    Ok(Arc::new(made.into_iter().collect::<PrimitiveArray<T>>()))
}

fn timestamps<T: arrow::datatypes::ArrowTimestampType>(
    texts: &StringArray,
    how: How,
    read: impl Fn(&str) -> Result<i64>,
    zone: Option<Arc<str>>,
) -> Result<ArrayRef> {
    let made = each(texts, how, |text| read(text).map(Some))?;
    Ok(Arc::new(made.into_iter().collect::<PrimitiveArray<T>>().with_timezone_opt(zone)))
}

/// Integers; a fraction is read and cut off.
fn whole<T: ArrowPrimitiveType>(texts: &StringArray, how: How) -> Result<ArrayRef>
where
    T::Native: std::str::FromStr,
{
    primitive::<T>(texts, how, |text| {
        let trimmed = text.trim();
        let (digits, fraction) = trimmed.split_once('.').unwrap_or((trimmed, ""));
        let is_signed = |digits: &str| digits.starts_with(['-', '+']);
        let has_digits = digits.len() > usize::from(is_signed(digits));
        let fraction_is_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
        let made = match (has_digits, fraction_is_digits) {
            (true, true) => digits.parse().ok(),
            (false, true) if trimmed.contains('.') => "0".parse().ok(),
            _ => None,
        };
        made.ok_or_else(|| bad(text, &crate::types::sql_name(&T::DATA_TYPE)))
    })
}

/// As `Double.parseDouble`, which takes no other names of infinity and allows `1.5f`.
fn double(text: &str, parsed: Option<f64>) -> Result<f64> {
    let trimmed = text.trim();
    let unsigned = trimmed.trim_start_matches(['-', '+']);
    if unsigned.starts_with(|c: char| c.is_ascii_alphabetic())
        && !matches!(unsigned, "NaN" | "Infinity")
    {
        return Err(bad(text, "DOUBLE"));
    }
    let suffixed = || trimmed.strip_suffix(['d', 'D', 'f', 'F'])?.parse().ok();
    parsed.or_else(suffixed).ok_or_else(|| bad(text, "DOUBLE"))
}

fn boolean(text: &str) -> Result<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Ok(true),
        "f" | "false" | "n" | "no" | "0" => Ok(false),
        _ => Err(bad(text, "BOOLEAN")),
    }
}

/// `2020-1-2`, `2020-1`, `2020`, with or without a time behind a space.
pub fn date(text: &str) -> Option<NaiveDate> {
    let day = match text.find(' ') {
        Some(space) if space > 0 => &text[..space],
        _ => text,
    };
    let mut parts = day.splitn(3, '-').map(|part| {
        let part = part.trim();
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok())?
    });
    let year = parts.next()??;
    let month = parts.next().unwrap_or(Some(1))?;
    let day = parts.next().unwrap_or(Some(1))?;
    if year > 9999 {
        return None;
    }
    NaiveDate::from_ymd_opt(year as i32, month, day)
}

/// `12:30:00.5`, or without seconds or minutes.
pub fn time(text: &str) -> Option<NaiveTime> {
    let mut parts = text.splitn(3, ':');
    let number = |part: &str| part.trim().parse::<u32>().ok();
    let hour = number(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), number)?;
    let (second, nanos) = match parts.next() {
        None => (0, 0),
        Some(rest) => {
            let (second, fraction) = rest.split_once('.').unwrap_or((rest, ""));
            (number(second)?, nanos(fraction.trim())?)
        }
    };
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos / 1_000_000 * 1_000_000)
}

fn nanos(fraction: &str) -> Option<u32> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{:0<9.9}", fraction).parse().ok()
}

/// `yyyy-M-d[ H:m:s[.fraction]]`; a day past the end of its month is the last one.
pub fn timestamp(text: &str) -> Option<NaiveDateTime> {
    let (day, time) = match text.split_once(' ') {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let mut parts = day.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() != 4 || parts.next().is_some() {
        return None;
    }
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let day = (1..=31).contains(&day).then_some(day)?;
    let date = (0..4)
        .find_map(|less| NaiveDate::from_ymd_opt(year as i32, month, day.checked_sub(less)?))?;
    let Some(time) = time else { return date.and_hms_opt(0, 0, 0) };
    let (clock, fraction) = match time.split_once('.') {
        Some((clock, fraction)) => (clock, fraction),
        None => (time, ""),
    };
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || fraction.len() > 9 {
        return None;
    }
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    date.and_hms_nano_opt(hour, minute, second, nanos(fraction)?)
}

fn digits(text: &str, most: usize) -> Option<u32> {
    let all = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

pub fn units_of(time: NaiveDateTime, unit: TimeUnit) -> Option<i64> {
    let time = time.and_utc();
    match unit {
        TimeUnit::Second => Some(time.timestamp()),
        TimeUnit::Millisecond => Some(time.timestamp_millis()),
        TimeUnit::Microsecond => Some(time.timestamp_micros()),
        TimeUnit::Nanosecond => time.timestamp_nanos_opt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_leniently() {
        let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        assert_eq!(date("2020-1-2 03:04:05"), Some(day(2020, 1, 2)));
        assert_eq!(date("2020"), Some(day(2020, 1, 1)));
        assert_eq!(date("2020-02-30"), None);
        assert_eq!(timestamp("2020-02-30"), day(2020, 2, 29).and_hms_opt(0, 0, 0));
        assert_eq!(
            timestamp("2020-01-02 3:4:5.5"),
            day(2020, 1, 2).and_hms_nano_opt(3, 4, 5, 500_000_000)
        );
        assert_eq!(timestamp("2020-01-02T03:04:05"), None);
        assert_eq!(time("7:08:09.5"), NaiveTime::from_hms_milli_opt(7, 8, 9, 500));
    }
}
