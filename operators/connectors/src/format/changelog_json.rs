//! Changes as JSON, in the dialects of change data capture: an envelope around old and new rows.

use std::borrow::Cow;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::FieldRef;
use nowcast_engine::{Error, Result};
use regex::Regex;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cells::{Cells, json_name, write_object};
use super::json_decode::{JsonDecoder, JsonOptions};
use super::{
    DecodedRows, Decoder, Encoded, Encoder, Misfit, canal_json, debezium_json, maxwell_json,
    ogg_json,
};
use crate::options::Options;

/// A dialect and its options, those of JSON among them.
#[derive(Debug, Clone)]
pub struct ChangelogOptions {
    dialect: Dialect,
    json: JsonOptions,
}

#[derive(Debug, Clone)]
enum Dialect {
    /// `true`: the envelope is the `payload` beside a `schema`.
    Debezium(bool),
    /// Changes of databases and tables whose names match.
    Canal {
        database: Option<Regex>,
        table: Option<Regex>,
    },
    Maxwell,
    Ogg,
}

impl ChangelogOptions {
    pub fn read(options: &Options<'_>, name: &str, prefix: &str) -> Result<Self> {
        let prefix = format!("{prefix}{name}.");
        let pattern = |key: &str| {
            let key = format!("{prefix}{key}");
            let Some(text) = options.text(&key) else { return Ok(None) };
            // The whole name, as `Matcher.matches` of Java.
            let whole = Regex::new(&format!("^(?:{text})$"));
            whole.map(Some).map_err(|_| options.refuse(&key, text, "a regular expression"))
        };
        let dialect = match name {
            "debezium-json" => {
                Dialect::Debezium(options.flag(&format!("{prefix}schema-include"), false)?)
            }
            "canal-json" => Dialect::Canal {
                database: pattern("database.include")?,
                table: pattern("table.include")?,
            },
            "maxwell-json" => Dialect::Maxwell,
            "ogg-json" => Dialect::Ogg,
            other => return Err(Error::bug(format!("{other} is no dialect of changes"))),
        };
        Ok(Self { dialect, json: JsonOptions::read_shared(options, &prefix)? })
    }
}

/// Rows as JSON objects, each with its weight.
pub(super) type Changes<'a> = Vec<(Cow<'a, str>, i64)>;

pub struct ChangelogDecoder {
    dialect: Dialect,
    json: JsonDecoder,
    ignore_parse_errors: bool,
}

impl ChangelogDecoder {
    pub fn new(fields: &[FieldRef], options: &ChangelogOptions) -> Result<Self> {
        Ok(Self {
            dialect: options.dialect.clone(),
            json: JsonDecoder::new(fields, &options.json)?,
            ignore_parse_errors: options.json.ignore_parse_errors,
        })
    }

    fn read(&mut self, message: &[u8]) -> Result<(), Misfit> {
        let text = std::str::from_utf8(message).map_err(|_| "not valid UTF-8".to_owned())?;
        let changes = match &self.dialect {
            Dialect::Debezium(schema_include) => debezium_json::changes(text, *schema_include)?,
            Dialect::Canal { database, table } => {
                canal_json::changes(text, database.as_ref(), table.as_ref())?
            }
            Dialect::Maxwell => maxwell_json::changes(text)?,
            Dialect::Ogg => ogg_json::changes(text)?,
        };
        for (row, weight) in changes {
            self.json.decode(row.as_bytes())?;
            self.json.rows().weigh(weight);
        }
        Ok(())
    }
}

impl Decoder for ChangelogDecoder {
    fn decode(&mut self, message: &[u8]) -> Result<usize, Misfit> {
        let before = self.json.rows().num_rows();
        if message.is_empty() {
            return Ok(0);
        }
        match self.read(message) {
            Ok(()) => Ok(self.json.rows().num_rows() - before),
            Err(misfit) => {
                self.json.rows().truncate(before);
                if self.ignore_parse_errors { Ok(0) } else { Err(misfit) }
            }
        }
    }

    fn rows(&mut self) -> &mut DecodedRows {
        self.json.rows()
    }
}

/// Reads an envelope.
pub(super) fn envelope<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Misfit> {
    serde_json::from_str(text).map_err(|error| format!("malformed json: {error}"))
}

/// A field whose value may be JSON of any kind; `null` is as if it were not there.
pub(super) fn present(raw: Option<&RawValue>) -> Option<&str> {
    raw.map(RawValue::get).filter(|text| *text != "null")
}

/// The row before an update: the new row with the fields that `old` has.
pub(super) fn before(new: &str, old: &str) -> Result<String, Misfit> {
    let (new, old): (Object<'_>, Object<'_>) = (envelope(new)?, envelope(old)?);
    let kept = new.0.iter().filter(|(name, _)| old.0.iter().all(|(other, _)| other != name));
    let mut row = vec![];
    for (name, value) in kept.chain(&old.0) {
        row.extend(json_name(name));
        row.extend_from_slice(value.get().as_bytes());
    }
    match row.first_mut() {
        Some(comma) => *comma = b'{',
        None => row.push(b'{'),
    }
    row.push(b'}');
    String::from_utf8(row).map_err(|error| error.to_string())
}

/// The fields of an object in their order, not looked into.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Object<'de>, A::Error> {
                let mut fields = vec![];
                while let Some((name, value)) = object.next_entry::<String, &RawValue>()? {
                    fields.push((Cow::Owned(name), value));
                }
                Ok(Object(fields))
            }
        }
        json.deserialize_map(Fields)
    }
}

/// Inserts and deletes as Flink writes them: an update is a delete and an insert.
pub struct ChangelogEncoder {
    /// As [`json_name`] makes them.
    names: Vec<Vec<u8>>,
    options: JsonOptions,
    insert: [&'static str; 2],
    delete: [&'static str; 2],
}

impl ChangelogEncoder {
    /// # Errors
    /// Where the envelope asked for is one that is only read.
    pub fn new(fields: &[FieldRef], options: &ChangelogOptions) -> Result<Self> {
        let names = fields.iter().map(|field| json_name(field.name())).collect();
        let (insert, delete) = match &options.dialect {
            Dialect::Debezium(true) => {
                return Err(Error::user(
                    "\"debezium-json.schema-include\" is for reading: a sink writes no schema",
                ));
            }
            Dialect::Debezium(false) => debezium_json::envelopes(options.json.ignore_null_fields),
            Dialect::Canal { .. } => canal_json::ENVELOPES,
            Dialect::Maxwell => maxwell_json::ENVELOPES,
            Dialect::Ogg => ogg_json::envelopes(options.json.ignore_null_fields),
        };
        Ok(Self { names, options: options.json.clone(), insert, delete })
    }
}

impl Encoder for ChangelogEncoder {
    fn encode(&self, columns: &[ArrayRef], weights: Option<&Int64Array>) -> Result<Encoded> {
        super::check_width(self.names.len(), columns)?;
        let fields = self.names.iter().zip(columns);
        let fields = fields.map(|(name, column)| Ok((name, Cells::new(column)?)));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let rows = columns.first().map_or(0, |column| column.len());
        Ok(Encoded::of(rows, |row, out| {
            let delete = weights.is_some_and(|weights| weights.value(row) < 0);
            let [head, tail] = if delete { self.delete } else { self.insert };
            out.extend_from_slice(head.as_bytes());
            write_object(&fields, row, &self.options, out);
            out.extend_from_slice(tail.as_bytes());
        }))
    }
}
