//! `JSON_VALUE`, `JSON_QUERY`, `JSON_EXISTS` and `IS JSON`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use datafusion_common::Result;

use super::path::{Mode, Paths};
use super::value::Json;
use crate::functions::scalar::{
    Body, Function, Kind, Takes, all, boolean, failed, optional_text, some, text,
};

const T: Kind = Kind::Text;

pub fn functions() -> Vec<Function> {
    let function = |name, form, about, takes, gives, body| Function {
        name,
        form,
        about,
        takes,
        gives,
        body: Body::Plain(body),
    };
    vec![
        function(
            "json_exists",
            "JSON_EXISTS(json, path [… ON ERROR])",
            "whether a path leads somewhere",
            some(&[T, T, T], 2),
            boolean,
            exists,
        ),
        function(
            "json_query",
            "JSON_QUERY(json, path [wrapper] [… ON EMPTY] [… ON ERROR])",
            "the array or object at a path, as text",
            some(&[T, T, T, T, T], 2),
            text,
            query,
        ),
        function(
            "json_value",
            "JSON_VALUE(json, path [RETURNING type] [… ON EMPTY] [… ON ERROR])",
            "the scalar at a path, as text or in another type",
            VALUE,
            text,
            value,
        ),
        function(
            "is_json",
            "s IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT]",
            "whether a text is JSON, of a kind",
            all(&[T, T]),
            boolean,
            is_json,
        ),
    ]
}

/// JSON, path, and twice what is done (NULL, ERROR or DEFAULT) with the default.
const VALUE: Takes = some(&[T, T, T, T, T, T], 2);

/// What a path leads to in a text.
enum Found {
    Value(Json),
    Empty,
    Failed(String),
}

fn find(paths: &mut Paths, json: &str, path: &str) -> (Mode, Found) {
    let path = match paths.get(path) {
        Ok(path) => path,
        Err(error) => return (Mode::Strict, Found::Failed(error.strip_backtrace())),
    };
    let found = match Json::parse(json) {
        // In lax mode a text that is no JSON holds nothing, while null alone is an error.
        None if path.mode == Mode::Lax => Found::Empty,
        None => Found::Failed(format!("'{json}' is no JSON")),
        Some(Json::Null) => Found::Failed("JSON null has no paths".to_owned()),
        Some(json) => match (path.find(&json), path.mode) {
            (Some(Json::Null), _) | (None, Mode::Lax) => Found::Empty,
            (Some(value), _) => Found::Value(value),
            (None, Mode::Strict) => Found::Failed("a JSON path leads nowhere".to_owned()),
        },
    };
    (path.mode, found)
}

/// JSON and path of each row; null where one is.
fn each<T>(
    columns: &[ArrayRef],
    rows: usize,
    mut of: impl FnMut(usize, Mode, Found) -> Result<Option<T>>,
) -> Result<Vec<Option<T>>> {
    let mut paths = Paths::default();
    let value = |row: usize| {
        let texts = optional_text(columns, 0, row).zip(optional_text(columns, 1, row));
        let Some((json, path)) = texts else { return Ok(None) };
        let (mode, found) = find(&mut paths, json, path);
        of(row, mode, found)
    };
    (0..rows).map(value).collect()
}

fn exists(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let made = each(columns, rows, |row, _, found| match found {
        Found::Value(_) => Ok(Some(true)),
        Found::Empty => Ok(Some(false)),
        Found::Failed(why) => match optional_text(columns, 2, row) {
            Some("ERROR") => Err(failed(why)),
            Some("TRUE") => Ok(Some(true)),
            Some("UNKNOWN") => Ok(None),
            _ => Ok(Some(false)),
        },
    })?;
    Ok(Arc::new(BooleanArray::from(made)))
}

fn value(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let made = each(columns, rows, |row, mode, found| {
        let found = match found {
            Found::Value(value) if value.is_scalar() => return Ok(value.scalar_text()),
            Found::Value(_) if mode == Mode::Lax => Found::Empty,
            Found::Value(_) => Found::Failed("JSON_VALUE found no scalar".to_owned()),
            other => other,
        };
        let (first, why) = match found {
            Found::Failed(why) => (4, why),
            _ => (2, "JSON_VALUE found nothing".to_owned()),
        };
        match optional_text(columns, first, row) {
            Some("ERROR") => Err(failed(why)),
            Some("DEFAULT") => Ok(optional_text(columns, first + 1, row).map(str::to_owned)),
            _ => Ok(None),
        }
    })?;
    Ok(Arc::new(StringArray::from(made)))
}

fn query(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let made = each(columns, rows, |row, mode, found| {
        let found = match (found, optional_text(columns, 2, row)) {
            (Found::Value(value), Some("UNCONDITIONAL")) => Found::Value(Json::Array(vec![value])),
            (Found::Value(value), Some("CONDITIONAL")) if !matches!(value, Json::Array(_)) => {
                Found::Value(Json::Array(vec![value]))
            }
            (found, _) => found,
        };
        let found = match found {
            Found::Value(value) if !value.is_scalar() => return Ok(Some(value.to_text())),
            Found::Value(_) if mode == Mode::Lax => Found::Empty,
            Found::Value(_) => Found::Failed("JSON_QUERY found no array or object".to_owned()),
            other => other,
        };
        let (place, why) = match found {
            Found::Failed(why) => (4, why),
            _ => (3, "JSON_QUERY found nothing".to_owned()),
        };
        Ok(match optional_text(columns, place, row) {
            Some("ERROR") => return Err(failed(why)),
            Some("EMPTY ARRAY") => Some("[]".to_owned()),
            Some("EMPTY OBJECT") => Some("{}".to_owned()),
            _ => None,
        })
    })?;
    Ok(Arc::new(StringArray::from(made)))
}

fn is_json(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let made = (0..rows).map(|row| {
        let json = optional_text(columns, 0, row).and_then(Json::parse);
        let kind = optional_text(columns, 1, row)?;
        Some(json.is_some_and(|json| match kind {
            "SCALAR" => json.is_scalar(),
            "ARRAY" => matches!(json, Json::Array(_)),
            "OBJECT" => matches!(json, Json::Object(_)),
            _ => true,
        }))
    });
    Ok(Arc::new(made.collect::<BooleanArray>()))
}
