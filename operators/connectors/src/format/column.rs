//! A column while it is being decoded: typed vectors that can be cut back to an earlier row, so that a
//! message that turns out bad leaves no trace.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nowcast_engine::{Error, Result};

use super::text::{
    TimestampStandard, parse_date, parse_decimal, parse_time, parse_timestamp, per_second, sql_name,
};

/// Why a value does not fit its column.
pub type Misfit = String;

pub struct Column {
    pub(super) field: FieldRef,
    valid: Vec<bool>,
    pub(super) values: Values,
}

pub(super) enum Values {
    Bool(Vec<bool>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    Text(Bytes),
    Binary(Bytes),
    Date(Vec<i32>),
    Time32(Vec<i32>, TimeUnit),
    Time64(Vec<i64>, TimeUnit),
    /// `true`: with a local time zone.
    Timestamp(Vec<i64>, TimeUnit, bool),
    List(Offsets, Box<Column>),
    Struct(Vec<Column>),
    Map(Offsets, Box<Column>, Box<Column>),
}

/// Values of varying length behind each other.
pub(super) struct Bytes {
    data: Vec<u8>,
    offsets: Offsets,
}

/// Where each value begins and ends in what it is cut from: one more than there are values.
pub(super) struct Offsets(Vec<i32>);

impl Offsets {
    fn new() -> Self {
        Self(vec![0])
    }

    /// # Panics
    /// Past 2 GiB: batches are bounded far below.
    pub(super) fn push(&mut self, end: usize) {
        self.0.push(i32::try_from(end).expect("a batch is bounded far below 2 GiB"));
    }

    fn last(&self) -> usize {
        self.0.last().map_or(0, |end| *end as usize)
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows + 1);
    }
}

impl Bytes {
    fn new() -> Self {
        Self { data: vec![], offsets: Offsets::new() }
    }

    pub(super) fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.offsets.push(self.data.len());
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows);
        self.data.truncate(self.offsets.last());
    }
}

impl Column {
    /// # Errors
    /// For types that no format carries.
    pub fn new(field: &FieldRef) -> Result<Self> {
        let values = match field.data_type() {
            DataType::Boolean => Values::Bool(vec![]),
            DataType::Int8 => Values::I8(vec![]),
            DataType::Int16 => Values::I16(vec![]),
            DataType::Int32 => Values::I32(vec![]),
            DataType::Int64 => Values::I64(vec![]),
            DataType::Float32 => Values::F32(vec![]),
            DataType::Float64 => Values::F64(vec![]),
            DataType::Decimal128(precision, scale) => Values::Decimal(vec![], *precision, *scale),
            DataType::Utf8 => Values::Text(Bytes::new()),
            DataType::Binary => Values::Binary(Bytes::new()),
            DataType::Date32 => Values::Date(vec![]),
            DataType::Time32(unit) => Values::Time32(vec![], *unit),
            DataType::Time64(unit) => Values::Time64(vec![], *unit),
            DataType::Timestamp(unit, zone) => Values::Timestamp(vec![], *unit, zone.is_some()),
            DataType::List(item) => Values::List(Offsets::new(), Box::new(Column::new(item)?)),
            DataType::Struct(fields) => {
                Values::Struct(fields.iter().map(Column::new).collect::<Result<_>>()?)
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    let value = Box::new(Column::new(&pair[1])?);
                    Values::Map(Offsets::new(), Box::new(Column::new(&pair[0])?), value)
                }
                _ => return Err(Error::bug("a map's entries are not pairs")),
            },
            other => {
                let name = field.name();
                return Err(Error::user(format!(
                    "column \"{name}\": no format carries the type {other}"
                )));
            }
        };
        Ok(Self { field: Arc::clone(field), valid: vec![], values })
    }

    pub fn name(&self) -> &str {
        self.field.name()
    }

    pub fn len(&self) -> usize {
        self.valid.len()
    }

    pub fn is_empty(&self) -> bool {
        self.valid.is_empty()
    }

    /// Forgets all values from the row `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.valid.truncate(rows);
        match &mut self.values {
            Values::Bool(values) => values.truncate(rows),
            Values::I8(values) => values.truncate(rows),
            Values::I16(values) => values.truncate(rows),
            Values::I32(values) | Values::Date(values) | Values::Time32(values, _) => {
                values.truncate(rows);
            }
            Values::I64(values) | Values::Time64(values, _) | Values::Timestamp(values, ..) => {
                values.truncate(rows);
            }
            Values::F32(values) => values.truncate(rows),
            Values::F64(values) => values.truncate(rows),
            Values::Decimal(values, ..) => values.truncate(rows),
            Values::Text(values) | Values::Binary(values) => values.truncate(rows),
            Values::List(offsets, items) => {
                offsets.truncate(rows);
                items.truncate(offsets.last());
            }
            Values::Struct(columns) => columns.iter_mut().for_each(|column| column.truncate(rows)),
            Values::Map(offsets, keys, values) => {
                offsets.truncate(rows);
                keys.truncate(offsets.last());
                values.truncate(offsets.last());
            }
        }
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
        self.valid.push(false);
        match &mut self.values {
            Values::Bool(values) => values.push(false),
            Values::I8(values) => values.push(0),
            Values::I16(values) => values.push(0),
            Values::I32(values) | Values::Date(values) | Values::Time32(values, _) => {
                values.push(0);
            }
            Values::I64(values) | Values::Time64(values, _) | Values::Timestamp(values, ..) => {
                values.push(0);
            }
            Values::F32(values) => values.push(0.0),
            Values::F64(values) => values.push(0.0),
            Values::Decimal(values, ..) => values.push(0),
            Values::Text(values) | Values::Binary(values) => values.push(&[]),
            Values::List(offsets, items) => offsets.push(items.len()),
            Values::Struct(columns) => columns.iter_mut().for_each(Column::push_hole),
            Values::Map(offsets, keys, _) => offsets.push(keys.len()),
        }
    }

    /// A value that nobody reads: null, or zero where the column is NOT NULL.
    pub(super) fn push_blank(&mut self) {
        let Values::Struct(columns) = &mut self.values else {
            self.push_hole();
            return self.unless_nullable();
        };
        if self.field.is_nullable() {
            return self.push_hole();
        }
        columns.iter_mut().for_each(Column::push_blank);
        self.valid.push(true);
    }

    fn unless_nullable(&mut self) {
        if let Some(last) = self.valid.last_mut() {
            *last = !self.field.is_nullable();
        }
    }

    /// Marks the row whose parts were pushed into [`Column::values`] as there.
    pub(super) fn push_valid(&mut self) {
        self.valid.push(true);
    }

    pub fn push_bool(&mut self, value: bool) -> Result<(), Misfit> {
        match &mut self.values {
            Values::Bool(values) => values.push(value),
            Values::Text(values) => values.push(if value { b"true" } else { b"false" }),
            _ => return Err(self.misfit(value)),
        }
        self.valid.push(true);
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
        self.valid.push(true);
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
        self.valid.push(true);
        Ok(())
    }

    /// A value of any scalar type from its text; BYTES are base64.
    pub fn push_text(&mut self, text: &str, standard: TimestampStandard) -> Result<(), Misfit> {
        if let Values::Text(values) = &mut self.values {
            values.push(text.as_bytes());
            self.valid.push(true);
            return Ok(());
        }
        let trimmed = text.trim();
        let fits = match &mut self.values {
            Values::Bool(values) => push_ok(values, parse_bool(trimmed).ok_or(())),
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
            self.valid.push(true);
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
            true => self.valid.push(true),
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

    fn take_data(&mut self) -> Result<ArrayData> {
        let rows = self.valid.len();
        let valid = std::mem::take(&mut self.valid);
        let nulls = valid.contains(&false).then(|| NullBuffer::new(BooleanBuffer::from(valid)));
        let data = ArrayData::builder(self.field.data_type().clone()).len(rows).nulls(nulls);
        let data = match &mut self.values {
            Values::Bool(values) => {
                let bits = BooleanBuffer::from(std::mem::take(values));
                data.add_buffer(bits.into_inner())
            }
            Values::I8(values) => data.add_buffer(Buffer::from_vec(std::mem::take(values))),
            Values::I16(values) => data.add_buffer(Buffer::from_vec(std::mem::take(values))),
            Values::I32(values) | Values::Date(values) | Values::Time32(values, _) => {
                data.add_buffer(Buffer::from_vec(std::mem::take(values)))
            }
            Values::I64(values) | Values::Time64(values, _) | Values::Timestamp(values, ..) => {
                data.add_buffer(Buffer::from_vec(std::mem::take(values)))
            }
            Values::F32(values) => data.add_buffer(Buffer::from_vec(std::mem::take(values))),
            Values::F64(values) => data.add_buffer(Buffer::from_vec(std::mem::take(values))),
            Values::Decimal(values, ..) => {
                data.add_buffer(Buffer::from_vec(std::mem::take(values)))
            }
            Values::Text(values) | Values::Binary(values) => {
                let values = std::mem::replace(values, Bytes::new());
                data.add_buffer(Buffer::from_vec(values.offsets.0))
                    .add_buffer(Buffer::from_vec(values.data))
            }
            Values::List(offsets, items) => {
                let offsets = std::mem::replace(offsets, Offsets::new());
                data.add_buffer(Buffer::from_vec(offsets.0)).add_child_data(items.take_data()?)
            }
            Values::Struct(columns) => {
                let children = columns.iter_mut().map(Column::take_data).collect::<Result<_>>()?;
                data.child_data(children)
            }
            Values::Map(offsets, keys, values) => {
                let DataType::Map(entries, _) = self.field.data_type() else {
                    return Err(Error::bug("a map column of another type"));
                };
                let pairs = ArrayData::builder(entries.data_type().clone())
                    .len(keys.len())
                    .add_child_data(keys.take_data()?)
                    .add_child_data(values.take_data()?)
                    .build()?;
                let offsets = std::mem::replace(offsets, Offsets::new());
                data.add_buffer(Buffer::from_vec(offsets.0)).add_child_data(pairs)
            }
        };
        Ok(data.build()?)
    }
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
