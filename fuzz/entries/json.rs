//! JSON messages, one a line, with serde_json as the judge: what is no JSON is refused, what fits its
//! column arrives as it is, and a message changes nothing of those around it.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::tables::{Messages, field, list, map, row, shown, timestamp};

pub const SEEDS: &[&[u8]] = &[
    br#"{"id":1,"name":"a","price":1.5,"ok":true,"at":"2026-01-31 12:30:00.123","in":{"n":1,"tags":["x","y"]},"counts":{"a":1},"amount":12.34}
{"id":2,"name":"b\n\"c\"","price":-0.0,"ok":false,"at":"2026-01-31 12:30:01","in":{"n":2,"tags":[]},"counts":{},"amount":-1}
{"id":3,"name":"\u00e9\ud83d\ude00","price":1e300,"ok":null,"at":null,"in":null,"counts":null,"amount":null}"#,
    br#"{"id":9223372036854775807,"name":"long enough for more than one look at thirty-two bytes at a time","price":0.1}
{"id":-9223372036854775808,"name":"long enough for more than one look at thirty-two bytes at a time","price":0.2}
{"price":0.3,"name":"another order","id":7}
{ "id" : 8 , "name" : "spaces" , "price" : 3 }"#,
    br#"{"id":1,"id":2,"unknown":{"deep":[[{"a":1}],"]}"]},"name":null,"in":{"n":1,"n":2,"more":[1,{"n":3}]}}
{"id":"12","name":13,"ok":"true","price":"1.5","amount":"3.14159","at":"2026-01-31T12:30:00Z"}"#,
    b"{}\n[]\nnull\n1\n\"x\"\n\n{\"id\":}\n{\"id\":1}}\n{\"id\":1,}\n{\"a\":\"\xff\"}\n{\"id\":1e999}",
];

/// What is spliced in where it hurts.
pub const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"\\u00e9",
    b"null",
    b"true",
    b"false",
    b"0",
    b"-",
    b"-0",
    b"1e400",
    b"1E-400",
    b"0.1",
    b"01",
    b"99999999999999999999",
    b"\n",
    b" ",
    b"\t",
    b"\x00",
    b"\x80",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\"id\":",
    b"\"name\":",
    b"\"in\":{",
    b"\"n\":",
];

/// Messages looked at in one input; more say nothing new.
const MESSAGES_MAX: usize = 64;

pub fn run(bytes: &[u8]) {
    thread_local! {
        static TABLES: [Messages; 2] = ["false", "true"].map(|ignore| {
            let fields = vec![
                field("id", DataType::Int64),
                field("name", DataType::Utf8),
                field("price", DataType::Float64),
                field("ok", DataType::Boolean),
                field("at", timestamp()),
                field("in", row(vec![field("n", DataType::Int32), field("tags", list(DataType::Utf8))])),
                field("counts", map(DataType::Int32)),
                field("amount", DataType::Decimal128(20, 4)),
            ];
            Messages::new(fields, &[("format", "json"), ("json.ignore-parse-errors", ignore)])
        });
    }
    let messages: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').take(MESSAGES_MAX).collect();
    TABLES.with(|[strict, ignoring]| {
        let decoded = strict.alone_as_together(&messages);
        let mut row = 0;
        for (message, said) in messages.iter().zip(&decoded.said) {
            judge(strict, message, said, &decoded.columns, row);
            row += said.clone().unwrap_or(0);
        }
        let ignored = ignoring.alone_as_together(&messages);
        for (message, said) in messages.iter().zip(&ignored.said) {
            assert!(said.is_ok(), "not ignored: {said:?} of {}", shown(message));
        }
    });
}

/// Holds a message's row against what serde_json reads.
fn judge(
    table: &Messages,
    message: &[u8],
    said: &Result<usize, String>,
    columns: &[arrow::array::ArrayRef],
    at: usize,
) {
    let is_json = serde_json::from_slice::<IgnoredAny>(message).is_ok();
    // None also for numbers that no double holds and for what is nested deeper than serde_json goes.
    let value = serde_json::from_slice::<Value>(message).ok();
    match (said, value) {
        (Ok(rows), value) => {
            assert_eq!(*rows, 1, "{}", shown(message));
            assert!(is_json, "taken though it is no JSON: {}", shown(message));
            match value {
                Some(Value::Object(object)) => {
                    for (field, column) in table.fields.iter().zip(columns) {
                        let value = object.get(field.name());
                        same(field.data_type(), column, at, value, message);
                    }
                }
                Some(_) => panic!("taken though it is no object: {}", shown(message)),
                None => {}
            }
        }
        (Err(error), Some(Value::Object(object))) => {
            let fits =
                table.fields.iter().all(|field| fits(field.data_type(), object.get(field.name())));
            // A value that is replaced by a later one of its name has to fit as well.
            let twice = table.fields.iter().any(|field| times(message, field.name()) > 1);
            assert!(!fits || twice, "refused though all fits: {error}: {}", shown(message));
        }
        (Err(_), _) => {}
    }
}

/// How often a name stands in a message, also where it is no name; escaped ones are not seen, and
/// counted all the same.
fn times(message: &[u8], name: &str) -> usize {
    let name = format!("\"{name}\"");
    let plain = message.windows(name.len()).filter(|window| *window == name.as_bytes()).count();
    plain + message.windows(2).filter(|window| window == b"\\u").count()
}

/// Whether a value is of its column's own kind, without any coercion.
fn fits(data_type: &DataType, value: Option<&Value>) -> bool {
    let Some(value) = value.filter(|value| !value.is_null()) else { return true };
    match (data_type, value) {
        (DataType::Int32, Value::Number(number)) => {
            number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
        }
        (DataType::Int64, Value::Number(number)) => number.is_i64(),
        (DataType::Float64, Value::Number(_)) => true,
        (DataType::Boolean, Value::Bool(_)) | (DataType::Utf8, Value::String(_)) => true,
        (DataType::Struct(fields), Value::Object(object)) => {
            fields.iter().all(|field| fits(field.data_type(), object.get(field.name())))
        }
        (DataType::List(element), Value::Array(values)) => {
            values.iter().all(|value| fits(element.data_type(), Some(value)))
        }
        _ => false,
    }
}

/// Panics where a value that fits has become another.
fn same(
    data_type: &DataType,
    column: &dyn Array,
    at: usize,
    value: Option<&Value>,
    message: &[u8],
) {
    if !fits(data_type, value) {
        return map_has(column, at, value, message);
    }
    let wrong = || format!("{data_type} is not {value:?}: {}", shown(message));
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return assert!(column.is_null(at), "{}", wrong());
    };
    assert!(column.is_valid(at), "{}", wrong());
    match (data_type, value) {
        (DataType::Int32, value) => {
            let found = column.as_primitive::<Int32Type>().value(at);
            assert_eq!(Some(i64::from(found)), value.as_i64(), "{}", wrong());
        }
        (DataType::Int64, value) => {
            let found = column.as_primitive::<Int64Type>().value(at);
            assert_eq!(Some(found), value.as_i64(), "{}", wrong());
        }
        (DataType::Float64, value) => {
            let found = column.as_primitive::<Float64Type>().value(at);
            assert_eq!(Some(found.to_bits()), value.as_f64().map(f64::to_bits), "{}", wrong());
        }
        (DataType::Boolean, value) => {
            assert_eq!(Some(column.as_boolean().value(at)), value.as_bool(), "{}", wrong());
        }
        (DataType::Utf8, value) => {
            assert_eq!(Some(column.as_string::<i32>().value(at)), value.as_str(), "{}", wrong());
        }
        (DataType::Struct(fields), Value::Object(object)) => {
            let members = column.as_struct();
            for (field, member) in fields.iter().zip(members.columns()) {
                same(field.data_type(), member, at, object.get(field.name()), message);
            }
        }
        (DataType::List(element), Value::Array(values)) => {
            let found = column.as_list::<i32>().value(at);
            assert_eq!(found.len(), values.len(), "{}", wrong());
            for (at, value) in values.iter().enumerate() {
                same(element.data_type(), &found, at, Some(value), message);
            }
        }
        _ => unreachable!("nothing else fits"),
    }
}

/// A map holds the entries of its object, each key once.
fn map_has(column: &dyn Array, at: usize, value: Option<&Value>, message: &[u8]) {
    let (Some(map), Some(Value::Object(object))) = (column.as_map_opt(), value) else { return };
    let fitting = object.values().all(|value| fits(&DataType::Int32, Some(value)));
    if !fitting || map.is_null(at) {
        return;
    }
    let entries = map.value(at);
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
    let found: Map<String, Value> = (0..entries.len())
        .map(|at| {
            let value = values.is_valid(at).then(|| values.as_primitive::<Int32Type>().value(at));
            (keys.value(at).to_owned(), value.into())
        })
        .collect();
    assert_eq!(&found, object, "{}", shown(message));
    assert_eq!(entries.len(), object.len(), "a key twice: {}", shown(message));
}
