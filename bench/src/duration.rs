//! Times as people write them: `500 us`, `20ms`, `1.5 s`, `2 min`, `1 h`.

use std::time::Duration;

use crate::Error;

/// Units by their names; "s" ends most of them, so it comes after those.
const UNITS: [(&str, f64); 6] =
    [("us", 1e-6), ("ms", 1e-3), ("min", 60.0), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// # Errors
/// Names the text that is no duration.
pub fn parse(text: &str) -> Result<Duration, Error> {
    let trimmed = text.trim();
    UNITS
        .into_iter()
        .find_map(|(unit, s)| Some((trimmed.strip_suffix(unit)?, s)))
        .and_then(|(number, s)| Some(number.trim().parse::<f64>().ok()? * s))
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| {
            Error::Flag(format!("\"{text}\" is no duration such as 30 s, 500 ms or 2 min"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart() {
        for (text, us) in [
            ("500 us", 500),
            ("20ms", 20_000),
            ("1.5 s", 1_500_000),
            ("2 min", 120_000_000),
            ("2m", 120_000_000),
            (" 1h ", 3_600_000_000),
            ("0 s", 0),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_micros(us), "{text}");
        }
        for text in ["", "5", "s", "-1 s", "NaN s", "inf s", "1e300 h", "5 parsecs"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("\"{text}\" is no duration")), "{error}");
        }
    }
}
