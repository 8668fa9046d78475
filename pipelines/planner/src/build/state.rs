//! How long state without a window is kept: `table.exec.state.ttl`.

use nowcast_engine::parse_duration;

use super::Lowering;
use crate::error::{SqlError, SqlResult};
use crate::planner::Settings;

const STATE_TTL: &str = "table.exec.state.ttl";

/// The setting in ms; `None` where state is kept forever.
pub fn state_ttl_ms(settings: &Settings) -> SqlResult<Option<i64>> {
    let Some(text) = settings.get(STATE_TTL) else { return Ok(None) };
    match milliseconds(text) {
        Some(0) => Ok(None),
        Some(ms) => Ok(Some(ms)),
        None => Err(SqlError::nowhere(format!("'{STATE_TTL}' = '{text}' is not a duration"))
            .hint("such as '12 h', '30 min' or '3600 s'")),
    }
}

/// A duration as Flink writes it, in ms.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    i64::try_from(parse_duration(text).ok()?.as_millis()).ok()
}

impl Lowering<'_> {
    /// How long an operator keeps what has not been written, in ms. Warns where that is forever:
    /// `what` then grows with `by`.
    pub(super) fn state_ttl(&mut self, what: &str, by: &str) -> Option<i64> {
        if self.state_ttl_ms.is_none() {
            self.graph.warn(format!(
                "{}: {what} keeps its state forever, it grows with {by}: SET '{STATE_TTL}' = '1 d' \
                 forgets what has not changed for a day",
                self.scope
            ));
        }
        self.state_ttl_ms
    }
}
