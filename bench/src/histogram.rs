//! Latencies from the intended start, in an HDR histogram: percentiles, the standard `.hgrm` and `.hlog` files, one JSON line.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError};
use serde::{Deserialize, Serialize};

/// An hour; a longer latency counts as an hour and in `clamped`.
const MAX_US: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// Latencies in microseconds, with three significant digits.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    clamped: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, MAX_US, DIGITS)
            .expect("the bounds are constants that fit");
        Self { histogram, clamped: 0 }
    }

    /// Records one event by its intended start and its end, both since the start of the run. An end before the intended
    /// start (clocks of two machines) counts as none at all.
    pub fn record(&mut self, intended: Duration, end: Duration) {
        self.record_us(end.saturating_sub(intended).as_micros().try_into().unwrap_or(u64::MAX));
    }

    pub fn record_us(&mut self, us: u64) {
        self.clamped += u64::from(us > MAX_US);
        self.histogram.record(us.min(MAX_US)).expect("the value is within the bounds");
    }

    /// Adds all of `other`, as recorded by another thread.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
        self.clamped += other.clamped;
    }

    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency that `percentile` (0 to 100) percent of the events did not exceed; 0 without events.
    pub fn percentile_us(&self, percentile: f64) -> u64 {
        self.histogram.value_at_percentile(percentile)
    }

    /// Percentiles and their values, as fine as a chart of them needs: the tail is halved until it is empty.
    pub fn percentiles(&self) -> Vec<(f64, u64)> {
        let steps = self.histogram.iter_quantiles(5);
        // What a sum of halves is off by in its last digits is no news.
        let percent = |quantile: f64| (quantile * 1e8).round() / 1e6;
        steps.map(|step| (percent(step.quantile_iterated_to()), step.value_iterated_to())).collect()
    }

    pub fn summary(&self) -> Summary {
        Summary {
            count: self.count(),
            mean_us: self.histogram.mean(),
            p50_us: self.percentile_us(50.0),
            p75_us: self.percentile_us(75.0),
            p90_us: self.percentile_us(90.0),
            p95_us: self.percentile_us(95.0),
            p99_us: self.percentile_us(99.0),
            p99_9_us: self.percentile_us(99.9),
            p99_99_us: self.percentile_us(99.99),
            max_us: self.histogram.max(),
            clamped: self.clamped,
        }
    }

    /// Writes the percentile distribution in the text form of HdrHistogram's plotter (`.hgrm`), values in milliseconds.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_hgrm(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:>12} {:>14} {:>10} {:>14}\n",
            "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        )?;
        let mut total = 0;
        for step in self.histogram.iter_quantiles(5) {
            total += step.count_since_last_iteration();
            let (value_ms, quantile) = (ms(step.value_iterated_to()), step.quantile_iterated_to());
            if quantile < 1.0 {
                writeln!(
                    out,
                    "{value_ms:12.3} {quantile:2.12} {total:10} {:14.2}",
                    1.0 / (1.0 - quantile)
                )?;
            } else {
                writeln!(out, "{value_ms:12.3} {quantile:2.12} {total:10}")?;
            }
        }
        let (mean_ms, deviation_ms) =
            (self.histogram.mean() / 1000.0, self.histogram.stdev() / 1000.0);
        writeln!(out, "#[Mean    = {mean_ms:12.3}, StdDeviation   = {deviation_ms:12.3}]")?;
        writeln!(
            out,
            "#[Max     = {:12.3}, Total count    = {:12}]",
            ms(self.histogram.max()),
            self.count()
        )?;
        writeln!(
            out,
            "#[Buckets = {:12}, SubBuckets     = {:12}]",
            self.histogram.buckets(),
            self.histogram.distinct_values() / (usize::from(self.histogram.buckets()) + 1) * 2
        )
    }
}

/// Latencies of a run as they come: those that count, and those of the interval that is under way.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// Events that are due before are counted in intervals alone.
    warm_up: Duration,
    pub whole: Latencies,
    interval: Latencies,
}

impl Recorder {
    pub fn new(warm_up: Duration) -> Self {
        Self { warm_up, whole: Latencies::new(), interval: Latencies::new() }
    }

    /// As [`Latencies::record`].
    pub fn record(&mut self, intended: Duration, end: Duration) {
        self.interval.record(intended, end);
        if intended >= self.warm_up {
            self.whole.record(intended, end);
        }
    }

    /// Ends an interval and gives its latencies.
    pub fn interval(&mut self) -> Latencies {
        std::mem::take(&mut self.interval)
    }
}

/// Latencies of a part of a run: its start since that of the run, its length.
pub struct Interval {
    pub start: Duration,
    pub length: Duration,
    pub latencies: Latencies,
}

/// Writes the latencies of each interval in the format of HdrHistogram's interval logs (`.hlog`), values in microseconds.
///
/// # Errors
/// Those of `out`.
pub fn write_hlog(
    out: &mut impl Write,
    started: SystemTime,
    intervals: &[Interval],
) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(started)
        .with_base_time(started)
        // The plotters show the greatest value in milliseconds.
        .with_max_value_divisor(1000.0)
        .begin_log_with(out, &mut serializer)?;
    for interval in intervals {
        let histogram = &interval.latencies.histogram;
        let written = log.write_histogram(histogram, interval.start, interval.length, None);
        written.map_err(|error| match error {
            IntervalLogWriterError::IoError(error) => error,
            IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
        })?;
    }
    Ok(())
}

/// The figures of a run's latencies. Displays as a table, serialises into a JSON line.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Summary {
    pub count: u64,
    pub mean_us: f64,
    pub p50_us: u64,
    pub p75_us: u64,
    pub p90_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub p99_9_us: u64,
    pub p99_99_us: u64,
    pub max_us: u64,
    /// Events beyond an hour.
    pub clamped: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>10} {:>10} {:>10} {:>10} {:>10} {:>12}",
            "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "events"
        )?;
        for us in [self.p50_us, self.p90_us, self.p99_us, self.p99_9_us, self.max_us] {
            write!(f, "{:>10.3} ", ms(us))?;
        }
        write!(f, "{:>12}", self.count)
    }
}

/// Writes one result as one line of JSON, to be appended to a results file.
///
/// # Errors
/// Those of `out`, and a `result` that JSON cannot hold.
pub fn write_json_line(out: &mut impl Write, result: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(result)?;
    line.push(b'\n');
    out.write_all(&line)
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Latencies {
        let mut latencies = Latencies::new();
        (1..=10_000).for_each(|us| latencies.record_us(us));
        latencies
    }

    #[test]
    fn percentiles_are_within_three_digits() {
        let summary = ramp().summary();
        assert_eq!(summary.count, 10_000);
        for (us, expected) in [
            (summary.p50_us, 5000),
            (summary.p99_us, 9900),
            (summary.p99_9_us, 9990),
            (summary.max_us, 10_000),
        ] {
            assert!(us.abs_diff(expected) * 1000 <= expected, "{us} {expected}");
        }
    }

    #[test]
    fn latency_counts_from_the_intended_start() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_millis(10), Duration::from_millis(25));
        latencies.record(Duration::from_millis(30), Duration::from_millis(29));
        latencies.record(Duration::ZERO, Duration::from_secs(7200));
        let summary = latencies.summary();
        assert!(summary.p50_us.abs_diff(15_000) <= 15);
        assert_eq!(summary.clamped, 1);
        assert_eq!(latencies.percentile_us(0.0), 0);
        assert!(summary.max_us.abs_diff(MAX_US) * 1000 <= MAX_US);
    }

    #[test]
    fn merged_threads_equal_one() {
        let (mut one, mut two) = (ramp(), Latencies::new());
        two.record_us(50_000);
        one.merge(&two);
        assert_eq!(one.count(), 10_001);
        assert_eq!(one.summary().max_us / 100, 500);
    }

    #[test]
    fn the_hgrm_file_reads_as_a_rising_distribution() {
        let mut file = Vec::new();
        ramp().write_hgrm(&mut file).unwrap();
        let text = String::from_utf8(file).unwrap();
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
            .collect();
        assert!(rows.len() > 20);
        assert!(rows.windows(2).all(|pair| pair[0][0] <= pair[1][0]
            && pair[0][1] <= pair[1][1]
            && pair[0][2] <= pair[1][2]));
        let last = &rows[rows.len() - 1];
        assert_eq!((last[1], last[2], last.len()), (1.0, 10_000.0, 3));
        assert!((last[0] - 10.0).abs() < 0.01);
        let half = rows.iter().find(|row| row[1] >= 0.5).unwrap();
        assert!((half[0] - 5.0).abs() < 0.3 && (half[3] - 2.0).abs() < 0.1, "{half:?}");
        assert!(
            text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"),
            "{text}"
        );
        // The mean is of the values as stored, to three digits.
        assert!(
            text.contains("#[Mean    =        5.001, StdDeviation   =        2.887]"),
            "{text}"
        );
    }

    #[test]
    fn the_hlog_file_reads_back_interval_by_interval() {
        use base64::Engine as _;
        use hdrhistogram::serialization::Deserializer;
        use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_614_400);
        let intervals: Vec<Interval> = (0..3)
            .map(|second| Interval {
                start: Duration::from_secs(second),
                length: Duration::from_secs(1),
                latencies: if second == 1 { Latencies::new() } else { ramp() },
            })
            .collect();
        let mut file = Vec::new();
        write_hlog(&mut file, started, &intervals).unwrap();
        assert!(file.starts_with(b"#[Histogram log format version 1.3]\n"));
        let mut counts = vec![];
        for entry in IntervalLogIterator::new(&file) {
            if let LogEntry::Interval(interval) = entry.unwrap() {
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(interval.encoded_histogram())
                    .unwrap();
                let read: Histogram<u64> =
                    Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                counts.push((interval.start_timestamp().as_secs(), read.len(), read.max() / 1000));
            }
        }
        assert_eq!(counts, [(0, 10_000, 10), (1, 0, 0), (2, 10_000, 10)]);
    }

    #[test]
    fn a_result_is_one_line() {
        let mut out = Vec::new();
        write_json_line(&mut out, &ramp().summary()).unwrap();
        assert_eq!(out.iter().filter(|&&b| b == b'\n').count(), 1);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["count"], 10_000);
    }
}
