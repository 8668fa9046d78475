//! `JSON_OBJECT`, `JSON_ARRAY`, `JSON_STRING`, `JSON_QUOTE` and `JSON_UNQUOTE`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono_tz::Tz;
use datafusion_common::Result;

use super::value::{Json, quote};
use crate::functions::cast::text::to_text;
use crate::functions::scalar::{
    Body, Function, Kind, Takes, all, optional_text, text, text_of_text,
};

pub fn functions() -> Vec<Function> {
    let function =
        |name, form, about, takes, body| Function { name, form, about, takes, gives: text, body };
    let any = |least| Takes::Many { kind: Kind::Any, least };
    vec![
        function(
            "json_object",
            "JSON_OBJECT([KEY] key VALUE value, … [NULL | ABSENT ON NULL])",
            "a JSON object",
            any(1),
            Body::Zoned(object),
        ),
        function(
            "json_array",
            "JSON_ARRAY(value, … [NULL | ABSENT ON NULL])",
            "a JSON array",
            any(1),
            Body::Zoned(array),
        ),
        function(
            "json_string",
            "JSON_STRING(value)",
            "any value as JSON; null of null",
            all(&[Kind::Any]),
            Body::Zoned(|columns, rows, zone| {
                let column = &columns[0];
                let values = jsons(column, zone)?;
                let made = (0..rows).map(|row| column.is_valid(row).then(|| values[row].to_text()));
                Ok(Arc::new(made.collect::<StringArray>()))
            }),
        ),
        function(
            "json_quote",
            "JSON_QUOTE(s)",
            "a text as a JSON string",
            all(&[Kind::Text]),
            Body::Plain(|columns, _| {
                text_of_text(columns, |text| {
                    let mut made = String::new();
                    quote(text, &mut made);
                    Some(made.chars().map(ascii_only).collect())
                })
            }),
        ),
        function(
            "json_unquote",
            "JSON_UNQUOTE(s)",
            "the text of a JSON string; other texts stay",
            all(&[Kind::Text]),
            Body::Plain(|columns, _| {
                text_of_text(columns, |text| match Json::parse(text) {
                    Some(Json::Text(inner)) => Some(inner),
                    _ => Some(text.to_owned()),
                })
            }),
        ),
    ]
}

/// Flink's JSON_QUOTE escapes what is not ASCII.
fn ascii_only(letter: char) -> String {
    if letter.is_ascii() {
        return letter.to_string();
    }
    let mut units = [0; 2];
    letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// What an argument is: a value, or JSON that stands as it is.
struct Argument {
    column: ArrayRef,
    values: Vec<Json>,
    raw: bool,
}

/// The first argument says what becomes of nulls, and then which of the others are JSON already:
/// `NULL` or `ABSENT`, and a digit for each value.
fn arguments(columns: &[ArrayRef], zone: Tz) -> Result<(bool, Vec<Argument>)> {
    let plan = columns[0].as_string::<i32>();
    let plan = if plan.is_empty() { "NULL" } else { plan.value(0) };
    let (nulls, raw) = plan.split_once(' ').unwrap_or((plan, ""));
    let values = columns[1..].iter().enumerate().map(|(place, column)| {
        let raw = raw.as_bytes().get(place) == Some(&b'1');
        let values = if raw { vec![] } else { jsons(column, zone)? };
        Ok(Argument { column: Arc::clone(column), values, raw })
    });
    Ok((nulls == "ABSENT", values.collect::<Result<_>>()?))
}

impl Argument {
    fn write(&self, row: usize, made: &mut String) {
        match (self.column.is_valid(row), self.raw) {
            (false, _) => made.push_str("null"),
            (true, true) => {
                let text = self.column.as_string_opt::<i32>().map_or("null", |t| t.value(row));
                match Json::parse(text) {
                    Some(json) => json.write(made),
                    None => made.push_str("null"),
                }
            }
            (true, false) => self.values[row].write(made),
        }
    }
}

fn object(columns: &[ArrayRef], rows: usize, zone: Tz) -> Result<ArrayRef> {
    let (absent, all) = arguments(columns, zone)?;
    let object = |row: usize| {
        // By name, as Flink writes them; the last value of a name holds.
        let mut members = BTreeMap::new();
        for pair in all.chunks_exact(2) {
            let [key, value] = pair else { continue };
            if absent && value.column.is_null(row) {
                continue;
            }
            let key = std::slice::from_ref(&key.column);
            members.insert(optional_text(key, 0, row).unwrap_or_default().to_owned(), value);
        }
        let mut made = String::from("{");
        for (name, value) in members {
            if made.len() > 1 {
                made.push(',');
            }
            quote(&name, &mut made);
            made.push(':');
            value.write(row, &mut made);
        }
        made.push('}');
        made
    };
    Ok(Arc::new((0..rows).map(|row| Some(object(row))).collect::<StringArray>()))
}

fn array(columns: &[ArrayRef], rows: usize, zone: Tz) -> Result<ArrayRef> {
    let (absent, all) = arguments(columns, zone)?;
    let array = |row: usize| {
        let mut made = String::from("[");
        for value in &all {
            if absent && value.column.is_null(row) {
                continue;
            }
            if made.len() > 1 {
                made.push(',');
            }
            value.write(row, &mut made);
        }
        made.push(']');
        made
    };
    Ok(Arc::new((0..rows).map(|row| Some(array(row))).collect::<StringArray>()))
}

/// Each value as JSON: rows are objects, bytes are base64, times are text.
fn jsons(column: &ArrayRef, zone: Tz) -> Result<Vec<Json>> {
    let rows = 0..column.len();
    let of = |value: &dyn Fn(usize) -> Json| {
        let or_null = |row| if column.is_valid(row) { value(row) } else { Json::Null };
        rows.clone().map(or_null).collect::<Vec<_>>()
    };
    Ok(match column.data_type() {
        DataType::Null => vec![Json::Null; column.len()],
        DataType::Boolean => of(&|row| Json::Bool(column.as_boolean().value(row))),
        DataType::Binary => {
            let bytes = column.as_binary::<i32>();
            of(&|row| Json::Text(STANDARD.encode(bytes.value(row))))
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let items = jsons(lists.values(), zone)?;
            let ends = lists.value_offsets();
            of(&|row| Json::Array(items[ends[row] as usize..ends[row + 1] as usize].to_vec()))
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            let (keys, values) = (to_text(maps.keys(), zone)?, jsons(maps.values(), zone)?);
            let ends = maps.value_offsets();
            of(&|row| {
                let entries = ends[row] as usize..ends[row + 1] as usize;
                let entry = |at: usize| (keys.value(at).to_owned(), values[at].clone());
                Json::Object(entries.map(entry).collect())
            })
        }
        DataType::Struct(fields) => {
            let parts = column.as_struct().columns().iter().map(|part| jsons(part, zone));
            let parts = parts.collect::<Result<Vec<_>>>()?;
            of(&|row| {
                let members = fields.iter().zip(&parts);
                let member = |(field, part): (&Arc<arrow::datatypes::Field>, &Vec<Json>)| {
                    (field.name().clone(), part[row].clone())
                };
                Json::Object(members.map(member).collect())
            })
        }
        ty => {
            let texts = to_text(column, zone)?;
            let is_number = ty.is_numeric();
            of(&|row| match (is_number, texts.value(row)) {
                (true, text) if !text.contains(['N', 'I']) => Json::Number(text.to_owned()),
                (_, text) => Json::Text(text.to_owned()),
            })
        }
    })
}
