//! When a partition is whole (`sink.partition-commit.*`): then a file in it says so.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use nowcast_engine::{Epoch, Error, Millis, Result};

use super::partition::Partitions;
use crate::options::Options;

/// The watermark at the end of all input.
const END: Millis = Millis::MAX;

#[derive(Clone)]
pub struct PartitionCommit {
    trigger: Trigger,
    delay: Duration,
    file: String,
}

#[derive(Clone)]
enum Trigger {
    /// The delay after its first rows.
    ProcessTime,
    /// When the watermark is the delay past the time in its name.
    PartitionTime { pattern: Option<String>, format: Option<String>, zone: Tz },
}

impl PartitionCommit {
    /// `None` where no policy is given: nothing says then that a partition is whole.
    pub fn read(options: &Options<'_>, partitions: &Partitions) -> Result<Option<Self>> {
        let by_name = options.choice(
            "sink.partition-commit.trigger",
            &[("process-time", false), ("partition-time", true)],
        )?;
        let delay = options.duration("sink.partition-commit.delay")?.unwrap_or_default();
        let file = options.text("sink.partition-commit.success-file.name").unwrap_or("_SUCCESS");
        options.choice("partition.time-extractor.kind", &[("default", ())])?;
        let pattern = options.text("partition.time-extractor.timestamp-pattern");
        let format = match options.text("partition.time-extractor.timestamp-formatter") {
            Some(java) => Some(chrono_format(java).ok_or_else(|| {
                let expected = "of y, M, d, H, m, s, S and what stands between them";
                options.refuse("partition.time-extractor.timestamp-formatter", java, expected)
            })?),
            None => None,
        };
        let zone = options.parsed(
            "sink.partition-commit.watermark-time-zone",
            "a time zone such as Asia/Tokyo",
        )?;
        let Some(kinds) = options.text("sink.partition-commit.policy.kind") else {
            return Ok(None);
        };
        if kinds.split(',').any(|kind| kind.trim() != "success-file") {
            let expected = "success-file; metastores and classes of Java's are not there";
            return Err(options.refuse("sink.partition-commit.policy.kind", kinds, expected));
        }
        if partitions.depth() == 0 {
            let table = options.table();
            return Err(Error::user(format!(
                "table \"{table}\": \"sink.partition-commit.policy.kind\" needs PARTITIONED BY"
            )));
        }
        let trigger = match by_name {
            false => Trigger::ProcessTime,
            true => Trigger::PartitionTime {
                pattern: pattern.map(str::to_owned),
                format,
                zone: zone.unwrap_or(Tz::UTC),
            },
        };
        Ok(Some(Self { trigger, delay, file: file.to_owned() }))
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    fn is_whole(
        &self,
        partitions: &Partitions,
        folder: &str,
        since: Instant,
        watermark: Millis,
    ) -> Result<bool> {
        if watermark == END {
            return Ok(true);
        }
        match &self.trigger {
            Trigger::ProcessTime => Ok(since.elapsed() >= self.delay),
            Trigger::PartitionTime { pattern, format, zone } => {
                let text = time_text(partitions, folder, pattern.as_deref());
                let time = time_of(&text, format.as_deref(), *zone).ok_or_else(|| {
                    let hint = "see partition.time-extractor.timestamp-pattern";
                    Error::user(format!(
                        "the time of a partition is no timestamp: \"{text}\" ({hint})"
                    ))
                })?;
                let delay = i64::try_from(self.delay.as_millis()).unwrap_or(i64::MAX);
                Ok(watermark > time.saturating_add(delay))
            }
        }
    }
}

/// The time in the name of a partition as text: its first value, or the pattern with its values.
fn time_text(partitions: &Partitions, folder: &str, pattern: Option<&str>) -> String {
    let mut values = partitions.texts(Path::new(folder));
    let mut value = |name: &str| values.remove(name).flatten().unwrap_or_default();
    match pattern {
        None => partitions.names().next().map(value).unwrap_or_default(),
        Some(pattern) => partitions
            .names()
            .fold(pattern.to_owned(), |text, name| text.replace(&format!("${name}"), &value(name))),
    }
}

fn time_of(text: &str, format: Option<&str>, zone: Tz) -> Option<Millis> {
    let times = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let midnight = |date: NaiveDate| date.and_hms_opt(0, 0, 0);
    let read = |format: &str| {
        let time = match format.contains("%H") && !format.contains("%M") {
            true => NaiveDateTime::parse_from_str(&format!("{text} 0"), &format!("{format} %M")),
            false => NaiveDateTime::parse_from_str(text, format),
        };
        let time = time.ok();
        time.or_else(|| NaiveDate::parse_from_str(text, format).ok().and_then(midnight))
    };
    let local = match format {
        Some(format) => read(format),
        None => times.into_iter().chain(["%Y-%m-%d"]).find_map(read),
    }?;
    // A time that a clock put forward skips is read as UTC's.
    let instant = zone.from_local_datetime(&local).earliest();
    Some(instant.map_or(local.and_utc().timestamp_millis(), |at| at.timestamp_millis()))
}

/// A pattern of Java's `DateTimeFormatter` for chrono; `None` where it has other parts.
fn chrono_format(java: &str) -> Option<String> {
    let mut made = String::new();
    let mut rest = java;
    while let Some(letter) = rest.chars().next() {
        let run = rest.chars().take_while(|other| *other == letter).count();
        match (letter, run) {
            ('y' | 'u', _) => made.push_str("%Y"),
            ('M', 1 | 2) => made.push_str("%m"),
            ('d', _) => made.push_str("%d"),
            ('H', _) => made.push_str("%H"),
            ('m', _) => made.push_str("%M"),
            ('s', _) => made.push_str("%S"),
            ('S', 3 | 6 | 9) => made.push_str(&format!("%{run}f")),
            ('\'', 1) => {
                let (literal, after) = rest[1..].split_once('\'')?;
                made.push_str(&literal.replace('%', "%%"));
                rest = after;
                continue;
            }
            ('%', _) => made.push_str(&"%%".repeat(run)),
            (letter, _) if letter.is_ascii_alphabetic() || letter == '\'' => return None,
            (letter, run) => made.extend(std::iter::repeat_n(letter, run)),
        }
        rest = &rest[run * letter.len_utf8()..];
    }
    Some(made)
}

/// What the workers of a table have made readable of each partition. The last of them to complete a
/// checkpoint marks those that are whole.
pub struct Commits {
    policy: PartitionCommit,
    partitions: Partitions,
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How far each worker is: the checkpoint, and the watermark behind its rows.
    workers: Vec<Option<(Epoch, Millis)>>,
    /// Folders with rows since they were last marked, and since when.
    waiting: BTreeMap<String, Instant>,
}

impl Commits {
    pub fn new(policy: PartitionCommit, partitions: Partitions, root: PathBuf) -> Self {
        Self { policy, partitions, root, state: Mutex::default() }
    }

    pub fn policy(&self) -> &PartitionCommit {
        &self.policy
    }

    /// A worker of a run begins.
    pub fn open(&self, worker: usize, workers: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.workers.resize(workers.max(1), None);
        if let Some(own) = state.workers.get_mut(worker) {
            *own = None;
        }
    }

    /// Rows of a partition have become readable.
    pub fn readable(&self, folder: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.entry(folder.to_owned()).or_insert_with(Instant::now);
    }

    /// All rows of a worker up to a checkpoint are readable.
    pub fn complete(&self, worker: usize, epoch: Epoch, watermark: Millis) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = state.workers.get_mut(worker) {
            *own = Some((epoch, watermark));
        }
        // A worker whose input has ended completes no later checkpoint.
        let done = |of: &Option<(Epoch, Millis)>| {
            let (at, watermark) = (*of)?;
            (at >= epoch || watermark == END).then_some(watermark)
        };
        let all: Option<Vec<Millis>> = state.workers.iter().map(done).collect();
        let Some(watermark) = all.and_then(|all| all.into_iter().min()) else { return Ok(()) };
        let mut whole = vec![];
        for (folder, since) in &state.waiting {
            if self.policy.is_whole(&self.partitions, folder, *since, watermark)? {
                whole.push(folder.clone());
            }
        }
        for folder in whole {
            let path = self.root.join(&folder).join(&self.policy.file);
            let marked = File::create(&path).and_then(|file| file.sync_all());
            marked.map_err(|error| Error::outside(format!("{}: {error}", path.display())))?;
            state.waiting.remove(&folder);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_partitions_are_read() {
        let ms = |text, format: Option<&str>, zone| {
            time_of(text, format.map(|java| chrono_format(java).unwrap()).as_deref(), zone)
        };
        let minute = 1_767_225_600_000 + 7 * 60_000;
        assert_eq!(ms("2026-01-01 00:07:00", None, Tz::UTC), Some(minute));
        assert_eq!(ms("2026-01-01T00:07", None, Tz::UTC), Some(minute));
        assert_eq!(ms("2026-01-01 09:07:00", None, Tz::Asia__Tokyo), Some(minute));
        assert_eq!(ms("2026-01-01", None, Tz::UTC), Some(minute - 7 * 60_000));
        assert_eq!(ms("20260101", Some("yyyyMMdd"), Tz::UTC), Some(minute - 7 * 60_000));
        assert_eq!(ms("2026/01/01T00-07", Some("yyyy/MM/dd'T'HH-mm"), Tz::UTC), Some(minute));
        assert_eq!(ms("2026010100", Some("yyyyMMddHH"), Tz::UTC), Some(minute - 7 * 60_000));
        assert_eq!(ms("br", None, Tz::UTC), None);
        assert_eq!(chrono_format("EEE"), None);
    }
}
