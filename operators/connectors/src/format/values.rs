//! The values of a column while it is being decoded: typed vectors, handed to Arrow without a copy.

use std::ops::Range;

use arrow::array::{Array, ArrayData, BooleanBufferBuilder, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, FieldRef, Fields, TimeUnit};
use nowcast_engine::{Error, Result};

use super::column::Column;
use crate::blank::Blanks;

pub(super) enum Values {
    Bool(BooleanBufferBuilder),
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
    Struct(Parts),
    Map(Offsets, Box<Column>, Box<Column>),
}

/// The columns of rows. Of rows that are null the columns have nothing until somebody asks for them: many
/// in a row are cheap.
pub(super) struct Parts {
    /// Those that are read, and their columns.
    fields: Fields,
    columns: Vec<Column>,
    /// Those that are not, by their positions among all.
    blanks: Vec<(usize, Blanks)>,
    /// The last so many rows are null, and not in the columns yet.
    holes: usize,
}

impl Parts {
    fn new(all: &Fields, unread: &[&[String]]) -> Result<Self> {
        let (mut fields, mut columns, mut blanks) = (vec![], vec![], vec![]);
        for (at, field) in all.iter().enumerate() {
            let within = within(unread, field.name());
            if within.iter().any(|way| way.is_empty()) {
                blanks.push((at, Blanks::new(field)?));
                continue;
            }
            fields.push(field.clone());
            columns.push(Column::without(field, &within)?);
        }
        Ok(Self { fields: fields.into(), columns, blanks, holes: 0 })
    }

    /// The fields of the columns.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The fields, and the columns with all rows.
    pub(super) fn settled_fields(&mut self) -> (&Fields, &mut [Column]) {
        self.settled();
        (&self.fields, &mut self.columns)
    }

    /// The columns' values, and the blanks; no values are left.
    fn take(&mut self, rows: usize) -> Result<Vec<ArrayData>> {
        let read = self.settled().iter_mut().map(Column::take_data);
        let mut all = read.collect::<Result<Vec<_>>>()?;
        for (at, blanks) in &mut self.blanks {
            all.insert(*at, blanks.rows(rows)?.to_data());
        }
        Ok(all)
    }

    /// The columns, with all rows.
    pub(super) fn settled(&mut self) -> &mut [Column] {
        let holes = std::mem::take(&mut self.holes);
        if holes > 0 {
            self.columns.iter_mut().for_each(|column| column.push_holes(holes));
        }
        &mut self.columns
    }

    /// The columns, perhaps without the last rows.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn truncate(&mut self, rows: usize) {
        if self.holes > 0 {
            // Then all columns have as many.
            let whole = self.columns.first().map_or(0, Column::len);
            self.holes = self.holes.min(rows.saturating_sub(whole));
        }
        if self.holes == 0 {
            self.columns.iter_mut().for_each(|column| column.truncate(rows));
        }
    }
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

    /// So many empty values.
    fn repeat(&mut self, times: usize) {
        let last = self.0.last().copied().unwrap_or_default();
        self.0.resize(self.0.len() + times, last);
    }

    fn last(&self) -> usize {
        self.0.last().map_or(0, |end| *end as usize)
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows + 1);
    }

    fn take(&mut self) -> Buffer {
        Buffer::from_vec(std::mem::replace(&mut self.0, vec![0]))
    }

    fn reserve(&mut self, rows: usize) {
        self.0.reserve(rows);
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

    /// As [`Bytes::push`], of a part of a text: of a short one sixteen or 32 bytes are copied and cut, which
    /// takes no call.
    #[inline]
    pub(super) fn push_part(&mut self, text: &[u8], part: Range<usize>) {
        let end = self.data.len() + part.len();
        let behind = &text[part.start..];
        match (behind.first_chunk::<16>(), behind.first_chunk::<32>()) {
            (Some(short), _) if part.len() <= 16 => self.data.extend_from_slice(short),
            (_, Some(long)) if part.len() <= 32 => self.data.extend_from_slice(long),
            _ => self.data.extend_from_slice(&text[part]),
        }
        self.data.truncate(end);
        self.offsets.push(end);
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows);
        self.data.truncate(self.offsets.last());
    }
}

impl Bytes {
    /// Strings, checked once more as a whole: it costs less than checking what any other data might be.
    fn take_text(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayData> {
        let offsets = std::mem::replace(&mut self.offsets.0, vec![0]);
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(StringArray::try_new(offsets, taken(&mut self.data), nulls)?.into_data())
    }
}

fn add<T: Clone + Default>(values: &mut Vec<T>, zeros: usize) {
    values.resize(values.len() + zeros, T::default());
}

impl Values {
    /// # Errors
    /// For types that no format carries.
    pub(super) fn new(field: &FieldRef, unread: &[&[String]]) -> Result<Self> {
        Ok(match field.data_type() {
            DataType::Boolean => Self::Bool(BooleanBufferBuilder::new(0)),
            DataType::Int8 => Self::I8(vec![]),
            DataType::Int16 => Self::I16(vec![]),
            DataType::Int32 => Self::I32(vec![]),
            DataType::Int64 => Self::I64(vec![]),
            DataType::Float32 => Self::F32(vec![]),
            DataType::Float64 => Self::F64(vec![]),
            DataType::Decimal128(precision, scale) => Self::Decimal(vec![], *precision, *scale),
            DataType::Utf8 => Self::Text(Bytes::new()),
            DataType::Binary => Self::Binary(Bytes::new()),
            DataType::Date32 => Self::Date(vec![]),
            DataType::Time32(unit) => Self::Time32(vec![], *unit),
            DataType::Time64(unit) => Self::Time64(vec![], *unit),
            DataType::Timestamp(unit, zone) => Self::Timestamp(vec![], *unit, zone.is_some()),
            DataType::List(item) => Self::List(Offsets::new(), Box::new(Column::new(item)?)),
            DataType::Struct(fields) => Self::Struct(Parts::new(fields, unread)?),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    let value = Box::new(Column::new(&pair[1])?);
                    Self::Map(Offsets::new(), Box::new(Column::new(&pair[0])?), value)
                }
                _ => return Err(Error::bug("a map's entries are not pairs")),
            },
            other => {
                let name = field.name();
                return Err(Error::user(format!(
                    "column \"{name}\": no format carries the type {other}"
                )));
            }
        })
    }

    /// Forgets all values from the row `rows` on.
    pub(super) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Bool(values) => values.truncate(rows),
            Self::I8(values) => values.truncate(rows),
            Self::I16(values) => values.truncate(rows),
            Self::I32(values) | Self::Date(values) | Self::Time32(values, _) => {
                values.truncate(rows);
            }
            Self::I64(values) | Self::Time64(values, _) | Self::Timestamp(values, ..) => {
                values.truncate(rows);
            }
            Self::F32(values) => values.truncate(rows),
            Self::F64(values) => values.truncate(rows),
            Self::Decimal(values, ..) => values.truncate(rows),
            Self::Text(values) | Self::Binary(values) => values.truncate(rows),
            Self::List(offsets, items) => {
                offsets.truncate(rows);
                items.truncate(offsets.last());
            }
            Self::Struct(parts) => parts.truncate(rows),
            Self::Map(offsets, keys, values) => {
                offsets.truncate(rows);
                keys.truncate(offsets.last());
                values.truncate(offsets.last());
            }
        }
    }

    /// A value that is not looked at, below a null.
    pub(super) fn push_hole(&mut self) {
        match self {
            Self::Bool(values) => values.append(false),
            Self::I8(values) => values.push(0),
            Self::I16(values) => values.push(0),
            Self::I32(values) | Self::Date(values) | Self::Time32(values, _) => values.push(0),
            Self::I64(values) | Self::Time64(values, _) | Self::Timestamp(values, ..) => {
                values.push(0);
            }
            Self::F32(values) => values.push(0.0),
            Self::F64(values) => values.push(0.0),
            Self::Decimal(values, ..) => values.push(0),
            Self::Text(values) | Self::Binary(values) => values.push(&[]),
            Self::List(offsets, items) => offsets.push(items.len()),
            Self::Struct(parts) => parts.holes += 1,
            Self::Map(offsets, keys, _) => offsets.push(keys.len()),
        }
    }

    /// As [`Values::push_hole`], so many times.
    pub(super) fn push_holes(&mut self, holes: usize) {
        match self {
            Self::Bool(values) => values.append_n(holes, false),
            Self::I8(values) => add(values, holes),
            Self::I16(values) => add(values, holes),
            Self::I32(values) | Self::Date(values) | Self::Time32(values, _) => add(values, holes),
            Self::I64(values) | Self::Time64(values, _) | Self::Timestamp(values, ..) => {
                add(values, holes);
            }
            Self::F32(values) => add(values, holes),
            Self::F64(values) => add(values, holes),
            Self::Decimal(values, ..) => add(values, holes),
            Self::Text(values) | Self::Binary(values) => values.offsets.repeat(holes),
            Self::List(offsets, _) | Self::Map(offsets, ..) => offsets.repeat(holes),
            Self::Struct(parts) => parts.holes += holes,
        }
    }

    /// Makes room for so many more rows, and so many more bytes of values of varying length.
    pub(super) fn reserve(&mut self, rows: usize, bytes: usize) {
        match self {
            Self::I8(values) => values.reserve(rows),
            Self::I16(values) => values.reserve(rows),
            Self::I32(values) | Self::Date(values) | Self::Time32(values, _) => {
                values.reserve(rows);
            }
            Self::I64(values) | Self::Time64(values, _) | Self::Timestamp(values, ..) => {
                values.reserve(rows);
            }
            Self::F32(values) => values.reserve(rows),
            Self::F64(values) => values.reserve(rows),
            Self::Decimal(values, ..) => values.reserve(rows),
            Self::Text(values) | Self::Binary(values) => {
                values.offsets.reserve(rows);
                values.data.reserve(bytes);
            }
            Self::Bool(values) => values.reserve(rows),
            // Nested ones grow as they are filled.
            Self::List(..) | Self::Struct(_) | Self::Map(..) => {}
        }
    }

    /// Bytes of the values of varying length.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(values) | Self::Binary(values) => values.data.len(),
            _ => 0,
        }
    }

    /// Moves the values into an array's data; none are left.
    pub(super) fn take(
        &mut self,
        ty: &DataType,
        rows: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayData> {
        if let Self::Text(values) = self {
            return values.take_text(nulls);
        }
        let data = ArrayData::builder(ty.clone()).len(rows).nulls(nulls);
        let data = match self {
            Self::Bool(values) => data.add_buffer(values.finish().into_inner()),
            Self::I8(values) => data.add_buffer(taken(values)),
            Self::I16(values) => data.add_buffer(taken(values)),
            Self::I32(values) | Self::Date(values) | Self::Time32(values, _) => {
                data.add_buffer(taken(values))
            }
            Self::I64(values) | Self::Time64(values, _) | Self::Timestamp(values, ..) => {
                data.add_buffer(taken(values))
            }
            Self::F32(values) => data.add_buffer(taken(values)),
            Self::F64(values) => data.add_buffer(taken(values)),
            Self::Decimal(values, ..) => data.add_buffer(taken(values)),
            Self::Text(values) | Self::Binary(values) => {
                data.add_buffer(values.offsets.take()).add_buffer(taken(&mut values.data))
            }
            Self::List(offsets, items) => {
                data.add_buffer(offsets.take()).add_child_data(items.take_data()?)
            }
            Self::Struct(parts) => data.child_data(parts.take(rows)?),
            Self::Map(offsets, keys, values) => {
                let DataType::Map(entries, _) = ty else {
                    return Err(Error::bug("a map column of another type"));
                };
                let pairs = ArrayData::builder(entries.data_type().clone())
                    .len(keys.len())
                    .add_child_data(keys.take_data()?)
                    .add_child_data(values.take_data()?)
                    .build()?;
                data.add_buffer(offsets.take()).add_child_data(pairs)
            }
        };
        Ok(data.build()?)
    }
}

/// Of ways to fields those that begin with `name`, behind it.
pub(super) fn within<'a>(ways: &[&'a [String]], name: &str) -> Vec<&'a [String]> {
    let begins = |way: &&'a [String]| way.split_first().filter(|(first, _)| *first == name);
    ways.iter().filter_map(|way| begins(way).map(|(_, rest)| rest)).collect()
}

fn taken<T: ArrowNativeType>(values: &mut Vec<T>) -> Buffer {
    Buffer::from_vec(std::mem::take(values))
}
