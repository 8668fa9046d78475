//! `JSON_OBJECT(KEY VALUE value, …)`, as `JSON_OBJECT(key, value, …[, 'ABSENT ON NULL'])`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use serde_json::Value;

use super::cast_to_string::to_text;
use super::scalar::{Function, Kind, Takes, text, texts};

pub fn function() -> Function {
    let takes = Takes::Many { kind: Kind::Any, least: 0 };
    Function { name: "json_object", takes, gives: text, body: json_object }
}

fn json_object(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let absent = columns.len() % 2 == 1;
    let pairs: Vec<(ArrayRef, StringArray, bool)> = columns
        .chunks_exact(2)
        .map(|pair| Ok((Arc::clone(&pair[0]), to_text(&pair[1])?, is_quoted(pair[1].data_type()))))
        .collect::<Result<_>>()?;
    let object = |row: usize| {
        let members = pairs.iter().filter_map(|(keys, values, quoted)| {
            let key = Value::from(texts_or_empty(keys, row));
            match (values.is_valid(row), *quoted) {
                (false, _) if absent => None,
                (false, _) => Some(format!("{key}:null")),
                (true, true) => Some(format!("{key}:{}", Value::from(values.value(row)))),
                (true, false) => Some(format!("{key}:{}", values.value(row).to_lowercase())),
            }
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    Ok(Arc::new((0..rows).map(|row| Some(object(row))).collect::<StringArray>()))
}

/// Numbers and truth values stand as they are, anything else in quotes.
fn is_quoted(ty: &DataType) -> bool {
    !(ty.is_numeric() || *ty == DataType::Boolean)
}

fn texts_or_empty(keys: &ArrayRef, row: usize) -> String {
    match keys.as_string_opt::<i32>() {
        Some(_) if keys.is_valid(row) => texts(keys).value(row).to_owned(),
        _ => String::new(),
    }
}
