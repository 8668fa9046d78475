//! A time column and a fixed interval: the watermark of most tables, and bounds of many conditions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::{
    ArrowTimestampType, DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{BinaryExpr, Expr, Operator};
use nowcast_engine::{Evaluate, Result};

const DAY_MS: i64 = 86_400_000;

/// Times and intervals within 126,000 years of the epoch: their sum is a date for Arrow too.
const PLAIN_MS_MAX: i64 = 4_000_000_000_000_000;

/// A column and what is added to it, in ms.
pub fn shifted(expr: &Expr, schema: &DFSchema) -> Option<(usize, i64)> {
    match expr {
        Expr::Column(column) => Some((schema.index_of_column(column).ok()?, 0)),
        Expr::Alias(alias) => shifted(&alias.expr, schema),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let by = milliseconds(right)?;
            let by = match op {
                Operator::Plus => by,
                Operator::Minus => by.checked_neg()?,
                _ => return None,
            };
            let (column, ms) = shifted(left, schema)?;
            Some((column, ms.checked_add(by)?))
        }
        _ => None,
    }
}

fn milliseconds(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _)
            if interval.months == 0 && interval.nanoseconds % 1_000_000 == 0 =>
        {
            Some(i64::from(interval.days) * DAY_MS + interval.nanoseconds / 1_000_000)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => {
            Some(i64::from(interval.days) * DAY_MS + i64::from(interval.milliseconds))
        }
        Expr::Negative(inner) => milliseconds(inner)?.checked_neg(),
        _ => None,
    }
}

/// The column at `column` with a constant added. Arrow would make a date of each value and a value of
/// that date again, some 40 ns a row.
pub struct TimeShift {
    column: usize,
    /// In the unit of the column.
    by: i64,
    /// Times beyond this, either way, are left to `other`.
    plain_max: i64,
    other: Arc<dyn Evaluate>,
}

impl TimeShift {
    /// `expr`, whose values are of type `ty`, where it is such a sum; `other` computes the same.
    pub fn of(
        expr: &Expr,
        ty: &DataType,
        input: &DFSchema,
        other: &Arc<dyn Evaluate>,
    ) -> Option<Self> {
        let (column, by_ms) = shifted(expr, input)?;
        let DataType::Timestamp(unit, zone) = ty else { return None };
        // On the clock of a zone days differ in length.
        let plain = zone.as_deref().is_none_or(|zone| zone == "UTC") && by_ms.abs() <= PLAIN_MS_MAX;
        if !plain || input.field(column).data_type() != ty {
            return None;
        }
        let (by, plain_max) = match unit {
            TimeUnit::Second if by_ms % 1_000 != 0 => return None,
            TimeUnit::Second => (by_ms / 1_000, PLAIN_MS_MAX / 1_000),
            TimeUnit::Millisecond => (by_ms, PLAIN_MS_MAX),
            TimeUnit::Microsecond => (by_ms.checked_mul(1_000)?, PLAIN_MS_MAX * 1_000),
            TimeUnit::Nanosecond => {
                let by = by_ms.checked_mul(1_000_000)?;
                (by, i64::MAX.checked_sub(by.checked_abs()?)?)
            }
        };
        Some(Self { column, by, plain_max, other: Arc::clone(other) })
    }

    fn shift<T: ArrowTimestampType>(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let times = rows.column(self.column).as_primitive::<T>();
        let plain = |time: i64| (-self.plain_max..=self.plain_max).contains(&time);
        let all_plain = match times.null_count() {
            0 => times.values().iter().all(|time| plain(*time)),
            _ => times.iter().flatten().all(plain),
        };
        if !all_plain {
            return self.other.evaluate(rows);
        }
        let sums: PrimitiveArray<T> = times.unary(|time| time.wrapping_add(self.by));
        Ok(Arc::new(sums.with_data_type(times.data_type().clone())))
    }
}

impl Evaluate for TimeShift {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        match rows.column(self.column).data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => self.shift::<TimestampSecondType>(rows),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                self.shift::<TimestampMillisecondType>(rows)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.shift::<TimestampMicrosecondType>(rows)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                self.shift::<TimestampNanosecondType>(rows)
            }
            _ => self.other.evaluate(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{TimestampMillisecondArray, TimestampNanosecondArray};
    use arrow::datatypes::{Field, IntervalMonthDayNano, Schema};
    use datafusion_expr::{col, lit};

    use super::*;
    use crate::evaluate::arrows;

    /// The shifted column and what Arrow makes of the same expression.
    fn both(times: ArrayRef, days: i32, millis: i64) -> [std::result::Result<ArrayRef, String>; 2] {
        let field = Field::new("t", times.data_type().clone(), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let interval = IntervalMonthDayNano::new(0, days, millis * 1_000_000);
        let expr = col("t") - lit(ScalarValue::IntervalMonthDayNano(Some(interval)));
        let input = DFSchema::try_from(Arc::clone(&schema)).unwrap();
        let (other, ty) = arrows(&expr, &input).unwrap();
        let shift = TimeShift::of(&expr, &ty, &input, &other).unwrap();
        let rows = RecordBatch::try_new(schema, vec![times]).unwrap();
        [shift.evaluate(&rows), other.evaluate(&rows)]
            .map(|made| made.map_err(|error| error.to_string()))
    }

    #[test]
    fn a_shift_is_what_arrow_makes_of_it_to_the_ends_of_the_calendar() {
        let usual = vec![Some(1_750_000_000_123), None, Some(-1), Some(PLAIN_MS_MAX)];
        let far = [i64::MAX, i64::MIN, 8_210_266_876_799_999, -8_334_601_228_800_000];
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMillisecondArray::from(usual.clone())),
            Arc::new(TimestampMillisecondArray::from(usual).with_timezone("UTC")),
            Arc::new(TimestampNanosecondArray::from(vec![Some(1), None, Some(i64::MAX / 2)])),
        ];
        for time in far {
            columns.push(Arc::new(TimestampMillisecondArray::from(vec![time])));
            columns.push(Arc::new(TimestampNanosecondArray::from(vec![time])));
        }
        for times in columns {
            for (days, millis) in [(0, 5_000), (0, -1), (3, 7), (-40_000, 0)] {
                let [made, wanted] = both(Arc::clone(&times), days, millis);
                assert_eq!(made, wanted, "{times:?} less {days} days, {millis} ms");
            }
        }
    }
}
