//! Event time: milliseconds since the epoch, and how far it has come.

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};

use crate::error::{Error, Result};

/// Milliseconds since 1970-01-01T00:00:00Z; may be negative.
pub type Millis = i64;

/// Before the first watermark.
pub const TIME_MIN: Millis = i64::MIN;
/// The watermark of input that has ended: everything may fire.
pub const TIME_MAX: Millis = i64::MAX;

/// Progress of a clock, delivered to operators as an input like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The watermark: no row with a time at or before it is expected any more.
    Event(Millis),
    /// The wall clock, as the worker saw it.
    Processing(Millis),
}

/// A time column in milliseconds; finer units are rounded down, as Flink does.
pub fn to_millis(column: &ArrayRef) -> Result<Int64Array> {
    let unit = match column.data_type() {
        DataType::Timestamp(unit, _) => *unit,
        DataType::Int64 => TimeUnit::Millisecond,
        other => return Err(Error::bug(format!("{other} is not a time column"))),
    };
    let values = cast(column, &DataType::Int64)?;
    let values = values
        .as_any()
        .downcast_ref::<Int64Array>()
        .ok_or_else(|| Error::bug("a cast to Int64 made another type"))?;
    Ok(match unit {
        TimeUnit::Second => values.unary(|time| time.saturating_mul(1_000)),
        TimeUnit::Millisecond => values.clone(),
        TimeUnit::Microsecond => values.unary(|time| time.div_euclid(1_000)),
        TimeUnit::Nanosecond => values.unary(|time| time.div_euclid(1_000_000)),
    })
}

/// The start of the `size`-long period that `time` lies in, for periods cut at `offset`.
pub fn period_start(time: Millis, size: Millis, offset: Millis) -> Millis {
    time - (time - offset).rem_euclid(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_before_the_epoch_start_before_their_times() {
        assert_eq!(period_start(-1, 10, 0), -10);
        assert_eq!(period_start(-10, 10, 0), -10);
        assert_eq!(period_start(9, 10, 0), 0);
        assert_eq!(period_start(12, 10, 3), 3);
        assert_eq!(period_start(2, 10, 3), -7);
    }
}
