//! `debezium-json`: `{"before":{…},"after":{…},"op":"u"}`, alone or as the `payload` beside a `schema`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::changelog_json::{Changes, envelope, present};
use super::column::Misfit;

#[derive(Deserialize)]
struct WithSchema<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    op: Option<String>,
}

pub(super) fn changes(text: &str, schema_include: bool) -> Result<Changes<'_>, Misfit> {
    let payload = match schema_include {
        true => {
            let outer: WithSchema<'_> = envelope(text)?;
            present(outer.payload).ok_or("the payload is missing")?
        }
        false => text,
    };
    let Envelope { before, after, op } = envelope(payload)?;
    let (before, after) = (present(before), present(after));
    let op = op.ok_or("the op is missing")?;
    // PostgreSQL sends no old row unless the table's replica identity is FULL.
    let before = before.ok_or_else(|| format!("\"before\" of the op \"{op}\" is null"));
    let after = after.ok_or_else(|| format!("\"after\" of the op \"{op}\" is null"));
    match op.as_str() {
        "c" | "r" => Ok(vec![(after?.into(), 1)]),
        "u" => Ok(vec![(before?.into(), -1), (after?.into(), 1)]),
        "d" => Ok(vec![(before?.into(), -1)]),
        other => Err(format!("unknown op \"{other}\"")),
    }
}

/// What stands around the row of an insert and of a delete.
pub(super) fn envelopes(ignore_null_fields: bool) -> ([&'static str; 2], [&'static str; 2]) {
    match ignore_null_fields {
        true => (["{\"after\":", ",\"op\":\"c\"}"], ["{\"before\":", ",\"op\":\"d\"}"]),
        false => (
            ["{\"before\":null,\"after\":", ",\"op\":\"c\"}"],
            ["{\"before\":", ",\"after\":null,\"op\":\"d\"}"],
        ),
    }
}
