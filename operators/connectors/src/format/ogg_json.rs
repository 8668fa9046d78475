//! `ogg-json` (Oracle GoldenGate): `{"before":{…},"after":{…},"op_type":"U"}`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::changelog_json::{Changes, envelope, present};
use super::column::Misfit;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    op_type: Option<String>,
}

pub(super) fn changes(text: &str) -> Result<Changes<'_>, Misfit> {
    let Envelope { before, after, op_type } = envelope(text)?;
    let op = op_type.ok_or("the op_type is missing")?;
    // Oracle logs no old row unless the table has supplemental logging.
    let before = present(before).ok_or_else(|| format!("\"before\" of the op \"{op}\" is null"));
    let after = present(after).ok_or_else(|| format!("\"after\" of the op \"{op}\" is null"));
    match op.as_str() {
        "I" => Ok(vec![(after?.into(), 1)]),
        "U" => Ok(vec![(before?.into(), -1), (after?.into(), 1)]),
        "D" => Ok(vec![(before?.into(), -1)]),
        // A truncation says nothing of rows.
        "T" => Ok(vec![]),
        other => Err(format!("unknown op \"{other}\"")),
    }
}

/// What stands around the row of an insert and of a delete.
pub(super) fn envelopes(ignore_null_fields: bool) -> ([&'static str; 2], [&'static str; 2]) {
    match ignore_null_fields {
        true => (["{\"after\":", ",\"op_type\":\"I\"}"], ["{\"before\":", ",\"op_type\":\"D\"}"]),
        false => (
            ["{\"before\":null,\"after\":", ",\"op_type\":\"I\"}"],
            ["{\"before\":", ",\"after\":null,\"op_type\":\"D\"}"],
        ),
    }
}
