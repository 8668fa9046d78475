//! `canal-json`: `{"data":[{…}],"old":[{…}],"type":"UPDATE"}`, where `old` has the changed fields alone.

use regex::Regex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::changelog_json::{Changes, before, envelope};
use super::column::Misfit;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    old: Option<Vec<&'a RawValue>>,
    #[serde(rename = "type")]
    kind: Option<String>,
    database: Option<String>,
    table: Option<String>,
}

pub(super) fn changes<'a>(
    text: &'a str,
    database: Option<&Regex>,
    table: Option<&Regex>,
) -> Result<Changes<'a>, Misfit> {
    let read: Envelope<'_> = envelope(text)?;
    let matches = |pattern: Option<&Regex>, name: &Option<String>| {
        pattern.is_none_or(|pattern| name.as_deref().is_some_and(|name| pattern.is_match(name)))
    };
    if !matches(database, &read.database) || !matches(table, &read.table) {
        return Ok(vec![]);
    }
    let kind = read.kind.ok_or("the type is missing")?;
    if kind == "CREATE" {
        return Ok(vec![]);
    }
    let data = || read.data.as_ref().ok_or_else(|| format!("the data of a {kind} is missing"));
    let all = |weight: i64| {
        Ok(data()?.iter().map(|row| (row.get().into(), weight)).collect::<Changes<'_>>())
    };
    match kind.as_str() {
        "INSERT" => all(1),
        "DELETE" => all(-1),
        "UPDATE" => {
            let old = read.old.as_ref().ok_or("the old rows of an UPDATE are missing")?;
            let mut changes = vec![];
            for (at, new) in data()?.iter().enumerate() {
                let old = old.get(at).ok_or("there are fewer old rows than new")?;
                changes.push((before(new.get(), old.get())?.into(), -1));
                changes.push((new.get().into(), 1));
            }
            Ok(changes)
        }
        other => Err(format!("unknown type \"{other}\"")),
    }
}

/// What stands around the row of an insert and of a delete.
pub(super) const ENVELOPES: ([&str; 2], [&str; 2]) =
    (["{\"data\":[", "],\"type\":\"INSERT\"}"], ["{\"data\":[", "],\"type\":\"DELETE\"}"]);
