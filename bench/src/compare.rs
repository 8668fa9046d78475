//! Two runs beside each other: what differs, and by how much the figures of each vary by themselves.

use std::fmt;

use serde::Serialize;

use crate::run::{Run, Sample, per_s};

/// Parts that the measured time is cut into: neighbouring seconds are alike, tenths of a run nearly independent.
const PARTS: usize = 10;

/// Standard errors that a difference must exceed: about 1 in 20 exceeds it by chance.
const ERRORS_MIN: f64 = 2.1;

/// One figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub figure: &'static str,
    pub unit: &'static str,
    pub before: f64,
    pub after: f64,
    /// Twice the standard error of the difference; `None` where a run is too short to tell.
    pub noise: Option<f64>,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Better,
    Worse,
    WithinNoise,
    /// Too few parts to know the noise.
    Unknown,
}

/// A figure, its unit, how it is read from a sample, and whether more is better.
type Figure = (&'static str, &'static str, fn(&Sample) -> Option<f64>, bool);

const FIGURES: [Figure; 8] = [
    ("sent", "/s", |sample| Some(per_s(sample.sent, sample)), true),
    ("results", "/s", |sample| Some(per_s(sample.results, sample)), true),
    ("p50", "ms", |sample| latency(sample, sample.latency.p50_us), false),
    ("p99", "ms", |sample| latency(sample, sample.latency.p99_us), false),
    ("max", "ms", |sample| latency(sample, sample.latency.max_us), false),
    ("lag", "s", |sample| Some(sample.lag_s), false),
    ("cpu", "cores", |sample| sample.cpu_cores, false),
    ("memory", "MiB", |sample| Some(sample.rss_bytes? as f64 / f64::from(1 << 20)), false),
];

fn latency(sample: &Sample, us: u64) -> Option<f64> {
    (sample.latency.count > 0).then_some(us as f64 / 1e3)
}

/// Compares the means over the measured seconds. Figures that either run lacks are left out.
///
/// The noise is that within each run; what differs between two runs of the same thing (another time of day, another
/// placement of threads) is not in it: repeat runs to see that.
pub fn compare(before: &Run, after: &Run) -> Vec<Difference> {
    FIGURES
        .iter()
        .filter_map(|(figure, unit, value, more_is_better)| {
            let values = |run: &Run| run.measured().filter_map(value).collect::<Vec<f64>>();
            let (a, b) = (values(before), values(after));
            let (mean_a, mean_b) = (mean(&a)?, mean(&b)?);
            let noise =
                squared_error(&a).zip(squared_error(&b)).map(|(a, b)| (a + b).sqrt() * ERRORS_MIN);
            let verdict = match noise {
                None => Verdict::Unknown,
                Some(noise) if (mean_b - mean_a).abs() <= noise => Verdict::WithinNoise,
                Some(_) if (mean_b > mean_a) == *more_is_better => Verdict::Better,
                Some(_) => Verdict::Worse,
            };
            Some(Difference { figure, unit, before: mean_a, after: mean_b, noise, verdict })
        })
        .collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The squared standard error of the mean, from the means of parts in their order.
fn squared_error(values: &[f64]) -> Option<f64> {
    let parts = PARTS.min(values.len());
    if parts < 3 {
        return None;
    }
    let means: Vec<f64> = (0..parts)
        .filter_map(|part| {
            mean(&values[part * values.len() / parts..(part + 1) * values.len() / parts])
        })
        .collect();
    let centre = mean(&means)?;
    let variance =
        means.iter().map(|mean| (mean - centre).powi(2)).sum::<f64>() / (parts - 1) as f64;
    Some(variance / parts as f64)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{} {}", self.figure, self.unit);
        write!(f, "{name:<12} {:>12.3} {:>12.3}", self.before, self.after)?;
        match self.before {
            0.0 => write!(f, " {:>9}", "")?,
            before => write!(f, " {:>+8.1}%", (self.after / before - 1.0) * 100.0)?,
        }
        match self.noise {
            Some(noise) => write!(f, "  ±{noise:<10.3}")?,
            None => write!(f, "  {:<11}", "?")?,
        }
        f.write_str(match self.verdict {
            Verdict::Better => " better",
            Verdict::Worse => " worse",
            Verdict::WithinNoise => " within the noise",
            Verdict::Unknown => " too short to tell",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::run;

    fn verdict_of(differences: &[Difference], figure: &str) -> Verdict {
        differences.iter().find(|difference| difference.figure == figure).unwrap().verdict
    }

    #[test]
    fn a_difference_counts_only_beyond_the_noise() {
        // Both wobble by 4 ms.
        let before = run(|second| 20 + second * 7 % 5);
        let same = run(|second| 20 + second * 3 % 5);
        let slower = run(|second| 30 + second * 7 % 5);
        let differences = compare(&before, &same);
        assert_eq!(verdict_of(&differences, "p99"), Verdict::WithinNoise);
        assert_eq!(verdict_of(&compare(&before, &slower), "p99"), Verdict::Worse);
        let better = compare(&slower, &before);
        assert_eq!(verdict_of(&better, "p99"), Verdict::Better);
        let line = better.iter().find(|difference| difference.figure == "p99").unwrap().to_string();
        assert!(line.starts_with("p99 ms") && line.ends_with("better"), "{line}");
    }

    #[test]
    fn a_run_that_is_too_short_is_said_to_be() {
        let mut short = run(|_| 20);
        short.duration_s = 2.0;
        assert_eq!(verdict_of(&compare(&short, &run(|_| 30)), "p99"), Verdict::Unknown);
        let mut without = run(|_| 20);
        without.samples.iter_mut().for_each(|sample| sample.cpu_cores = None);
        let differences = compare(&without, &run(|_| 20));
        assert!(differences.iter().all(|difference| difference.figure != "cpu"));
    }
}
