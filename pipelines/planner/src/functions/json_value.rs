//! `JSON_VALUE(text, path)`: the scalar at a path as text; null where there is none.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion_common::Result;
use serde_json::Value;

use super::scalar::{Function, Kind, Takes, failed, text, texts};

pub fn function() -> Function {
    let takes = Takes::These { kinds: &[Kind::Text, Kind::Text], required: 2 };
    Function { name: "json_value", takes, gives: text, body: json_value }
}

fn json_value(columns: &[ArrayRef], _rows: usize) -> Result<ArrayRef> {
    let mut made = vec![];
    for (json, path) in texts(&columns[0]).iter().zip(texts(&columns[1])) {
        let (Some(json), Some(path)) = (json, path) else {
            made.push(None);
            continue;
        };
        let steps = steps(path)?;
        let found = serde_json::from_str::<Value>(json).ok();
        made.push(found.and_then(|json| scalar(at(&json, &steps)?)));
    }
    Ok(Arc::new(StringArray::from(made)))
}

enum Step {
    Member(String),
    Element(usize),
}

/// Reads `$.a.b[0]['c']`, with `lax` or `strict` before it.
fn steps(path: &str) -> Result<Vec<Step>> {
    let bad = || failed(format!("'{path}' is no JSON path such as $.a.b[0]"));
    let trimmed = path.trim();
    let start = trimmed.strip_prefix("lax ").or_else(|| trimmed.strip_prefix("strict "));
    let mut rest = start.unwrap_or(trimmed).trim().strip_prefix('$').ok_or_else(bad)?;
    let mut steps = vec![];
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            if end == 0 {
                return Err(bad());
            }
            steps.push(Step::Member(after[..end].trim_matches('"').to_owned()));
            rest = &after[end..];
        } else {
            let (inside, after) =
                rest.strip_prefix('[').and_then(|r| r.split_once(']')).ok_or_else(bad)?;
            let name = inside.trim_matches(['\'', '"']);
            steps.push(match inside.parse() {
                Ok(index) => Step::Element(index),
                Err(_) if name.len() + 2 == inside.len() => Step::Member(name.to_owned()),
                Err(_) => return Err(bad()),
            });
            rest = after;
        }
    }
    Ok(steps)
}

fn at<'a>(json: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(json, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Element(index) => value.get(index),
    })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str, path: &str) -> Option<String> {
        let json: Value = serde_json::from_str(json).unwrap();
        at(&json, &steps(path).unwrap()).and_then(scalar)
    }

    #[test]
    fn paths_reach_scalars() {
        let json = r#"{"a": {"b": [1, "two", {"c d": true}]}, "e": null}"#;
        assert_eq!(value(json, "$.a.b[0]").as_deref(), Some("1"));
        assert_eq!(value(json, "lax $.a.b[1]").as_deref(), Some("two"));
        assert_eq!(value(json, "$.a.b[2]['c d']").as_deref(), Some("true"));
        assert_eq!(value(json, "$.a"), None);
        assert_eq!(value(json, "$.e"), None);
        assert_eq!(value(json, "$.x.y"), None);
        assert!(steps("a.b").is_err());
    }
}
