//! `maxwell-json`: `{"data":{…},"old":{…},"type":"update"}`, where `old` has the changed fields alone.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::changelog_json::{Changes, before, envelope, present};
use super::column::Misfit;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    old: Option<&'a RawValue>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(super) fn changes(text: &str) -> Result<Changes<'_>, Misfit> {
    let Envelope { data, old, kind } = envelope(text)?;
    let kind = kind.ok_or("the type is missing")?;
    let data = present(data).ok_or_else(|| format!("the data of a \"{kind}\" is missing"));
    match kind.as_str() {
        "insert" => Ok(vec![(data?.into(), 1)]),
        "delete" => Ok(vec![(data?.into(), -1)]),
        "update" => {
            let (new, old) = (data?, present(old).ok_or("the old row of an update is missing")?);
            Ok(vec![(before(new, old)?.into(), -1), (new.into(), 1)])
        }
        other => Err(format!("unknown type \"{other}\"")),
    }
}

/// What stands around the row of an insert and of a delete.
pub(super) const ENVELOPES: ([&str; 2], [&str; 2]) =
    (["{\"data\":", ",\"type\":\"insert\"}"], ["{\"data\":", ",\"type\":\"delete\"}"]);
