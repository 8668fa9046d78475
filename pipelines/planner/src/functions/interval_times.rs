//! `n * INTERVAL '1' MINUTE`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion_common::Result;

use super::scalar::{Body, Function, Kind, Takes, failed};

pub fn function() -> Function {
    Function {
        name: "interval_times",
        form: "n * interval",
        about: "an interval so many times",
        takes: Takes::These { kinds: &[Kind::Any, Kind::Number], required: 2 },
        gives: |_| DataType::Interval(IntervalUnit::MonthDayNano),
        body: Body::Plain(interval_times),
    }
}

fn interval_times(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let intervals = cast(&columns[0], &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let counts = cast(&columns[1], &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>();
    let times = |interval: IntervalMonthDayNano, count: i64| {
        Some(IntervalMonthDayNano {
            months: interval.months.checked_mul(i32::try_from(count).ok()?)?,
            days: interval.days.checked_mul(i32::try_from(count).ok()?)?,
            nanoseconds: interval.nanoseconds.checked_mul(count)?,
        })
    };
    let made = intervals.iter().zip(counts).map(|(interval, count)| {
        let (Some(interval), Some(count)) = (interval, count) else { return Ok(None) };
        let made = times(interval, count);
        made.map(Some).ok_or_else(|| failed(format!("{count} times an interval is out of range")))
    });
    Ok(Arc::new(made.collect::<Result<PrimitiveArray<IntervalMonthDayNanoType>>>()?))
}
