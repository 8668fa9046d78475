//! Service-level objectives over latencies, such as `p99<15ms`, and whether a run met them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::Error;
use crate::histogram::Latencies;

/// What an objective looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Measure {
    Percentile(f64),
    Max,
    Mean,
}

/// One objective: `p50`, `p99.9`, any other percentile, `max` or `mean`, below a time in us, ms or s.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    text: String,
    measure: Measure,
    limit_us: f64,
}

/// What became of an objective.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub slo: String,
    pub measured_us: f64,
    pub limit_us: f64,
    pub passed: bool,
}

impl Slo {
    /// Holds the objective against a run. A run without a single event meets none.
    pub fn judge(&self, latencies: &Latencies) -> Verdict {
        let measured_us = match self.measure {
            Measure::Percentile(percentile) => latencies.percentile_us(percentile) as f64,
            Measure::Max => latencies.percentile_us(100.0) as f64,
            Measure::Mean => latencies.summary().mean_us,
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
                "objective \"{text}\": expected for example p99<15ms, p99.9<0.1s, max<500us or mean<1ms"
            ))
        };
        let (measure, limit) = text.split_once('<').ok_or_else(error)?;
        let measure = match measure.trim() {
            "max" => Measure::Max,
            "mean" => Measure::Mean,
            percentile => {
                let percentile =
                    percentile.strip_prefix('p').and_then(|digits| digits.parse().ok());
                Measure::Percentile(
                    percentile.filter(|p| (0.0..=100.0).contains(p)).ok_or_else(error)?,
                )
            }
        };
        let limit = limit.trim();
        // "s" ends them all, so it comes last.
        let (number, us) = [("us", 1.0), ("ms", 1e3), ("s", 1e6)]
            .into_iter()
            .find_map(|(unit, us)| Some((limit.strip_suffix(unit)?, us)))
            .ok_or_else(error)?;
        let number: f64 = number.trim().parse().map_err(|_| error())?;
        if !number.is_finite() || number <= 0.0 {
            return Err(error());
        }
        Ok(Self { text: text.to_owned(), measure, limit_us: number * us })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.passed { "pass" } else { "fail" };
        write!(f, "{word} {} (measured {:.3} ms)", self.slo, self.measured_us / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_pass_and_fail_on_the_measured_side() {
        let mut latencies = Latencies::new();
        (1..=1000).for_each(|us| latencies.record_us(us * 10));
        let verdicts: Vec<_> = Slo::parse_list("p99<15ms, p50<4ms,max<0.02s,mean<5100us,p99.9<9ms")
            .unwrap()
            .iter()
            .map(|slo| slo.judge(&latencies).passed)
            .collect();
        assert_eq!(verdicts, [true, false, true, true, false]);
        let verdict = "p50<4ms".parse::<Slo>().unwrap().judge(&latencies);
        assert!(verdict.to_string().starts_with("fail p50<4ms (measured 5.00"), "{verdict}");
    }

    #[test]
    fn a_run_without_events_meets_no_objective() {
        assert!(!"p99<15ms".parse::<Slo>().unwrap().judge(&Latencies::new()).passed);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for text in ["p99", "p101<1ms", "q9<1ms", "p99<15", "p99<-1ms", "p99<NaNms", ""] {
            let error = text.parse::<Slo>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("objective \"{text}\": expected")), "{error}");
        }
    }
}
