//! A column while it is being decoded: typed vectors that can be cut back to an earlier row, so that a
//! message that turns out bad leaves no trace.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, BooleanBufferBuilder, NullBufferBuilder, make_array};
use arrow::datatypes::{FieldRef, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nowcast_engine::Result;

use super::text::{
    TimestampStandard, parse_date, parse_decimal, parse_time, parse_timestamp, per_second, sql_name,
};
use super::values::Values;

/// Why a value does not fit its column.
pub type Misfit = String;

pub struct Column {
    pub(super) field: FieldRef,
    /// It costs nothing until the first null comes.
    nulls: NullBufferBuilder,
    pub(super) values: Values,
    /// Rows of the last batch, and bytes of their values: what the next will most likely take.
    last: (usize, usize),
}

impl Column {
    /// # Errors
    /// For types that no format carries.
    pub fn new(field: &FieldRef) -> Result<Self> {
        Self::without(field, &[])
    }

    /// A column of rows in which the fields `unread`, by names from outside to inside, are blanks.
    ///
    /// # Errors
    /// As [`Column::new`].
    pub(super) fn without(field: &FieldRef, unread: &[&[String]]) -> Result<Self> {
        let (nulls, values) = (NullBufferBuilder::new(0), Values::new(field, unread)?);
        Ok(Self { field: Arc::clone(field), nulls, values, last: (0, 0) })
    }

    pub fn name(&self) -> &str {
        self.field.name()
    }

    pub fn len(&self) -> usize {
        self.nulls.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nulls.is_empty()
    }

    /// Forgets all values from the row `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.nulls.truncate(rows);
        self.values.truncate(rows);
    }

    /// Makes room for a batch as large as the last.
    pub(super) fn reserve(&mut self) {
        let (rows, bytes) = self.last;
        self.values.reserve(rows, bytes);
    }

    /// # Errors
    /// Where the column is NOT NULL; nothing is pushed then.
    pub fn push_null(&mut self) -> Result<(), Misfit> {
        if !self.field.is_nullable() {
            return Err("null in a NOT NULL column".into());
        }
        self.push_hole();
        Ok(())
    }

    /// A null, whatever the column says: for a row that is cut off again, and below a null row.
    pub(super) fn push_hole(&mut self) {
        self.nulls.append_null();
        self.values.push_hole();
    }

    /// As [`Column::push_hole`], so many times.
    pub(super) fn push_holes(&mut self, holes: usize) {
        self.nulls.append_n_nulls(holes);
        self.values.push_holes(holes);
    }

    /// A value that nobody reads: null, or zero where the column is NOT NULL.
    pub fn push_blank(&mut self) {
        if self.field.is_nullable() {
            return self.push_hole();
        }
        match &mut self.values {
            Values::Struct(parts) => parts.settled().iter_mut().for_each(Column::push_blank),
            values => values.push_hole(),
        }
        self.nulls.append_non_null();
    }

    /// Marks the row whose parts were pushed into [`Column::values`] as there.
    pub(super) fn push_valid(&mut self) {
        self.nulls.append_non_null();
    }

    pub fn push_bool(&mut self, value: bool) -> Result<(), Misfit> {
        match &mut self.values {
            Values::Bool(values) => values.append(value),
            Values::Text(values) => values.push(if value { b"true" } else { b"false" }),
            _ => return Err(self.misfit(value)),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    pub fn push_i64(&mut self, value: i64) -> Result<(), Misfit> {
        let fits = match &mut self.values {
            Values::I8(values) => push_ok(values, value.try_into()),
            Values::I16(values) => push_ok(values, value.try_into()),
            Values::I32(values) => push_ok(values, value.try_into()),
            Values::I64(values) => push_ok::<_, ()>(values, Ok(value)),
            Values::F32(values) => push_ok::<_, ()>(values, Ok(value as f32)),
            Values::F64(values) => push_ok::<_, ()>(values, Ok(value as f64)),
            Values::Text(_) | Values::Decimal(..) => {
                return self.push_text(&value.to_string(), TimestampStandard::Sql);
            }
            _ => false,
        };
        self.pushed(fits, value)
    }

    /// As [`Column::push_i64`], without a call for the usual types.
    #[inline]
    pub(super) fn push_integer(&mut self, value: i64) -> Result<(), Misfit> {
        match (&mut self.values, i32::try_from(value)) {
            (Values::I64(values), _) => values.push(value),
            (Values::I32(values), Ok(value)) => values.push(value),
            _ => return self.push_i64(value),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    pub fn push_u64(&mut self, value: u64) -> Result<(), Misfit> {
        match i64::try_from(value) {
            Ok(value) => self.push_i64(value),
            Err(_) => self.push_text(&value.to_string(), TimestampStandard::Sql),
        }
    }

    /// A number with a fraction: not an integer, even where the fraction is zero.
    pub fn push_f64(&mut self, value: f64) -> Result<(), Misfit> {
        let fits = match &mut self.values {
            Values::F32(values) => push_ok::<_, ()>(values, Ok(value as f32)),
            Values::F64(values) => push_ok::<_, ()>(values, Ok(value)),
            Values::Text(_) | Values::Decimal(..) => {
                return self.push_text(&format!("{value:?}"), TimestampStandard::Sql);
            }
            _ => false,
        };
        self.pushed(fits, value)
    }

    /// A time since the epoch, for metadata columns: into timestamps and BIGINT.
    pub fn push_millis(&mut self, millis: i64) -> Result<(), Misfit> {
        let Values::Timestamp(values, unit, _) = &mut self.values else {
            return self.push_i64(millis);
        };
        let fits = match per_second(*unit) {
            1 => push_ok::<_, ()>(values, Ok(millis.div_euclid(1_000))),
            factor => push_ok(values, millis.checked_mul(factor / 1_000).ok_or(())),
        };
        self.pushed(fits, millis)
    }

    /// Days since the epoch, for DATE.
    pub(super) fn push_days(&mut self, days: i32) -> Result<(), Misfit> {
        let fits = match &mut self.values {
            Values::Date(values) => push_ok::<_, ()>(values, Ok(days)),
            _ => false,
        };
        self.pushed(fits, "a date")
    }

    /// A time of day, for TIME.
    pub(super) fn push_time(&mut self, value: i64, unit: TimeUnit) -> Result<(), Misfit> {
        let nanos = value * (1_000_000_000 / per_second(unit));
        let fits = match &mut self.values {
            Values::Time32(values, unit) => push_ok(values, to_unit(nanos, *unit).try_into()),
            Values::Time64(values, unit) => push_ok::<_, ()>(values, Ok(to_unit(nanos, *unit))),
            _ => false,
        };
        self.pushed(fits, "a time")
    }

    /// A time since the epoch, for timestamps; what is finer than the column's unit is cut off.
    pub(super) fn push_timestamp(&mut self, value: i64, unit: TimeUnit) -> Result<(), Misfit> {
        let fits = match &mut self.values {
            Values::Timestamp(values, to, _) => {
                let wide = i128::from(value) * i128::from(per_second(*to));
                push_ok(values, wide.div_euclid(per_second(unit).into()).try_into())
            }
            _ => false,
        };
        self.pushed(fits, "a timestamp")
    }

    /// A decimal of the column's scale, without the point.
    pub(super) fn push_unscaled(&mut self, value: i128) -> Result<(), Misfit> {
        let fits = match &mut self.values {
            Values::Decimal(values, precision, _) => {
                let limit = 10_u128.pow(u32::from(*precision));
                push_ok(values, (value.unsigned_abs() < limit).then_some(value).ok_or(()))
            }
            _ => false,
        };
        self.pushed(fits, "a decimal")
    }

    /// Bytes as they are: for BYTES and, where they are UTF-8, STRING.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), Misfit> {
        match &mut self.values {
            Values::Binary(values) => values.push(bytes),
            Values::Text(values) if std::str::from_utf8(bytes).is_ok() => values.push(bytes),
            Values::Text(_) => return Err("not valid UTF-8".into()),
            _ => return Err(self.misfit("bytes")),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// A map of strings to bytes or strings; a value may be missing.
    pub fn push_entries<'a>(
        &mut self,
        entries: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<(), Misfit> {
        let Values::Map(offsets, keys, values) = &mut self.values else {
            return Err(self.misfit("a map"));
        };
        for (key, value) in entries {
            keys.push_bytes(key.as_bytes())?;
            match value {
                Some(value) => values.push_bytes(value)?,
                None => values.push_null()?,
            }
        }
        offsets.push(keys.len());
        self.nulls.append_non_null();
        Ok(())
    }

    /// As [`Column::push_text`], of a part of a message that is known to be ASCII; anything else is a misfit.
    #[inline]
    pub(super) fn push_ascii(
        &mut self,
        message: &[u8],
        part: Range<usize>,
        standard: TimestampStandard,
    ) -> Result<(), Misfit> {
        if let Values::Text(values) = &mut self.values {
            values.push_part(message, part);
            self.nulls.append_non_null();
            return Ok(());
        }
        let text = std::str::from_utf8(&message[part]).map_err(|error| error.to_string())?;
        self.push_text(text, standard)
    }

    /// A timestamp that is in the column's unit already.
    ///
    /// # Panics
    /// If the column holds no timestamps.
    #[inline]
    pub(super) fn push_in_unit(&mut self, value: i64) {
        let Values::Timestamp(values, ..) = &mut self.values else {
            unreachable!("a timestamp for another column");
        };
        values.push(value);
        self.nulls.append_non_null();
    }

    /// A value of any scalar type from its text; BYTES are base64.
    pub fn push_text(&mut self, text: &str, standard: TimestampStandard) -> Result<(), Misfit> {
        if let Values::Text(values) = &mut self.values {
            values.push(text.as_bytes());
            self.nulls.append_non_null();
            return Ok(());
        }
        let trimmed = text.trim();
        let fits = match &mut self.values {
            Values::Bool(values) => push_bool(values, parse_bool(trimmed)),
            Values::I8(values) => push_ok(values, trimmed.parse()),
            Values::I16(values) => push_ok(values, trimmed.parse()),
            Values::I32(values) => push_ok(values, trimmed.parse()),
            Values::I64(values) => push_ok(values, trimmed.parse()),
            Values::F32(values) => push_ok(values, trimmed.parse()),
            Values::F64(values) => push_ok(values, trimmed.parse()),
            Values::Decimal(values, precision, scale) => {
                push_ok(values, parse_decimal(trimmed, *precision, *scale).ok_or(()))
            }
            Values::Date(values) => push_ok(values, parse_date(trimmed).ok_or(())),
            Values::Time32(values, unit) => {
                let time = parse_time(trimmed).map(|nanos| to_unit(nanos, *unit) as i32);
                push_ok(values, time.ok_or(()))
            }
            Values::Time64(values, unit) => {
                push_ok(values, parse_time(trimmed).map(|nanos| to_unit(nanos, *unit)).ok_or(()))
            }
            Values::Timestamp(values, unit, zoned) => {
                push_ok(values, parse_timestamp(trimmed, standard, *zoned, *unit).ok_or(()))
            }
            Values::Binary(values) => match BASE64.decode(trimmed) {
                Ok(bytes) => {
                    values.push(&bytes);
                    true
                }
                Err(_) => false,
            },
            Values::Text(_) | Values::List(..) | Values::Struct(_) | Values::Map(..) => false,
        };
        if fits {
            self.nulls.append_non_null();
            return Ok(());
        }
        Err(match (&self.values, standard) {
            (Values::Timestamp(_, _, zoned), standard) => {
                let zone = if *zoned { "Z" } else { "" };
                let form = match standard {
                    TimestampStandard::Sql => "yyyy-MM-dd HH:mm:ss[.fff]",
                    TimestampStandard::Iso8601 => "yyyy-MM-ddTHH:mm:ss[.fff]",
                };
                format!("{} as {form}{zone}", self.misfit(format!("\"{}\"", shortened(text))))
            }
            _ => self.misfit(format!("\"{}\"", shortened(text))),
        })
    }

    fn pushed(&mut self, fits: bool, value: impl std::fmt::Display) -> Result<(), Misfit> {
        match fits {
            true => self.nulls.append_non_null(),
            false => return Err(self.misfit(value)),
        }
        Ok(())
    }

    pub(super) fn misfit(&self, found: impl std::fmt::Display) -> Misfit {
        format!("{found} is no {}", sql_name(self.field.data_type()))
    }

    /// The column so far as an array; the column is empty after.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        Ok(make_array(self.take_data()?))
    }

    pub(super) fn take_data(&mut self) -> Result<ArrayData> {
        let ty = self.field.data_type();
        self.last = (self.nulls.len(), self.values.bytes());
        let rows = self.nulls.len();
        self.values.take(ty, rows, self.nulls.finish())
    }
}

fn push_bool(values: &mut BooleanBufferBuilder, value: Option<bool>) -> bool {
    value.into_iter().for_each(|value| values.append(value));
    value.is_some()
}

fn push_ok<T, E>(values: &mut Vec<T>, value: Result<T, E>) -> bool {
    let Ok(value) = value else { return false };
    values.push(value);
    true
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn to_unit(nanos: i64, unit: TimeUnit) -> i64 {
    nanos / (1_000_000_000 / per_second(unit))
}

/// At most 40 characters of a value, for a message.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
