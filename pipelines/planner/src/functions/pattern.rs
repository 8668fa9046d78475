//! Java's date patterns (`yyyy-MM-dd HH:mm:ss`) as those of chrono.

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use datafusion_common::Result;

use super::scalar::failed;

/// Flink's pattern where none is given.
pub const DEFAULT: &str = "yyyy-MM-dd HH:mm:ss";

/// A translated pattern.
pub struct Pattern {
    java: String,
    chrono: String,
}

impl Pattern {
    /// # Errors
    /// On a letter that is not translated.
    pub fn new(java: &str) -> Result<Self> {
        Ok(Self { java: java.to_owned(), chrono: to_chrono(java)? })
    }

    pub fn is(&self, java: &str) -> bool {
        self.java == java
    }

    pub fn format(&self, time_ms: i64) -> Option<String> {
        let items: Vec<Item> = StrftimeItems::new(&self.chrono).collect();
        let time = DateTime::from_timestamp_millis(time_ms)?.naive_utc();
        Some(time.format_with_items(items.iter()).to_string())
    }

    /// Milliseconds since the epoch; none where the text is not of this pattern.
    pub fn parse(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        let time = NaiveDateTime::parse_from_str(text, &self.chrono)
            .ok()
            .or_else(|| NaiveDate::parse_from_str(text, &self.chrono).ok()?.and_hms_opt(0, 0, 0));
        // The default takes fractions and dates too.
        let time = match time {
            None if self.is(DEFAULT) => NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
                .ok()
                .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)),
            time => time,
        };
        Some(time?.and_utc().timestamp_millis())
    }
}

fn to_chrono(pattern: &str) -> Result<String> {
    let mut made = String::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        if letter == '\'' {
            let (quoted, after) = rest[1..].split_once('\'').unwrap_or((&rest[1..], ""));
            made.push_str(if quoted.is_empty() { "'" } else { quoted });
            rest = after;
            continue;
        }
        let end = rest.find(|c| c != letter).unwrap_or(rest.len());
        made.push_str(match &rest[..end] {
            "yyyy" | "uuuu" | "y" => "%Y",
            "yy" => "%y",
            "MM" => "%m",
            "M" => "%-m",
            "MMM" => "%b",
            "MMMM" => "%B",
            "dd" => "%d",
            "d" => "%-d",
            "DDD" => "%j",
            "HH" => "%H",
            "H" => "%-H",
            "hh" => "%I",
            "h" => "%-I",
            "mm" => "%M",
            "m" => "%-M",
            "ss" => "%S",
            "s" => "%-S",
            "SSS" => "%3f",
            "SSSSSS" => "%6f",
            "a" => "%p",
            "E" | "EE" | "EEE" => "%a",
            "EEEE" => "%A",
            "u" => "%u",
            letters if letter.is_ascii_alphabetic() => {
                return Err(failed(format!(
                    "letters {letters} of the date pattern '{pattern}' are not supported"
                )));
            }
            "%" => "%%",
            separator => separator,
        });
        rest = &rest[end..];
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_format_and_parse() {
        let pattern = Pattern::new("yyyy-MM-dd'T'HH:mm:ss.SSS").unwrap();
        assert_eq!(pattern.format(1_600_000_000_123).unwrap(), "2020-09-13T12:26:40.123");
        assert_eq!(pattern.parse("2020-09-13T12:26:40.123"), Some(1_600_000_000_123));
        let default = Pattern::new(DEFAULT).unwrap();
        assert_eq!(default.parse("2020-09-13 12:26:40"), Some(1_600_000_000_000));
        assert_eq!(default.parse("2020-09-13"), Some(1_599_955_200_000));
        assert_eq!(default.parse("yesterday"), None);
        assert!(Pattern::new("yyyy-qq").is_err());
    }
}
