//! Event times as files write them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::Error;

/// How a column writes its time. Times without a zone are UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// Seconds since 1970-01-01, with or without a fraction.
    EpochSeconds,
    /// Milliseconds since 1970-01-01.
    EpochMillis,
    /// `2026-01-05T12:00:00.123`, with `Z`, an offset or nothing behind it; a date alone is its midnight.
    Iso,
    /// `2026-01-05 12:00:00.123`, with `Z` or nothing behind it; a date alone is its midnight.
    Sql,
}

impl TimeFormat {
    /// Milliseconds since 1970-01-01 UTC, or `None` if the text is not of this format. Finer digits are cut off.
    pub fn parse(self, text: &str) -> Option<i64> {
        let text = text.trim();
        match self {
            Self::EpochMillis => text.parse().ok(),
            Self::EpochSeconds => match text.parse::<i64>() {
                Ok(seconds) => seconds.checked_mul(1000),
                Err(_) => {
                    let seconds: f64 = text.parse().ok()?;
                    (seconds.abs() < 1e15).then_some((seconds * 1000.0).round() as i64)
                }
            },
            Self::Iso => date_and_time(text, "%Y-%m-%dT%H:%M:%S%.f").or_else(|| {
                let zoned = DateTime::parse_from_rfc3339(text).ok()?;
                Some(zoned.timestamp_millis())
            }),
            Self::Sql => {
                date_and_time(text.strip_suffix('Z').unwrap_or(text), "%Y-%m-%d %H:%M:%S%.f")
            }
        }
    }
}

fn date_and_time(text: &str, format: &str) -> Option<i64> {
    let time = match NaiveDateTime::parse_from_str(text, format) {
        Ok(time) => time,
        Err(_) => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?,
    };
    Some(time.and_utc().timestamp_millis())
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EpochSeconds => "epoch-s",
            Self::EpochMillis => "epoch-ms",
            Self::Iso => "iso",
            Self::Sql => "sql",
        })
    }
}

impl FromStr for TimeFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let formats = [Self::EpochSeconds, Self::EpochMillis, Self::Iso, Self::Sql];
        formats.into_iter().find(|format| format.to_string() == text).ok_or_else(|| {
            Error::Flag(format!("time format \"{text}\": expected epoch-s, epoch-ms, iso or sql"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_names_the_same_instant() {
        let instant = 1_767_614_400_123;
        for (format, text) in [
            (TimeFormat::EpochMillis, "1767614400123"),
            (TimeFormat::EpochSeconds, "1767614400.123"),
            (TimeFormat::Iso, "2026-01-05T12:00:00.123Z"),
            (TimeFormat::Iso, "2026-01-05T12:00:00.123"),
            (TimeFormat::Iso, "2026-01-05T14:00:00.123+02:00"),
            (TimeFormat::Sql, "2026-01-05 12:00:00.123"),
            (TimeFormat::Sql, "2026-01-05 12:00:00.123Z"),
        ] {
            assert_eq!(format.parse(text), Some(instant), "{format} {text}");
        }
        assert_eq!(TimeFormat::Sql.parse("2026-01-05"), Some(1_767_571_200_000));
        assert_eq!(TimeFormat::Sql.parse("2026-01-05T12:00:00"), None);
        assert_eq!(TimeFormat::EpochMillis.parse(""), None);
        assert_eq!(TimeFormat::EpochSeconds.parse("NaN"), None);
    }

    #[test]
    fn an_unknown_format_is_named() {
        let error = "unix".parse::<TimeFormat>().unwrap_err().to_string();
        assert_eq!(error, "time format \"unix\": expected epoch-s, epoch-ms, iso or sql");
    }
}
