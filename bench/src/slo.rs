//! Service-level objectives such as `p99<15ms,lag<5s`, and whether a run met them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::histogram::Latencies;

/// What an objective looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Measure {
    Percentile(f64),
    Max,
    Mean,
    Lag,
}

/// What objectives are held against.
pub struct Outcome<'a> {
    pub latencies: &'a Latencies,
    /// The longest that the system was behind; `None` where nobody looked.
    pub lag_max: Option<Duration>,
}

/// One objective: `p50`, `p99.9`, any other percentile, `max`, `mean` or `lag` (how far the newest result was behind, at its
/// worst), below a time in us, ms, s or min.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    text: String,
    measure: Measure,
    limit_us: f64,
}

/// What became of an objective.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Verdict {
    pub slo: String,
    pub measured_us: f64,
    pub limit_us: f64,
    pub passed: bool,
}

impl Slo {
    /// Holds the objective against a run. A run without a single event meets none.
    pub fn judge(&self, outcome: &Outcome<'_>) -> Verdict {
        let latencies = outcome.latencies;
        let measured_us = match self.measure {
            Measure::Percentile(percentile) => latencies.percentile_us(percentile) as f64,
            Measure::Max => latencies.percentile_us(100.0) as f64,
            Measure::Mean => latencies.summary().mean_us,
            Measure::Lag => outcome.lag_max.map_or(f64::MAX, |lag| lag.as_secs_f64() * 1e6),
        };
        let passed = latencies.count() > 0 && measured_us < self.limit_us;
        Verdict { slo: self.text.clone(), measured_us, limit_us: self.limit_us, passed }
    }

    /// Reads objectives separated by commas: `p50<2ms,p99<15ms`.
    ///
    /// # Errors
    /// Names the first that cannot be read.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Error> {
        text.split(',').map(str::parse).collect()
    }
}

impl FromStr for Slo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let error = || {
            Error::Flag(format!(
                "objective \"{text}\": expected for example p99<15ms, p99.9<0.1s, max<500us, mean<1ms or lag<5s"
            ))
        };
        let (measure, limit) = text.split_once('<').ok_or_else(error)?;
        let measure = match measure.trim() {
            "max" => Measure::Max,
            "mean" => Measure::Mean,
            "lag" => Measure::Lag,
            percentile => {
                let percentile =
                    percentile.strip_prefix('p').and_then(|digits| digits.parse().ok());
                Measure::Percentile(
                    percentile.filter(|p| (0.0..=100.0).contains(p)).ok_or_else(error)?,
                )
            }
        };
        let limit_us = crate::duration::parse(limit).map_err(|_| error())?.as_secs_f64() * 1e6;
        if limit_us <= 0.0 {
            return Err(error());
        }
        Ok(Self { text: text.to_owned(), measure, limit_us })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.passed { "pass" } else { "fail" };
        match self.measured_us {
            f64::MAX => write!(f, "{word} {} (not measured)", self.slo),
            us => write!(f, "{word} {} (measured {:.3} ms)", self.slo, us / 1000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_pass_and_fail_on_the_measured_side() {
        let mut latencies = Latencies::new();
        (1..=1000).for_each(|us| latencies.record_us(us * 10));
        let outcome = Outcome { latencies: &latencies, lag_max: Some(Duration::from_millis(1500)) };
        let list = "p99<15ms, p50<4ms,max<0.02s,mean<5100us,p99.9<9ms,lag<2s,lag<1500 ms";
        let verdicts: Vec<_> =
            Slo::parse_list(list).unwrap().iter().map(|slo| slo.judge(&outcome).passed).collect();
        assert_eq!(verdicts, [true, false, true, true, false, true, false]);
        let verdict = "p50<4ms".parse::<Slo>().unwrap().judge(&outcome);
        assert!(verdict.to_string().starts_with("fail p50<4ms (measured 5.00"), "{verdict}");
    }

    #[test]
    fn a_run_without_events_meets_no_objective() {
        let mut latencies = Latencies::new();
        let p99 = "p99<15ms".parse::<Slo>().unwrap();
        let lag = "lag<5s".parse::<Slo>().unwrap();
        let passed = |slo: &Slo, latencies: &Latencies, lag_max| {
            slo.judge(&Outcome { latencies, lag_max }).passed
        };
        assert!(!passed(&p99, &latencies, None) && !passed(&lag, &latencies, Some(Duration::ZERO)));
        latencies.record_us(1);
        assert!(passed(&p99, &latencies, None) && passed(&lag, &latencies, Some(Duration::ZERO)));
        // What nobody looked at is not met.
        assert!(!passed(&lag, &latencies, None));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for text in ["p99", "p101<1ms", "q9<1ms", "p99<15", "p99<-1ms", "p99<NaNms", ""] {
            let error = text.parse::<Slo>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("objective \"{text}\": expected")), "{error}");
        }
    }
}
