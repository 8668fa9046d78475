//! The REGEXP functions. What is no regular expression gives null, or false.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::java_regex::Regexes;
use super::scalar::{
    Body, Function, Kind, Takes, all, boolean, int, long_at, optional_text, some, text,
};
use crate::types::list_of;

const TWO: Takes = all(&[Kind::Text, Kind::Text]);
const WITH_GROUP: Takes = some(&[Kind::Text, Kind::Text, Kind::Long], 2);

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
        function("regexp", "REGEXP(s, pattern)", "whether a part matches", TWO, boolean, matches),
        function(
            "regexp_count",
            "REGEXP_COUNT(s, pattern)",
            "how many parts match",
            TWO,
            int,
            count,
        ),
        function(
            "regexp_extract",
            "REGEXP_EXTRACT(s, pattern[, group])",
            "the first part that matches, or one of its groups; null where there is none",
            WITH_GROUP,
            text,
            extract,
        ),
        function(
            "regexp_extract_all",
            "REGEXP_EXTRACT_ALL(s, pattern[, group])",
            "the first group, or another, of all parts that match",
            WITH_GROUP,
            |_| list_of(DataType::Utf8),
            extract_all,
        ),
        function(
            "regexp_instr",
            "REGEXP_INSTR(s, pattern)",
            "the place of the first part that matches, counted from 1; 0 where there is none",
            TWO,
            int,
            instr,
        ),
        function(
            "regexp_replace",
            "REGEXP_REPLACE(s, pattern, replacement)",
            "with all parts that match replaced",
            all(&[Kind::Text, Kind::Text, Kind::Text]),
            text,
            replace,
        ),
        function(
            "regexp_substr",
            "REGEXP_SUBSTR(s, pattern)",
            "the first part that matches; null where there is none",
            TWO,
            text,
            |columns, rows| extract(&columns[..2], rows),
        ),
    ]
}

fn pair(columns: &[ArrayRef], row: usize) -> Option<(&str, &str)> {
    optional_text(columns, 0, row).zip(optional_text(columns, 1, row))
}

fn matches(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let mut regexes = Regexes::default();
    let made = (0..rows).map(|row| {
        let (text, pattern) = pair(columns, row)?;
        let is_match = |regex: &fancy_regex::Regex| regex.is_match(text).unwrap_or(false);
        Some(!pattern.is_empty() && regexes.get(pattern).is_some_and(is_match))
    });
    Ok(Arc::new(made.collect::<BooleanArray>()))
}

fn count(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let mut regexes = Regexes::default();
    let made = (0..rows).map(|row| {
        let (text, pattern) = pair(columns, row)?;
        let regex = regexes.get(pattern)?;
        i32::try_from(regex.find_iter(text).filter(|found| found.is_ok()).count()).ok()
    });
    Ok(Arc::new(made.collect::<Int32Array>()))
}

fn instr(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let mut regexes = Regexes::default();
    let made = (0..rows).map(|row| {
        let (text, pattern) = pair(columns, row)?;
        let found = regexes.get(pattern)?.find(text).ok()?;
        Some(found.map_or(0, |found| text[..found.start()].chars().count() as i32 + 1))
    });
    Ok(Arc::new(made.collect::<Int32Array>()))
}

fn group(columns: &[ArrayRef], row: usize, default: i64) -> Option<usize> {
    let group = match columns.len() {
        2 => default,
        _ => long_at(columns, 2, row)?,
    };
    usize::try_from(group).ok()
}

fn extract(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let mut regexes = Regexes::default();
    let made = (0..rows).map(|row| {
        let ((text, pattern), group) = (pair(columns, row)?, group(columns, row, 0)?);
        let found = regexes.get(pattern)?.captures(text).ok()??;
        found.get(group).map(|found| found.as_str().to_owned())
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}

fn extract_all(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let mut regexes = Regexes::default();
    let mut made = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        let found = pair(columns, row).zip(group(columns, row, 1));
        let found = found.and_then(|((text, pattern), group)| {
            let regex = regexes.get(pattern)?;
            if group >= regex.captures_len() {
                return None;
            }
            let found = regex.captures_iter(text).flatten();
            Some(found.map(|found| found.get(group).map(|g| g.as_str())).collect::<Vec<_>>())
        });
        match found {
            Some(parts) => made.append_value(parts),
            None => made.append_null(),
        }
    }
    Ok(Arc::new(made.finish()))
}

fn replace(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let mut regexes = Regexes::default();
    let made = (0..rows).map(|row| {
        let (text, pattern) = pair(columns, row)?;
        let replacement = optional_text(columns, 2, row)?;
        // As in Flink, a $ in the replacement is no group.
        let made = regexes.get(pattern)?.replace_all(text, fancy_regex::NoExpand(replacement));
        Some(made.into_owned())
    });
    Ok(Arc::new(made.collect::<StringArray>()))
}
