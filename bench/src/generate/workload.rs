//! The events of a workload: event n follows from n and the seed alone.

use std::collections::BTreeMap;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

use crate::json;
use crate::workload::{Field, Keys, Late, Workload};

/// Random words for the key and the fate of an event; its fields draw from beyond, so that the fate can be told without them.
const FIELDS_AT_WORD: u128 = 64;

/// Letters of a text: none needs an escape.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz     .";

/// Makes the events of one workload. Each thread has its own; all make the same.
#[derive(Clone)]
pub struct Events {
    random: ChaCha8Rng,
    zipf: Option<Zipf<f64>>,
    keys: Keys,
    late: Late,
    poison: f64,
    fields: BTreeMap<String, Field>,
}

/// Who an event is about and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fate {
    /// From 0; the most frequent one is 0.
    pub key: u64,
    /// How far its event time lies in the past, ms; 0 where it is not late.
    pub late_ms: u64,
    /// No reader can decode it.
    pub poison: bool,
}

impl Fate {
    /// Whether the system can be expected to answer it.
    pub fn is_sound(&self) -> bool {
        self.late_ms == 0 && !self.poison
    }
}

impl Events {
    pub fn new(workload: &Workload) -> Self {
        let keys = workload.keys.clone();
        let zipf = (keys.zipf > 0.0).then(|| {
            Zipf::new(keys.count as f64, keys.zipf)
                .expect("a workload has at least one key and a finite exponent")
        });
        Self {
            random: ChaCha8Rng::seed_from_u64(workload.seed),
            zipf,
            keys,
            late: workload.late.clone(),
            poison: workload.poison,
            fields: workload.fields.clone(),
        }
    }

    pub fn fate(&mut self, number: u64) -> Fate {
        self.random.set_stream(number);
        self.random.set_word_pos(0);
        // The fate of an event does not hang on how many words Zipf draws.
        let poison = self.random.random_bool(self.poison);
        let is_late = self.random.random_bool(self.late.share);
        let (from, to) = (self.late.from.as_millis() as u64, self.late.to.as_millis() as u64);
        let by_ms = self.random.random_range(from..=to).max(1);
        let key = match &self.zipf {
            Some(zipf) => (zipf.sample(&mut self.random) as u64).clamp(1, self.keys.count) - 1,
            None => self.random.random_range(0..self.keys.count),
        };
        Fate { key, late_ms: if is_late { by_ms } else { 0 }, poison }
    }

    /// Appends the event as one JSON object, or what is left of it if it is poison.
    pub fn write(
        &mut self,
        number: u64,
        fate: &Fate,
        sequence: i64,
        intended_us: i64,
        out: &mut Vec<u8>,
    ) {
        self.random.set_stream(number);
        self.random.set_word_pos(FIELDS_AT_WORD);
        let start = out.len();
        out.push(b'{');
        let event_time_ms = intended_us / 1000 - fate.late_ms as i64;
        for (name, field) in &self.fields {
            let random = &mut self.random;
            match field {
                Field::Sequence => json::raw(out, name, &sequence.to_string()),
                Field::IntendedUs => json::raw(out, name, &intended_us.to_string()),
                Field::Key if self.keys.prefix.is_empty() => {
                    json::raw(out, name, &fate.key.to_string());
                }
                Field::Key => json::text(out, name, &format!("{}{}", self.keys.prefix, fate.key)),
                Field::EventTime => {
                    json::any_name(out, name);
                    json::time(out, event_time_ms);
                }
                Field::EventTimeMs => json::raw(out, name, &event_time_ms.to_string()),
                Field::Integer { min, max } => {
                    json::raw(out, name, &random.random_range(*min..=*max).to_string());
                }
                Field::Number { min, max } => {
                    let number = min + (max - min) * random.random::<f64>();
                    // Cents: as prices and measures come.
                    json::raw(out, name, &format!("{:?}", (number * 100.0).round() / 100.0));
                }
                Field::Choice(values) => {
                    json::text(out, name, values.choose(random).map_or("", String::as_str));
                }
                Field::Text(bytes) => {
                    let text: String = (0..*bytes)
                        .map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]))
                        .collect();
                    json::text(out, name, &text);
                }
                Field::Boolean(share) => {
                    let value = if random.random_bool(*share) { "true" } else { "false" };
                    json::raw(out, name, value);
                }
            }
        }
        out.push(b'}');
        if fate.poison {
            // Cut off in the middle, and from a byte on that no text has: broken for every reader.
            out.truncate(start + (out.len() - start) / 2);
            out.push(0xff);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn workload(zipf: f64) -> Workload {
        let text = format!(
            r#"
name = "t"
seed = 3
duration = "1 s"
poison = 0.1
rate.constant.per_s = 10
keys = {{ count = 100, zipf = {zipf}, prefix = "user-" }}
late = {{ share = 0.2, from = "5 s", to = "9 s" }}
output.kafka = {{ topic = "o", sequence = "s" }}
input = {{}}
[fields]
s = "sequence"
at = "intended_us"
user = "key"
"t\"ime" = "event_time"
price = {{ number = {{ min = 1, max = 2 }} }}
count = {{ integer = {{ min = -3, max = 3 }} }}
country = {{ choice = ["US", "D\"E"] }}
note = {{ text = 50 }}
live = {{ boolean = 0.5 }}
"#
        );
        Workload::parse(Path::new("t"), &text).unwrap()
    }

    #[test]
    fn an_event_follows_from_its_number_alone_and_reads_as_json() {
        let workload = workload(1.0);
        let (mut one, mut other) = (Events::new(&workload), Events::new(&workload));
        for number in (0..2000).rev() {
            other.fate(number);
        }
        for number in 0..2000 {
            let fate = one.fate(number);
            assert_eq!(fate, other.fate(number));
            let (mut a, mut b) = (vec![], vec![]);
            one.write(number, &fate, 7, 1_767_614_400_123_456, &mut a);
            other.write(number, &fate, 7, 1_767_614_400_123_456, &mut b);
            assert_eq!(a, b);
            let read = serde_json::from_slice::<serde_json::Value>(&a);
            assert_eq!(read.is_err(), fate.poison);
            if let Ok(event) = read {
                assert_eq!(event["s"], 7);
                assert_eq!(event["at"], 1_767_614_400_123_456_i64);
                assert_eq!(event["user"], format!("user-{}", fate.key));
                assert_eq!(event["t\"ime"] != "2026-01-05 12:00:00.123", fate.late_ms > 0);
                assert!((1.0..=2.0).contains(&event["price"].as_f64().unwrap()));
                assert_eq!(event["note"].as_str().unwrap().len(), 50);
            }
        }
    }

    #[test]
    fn shares_and_skew_are_those_of_the_file() {
        for (zipf, first) in [(0.0, 0.01), (1.0, 0.1928)] {
            let workload = workload(zipf);
            let mut events = Events::new(&workload);
            let fates: Vec<Fate> = (0..50_000).map(|number| events.fate(number)).collect();
            let share = |is: fn(&Fate) -> bool| {
                fates.iter().filter(|fate| is(fate)).count() as f64 / fates.len() as f64
            };
            assert!((share(|fate| fate.poison) - 0.1).abs() < 0.01);
            assert!((share(|fate| fate.late_ms > 0) - 0.2).abs() < 0.01);
            // 1 / H(100) under Zipf's law with exponent 1.
            assert!((share(|fate| fate.key == 0) - first).abs() < 0.01, "{zipf}");
            assert!(fates.iter().all(|fate| fate.key < 100));
            let late = fates.iter().filter(|fate| fate.late_ms > 0);
            assert!(late.clone().all(|fate| (5_000..=9_000).contains(&fate.late_ms)));
        }
    }
}
