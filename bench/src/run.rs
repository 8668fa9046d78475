//! The record of one run: its figures, its time series, and the JSON that OpenMessaging's tools read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::histogram::Summary;
use crate::slo::Verdict;

/// All that is known of a run. Rates are events a second.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Run {
    pub name: String,
    /// Of nowcast.
    pub version: String,
    /// RFC 3339, UTC.
    pub started: String,
    pub machine: Machine,
    pub input: String,
    pub output: String,
    pub seed: u64,
    pub threads: u64,
    pub partitions: u64,
    pub warm_up_s: f64,
    pub duration_s: f64,
    /// The mean over the measured time that was asked for.
    pub mean_per_s: f64,
    pub peak_per_s: f64,
    pub message_bytes_mean: f64,
    pub counts: Counts,
    /// From the intended start to the result.
    pub latency: Summary,
    /// From the intended start to the broker's acknowledgement.
    pub publish: Summary,
    /// From the intended start to the call that sends.
    pub slip: Summary,
    /// Percentiles (0 to 100) and their latencies in microseconds.
    pub percentiles: Vec<(f64, u64)>,
    pub lag_max_s: f64,
    /// How long after the last event its results took, or until they were given up.
    pub drain_s: f64,
    pub system: Option<SystemUse>,
    pub verdicts: Vec<Verdict>,
    /// The workload file, before variables are filled in.
    pub workload: String,
    /// What makes the figures doubtful.
    pub warnings: Vec<String>,
    pub samples: Vec<Sample>,
    /// What a search has tried, the confirmed rate last.
    pub trials: Vec<Trial>,
    /// What a search has found.
    pub sustainable_per_s: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
}

/// Events and results of the whole run, warm-up included.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Counts {
    pub due: u64,
    pub sent: u64,
    pub acknowledged: u64,
    pub refused: u64,
    pub late: u64,
    pub poison: u64,
    pub results: u64,
    /// Events that had to come out, and how many of them did not; `None` where filters or aggregates let some out.
    pub expected: Option<u64>,
    pub lost: Option<u64>,
    pub duplicates: u64,
    /// Results that belong to no event of this run.
    pub strangers: u64,
}

/// What the system under test has used during the measured time.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct SystemUse {
    pub cpu_s: f64,
    pub cpu_s_per_million_events: f64,
    pub rss_peak_bytes: u64,
}

/// A part of the run, usually a second.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Sample {
    /// Its end, since the start of the run.
    pub at_s: f64,
    pub length_s: f64,
    pub due: u64,
    pub sent: u64,
    pub acknowledged: u64,
    pub results: u64,
    pub lag_s: f64,
    pub latency: Summary,
    pub publish: Summary,
    pub slip: Summary,
    /// Of the system under test: CPU-seconds a second, resident memory.
    pub cpu_cores: Option<f64>,
    pub rss_bytes: Option<u64>,
    /// Messages that its consumer group has not committed.
    pub group_lag: Option<u64>,
    /// The newest complete checkpoint of a nowcast.
    pub checkpoint: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Trial {
    pub per_s: f64,
    pub passed: bool,
    pub p99_us: u64,
    pub lag_max_s: f64,
    /// Why it did not pass, or nothing.
    pub reason: String,
}

impl Run {
    /// Whether all objectives hold, nothing is lost and, in a search, something was found.
    pub fn passed(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.passed)
            && self.counts.lost.unwrap_or(0) == 0
            && (self.trials.is_empty() || self.sustainable_per_s.is_some())
    }

    /// The samples of the measured time.
    pub fn measured(&self) -> impl Iterator<Item = &Sample> {
        measured(&self.samples, self.warm_up_s, self.duration_s)
    }

    /// The names and units of the OpenMessaging benchmark's result files (latencies in ms, delays of publishing in µs), and all
    /// of the run under `nowcast`.
    pub fn to_json(&self) -> Value {
        let measured: Vec<&Sample> = self.measured().collect();
        let of = |value: &dyn Fn(&Sample) -> Value| -> Value {
            measured.iter().map(|sample| value(sample)).collect()
        };
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.into(), value);
        put("workload", self.name.clone().into());
        put("driver", format!("{} -> {}", self.input, self.output).into());
        put("messageSize", (self.message_bytes_mean.round() as u64).into());
        put("topics", 1.into());
        put("partitions", self.partitions.into());
        put("producersPerTopic", self.threads.into());
        put("consumersPerTopic", 1.into());
        put("publishRate", of(&|sample| json!(per_s(sample.sent, sample))));
        put("publishErrorRate", of(&|_| json!(0.0)));
        put("consumeRate", of(&|sample| json!(per_s(sample.results, sample))));
        put("backlog", of(&|sample| sample.group_lag.into()));
        let summaries = |of: fn(&Sample) -> &Summary| -> Vec<&Summary> {
            measured.iter().map(|sample| of(sample)).collect()
        };
        for (name, unit_us, parts, whole) in [
            ("endToEndLatency", 1e3, summaries(|sample| &sample.latency), &self.latency),
            ("publishLatency", 1e3, summaries(|sample| &sample.publish), &self.publish),
            ("publishDelayLatency", 1.0, summaries(|sample| &sample.slip), &self.slip),
        ] {
            let aggregated = format!("aggregated{}{}", name[..1].to_uppercase(), &name[1..]);
            for (suffix, us) in STATISTICS {
                let of_parts: Value = parts.iter().map(|part| json!(us(part) / unit_us)).collect();
                put(&format!("{name}{suffix}"), of_parts);
                put(&format!("{aggregated}{suffix}"), json!(us(whole) / unit_us));
            }
        }
        let quantiles = self.percentiles.iter();
        let quantiles: Map<String, Value> =
            quantiles.map(|(p, us)| (p.to_string(), json!(*us as f64 / 1e3))).collect();
        put("aggregatedEndToEndLatencyQuantiles", quantiles.into());
        put("nowcast", json!(self));
        object.into()
    }

    /// Reads what [`Run::to_json`] has written.
    ///
    /// # Errors
    /// If it is no record of a run.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct File {
            nowcast: Run,
        }
        let file: File = serde_json::from_str(text)
            .map_err(|error| Error::Flag(format!("not the record of a run: {error}")))?;
        Ok(file.nowcast)
    }
}

/// The samples that lie in the measured time, for their greater part.
pub fn measured(
    samples: &[Sample],
    warm_up_s: f64,
    duration_s: f64,
) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(move |sample| {
        sample.at_s - sample.length_s / 2.0 >= warm_up_s
            && sample.at_s - sample.length_s / 2.0 <= warm_up_s + duration_s
    })
}

/// A suffix of OpenMessaging's names, and its value in microseconds.
type Statistic = (&'static str, fn(&Summary) -> f64);

const STATISTICS: [Statistic; 8] = [
    ("Avg", |summary| summary.mean_us),
    ("50pct", |summary| summary.p50_us as f64),
    ("75pct", |summary| summary.p75_us as f64),
    ("95pct", |summary| summary.p95_us as f64),
    ("99pct", |summary| summary.p99_us as f64),
    ("999pct", |summary| summary.p99_9_us as f64),
    ("9999pct", |summary| summary.p99_99_us as f64),
    ("Max", |summary| summary.max_us as f64),
];

/// A count of a sample as a rate.
pub fn per_s(count: u64, sample: &Sample) -> f64 {
    if sample.length_s > 0.0 { count as f64 / sample.length_s } else { 0.0 }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::histogram::Latencies;

    /// Two seconds of warm-up, then twelve that end `p99_ms` milliseconds late, and one of draining.
    pub(crate) fn run(p99_ms: impl Fn(u64) -> u64) -> Run {
        let mut whole = Latencies::new();
        let samples: Vec<Sample> = (0..15)
            .map(|second| {
                let mut latencies = Latencies::new();
                for event in 0..1_000 {
                    let ms = if event < 950 { 2 } else { p99_ms(second) };
                    latencies.record_us(ms * 1_000 + event);
                }
                if (2..14).contains(&second) {
                    whole.merge(&latencies);
                }
                Sample {
                    at_s: second as f64 + 1.0,
                    length_s: 1.0,
                    due: 1_000,
                    sent: 1_000,
                    acknowledged: 1_000,
                    results: 990 + second,
                    lag_s: 0.01 * second as f64,
                    latency: latencies.summary(),
                    cpu_cores: Some(0.5),
                    rss_bytes: Some(64 << 20),
                    checkpoint: Some(second / 5),
                    ..Sample::default()
                }
            })
            .collect();
        Run {
            name: "plays <of> \"all\"".into(),
            input: "kafka".into(),
            output: "redis".into(),
            partitions: 4,
            threads: 2,
            warm_up_s: 2.0,
            duration_s: 12.0,
            mean_per_s: 1_000.0,
            latency: whole.summary(),
            percentiles: whole.percentiles(),
            lag_max_s: 0.13,
            samples,
            ..Run::default()
        }
    }

    #[test]
    fn the_file_has_openmessagings_names_and_reads_back() {
        let run = run(|_| 17);
        let file = run.to_json();
        assert_eq!(file["publishRate"].as_array().unwrap().len(), 12);
        assert_eq!(file["publishRate"][0], 1000.0);
        assert_eq!(file["consumeRate"][0], 992.0);
        assert_eq!(file["partitions"], 4);
        let p99 = file["aggregatedEndToEndLatency99pct"].as_f64().unwrap();
        assert!((p99 - 17.9).abs() < 0.2, "{p99}");
        assert_eq!(file["endToEndLatency99pct"].as_array().unwrap().len(), 12);
        let quantiles = file["aggregatedEndToEndLatencyQuantiles"].as_object().unwrap();
        assert!(quantiles["100"].as_f64().unwrap() > 17.0);
        assert_eq!(Run::from_json(&file.to_string()).unwrap(), run);
        let error = Run::from_json("{}").unwrap_err().to_string();
        assert!(error.starts_with("not the record of a run: missing field `nowcast`"), "{error}");
    }

    #[test]
    fn a_run_passes_if_nothing_is_lost_and_a_search_has_found_something() {
        let mut run = run(|_| 17);
        assert!(run.passed());
        run.counts.lost = Some(1);
        assert!(!run.passed());
        run.counts.lost = Some(0);
        run.trials.push(Trial {
            per_s: 1.0,
            passed: false,
            p99_us: 1,
            lag_max_s: 0.0,
            reason: "lost".into(),
        });
        assert!(!run.passed());
        run.sustainable_per_s = Some(1.0);
        assert!(run.passed());
    }
}
