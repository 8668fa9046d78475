//! Pacing of a replay: when an event of the past is due on the wall clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Error;

/// How fast the past passes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As fast as the receiver takes it.
    Max,
    /// So many seconds of event time a second; finite and above zero.
    Times(f64),
}

impl FromStr for Speed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let times = text.strip_suffix('x').and_then(|digits| digits.parse::<f64>().ok());
        match times {
            Some(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            _ => Err(Error::Flag(format!(
                "speed \"{text}\": expected max or a factor above zero such as 600x"
            ))),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Times(times) => write!(f, "{times}x"),
        }
    }
}

/// Maps event time to time since the start of the replay, and back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    speed: Speed,
    first_ms: i64,
}

impl Pace {
    /// The replay starts with the event time `first_ms`.
    pub fn new(speed: Speed, first_ms: i64) -> Self {
        Self { speed, first_ms }
    }

    /// When an event is due, since the start of the replay. Events from before the first are due at once, so that late
    /// events go out where they stand in the order.
    pub fn due(&self, event_time_ms: i64) -> Duration {
        match self.speed {
            Speed::Max => Duration::ZERO,
            Speed::Times(times) => {
                let since_ms = event_time_ms.saturating_sub(self.first_ms).max(0);
                Duration::try_from_secs_f64(since_ms as f64 / 1000.0 / times)
                    .unwrap_or(Duration::MAX)
            }
        }
    }

    /// The event time reached after `elapsed`: every event up to it is due. `i64::MAX` at full speed.
    pub fn reached_ms(&self, elapsed: Duration) -> i64 {
        match self.speed {
            Speed::Max => i64::MAX,
            // Up to the cast's saturation.
            Speed::Times(times) => {
                self.first_ms.saturating_add((elapsed.as_secs_f64() * 1000.0 * times) as i64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_pass_in_a_second_at_600x() {
        let pace = Pace::new("600x".parse().unwrap(), 1_000_000);
        assert_eq!(pace.due(1_000_000), Duration::ZERO);
        assert_eq!(pace.due(1_600_000), Duration::from_secs(1));
        assert_eq!(pace.due(900_000), Duration::ZERO);
        assert_eq!(pace.reached_ms(Duration::from_secs(2)), 2_200_000);
        assert_eq!(Pace::new(Speed::Times(1e-300), 0).due(i64::MAX), Duration::MAX);
    }

    #[test]
    fn max_never_waits() {
        let pace = Pace::new("max".parse().unwrap(), 5);
        assert_eq!(pace.due(i64::MAX), Duration::ZERO);
        assert_eq!(pace.reached_ms(Duration::ZERO), i64::MAX);
    }

    #[test]
    fn a_speed_reads_back_and_nonsense_is_named() {
        for text in ["max", "600x", "0.5x"] {
            assert_eq!(text.parse::<Speed>().unwrap().to_string(), text);
        }
        for text in ["600", "0x", "-1x", "infx", "NaNx", "fast", "x", ""] {
            let error = text.parse::<Speed>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("speed \"{text}\": expected max or a factor above zero such as 600x")
            );
        }
    }
}
