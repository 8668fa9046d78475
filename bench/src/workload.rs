//! Workload files: which events go where, how fast, and how what comes out of the system is matched to them.

mod values;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use self::values::{
    count, embedded, four, hundred, not_negative, objectives, one, positive, share, some_time, time,
};
use crate::Error;
use crate::curve::Curve;
use crate::slo::Slo;

/// A workload file. Times are written as `"30 s"`, shares as 0 to 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    pub name: String,
    /// The same seed gives the same events.
    #[serde(default = "one")]
    pub seed: u64,
    /// How long is measured.
    #[serde(deserialize_with = "time")]
    pub duration: Duration,
    /// What is sent before that, at the curve's first rate.
    #[serde(default, deserialize_with = "time")]
    pub warm_up: Duration,
    /// Generator threads; the events of one key come from one of them, in their order.
    #[serde(default = "one", deserialize_with = "count")]
    pub threads: u64,
    pub rate: Rate,
    #[serde(default)]
    pub keys: Keys,
    #[serde(default)]
    pub late: Late,
    /// The share of events that no reader can decode.
    #[serde(default, deserialize_with = "share")]
    pub poison: f64,
    /// The JSON object of an event, field by field.
    pub fields: BTreeMap<String, Field>,
    pub input: Input,
    pub output: Output,
    #[serde(default)]
    pub system: System,
    /// Objectives such as `p99<20ms,lag<5s`.
    #[serde(default, deserialize_with = "objectives")]
    pub slo: Vec<Slo>,
}

/// Events a second over the measured time.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rate {
    Constant {
        #[serde(deserialize_with = "positive")]
        per_s: f64,
    },
    Ramp {
        #[serde(deserialize_with = "not_negative")]
        from_per_s: f64,
        #[serde(deserialize_with = "positive")]
        to_per_s: f64,
        #[serde(deserialize_with = "time")]
        over: Duration,
    },
    LiveEvent {
        #[serde(deserialize_with = "positive")]
        per_s: f64,
        #[serde(deserialize_with = "positive")]
        peak_per_s: f64,
        /// When the viewers begin to come.
        #[serde(deserialize_with = "time")]
        at: Duration,
        #[serde(deserialize_with = "time")]
        rise: Duration,
        #[serde(deserialize_with = "time")]
        hold: Duration,
        #[serde(deserialize_with = "time")]
        fall: Duration,
    },
    PromotionDay {
        /// The mean without the promotion.
        #[serde(deserialize_with = "positive")]
        per_s: f64,
        #[serde(default, deserialize_with = "share")]
        swing: f64,
        /// The factor at the opening.
        #[serde(deserialize_with = "positive")]
        lift: f64,
        /// How long the day takes; the measured time if it is left out.
        #[serde(default, deserialize_with = "some_time")]
        day: Option<Duration>,
    },
    Diurnal {
        /// The mean.
        #[serde(deserialize_with = "positive")]
        per_s: f64,
        #[serde(deserialize_with = "share")]
        swing: f64,
        /// How long a day takes; the measured time if it is left out.
        #[serde(default, deserialize_with = "some_time")]
        day: Option<Duration>,
    },
}

/// Who the events are about.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    #[serde(deserialize_with = "count")]
    pub count: u64,
    /// The exponent of Zipf's law: 0 is even, 1 is usual, more is one key above all.
    #[serde(default, deserialize_with = "not_negative")]
    pub zipf: f64,
    /// Put before the number of a key, which then is text.
    #[serde(default)]
    pub prefix: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self { count: 10_000, zipf: 0.0, prefix: String::new() }
    }
}

/// Events whose event time lies in the past.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    #[serde(deserialize_with = "share")]
    pub share: f64,
    /// By how much at least and at most.
    #[serde(deserialize_with = "time")]
    pub from: Duration,
    #[serde(deserialize_with = "time")]
    pub to: Duration,
}

/// What a field of an event holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Field {
    /// The event's number in this run, plus the microsecond since 1970 at which the run began: no run repeats another's.
    Sequence,
    /// The intended start, microseconds since 1970.
    IntendedUs,
    /// The key's number, or with `keys.prefix` its text.
    Key,
    /// The event time as SQL has it, `2026-01-05 12:00:00.123`.
    EventTime,
    /// The event time in milliseconds since 1970.
    EventTimeMs,
    Integer {
        min: i64,
        max: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    Choice(Vec<String>),
    /// So many letters.
    Text(usize),
    /// True with this share.
    Boolean(f64),
}

/// The topic that the system reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Bootstrap servers; `embedded` is a broker in the bench itself.
    #[serde(default = "embedded")]
    pub bootstrap: String,
    /// Made if it is missing; a name of its own each run if it is left out.
    pub topic: Option<String>,
    #[serde(default = "four", deserialize_with = "count")]
    pub partitions: u64,
    /// For librdkafka's producer.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// Where the system's answers are seen.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Output {
    /// Each message is a JSON object.
    Kafka {
        /// The input's if it is left out.
        bootstrap: Option<String>,
        topic: String,
        sequence: Option<String>,
        intended_us: Option<String>,
        #[serde(default)]
        expect: Expect,
    },
    /// Hashes; the newest event of a key is looked for.
    Redis {
        url: String,
        /// With `{key}` in it.
        key: String,
        /// The hash field with the sequence.
        sequence: String,
        #[serde(default = "hundred", deserialize_with = "count")]
        sample: u64,
    },
    /// Answers of `GET`, JSON objects; the newest event of a key is looked for.
    Http {
        /// With `{key}` in it.
        url: String,
        sequence: String,
        #[serde(default = "hundred", deserialize_with = "count")]
        sample: u64,
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Server-sent events; each line of data is a JSON object.
    Sse {
        url: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        sequence: Option<String>,
        intended_us: Option<String>,
        #[serde(default)]
        expect: Expect,
    },
}

/// How a result is matched to an event. The sequence also shows what is lost or comes twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Matching {
    /// The result's field with the event's sequence; `a.b` is `b` in the object `a`.
    Sequence { field: String, expect: Expect },
    /// The result's field with an intended start in microseconds since 1970: for results of several events, their newest.
    IntendedUs(String),
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Each event that can be decoded and is not late: others are lost.
    #[default]
    Every,
    /// Filters and aggregates let some out.
    Some,
}

impl Output {
    /// By the sequence where both fields are named; none where neither is.
    pub fn matching(&self) -> Option<Matching> {
        match self {
            Self::Kafka { sequence: None, intended_us, .. }
            | Self::Sse { sequence: None, intended_us, .. } => {
                intended_us.clone().map(Matching::IntendedUs)
            }
            Self::Kafka { sequence: Some(field), expect, .. }
            | Self::Sse { sequence: Some(field), expect, .. } => {
                Some(Matching::Sequence { field: field.clone(), expect: *expect })
            }
            Self::Redis { sequence, .. } | Self::Http { sequence, .. } => {
                Some(Matching::Sequence { field: sequence.clone(), expect: Expect::Every })
            }
        }
    }
}

/// The system under test, as far as the bench shall start or watch it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Started before and stopped after the run. `{bootstrap}` and `{topic}` of the input, `{nowcast}` (this binary), `{here}`
    /// (the folder of the workload file) and `{out}` (that of the report) are filled in.
    #[serde(default)]
    pub command: Vec<String>,
    /// Asked until it answers with success before anything is sent.
    pub ready: Option<String>,
    /// Whose CPU and memory are recorded; that of `command` if it is left out.
    pub pid: Option<u32>,
    /// Prometheus text of the system: checkpoints of a nowcast are marked.
    pub metrics: Option<String>,
    /// The consumer group whose lag is recorded.
    pub group: Option<String>,
}

impl Workload {
    /// Reads a workload. `path` names it in errors.
    ///
    /// # Errors
    /// What cannot be read, with its line and field.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let workload: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text[..before].matches('\n').count() + 1;
            let field = text.lines().nth(line - 1).unwrap_or_default().trim();
            Error::content(path, line as u64, format!("`{field}`: {}", error.message()))
        })?;
        workload.check().map_err(|(words, message)| {
            // A rule over several fields: the line that names the first of them.
            let line = text.lines().position(|line| line.trim_start().starts_with(words));
            Error::content(path, line.map_or(1, |line| line as u64 + 1), message)
        })?;
        Ok(workload)
    }

    /// What no single field can tell: the beginning of the line that is wrong, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.duration.is_zero() {
            return Err(("duration", "`duration`: must be above zero".into()));
        }
        if self.late.from > self.late.to {
            return Err(("from", "`late.from` is above `late.to`".into()));
        }
        for (name, field) in &self.fields {
            let wrong = match field {
                Field::Integer { min, max } => min > max,
                Field::Number { min, max } => !(min <= max && (max - min).is_finite()),
                Field::Choice(values) => values.is_empty(),
                Field::Text(bytes) => *bytes > (1 << 20),
                Field::Boolean(share) => !(0.0..=1.0).contains(share),
                _ => false,
            };
            if wrong {
                return Err((
                    "[fields]",
                    format!(
                        "`fields.{name}`: min above max, no choice, a share beyond 0 to 1 or a text above 1 MiB"
                    ),
                ));
            }
        }
        let has = |wanted: fn(&Field) -> bool| self.fields.values().any(wanted);
        if let Output::Redis { key, .. } | Output::Http { url: key, .. } = &self.output
            && !key.contains("{key}")
        {
            return Err(("[output", format!("`output`: \"{key}\" does not hold {{key}}")));
        }
        match self.output.matching() {
            None => return Err(("[output", "`output`: needs `sequence` or `intended_us`".into())),
            Some(Matching::Sequence { .. }) if !has(|field| matches!(field, Field::Sequence)) => {
                return Err((
                    "[fields]",
                    "`fields`: `output.sequence` needs a field \"sequence\"".into(),
                ));
            }
            Some(Matching::IntendedUs(_)) if !has(|field| matches!(field, Field::IntendedUs)) => {
                let message = "`fields`: `output.intended_us` needs a field \"intended_us\"";
                return Err(("[fields]", message.into()));
            }
            Some(_) => {}
        }
        self.curve().map(|_| ()).map_err(|error| ("[rate", format!("`rate`: {error}")))
    }

    /// The rates of the whole run, warm-up included.
    ///
    /// # Errors
    /// If no event is ever due.
    pub fn curve(&self) -> Result<Curve, Error> {
        let curve = match self.rate {
            Rate::Constant { per_s } => Curve::constant(per_s),
            Rate::Ramp { from_per_s, to_per_s, over } => Curve::ramp(from_per_s, to_per_s, over),
            Rate::LiveEvent { per_s, peak_per_s, at, rise, hold, fall } => {
                Curve::live_event(per_s, peak_per_s, at, [rise, hold, fall])
            }
            Rate::PromotionDay { per_s, swing, lift, day } => {
                Curve::promotion_day(per_s, swing, lift, day.unwrap_or(self.duration))
            }
            Rate::Diurnal { per_s, swing, day } => {
                let day = day.unwrap_or(self.duration).max(Duration::from_millis(1));
                let days = (self.duration.as_secs_f64() / day.as_secs_f64()).ceil();
                Curve::diurnal(per_s, swing, day, days.min(10_000.0) as u32)
            }
        }?;
        curve.after(self.warm_up)
    }

    /// The text of a key.
    pub fn key(&self, number: u64) -> String {
        format!("{}{number}", self.keys.prefix)
    }

    /// Whether polled outputs look for this key: evenly spread, the most frequent one among them.
    pub fn is_sampled(&self, key: u64) -> bool {
        let sample = match self.output {
            Output::Redis { sample, .. } | Output::Http { sample, .. } => sample,
            Output::Kafka { .. } | Output::Sse { .. } => return true,
        };
        key.is_multiple_of(self.keys.count.div_ceil(sample))
    }
}

#[cfg(test)]
mod tests;
