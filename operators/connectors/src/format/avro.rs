//! `avro`: rows as Avro binary records, by the schema that Flink derives from the columns.

use std::io::{self, Read};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use nowcast_engine::{Error, Result};
use serde_json::json;

use super::avro_read::Steps;
use super::avro_value::{push, record};
use super::cells::Cells;
use super::text::sql_name;
use super::{DecodedRows, Decoder, Encoded, Encoder, Misfit};
use crate::options::Options;

/// The name of the record that Flink derives.
const RECORD: &str = "org.apache.flink.avro.generated.record";

/// `avro.*`, as in Flink.
#[derive(Debug, Clone)]
pub struct AvroOptions {
    /// TIMESTAMP is `timestamp-millis`, and TIMESTAMP_LTZ has no Avro type.
    pub legacy_timestamps: bool,
}

impl AvroOptions {
    /// Under `prefix` (`value.avro.`).
    pub fn read(options: &Options<'_>, prefix: &str) -> Result<Self> {
        options.choice(&format!("{prefix}encoding"), &[("binary", ())])?;
        let legacy_timestamps = options.flag(&format!("{prefix}timestamp_mapping.legacy"), true)?;
        Ok(Self { legacy_timestamps })
    }
}

/// The record schema of some columns, as Flink derives it.
///
/// # Errors
/// For types that Avro does not have.
pub fn schema_of(fields: &[FieldRef], legacy_timestamps: bool) -> Result<Schema> {
    let record = record_of(fields, RECORD, legacy_timestamps)?;
    Schema::parse(&record).map_err(|error| Error::user(format!("the avro schema: {error}")))
}

fn record_of(fields: &[FieldRef], name: &str, legacy: bool) -> Result<serde_json::Value> {
    let mut members = vec![];
    for field in fields {
        let ty = type_of(field.data_type(), &format!("{name}_{}", field.name()), legacy);
        let ty = ty.map_err(|error| error.context(format!("column \"{}\"", field.name())))?;
        members.push(match field.is_nullable() {
            true => json!({"name": field.name(), "type": ["null", ty], "default": null}),
            false => json!({"name": field.name(), "type": ty}),
        });
    }
    Ok(json!({"type": "record", "name": name, "fields": members}))
}

fn type_of(ty: &DataType, name: &str, legacy: bool) -> Result<serde_json::Value> {
    use TimeUnit::{Microsecond, Millisecond, Second};
    let logical = |ty: &str, logical: &str| json!({"type": ty, "logicalType": logical});
    let item = |field: &FieldRef, name: &str| {
        let ty = type_of(field.data_type(), name, legacy)?;
        Ok::<_, Error>(if field.is_nullable() { json!(["null", ty]) } else { ty })
    };
    Ok(match ty {
        DataType::Boolean => json!("boolean"),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => json!("int"),
        DataType::Int64 => json!("long"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Utf8 => json!("string"),
        DataType::Binary => json!("bytes"),
        DataType::Date32 => logical("int", "date"),
        DataType::Time32(_) => logical("int", "time-millis"),
        DataType::Decimal128(precision, scale) => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
        }
        DataType::Timestamp(Second | Millisecond, None) if legacy => {
            logical("long", "timestamp-millis")
        }
        DataType::Timestamp(Second | Millisecond, zone) if !legacy => match zone {
            None => logical("long", "local-timestamp-millis"),
            Some(_) => logical("long", "timestamp-millis"),
        },
        DataType::Timestamp(Microsecond, zone) if !legacy => match zone {
            None => logical("long", "local-timestamp-micros"),
            Some(_) => logical("long", "timestamp-micros"),
        },
        DataType::Timestamp(..) if legacy => {
            return Err(Error::user(format!(
                "avro has no {}, only TIMESTAMP(3), unless \"timestamp_mapping.legacy\" is false",
                sql_name(ty)
            )));
        }
        DataType::List(field) => json!({"type": "array", "items": item(field, name)?}),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if *pair[0].data_type() == DataType::Utf8 => {
                json!({"type": "map", "values": item(&pair[1], name)?})
            }
            _ => return Err(Error::user("keys of avro maps are STRING")),
        },
        DataType::Struct(fields) => record_of(fields, name, legacy)?,
        other => return Err(Error::user(format!("avro has no {}", sql_name(other)))),
    })
}

/// Its end is an error: the crate takes an ordinary end for a null.
struct Whole<'a>(&'a [u8]);

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.is_empty() && !buffer.is_empty() {
            true => Err(io::Error::other("the message ends early")),
            false => self.0.read(buffer),
        }
    }
}

/// Reads records that were written by `writer` as rows of `reader`, whose `steps` these are.
pub fn decode(
    message: &[u8],
    (writer, reader): (&Schema, &Schema),
    steps: Option<&Steps>,
    rows: &mut DecodedRows,
) -> Result<(), Misfit> {
    if let Some(steps) = steps {
        if rows.num_rows() == 0 {
            rows.reserve();
        }
        if steps.read(message, &mut rows.columns).is_some() {
            rows.len += 1;
            return Ok(());
        }
        rows.truncate(rows.num_rows());
    }
    let mut message = Whole(message);
    let malformed = |error: apache_avro::Error| format!("malformed avro: {error}");
    let resolve = (writer != reader).then_some(reader);
    let reader = GenericDatumReader::builder(writer).maybe_reader_schema(resolve).build();
    let record = reader.and_then(|reader| reader.read_value(&mut message)).map_err(malformed)?;
    if !message.0.is_empty() {
        return Err(format!("malformed avro: {} bytes behind the record", message.0.len()));
    }
    let Value::Record(mut members) = record else { return Err("is no avro record".into()) };
    let before = rows.num_rows();
    for (at, column) in rows.columns.iter_mut().enumerate() {
        // Most often in the order of the columns.
        let found = match members.get(at) {
            Some((name, _)) if name == column.name() => Some(at),
            _ => members.iter().position(|(name, _)| name == column.name()),
        };
        let pushed = match found {
            Some(at) => push(column, std::mem::replace(&mut members[at].1, Value::Null)),
            None => column.push_null(),
        };
        if let Err(misfit) = pushed {
            let error = format!("field \"{}\": {misfit}", column.name());
            rows.truncate(before);
            return Err(error);
        }
    }
    rows.len += 1;
    Ok(())
}

/// Each row as a record of `schema`, behind `head`.
pub fn encode(schema: &Schema, head: &[u8], columns: &[ArrayRef]) -> Result<Encoded> {
    let cells = columns.iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
    let unfit = |error| Error::user(format!("the avro schema does not fit: {error}"));
    let writer = GenericDatumWriter::builder(schema).build().map_err(unfit)?;
    let mut encoded = Encoded::default();
    for row in 0..columns.first().map_or(0, |column| column.len()) {
        let record = record(cells.iter(), row, schema)?;
        let datum = writer.write_value_to_vec(record).map_err(unfit)?;
        encoded.push(|out| {
            out.extend_from_slice(head);
            out.extend_from_slice(&datum);
        });
    }
    Ok(encoded)
}

/// Records of the derived schema, without a header.
pub struct AvroDecoder {
    schema: Schema,
    steps: Option<Steps>,
    rows: DecodedRows,
}

impl AvroDecoder {
    /// Of records of `fields`, those that are `wanted`.
    pub fn new(fields: &[FieldRef], wanted: &[FieldRef], options: &AvroOptions) -> Result<Self> {
        let schema = schema_of(fields, options.legacy_timestamps)?;
        let rows = DecodedRows::new(wanted)?;
        let steps = Steps::new(&schema, &schema, &rows.columns);
        Ok(Self { schema, steps, rows })
    }
}

#[cfg(test)]
impl AvroDecoder {
    /// Reads all messages in the general way; says whether it would not have.
    pub(super) fn in_general(mut self) -> (Self, bool) {
        let steps = self.steps.take();
        (self, steps.is_some())
    }
}

impl Decoder for AvroDecoder {
    fn decode(&mut self, message: &[u8]) -> Result<usize, Misfit> {
        let schemas = (&self.schema, &self.schema);
        decode(message, schemas, self.steps.as_ref(), &mut self.rows).map(|()| 1)
    }

    fn rows(&mut self) -> &mut DecodedRows {
        &mut self.rows
    }
}

pub struct AvroEncoder {
    schema: Schema,
}

impl AvroEncoder {
    pub fn new(fields: &[FieldRef], options: &AvroOptions) -> Result<Self> {
        Ok(Self { schema: schema_of(fields, options.legacy_timestamps)? })
    }
}

impl Encoder for AvroEncoder {
    fn encode(&self, columns: &[ArrayRef], _: Option<&Int64Array>) -> Result<Encoded> {
        encode(&self.schema, &[], columns)
    }
}
