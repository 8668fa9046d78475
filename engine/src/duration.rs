//! Durations as Flink writes them in options.

use std::time::Duration;

use crate::error::{Error, Result};

/// `7 d`, `30 min`, `500ms`; a bare number is milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration> {
    millis(text)
        .map(Duration::from_millis)
        .ok_or_else(|| Error::user(format!("\"{text}\" is no duration such as 30 min or 500 ms")))
}

fn millis(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match text[digits..].trim().to_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_flinks() {
        for (text, millis) in
            [("7 d", 604_800_000), ("36 H", 129_600_000), ("30min", 1_800_000), ("250", 250)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        assert!(parse_duration("soon").is_err());
        assert!(parse_duration("3 fortnights").is_err());
    }
}
