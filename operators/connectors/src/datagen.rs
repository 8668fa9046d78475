//! The `datagen` source: made-up rows at a steady rate, the same ones for the same seed.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use async_trait::async_trait;
use nowcast_engine::{Error, Result, Source, SourceContext, SourceFactory, TableDefinition};

use crate::format::Column;
use crate::numbered::{Numbered, splits};
use crate::options::Options;
use crate::random::hash;
use crate::registry::Environment;

/// Flink's default.
const ROWS_PER_SECOND: u64 = 10_000;
/// Flink's default length of strings, bytes and collections.
const LENGTH: usize = 100;

pub fn source(table: &TableDefinition, _: &Environment) -> Result<Arc<dyn SourceFactory>> {
    let options = Options::new(table);
    if let Some(metadata) = table.metadata.first() {
        return Err(crate::registry::no_metadata(table, metadata, "datagen"));
    }
    let rate = options.parsed::<u64>("rows-per-second", "a number of rows")?;
    let mut rows = options.parsed::<u64>("number-of-rows", "a number of rows")?;
    let seed = options.parsed::<u64>("seed", "a number")?.unwrap_or_default();
    let mut fields = vec![];
    for (at, field) in table.schema.fields().iter().enumerate() {
        let generator = Generator::read(&options, field, hash(seed ^ hash(at as u64)))?;
        if let Kind::Sequence { start, end } = generator.kind {
            let length = end.abs_diff(start) + 1;
            rows = Some(rows.map_or(length, |rows| rows.min(length)));
        }
        fields.push(generator);
    }
    let splits = splits(&options)?;
    options.finish()?;
    let rate = rate.unwrap_or(ROWS_PER_SECOND).max(1);
    let schema = Arc::clone(&table.schema);
    Ok(Arc::new(Datagen { schema, fields: fields.into(), rate, rows, splits }))
}

struct Datagen {
    schema: SchemaRef,
    fields: Arc<[Generator]>,
    rate: u64,
    rows: Option<u64>,
    splits: NonZeroU32,
}

/// The values of one column: each a function of the row's number alone.
struct Generator {
    field: FieldRef,
    seed: u64,
    kind: Kind,
    /// Of a thousand values, how many are null.
    null_per_mille: u64,
}

enum Kind {
    Sequence {
        start: i64,
        end: i64,
    },
    Integer {
        min: i64,
        max: i64,
    },
    Float {
        min: f64,
        max: f64,
    },
    Text {
        length: usize,
    },
    Bool,
    /// Up to so many milliseconds before now.
    Past {
        max_ms: u64,
    },
}

impl Generator {
    fn read(options: &Options<'_>, field: &FieldRef, seed: u64) -> Result<Self> {
        let name = field.name();
        let key = |part: &str| format!("fields.{name}.{part}");
        let sequence = options.choice(&key("kind"), &[("random", false), ("sequence", true)])?;
        let null_rate = options.parsed::<f64>(&key("null-rate"), "a share from 0 to 1")?;
        let integer = |part: &str, default: i64| {
            Ok::<_, Error>(options.parsed::<i64>(&key(part), "a whole number")?.unwrap_or(default))
        };
        let float = |part: &str, default: f64| {
            Ok::<_, Error>(options.parsed::<f64>(&key(part), "a number")?.unwrap_or(default))
        };
        let kind = match field.data_type() {
            _ if sequence => {
                let bound = |part: &str| options.required(&key(part)).map(drop);
                bound("start")?;
                bound("end")?;
                Kind::Sequence { start: integer("start", 0)?, end: integer("end", 0)? }
            }
            DataType::Int8 => {
                within(integer("min", i8::MIN.into())?, integer("max", i8::MAX.into())?)
            }
            DataType::Int16 => {
                within(integer("min", i16::MIN.into())?, integer("max", i16::MAX.into())?)
            }
            DataType::Int32 => within(integer("min", 0)?, integer("max", i32::MAX.into())?),
            DataType::Int64 => within(integer("min", 0)?, integer("max", i64::MAX)?),
            DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) => {
                Kind::Float { min: float("min", 0.0)?, max: float("max", 1.0)? }
            }
            DataType::Utf8 => {
                let length = options.parsed(&key("length"), "a number of letters")?;
                Kind::Text { length: length.unwrap_or(LENGTH) }
            }
            DataType::Boolean => Kind::Bool,
            DataType::Timestamp(..) => {
                let past = options.duration(&key("max-past"))?.unwrap_or_default();
                Kind::Past { max_ms: u64::try_from(past.as_millis()).unwrap_or(u64::MAX - 1) }
            }
            other => {
                let table = options.table();
                return Err(Error::user(format!(
                    "table \"{table}\": datagen cannot make column \"{name}\" of type {other}"
                )));
            }
        };
        let null_per_mille = (null_rate.unwrap_or(0.0).clamp(0.0, 1.0) * 1_000.0) as u64;
        let generator = Self { field: Arc::clone(field), seed, kind, null_per_mille };
        // A range or type that does not fit shows with the first value, and the last.
        let mut column = Column::new(field)?;
        for row in [0, 1, u64::MAX] {
            generator.push(row, 0, &mut column).map_err(|misfit| {
                let table = options.table();
                Error::user(format!("table \"{table}\": column \"{name}\": {misfit}"))
            })?;
        }
        Ok(generator)
    }

    fn push(&self, row: u64, now: i64, column: &mut Column) -> Result<(), String> {
        let random = hash(self.seed.wrapping_add(hash(row)));
        if self.null_per_mille > 0 && hash(random) % 1_000 < self.null_per_mille {
            return column.push_null();
        }
        let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
        match &self.kind {
            Kind::Sequence { start, end } => {
                let step = i64::try_from(row).unwrap_or(i64::MAX);
                let value = match start <= end {
                    true => start.saturating_add(step).min(*end),
                    false => start.saturating_sub(step).max(*end),
                };
                match column.push_i64(value) {
                    Ok(()) => Ok(()),
                    Err(_) => column.push_millis(value),
                }
            }
            Kind::Integer { min, max } => {
                let span = max.abs_diff(*min).saturating_add(1);
                column.push_i64(min.wrapping_add_unsigned(random % span))
            }
            Kind::Float { min, max } => column.push_f64(min + unit * (max - min)),
            Kind::Text { length } => {
                let digit = |at: usize| {
                    let nibble = hash(random.wrapping_add(at as u64 / 16)) >> (at % 16 * 4) & 15;
                    char::from_digit(nibble as u32, 16).unwrap_or('0')
                };
                let text: String = (0..*length).map(digit).collect();
                column.push_bytes(text.as_bytes())
            }
            Kind::Bool => column.push_bool(random & 1 == 1),
            Kind::Past { max_ms } => {
                let past = i64::try_from(random % (max_ms + 1)).unwrap_or(i64::MAX);
                column.push_millis(now.saturating_sub(past))
            }
        }
    }
}

fn within(min: i64, max: i64) -> Kind {
    Kind::Integer { min: min.min(max), max }
}

#[async_trait]
impl SourceFactory for Datagen {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn bounded(&self) -> bool {
        self.rows.is_some()
    }

    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let (schema, fields) = (Arc::clone(&self.schema), Arc::clone(&self.fields));
        let made = Numbered {
            name: "datagen",
            splits: self.splits,
            rows: self.rows,
            rows_per_s: Some(self.rate),
        };
        made.open(&context, Box::new(move |numbers| rows(&schema, &fields, numbers)))
    }
}

fn rows(schema: &SchemaRef, fields: &[Generator], numbers: Range<u64>) -> Result<RecordBatch> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let mut columns = vec![];
    for generator in fields {
        let mut column = Column::new(&generator.field)?;
        for row in numbers.clone() {
            generator.push(row, now, &mut column).map_err(Error::user)?;
        }
        columns.push(column.finish()?);
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::compute::concat_batches;
    use arrow::datatypes::{Field, Float64Type, Int64Type, Schema, TimeUnit};
    use nowcast_engine::{Connectors, Position, SourceEvent};

    use super::*;
    use crate::registry::Registry;

    fn table(options: &[(&str, &str)]) -> TableDefinition {
        let fields = vec![
            Field::new("id", DataType::Int64, true),
            Field::new("price", DataType::Float64, true),
            Field::new("name", DataType::Utf8, true),
            Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        ];
        let given = options.iter().copied();
        let options = [
            ("connector", "datagen"),
            ("rows-per-second", "1000000"),
            ("fields.id.kind", "sequence"),
            ("fields.id.start", "10"),
            ("fields.id.end", "1009"),
            ("fields.price.min", "5"),
            ("fields.price.max", "6"),
            ("fields.name.length", "4"),
        ];
        TableDefinition {
            name: "made".into(),
            schema: Arc::new(Schema::new(fields)),
            metadata: vec![],
            primary_key: vec![],
            partition_keys: vec![],
            unread: vec![],
            unread_fields: vec![],
            options: options.into_iter().chain(given).map(|(k, v)| (k.into(), v.into())).collect(),
        }
    }

    fn context(positions: &[Position]) -> SourceContext {
        let positions = positions.to_vec();
        SourceContext { worker: 0, workers: 2, positions, rows_max: 64, idle_timeout: None }
    }

    async fn drain(
        table: &TableDefinition,
        positions: &[Position],
    ) -> (RecordBatch, Vec<Position>) {
        let factory = Registry::new(Environment::default()).source(table).unwrap();
        assert!(factory.bounded());
        let mut source = factory.open(context(positions)).await.unwrap();
        let mut batches = vec![];
        let mut middle = vec![];
        loop {
            match source.next().await.unwrap() {
                SourceEvent::Rows { rows, .. } => batches.push(rows),
                SourceEvent::End => break,
                _ => {}
            }
            if batches.len() == 3 {
                middle = source.positions();
            }
        }
        (concat_batches(&table.schema, &batches).unwrap(), middle)
    }

    #[tokio::test]
    async fn the_same_seed_gives_the_same_rows_from_any_position() {
        let columns = [0, 1, 2];
        let (all, middle) = drain(&table(&[]), &[]).await;
        assert_eq!(all.num_rows(), 1_000);
        let ids = all.column(0).as_primitive::<Int64Type>();
        assert_eq!((ids.value(0), ids.value(999)), (10, 1_009));
        let prices = all.column(1).as_primitive::<Float64Type>();
        assert!(prices.values().iter().all(|price| (5.0..6.0).contains(price)));
        assert!(all.column(2).as_string::<i32>().iter().all(|name| name.unwrap().len() == 4));
        let all = all.project(&columns).unwrap();
        let (rest, _) = drain(&table(&[]), &middle).await;
        let read = usize::try_from(middle[0].offset).unwrap();
        assert_eq!(rest.project(&columns).unwrap(), all.slice(read, 1_000 - read));
        let (other, _) = drain(&table(&[("seed", "1")]), &[]).await;
        assert_ne!(other.project(&columns).unwrap(), all);
        let (few, _) = drain(&table(&[("number-of-rows", "7")]), &[]).await;
        assert_eq!(few.project(&columns).unwrap(), all.slice(0, 7));
    }

    #[test]
    fn what_cannot_be_made_is_named() {
        let refused = |options: &[(&str, &str)]| {
            let registry = Registry::new(Environment::default());
            registry.source(&table(options)).err().unwrap().to_string()
        };
        let message = refused(&[("fields.prise.min", "1")]);
        assert!(message.contains("did you mean \"fields.price.min\"?"), "{message}");
        let message = refused(&[("fields.name.kind", "squence")]);
        assert!(message.contains("one of random, sequence"), "{message}");
    }
}
