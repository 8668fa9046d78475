//! From the counters of a job to what holds its output back, in words.

use std::collections::BTreeSet;

use nowcast_engine::Millis;
use nowcast_engine::stats::SplitReading;
use serde::Deserialize;

/// `/status`, as far as it is needed.
#[derive(Deserialize)]
pub struct Status {
    /// The job's clock, ms.
    pub now: Millis,
    /// Why there are no jobs yet.
    pub waiting: Option<String>,
    pub jobs: Vec<Job>,
}

#[derive(Deserialize)]
pub struct Job {
    pub job: String,
    pub idle_timeout_ms: Option<u64>,
    pub open_requests: u64,
    #[serde(default)]
    pub state: StateSize,
    pub stages: Vec<Stage>,
}

/// What all state takes in memory, and may take; 0: any number.
#[derive(Deserialize, Default)]
pub struct StateSize {
    pub bytes: u64,
    pub bytes_max: u64,
}

#[derive(Deserialize)]
pub struct Stage {
    pub name: String,
    pub kind: String,
    #[serde(default)]
    pub does: String,
    #[serde(default)]
    pub text: String,
    pub inputs: Vec<usize>,
    pub rows_in: u64,
    pub rows_out: u64,
    pub late: u64,
    pub dead_letters: u64,
    #[serde(default)]
    pub skipped: u64,
    pub waiting: Option<Millis>,
    #[serde(default)]
    pub state_bytes: u64,
    pub blocked_since: Option<Millis>,
    pub trouble: Option<String>,
    pub last_error: Option<String>,
    pub splits: Vec<SplitReading>,
}

/// A call to a sink that takes this long is worth a word, ms.
const SLOW_CALL: Millis = 1_000;

const MEGABYTE: u64 = 1 << 20;

/// Operators whose state is told of: the rest is small beside them.
const STATES_SHOWN: usize = 3;

/// Lines about each sink of a job.
pub fn diagnose(job: &Job, now: Millis) -> Vec<String> {
    let mut lines = vec![];
    let sinks = (0..job.stages.len()).filter(|at| job.stages[*at].kind == "sink");
    for sink in sinks {
        for line in of_sink(job, sink, now) {
            // Sinks of one source have its troubles in common.
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines.extend(state(job));
    lines
}

/// What the state takes, and the operators that have most of it; nothing where it is small.
fn state(job: &Job) -> Option<String> {
    let StateSize { bytes, bytes_max } = job.state;
    if bytes < MEGABYTE {
        return None;
    }
    let of = match bytes_max {
        0 => String::new(),
        bound => format!(" of {} mb that it may take", number(bound / MEGABYTE)),
    };
    let mut stages: Vec<&Stage> =
        job.stages.iter().filter(|stage| stage.state_bytes >= MEGABYTE).collect();
    stages.sort_by_key(|stage| std::cmp::Reverse(stage.state_bytes));
    let each =
        |stage: &&Stage| format!("`{}` {} mb", stage.name, number(stage.state_bytes / MEGABYTE));
    let each: Vec<String> = stages.iter().take(STATES_SHOWN).map(each).collect();
    Some(format!("state: {} mb{of}: {}", number(bytes / MEGABYTE), each.join(", ")))
}

fn of_sink(job: &Job, sink: usize, now: Millis) -> Vec<String> {
    let stage = &job.stages[sink];
    let mut lines = vec![];
    if let Some(line) = slow_sink(stage, now) {
        lines.push(line);
    }
    let upstream = upstream(job, sink);
    for at in &upstream {
        let stage = &job.stages[*at];
        let lines_of = match stage.kind.as_str() {
            "source" => of_source(job, stage),
            _ => of_operator(job, *at, now),
        };
        lines.extend(lines_of);
    }
    if lines.is_empty() {
        lines.push(match stage.rows_in {
            0 => format!("sink `{}`: nothing has come to it yet", stage.name),
            _ => "nothing holds output back".to_owned(),
        });
    }
    let written = format!("sink `{}`: {} rows written", stage.name, number(stage.rows_out));
    lines.push(written);
    lines
}

/// The stages upstream, sources first: the graph is in topological order.
fn upstream(job: &Job, sink: usize) -> BTreeSet<usize> {
    let (mut found, mut open) = (BTreeSet::new(), vec![sink]);
    while let Some(at) = open.pop() {
        for input in &job.stages[at].inputs {
            if found.insert(*input) {
                open.push(*input);
            }
        }
    }
    found
}

fn slow_sink(stage: &Stage, now: Millis) -> Option<String> {
    let since = now - stage.blocked_since?;
    if since < SLOW_CALL && stage.trouble.is_none() {
        return None;
    }
    let name = &stage.name;
    Some(match &stage.trouble {
        Some(trouble) => format!("sink `{name}`: no answer for {}: {trouble}", span(since)),
        None => format!("sink `{name}`: its last write has had no answer for {}", span(since)),
    })
}

fn of_source(job: &Job, stage: &Stage) -> Vec<String> {
    let name = &stage.name;
    let mut lines = vec![];
    if stage.dead_letters > 0 {
        let error = stage.last_error.as_deref().unwrap_or("unknown");
        let count = number(stage.dead_letters);
        lines.push(match stage.rows_out {
            0 => format!("all {count} rows of `{name}` went to the dead letters: {error}"),
            rows => format!(
                "{count} of {} rows of `{name}` went to the dead letters, the last one: {error}",
                number(rows + stage.dead_letters)
            ),
        });
        lines.push(format!("  nowcast dlq show {} shows them", job.job));
    }
    lines.extend(skipped(stage, stage.rows_out + stage.dead_letters + stage.skipped));
    if stage.rows_out == 0 && stage.dead_letters + stage.skipped == 0 {
        let topics: BTreeSet<&str> = stage
            .splits
            .iter()
            .map(|split| split.split.rsplit_once('/').map_or(split.split.as_str(), |it| it.0))
            .collect();
        let topics = topics.into_iter().collect::<Vec<_>>().join(", ");
        let from = stage.splits.iter().map(|split| split.offset).sum::<i64>();
        lines.push(match (topics.is_empty(), from) {
            (true, _) => format!("`{name}` has nothing to read: no splits"),
            (false, 0) => format!("no rows have come from `{name}`: {topics} is empty"),
            (false, _) => format!(
                "no rows have come from `{name}`: nothing new in {topics} since the job began to \
                 read behind what was there"
            ),
        });
    }
    for split in &stage.splits {
        let left = split.end.map_or(0, |end| end - split.offset);
        if left > 0 {
            lines.push(format!("{} rows wait unread in {}", number(left as u64), split.split));
        }
    }
    lines
}

/// Of `rows`, those that are passed over.
fn skipped(stage: &Stage, rows: u64) -> Option<String> {
    let (name, error) = (&stage.name, stage.last_error.as_deref().unwrap_or("unknown"));
    (stage.skipped > 0).then(|| {
        let (count, rows) = (number(stage.skipped), number(rows));
        format!("{count} of {rows} rows of `{name}` were passed over, the last one: {error}")
    })
}

fn of_operator(job: &Job, at: usize, now: Millis) -> Vec<String> {
    let stage = &job.stages[at];
    let mut lines = vec![];
    if stage.rows_in == 0 {
        return lines;
    }
    let (name, rows) = (&stage.name, number(stage.rows_in));
    if stage.late > 0 {
        lines.push(match stage.late >= stage.rows_in {
            true => {
                format!("all {rows} rows were late for `{name}`: the watermark had passed them")
            }
            false => format!("{} of {rows} rows were late for `{name}`", number(stage.late)),
        });
    }
    if stage.dead_letters > 0 {
        let error = stage.last_error.as_deref().unwrap_or("unknown");
        let count = number(stage.dead_letters);
        lines.push(match stage.dead_letters >= stage.rows_in {
            true => format!("all {rows} rows of `{name}` went to the dead letters: {error}"),
            false => {
                format!("{count} of {rows} rows of `{name}` went to the dead letters: {error}")
            }
        });
    }
    lines.extend(skipped(stage, stage.rows_in));
    if let Some(waiting) = stage.waiting {
        lines.push(held_back(job, at, waiting, now));
    } else if stage.rows_out == 0 && lines.is_empty() {
        lines.push(match (stage.does.as_str(), job.open_requests) {
            ("Calc", _) => format!("`{name}` lets none of {rows} rows pass ({})", stage.text),
            (_, 1..) => format!(
                "`{name}` has sent nothing on: {} requests to the outside have no answer",
                job.open_requests
            ),
            _ => format!("`{name}` has taken {rows} rows and sent none on"),
        });
    }
    lines
}

/// An operator that holds rows until the watermark has passed `waiting`: which split holds it back.
fn held_back(job: &Job, at: usize, waiting: Millis, now: Millis) -> String {
    let stage = &job.stages[at];
    let (name, time) = (&stage.name, clock(waiting));
    let what = match stage.does.as_str() {
        "IntervalJoin" => format!("row without a partner of `{name}`, which leaves at {time},"),
        does if does.contains("Window") => format!("window of `{name}` ending {time}"),
        _ => format!("row of `{name}` at {time}"),
    };
    let sources = upstream(job, at).into_iter().filter(|at| job.stages[*at].kind == "source");
    let splits: Vec<&SplitReading> = sources.flat_map(|at| &job.stages[at].splits).collect();
    let live: Vec<&SplitReading> =
        splits.iter().copied().filter(|split| !split.idle && !split.finished).collect();
    let Some(slowest) = live.iter().copied().min_by_key(|split| split.watermark) else {
        return match splits.iter().filter_map(|split| split.watermark).max() {
            Some(watermark) => format!(
                "{what} waits for newer rows: all partitions are quiet, the watermark stands at {}",
                clock(watermark)
            ),
            None => format!("{what} waits for newer rows: all partitions are quiet"),
        };
    };
    let furthest = splits.iter().copied().max_by_key(|split| split.watermark);
    let behind = furthest
        .filter(|furthest| furthest.split != slowest.split)
        .and_then(|furthest| Some((furthest, furthest.watermark? - slowest.watermark?)));
    let split = &slowest.split;
    let Some(watermark) = slowest.watermark else {
        return format!(
            "{what} waits for partition {split}: no row has come from it{}",
            still_live(job, slowest, now)
        );
    };
    match behind {
        Some((furthest, behind)) if behind > 0 => format!(
            "{what} waits for partition {split}: its watermark is {}, {} behind {}{}",
            clock(watermark),
            span(behind),
            furthest.split,
            still_live(job, slowest, now)
        ),
        _ => format!(
            "{what} waits for newer rows: the watermark is {} (partition {split}), {} short of it",
            clock(watermark),
            span((waiting - watermark).max(0))
        ),
    }
}

/// Why a quiet split still holds the watermark.
fn still_live(job: &Job, split: &SplitReading, now: Millis) -> String {
    let quiet = split.moved_at.map(|moved| now - moved);
    let since = match quiet {
        Some(quiet) => format!(", no rows for {}", span(quiet)),
        None => String::new(),
    };
    let unread = split.end.is_some_and(|end| end > split.offset);
    let why = match job.idle_timeout_ms {
        _ if unread => "rows wait there unread".to_owned(),
        None => "idle partitions are not passed over here ('table.exec.source.idle-timeout' is 0)"
            .to_owned(),
        Some(timeout) => format!("it is passed over after {} without rows", span(timeout as i64)),
    };
    format!("{since}; {why}")
}

/// `1,204`.
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time: `00:03:50`, or seconds below a minute.
fn span(ms: Millis) -> String {
    let seconds = ms / 1_000;
    match seconds {
        ..60 => format!("{}.{} s", seconds, (ms % 1_000) / 100),
        _ => format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    }
}

/// A point in event time, UTC.
fn clock(ms: Millis) -> String {
    match chrono::DateTime::from_timestamp_millis(ms) {
        Some(time) => {
            time.format("%Y-%m-%d %H:%M:%S%.3f").to_string().trim_end_matches(".000").to_owned()
        }
        None => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_with_most_state_are_named() {
        let stage = |name: &str, bytes: u64| {
            let text = format!(
                r#"{{"name":"{name}","kind":"operator","inputs":[],"rows_in":1,"rows_out":1,"late":0,
                "dead_letters":0,"splits":[],"state_bytes":{bytes}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let stages = vec![stage("join", 3_000 << 20), stage("calc", 0), stage("sum", 5 << 20)];
        let state_of = |bytes, bytes_max| StateSize { bytes, bytes_max };
        let mut job = Job {
            job: "orders".into(),
            idle_timeout_ms: None,
            open_requests: 0,
            state: state_of(3_005 << 20, 8 << 30),
            stages,
        };
        let line = "state: 3,005 mb of 8,192 mb that it may take: `join` 3,000 mb, `sum` 5 mb";
        assert_eq!(state(&job).unwrap(), line);
        job.state = state_of(10, 0);
        assert_eq!(state(&job), None);
    }

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(number(1_204), "1,204");
        assert_eq!(number(12), "12");
        assert_eq!(span(230_000), "00:03:50");
        assert_eq!(span(12_340), "12.3 s");
        assert_eq!(clock(0), "1970-01-01 00:00:00");
    }
}
