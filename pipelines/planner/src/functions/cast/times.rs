//! Dates, times of day and timestamps as each other; those with a zone are shown in the session's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute;
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion_common::Result;

use super::How;
use crate::functions::scalar::failed;
use nowcast_transforms::zone;

const DAY_MS: i64 = 86_400_000;

pub fn convert(column: &ArrayRef, to: &DataType, how: How) -> Result<ArrayRef> {
    match to {
        DataType::Date32 => {
            let times = local_millis(column, how)?;
            // Flink cuts a time without zone before 1970 towards 1970.
            let zoned = matches!(column.data_type(), DataType::Timestamp(_, Some(_)));
            let days = times.unary::<_, Date32Type>(|time| match zoned {
                true => time.div_euclid(DAY_MS) as i32,
                false => (time / DAY_MS) as i32,
            });
            Ok(Arc::new(days))
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            let times = local_millis(column, how)?;
            let times = times.unary::<_, Time32MillisecondType>(|t| t.rem_euclid(DAY_MS) as i32);
            Ok(Arc::new(times))
        }
        DataType::Timestamp(unit, zoned) => {
            let (from, was_zoned) = match column.data_type() {
                DataType::Timestamp(unit, zone) => (*unit, zone.is_some()),
                _ => (TimeUnit::Millisecond, false),
            };
            let units: ArrayRef = match column.data_type() {
                DataType::Timestamp(..) => compute::cast(column, &DataType::Int64)?,
                _ => Arc::new(local_millis(column, how)?),
            };
            let units = units.as_primitive::<Int64Type>();
            let moved: PrimitiveArray<Int64Type> = match (was_zoned, zoned.is_some()) {
                (true, false) => units.unary(|time| zone::local(time, from, how.zone)),
                (false, true) => units.unary(|time| zone::instant(time, from, how.zone)),
                _ => units.clone(),
            };
            let scaled = moved.iter().map(|time| match time {
                Some(time) => how.settle(in_unit(time, from, *unit).map(Some)),
                None => Ok(None),
            });
            let scaled = scaled.collect::<Result<PrimitiveArray<Int64Type>>>()?;
            Ok(timestamps(scaled, *unit, zoned.clone()))
        }
        other => Err(failed(format!("a time cannot be {other}"))),
    }
}

/// Milliseconds of what the session's clock shows.
pub fn local_millis(column: &ArrayRef, how: How) -> Result<PrimitiveArray<Int64Type>> {
    let millis = match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>();
            return Ok(days.unary(|day| i64::from(day) * DAY_MS));
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            let times = column.as_primitive::<Time32MillisecondType>();
            return Ok(times.unary(i64::from));
        }
        DataType::Timestamp(unit, _) => {
            let units = compute::cast(column, &DataType::Int64)?;
            let units = units.as_primitive::<Int64Type>();
            let (number, per_unit) = match unit {
                TimeUnit::Second => (1_000, 1),
                TimeUnit::Millisecond => (1, 1),
                TimeUnit::Microsecond => (1, 1_000),
                TimeUnit::Nanosecond => (1, 1_000_000),
            };
            units.unary::<_, Int64Type>(|time| time.saturating_mul(number).div_euclid(per_unit))
        }
        other => return Err(failed(format!("{other} is no time"))),
    };
    let zoned = matches!(column.data_type(), DataType::Timestamp(_, Some(_)));
    Ok(match zoned {
        true => millis.unary(|time| zone::local(time, TimeUnit::Millisecond, how.zone)),
        false => millis,
    })
}

/// Where the digits go that a timestamp has no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Down,
    /// Flink's way with tenths and hundredths of a second, but for text.
    Towards1970,
}

/// Timestamps cut to so many fractional digits.
pub fn cut(column: &ArrayRef, digits: i64, cut: Cut) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, zone) = column.data_type() else { return Ok(column.clone()) };
    let dropped = (per_second(*unit).ilog10() as i64 - digits).max(0);
    let step = 10_i64.pow(dropped as u32);
    let units = compute::cast(column, &DataType::Int64)?;
    let units = units.as_primitive::<Int64Type>();
    let made = units.unary(|time| match cut == Cut::Towards1970 && digits < 3 {
        true => time / step * step,
        false => time - time.rem_euclid(step),
    });
    Ok(timestamps(made, *unit, zone.clone()))
}

/// Times of day cut to so many fractional digits.
pub fn cut_time(column: &ArrayRef, digits: i64) -> ArrayRef {
    let step = 10_i32.pow((3 - digits).clamp(0, 3) as u32);
    let times = column.as_primitive::<Time32MillisecondType>();
    Arc::new(times.unary::<_, Time32MillisecondType>(|time| time / step * step))
}

fn timestamps(
    units: PrimitiveArray<Int64Type>,
    unit: TimeUnit,
    zone: Option<Arc<str>>,
) -> ArrayRef {
    match unit {
        TimeUnit::Second => {
            let made = units.reinterpret_cast::<TimestampSecondType>();
            Arc::new(made.with_timezone_opt(zone))
        }
        TimeUnit::Millisecond => {
            let made = units.reinterpret_cast::<TimestampMillisecondType>();
            Arc::new(made.with_timezone_opt(zone))
        }
        TimeUnit::Microsecond => {
            let made = units.reinterpret_cast::<TimestampMicrosecondType>();
            Arc::new(made.with_timezone_opt(zone))
        }
        TimeUnit::Nanosecond => {
            let made = units.reinterpret_cast::<TimestampNanosecondType>();
            Arc::new(made.with_timezone_opt(zone))
        }
    }
}

fn in_unit(time: i64, from: TimeUnit, to: TimeUnit) -> Result<i64> {
    let (from, to) = (per_second(from), per_second(to));
    if to == 1 {
        // Whole seconds are cut from milliseconds, towards 1970 as in Flink.
        return Ok(in_unit_of(time, from, 1_000.min(from)) / 1_000.min(from));
    }
    if from >= to {
        return Ok(in_unit_of(time, from, to));
    }
    let made = time.checked_mul(to / from);
    made.ok_or_else(|| failed("a time is out of the range of TIMESTAMP(9)"))
}

fn in_unit_of(time: i64, from: i64, to: i64) -> i64 {
    time.div_euclid(from / to)
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}
