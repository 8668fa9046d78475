//! How long state without a window is kept: `table.exec.state.ttl`.

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

/// Flink's durations: a whole number and a unit, ms where there is none.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: i64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_flinks() {
        assert_eq!(milliseconds("36 h"), Some(129_600_000));
        assert_eq!(milliseconds("1min"), Some(60_000));
        assert_eq!(milliseconds("250"), Some(250));
        assert_eq!(milliseconds("soon"), None);
        assert_eq!(milliseconds("1 fortnight"), None);
    }
}
