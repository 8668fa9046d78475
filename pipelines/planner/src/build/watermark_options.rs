//! `scan.watermark.…`: what a table says of its watermark beside the expression.

use std::time::Duration;

use nowcast_engine::{Alignment, TableDefinition};

use super::state::milliseconds;
use crate::catalog::Table;
use crate::error::{SqlError, SqlResult};
use crate::on_error;

pub const PREFIX: &str = "scan.watermark.";
const IDLE: &str = "scan.watermark.idle-timeout";
const EMIT: &str = "scan.watermark.emit.strategy";
const GROUP: &str = "scan.watermark.alignment.group";
const DRIFT: &str = "scan.watermark.alignment.max-drift";
/// Taken, and not needed: how far the group is is looked at in each turn.
const UPDATE: &str = "scan.watermark.alignment.update-interval";

/// What the engine does of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WatermarkOptions {
    pub idle_timeout: Option<Duration>,
    pub alignment: Option<Alignment>,
}

/// The watermark options of a table, and the table as its connector sees it: without them and others
/// of ours.
pub fn watermark_options(table: &Table) -> SqlResult<(WatermarkOptions, TableDefinition)> {
    let mut definition = table.definition.clone();
    definition.options.retain(|key, _| !key.starts_with(PREFIX) && key != on_error::OPTION);
    let given = &table.definition.options;
    let fail =
        |key: &str, message: String| SqlError::new(table.place(&format!("'{key}'")), message);
    let known = [IDLE, EMIT, GROUP, DRIFT, UPDATE];
    let unknown = |key: &&String| key.starts_with(PREFIX) && !known.contains(&key.as_str());
    if let Some(key) = given.keys().find(unknown) {
        return Err(fail(key, format!("there is no option '{key}'"))
            .hint(format!("there are {}", known.join(", "))));
    }
    let duration = |key: &str| match given.get(key) {
        None => Ok(None),
        Some(text) => milliseconds(text).map(Some).ok_or_else(|| {
            fail(key, format!("'{key}' = '{text}' is not a duration"))
                .hint("such as '5 s' or '1 min'")
        }),
    };
    if let Some(strategy) = given.get(EMIT)
        && !["on-event", "on-periodic"].contains(&strategy.to_lowercase().as_str())
    {
        return Err(fail(EMIT, format!("'{EMIT}' = '{strategy}' is not known"))
            .hint("on-event or on-periodic; here a watermark follows each batch"));
    }
    duration(UPDATE)?;
    let alignment = match (given.get(GROUP), duration(DRIFT)?) {
        (None, None) => None,
        (Some(group), Some(max_drift_ms)) => Some(Alignment { group: group.clone(), max_drift_ms }),
        (group, _) => {
            let (given, missing) = if group.is_some() { (GROUP, DRIFT) } else { (DRIFT, GROUP) };
            return Err(fail(given, format!("'{given}' needs '{missing}'")));
        }
    };
    let idle_timeout = duration(IDLE)?.map(|ms| Duration::from_millis(ms.unsigned_abs()));
    Ok((WatermarkOptions { idle_timeout, alignment }, definition))
}
