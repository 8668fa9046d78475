//! Avro records straight into columns, by steps that follow from the schemas. What is unusual about a
//! message or its schema is left to the general way, from which errors come as well.

use apache_avro::Schema;
use apache_avro::schema::InnerDecimalSchema;
use arrow::datatypes::TimeUnit;

use super::avro_value::unscaled;
use super::column::Column;
use super::values::Values;

/// How records of one schema are read into columns.
pub struct Steps {
    members: Vec<Member>,
    /// Columns that the writer has not, whose default is null.
    absent: Vec<usize>,
}

/// A field of the writer's record, and which column it goes to, if anybody reads it.
struct Member {
    column: Option<usize>,
    step: Step,
}

enum Step {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    Decimal,
    FixedDecimal(usize),
    Date,
    TimeMillis,
    TimeMicros,
    Timestamp(TimeUnit),
    Union(Vec<Step>),
    Array(Box<Step>),
    Map(Box<Step>),
    Record(Vec<Member>),
}

impl Steps {
    /// `None` where records must be resolved, or have what steps have not.
    pub fn new(writer: &Schema, reader: &Schema, columns: &[Column]) -> Option<Self> {
        let (Schema::Record(written), Schema::Record(read)) = (writer, reader) else { return None };
        let mut absent = vec![];
        for (at, column) in columns.iter().enumerate() {
            let field = read.fields.iter().find(|field| field.name == column.name())?;
            match written.fields.iter().find(|own| own.name == field.name) {
                Some(own) if becomes(&own.schema, &field.schema) => {}
                None if field.default == Some(serde_json::Value::Null)
                    && field.aliases.is_empty() =>
                {
                    absent.push(at);
                }
                _ => return None,
            }
        }
        let members = members(writer, columns, &absent)?;
        Some(Self { members, absent })
    }

    /// Appends a row; `None` where the message is in any way unusual: the columns may then have parts of
    /// a row too many.
    pub fn read(&self, mut message: &[u8], columns: &mut [Column]) -> Option<()> {
        read_members(&self.members, columns, &mut message)?;
        for at in &self.absent {
            columns[*at].push_null().ok()?;
        }
        message.is_empty().then_some(())
    }
}

/// Whether a value of the writer's schema is one of the reader's, perhaps as a wider number.
fn becomes(written: &Schema, read: &Schema) -> bool {
    match (written, read) {
        (Schema::Union(written), read) => {
            written.variants().iter().all(|written| becomes(written, read))
        }
        (written, Schema::Union(read)) => read.variants().iter().any(|read| becomes(written, read)),
        (Schema::Int, Schema::Long) => true,
        _ => written == read,
    }
}

fn members(schema: &Schema, columns: &[Column], absent: &[usize]) -> Option<Vec<Member>> {
    let Schema::Record(record) = schema else { return None };
    let members: Vec<Member> = record
        .fields
        .iter()
        .map(|field| {
            let column = columns.iter().position(|column| column.name() == field.name);
            let step = Step::new(&field.schema, column.map(|at| &columns[at]))?;
            Some(Member { column, step })
        })
        .collect::<Option<_>>()?;
    let is_there =
        |at: usize| absent.contains(&at) || members.iter().any(|member| member.column == Some(at));
    (0..columns.len()).all(is_there).then_some(members)
}

impl Step {
    /// `column` is none where the value is passed over.
    fn new(schema: &Schema, column: Option<&Column>) -> Option<Self> {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond};
        Some(match schema {
            Schema::Null => Self::Null,
            Schema::Boolean => Self::Boolean,
            Schema::Int => Self::Int,
            Schema::Long => Self::Long,
            Schema::Float => Self::Float,
            Schema::Double => Self::Double,
            Schema::Bytes => Self::Bytes,
            Schema::String => Self::Text,
            Schema::Fixed(fixed) => Self::Fixed(fixed.size),
            Schema::Enum(symbols) => Self::Enum(symbols.symbols.clone()),
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Self::Decimal,
                InnerDecimalSchema::Fixed(fixed) => Self::FixedDecimal(fixed.size),
            },
            Schema::Date => Self::Date,
            Schema::TimeMillis => Self::TimeMillis,
            Schema::TimeMicros => Self::TimeMicros,
            Schema::TimestampMillis | Schema::LocalTimestampMillis => Self::Timestamp(Millisecond),
            Schema::TimestampMicros | Schema::LocalTimestampMicros => Self::Timestamp(Microsecond),
            Schema::TimestampNanos | Schema::LocalTimestampNanos => Self::Timestamp(Nanosecond),
            Schema::Union(union) => {
                let steps = union.variants().iter().map(|variant| Self::new(variant, column));
                Self::Union(steps.collect::<Option<_>>()?)
            }
            Schema::Array(array) => {
                Self::Array(Box::new(match column.map(|column| &column.values) {
                    Some(Values::List(_, items)) => Self::new(&array.items, Some(items))?,
                    None => Self::new(&array.items, None)?,
                    Some(_) => return None,
                }))
            }
            Schema::Map(map) => Self::Map(Box::new(match column.map(|column| &column.values) {
                Some(Values::Map(_, _, values)) => Self::new(&map.types, Some(values))?,
                None => Self::new(&map.types, None)?,
                Some(_) => return None,
            })),
            Schema::Record(_) => Self::Record(match column.map(|column| &column.values) {
                Some(Values::Struct(parts)) => members(schema, parts.columns(), &[])?,
                None => members(schema, &[], &[])?,
                Some(_) => return None,
            }),
            // A reference may be to what it is within.
            Schema::Ref { .. } | Schema::BigDecimal | Schema::Uuid(_) | Schema::Duration(_) => {
                return None;
            }
        })
    }

    fn read(&self, column: &mut Column, from: &mut &[u8]) -> Option<()> {
        use TimeUnit::{Microsecond, Millisecond};
        let pushed = match self {
            Self::Null => column.push_null(),
            Self::Boolean => column.push_bool(boolean(from)?),
            Self::Int => column.push_integer(int(from)?.into()),
            Self::Long => column.push_integer(long(from)?),
            Self::Float => column.push_f64(f32::from_le_bytes(array(from)?).into()),
            Self::Double => column.push_f64(f64::from_le_bytes(array(from)?)),
            Self::Bytes => column.push_bytes(bytes(from)?),
            Self::Text => {
                let text = bytes(from)?;
                if !matches!(column.values, Values::Text(_)) {
                    std::str::from_utf8(text).ok()?;
                }
                column.push_bytes(text)
            }
            Self::Fixed(size) => column.push_bytes(taken(from, *size)?),
            Self::Enum(symbols) => {
                let at = usize::try_from(int(from)?).ok()?;
                column.push_bytes(symbols.get(at)?.as_bytes())
            }
            Self::Decimal => column.push_unscaled(decimal(bytes(from)?)?),
            Self::FixedDecimal(size) => column.push_unscaled(decimal(taken(from, *size)?)?),
            Self::Date => column.push_days(int(from)?),
            Self::TimeMillis => column.push_time(int(from)?.into(), Millisecond),
            Self::TimeMicros => column.push_time(long(from)?, Microsecond),
            Self::Timestamp(unit) => column.push_timestamp(long(from)?, *unit),
            Self::Union(steps) => return variant(steps, from)?.read(column, from),
            Self::Array(item) => {
                let Values::List(offsets, items) = &mut column.values else { return None };
                while let Some(count) = block(from)? {
                    for _ in 0..count {
                        item.read(items, from)?;
                    }
                }
                offsets.push(items.len());
                column.push_valid();
                Ok(())
            }
            Self::Map(value) => return read_map(value, column, from),
            Self::Record(members) => {
                let Values::Struct(parts) = &mut column.values else { return None };
                read_members(members, parts.settled(), from)?;
                column.push_valid();
                Ok(())
            }
        };
        pushed.ok()
    }

    fn skip(&self, from: &mut &[u8]) -> Option<()> {
        match self {
            Self::Null => {}
            Self::Boolean => drop(boolean(from)?),
            Self::Int | Self::Date | Self::TimeMillis => drop(int(from)?),
            Self::Enum(symbols) => drop(symbols.get(usize::try_from(int(from)?).ok()?)?),
            Self::Long | Self::TimeMicros | Self::Timestamp(_) => drop(long(from)?),
            Self::Float => drop(taken(from, 4)?),
            Self::Double => drop(taken(from, 8)?),
            Self::Bytes | Self::Decimal => drop(bytes(from)?),
            Self::Text => drop(std::str::from_utf8(bytes(from)?).ok()?),
            Self::Fixed(size) | Self::FixedDecimal(size) => drop(taken(from, *size)?),
            Self::Union(steps) => variant(steps, from)?.skip(from)?,
            Self::Array(item) => {
                while let Some(count) = block(from)? {
                    for _ in 0..count {
                        item.skip(from)?;
                    }
                }
            }
            Self::Map(value) => {
                while let Some(count) = block(from)? {
                    for _ in 0..count {
                        std::str::from_utf8(bytes(from)?).ok()?;
                        value.skip(from)?;
                    }
                }
            }
            Self::Record(members) => {
                for member in members {
                    member.step.skip(from)?;
                }
            }
        }
        Some(())
    }
}

fn read_members(members: &[Member], columns: &mut [Column], from: &mut &[u8]) -> Option<()> {
    for Member { column, step } in members {
        match column {
            Some(at) => step.read(&mut columns[*at], from)?,
            None => step.skip(from)?,
        }
    }
    Some(())
}

/// Avro's maps have no order; a read must give the same rows each time.
fn read_map(value: &Step, column: &mut Column, from: &mut &[u8]) -> Option<()> {
    let Values::Map(offsets, keys, values) = &mut column.values else { return None };
    let mut entries: Vec<(&str, &[u8])> = vec![];
    while let Some(count) = block(from)? {
        for _ in 0..count {
            let key = std::str::from_utf8(bytes(from)?).ok()?;
            let start = *from;
            value.skip(from)?;
            entries.push((key, &start[..start.len() - from.len()]));
        }
    }
    entries.sort_by_key(|(key, _)| *key);
    for (at, (key, bytes)) in entries.iter().enumerate() {
        // The last of a key counts.
        if entries.get(at + 1).is_some_and(|(next, _)| next == key) {
            continue;
        }
        keys.push_bytes(key.as_bytes()).ok()?;
        value.read(values, &mut &**bytes)?;
    }
    offsets.push(keys.len());
    column.push_valid();
    Some(())
}

fn variant<'a>(steps: &'a [Step], from: &mut &[u8]) -> Option<&'a Step> {
    steps.get(usize::try_from(long(from)?).ok()?)
}

/// How many items the next block has; none at the end.
fn block(from: &mut &[u8]) -> Option<Option<usize>> {
    let mut count = long(from)?;
    if count < 0 {
        count = count.checked_neg()?;
        long(from)?;
    }
    let count = usize::try_from(count).ok()?;
    // Items that take no bytes are not worth it.
    (count <= from.len()).then_some((count > 0).then_some(count))
}

fn taken<'a>(from: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(size)?;
    *from = rest;
    Some(taken)
}

fn array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let size = usize::try_from(long(from)?).ok()?;
    taken(from, size)
}

/// One without a byte is none.
fn decimal(bytes: &[u8]) -> Option<i128> {
    if bytes.is_empty() { None } else { unscaled(bytes).ok() }
}

fn boolean(from: &mut &[u8]) -> Option<bool> {
    match array(from)? {
        [0] => Some(false),
        [1] => Some(true),
        [_] => None,
    }
}

fn int(from: &mut &[u8]) -> Option<i32> {
    i32::try_from(long(from)?).ok()
}

/// Seven bits a byte, the lowest first; the lowest of all is the sign.
#[inline]
fn long(from: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for (at, byte) in from.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *from = &from[at + 1..];
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    // The tenth byte has one bit.
    let last = *from.get(9).filter(|byte| **byte <= 1)?;
    value |= u64::from(last) << 63;
    *from = &from[10..];
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}
