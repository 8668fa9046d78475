//! `nowcast bench regress`: instructions of small fixed jobs beside those that are written down. Counts of instructions hold on a
//! machine that is busy with other things, where times do not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use nowcast_bench::Event;
use nowcast_bench::generate::clicks::{ClicksConfig, clicks};
use serde::{Deserialize, Serialize};

use super::Missed;
use crate::run::Usage;

/// Enough that the events outweigh the start, few enough for an emulator.
const EVENTS: usize = 20_000;

/// Threads make counts differ by a little between runs; the least of so many stands.
const RUNS: usize = 2;

/// Rows of a batch in the job `small`: what a batch costs, and not what its rows do.
const SMALL_ROWS: usize = 32;

/// The jobs, all over the same file of clicks. `start` reads one event: what it costs to begin. `small` is `tumble` in small
/// batches, as they are where events come one by one.
const JOBS: [(&str, &str); 6] = [
    ("start", "CREATE TABLE o (title_id BIGINT) WITH ('connector' = 'blackhole');
      INSERT INTO o SELECT title_id FROM clicks"),
    ("filter", "CREATE TABLE o (title_id BIGINT, profile_id BIGINT) WITH ('connector' = 'blackhole');
      INSERT INTO o SELECT title_id, profile_id FROM clicks WHERE event_type = 'play' AND watch_seconds >= 0"),
    ("tumble", TUMBLE),
    ("small", TUMBLE),
    ("over", "CREATE TABLE o (profile_id BIGINT, plays BIGINT, seconds BIGINT) WITH ('connector' = 'blackhole');
      INSERT INTO o SELECT profile_id, COUNT(*) OVER w, SUM(watch_seconds) OVER w FROM clicks
      WINDOW w AS (PARTITION BY profile_id ORDER BY event_time ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)"),
    ("group", "CREATE TABLE o (country STRING, device STRING, plays BIGINT, PRIMARY KEY (country, device) NOT ENFORCED)
      WITH ('connector' = 'blackhole');
      INSERT INTO o SELECT country, device, COUNT(*) FROM clicks GROUP BY country, device"),
];

const TUMBLE: &str =
    "CREATE TABLE o (title_id BIGINT, country STRING, w TIMESTAMP(3), plays BIGINT, seconds BIGINT)
    WITH ('connector' = 'blackhole');
    INSERT INTO o SELECT title_id, country, window_end, COUNT(*), SUM(watch_seconds)
    FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
    GROUP BY title_id, country, window_start, window_end";

const CLICKS: &str = "CREATE TABLE clicks (event_time TIMESTAMP(3), profile_id BIGINT, title_id BIGINT, event_type STRING,
    watch_seconds BIGINT, country STRING, device STRING, WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND)
    WITH ('connector' = 'filesystem', 'path' = '${FILE}', 'format' = 'json');\n";

#[derive(Args)]
pub struct Regress {
    /// What is compared with.
    #[arg(long, default_value = "bench/baseline.json")]
    baseline: PathBuf,
    /// Writes what is counted into the baseline instead of comparing.
    #[arg(long)]
    update: bool,
    /// How much more, in percent, ends with exit code 4.
    #[arg(long, default_value_t = 3.0)]
    tolerance: f64,
    /// Runs these jobs alone.
    #[arg(long, value_delimiter = ',')]
    jobs: Vec<String>,
    /// Counts with `perf` or `callgrind` [default: perf where the machine has counters, else callgrind].
    #[arg(long)]
    counter: Option<Counter>,
}

/// What counts instructions. Counts of one are not comparable with those of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Counter {
    Perf,
    Callgrind,
}

/// Instructions by job, by what counted them and the profile of the build.
#[derive(Default, Deserialize, Serialize)]
#[serde(transparent)]
struct Baseline(BTreeMap<String, BTreeMap<String, u64>>);

pub fn regress(command: &Regress) -> Result<()> {
    for name in &command.jobs {
        if !JOBS.iter().any(|(job, _)| job == name) {
            bail!("--jobs {name}: there are {}", JOBS.map(|(job, _)| job).join(", "));
        }
    }
    let counter = match command.counter {
        Some(counter) => counter,
        None => Counter::of_this_machine()?,
    };
    let kind = counter.kind();
    let mut baseline = Baseline::read(&command.baseline)?;
    let before = baseline.0.get(&kind).cloned().unwrap_or_default();
    if before.is_empty() && !command.update {
        bail!("{}: has no counts of {kind}; --update writes them", command.baseline.display());
    }
    let folder = tempfolder()?;
    let result = count_all(command, counter, &before, &folder);
    // What cannot be removed is left to the system's own cleaning of its temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
    let (counts, moved) = result?;
    if command.update {
        baseline.0.entry(kind).or_default().extend(counts);
        return baseline.write(&command.baseline);
    }
    match moved.is_empty() {
        true => Ok(()),
        false => {
            say!("more instructions than before: {}", moved.join(", "));
            Err(Missed.into())
        }
    }
}

fn tempfolder() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("nowcast-regress-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Counts of all jobs that are wanted, and the names of those that have moved up.
fn count_all(
    command: &Regress,
    counter: Counter,
    before: &BTreeMap<String, u64>,
    folder: &Path,
) -> Result<(BTreeMap<String, u64>, Vec<&'static str>)> {
    let config = ClicksConfig::seeded(1).events_per_s(1_000.0);
    let lines: Vec<String> = clicks(&config).take(EVENTS).map(|click| click.to_json()).collect();
    let (mut counts, mut moved) = (BTreeMap::new(), vec![]);
    say!("{:<8} {:>16} {:>16} {:>9}  {:>12}", "job", "before", "now", "", "per event");
    let wanted = |job: &&(&str, &str)| {
        command.jobs.is_empty() || command.jobs.iter().any(|name| name == job.0)
    };
    for (job, sql) in JOBS.iter().filter(wanted) {
        let events = if *job == "start" { 1 } else { EVENTS };
        let input = folder.join(format!("{job}.json"));
        std::fs::write(&input, lines[..events].join("\n"))?;
        let file = folder.join(format!("{job}.sql"));
        std::fs::write(&file, CLICKS.replace("${FILE}", &input.display().to_string()) + sql)?;
        let mut options = vec![];
        if *job == "small" {
            options.extend(["--rows-max".to_owned(), SMALL_ROWS.to_string()]);
        }
        let runs = (0..RUNS).map(|run| {
            counter.count(&file, &options, events, &folder.join(format!("{job}-{run}")))
        });
        let now = runs.collect::<Result<Vec<u64>>>()?.into_iter().min().context("no run")?;
        let start = counts.get("start").copied().unwrap_or(0);
        let per_event = now.saturating_sub(start) / events as u64;
        match before.get(*job) {
            Some(before) => {
                let percent = (now as f64 / *before as f64 - 1.0) * 100.0;
                say!("{job:<8} {before:>16} {now:>16} {percent:>+8.2}%  {per_event:>12}");
                if percent > command.tolerance {
                    moved.push(*job);
                }
                if percent < -command.tolerance {
                    say!("  {job} takes less than is written down: --update keeps it that way");
                }
            }
            None => say!("{job:<8} {:>16} {now:>16} {:>9}  {per_event:>12}", "-", ""),
        }
        counts.insert((*job).to_owned(), now);
    }
    Ok((counts, moved))
}

impl Counter {
    fn of_this_machine() -> Result<Self> {
        let works = |mut command: Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let mut valgrind = Command::new("valgrind");
        valgrind.arg("--version");
        match perf_counts() {
            true => Ok(Self::Perf),
            false if works(valgrind) => Ok(Self::Callgrind),
            false => {
                bail!("neither `perf stat -e instructions:u` nor valgrind counts instructions here")
            }
        }
    }

    fn kind(self) -> String {
        let counter = if self == Self::Perf { "perf" } else { "callgrind" };
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        format!("{counter} {profile} {}", std::env::consts::ARCH)
    }

    /// Instructions of one run of a job, which must have read all `events`.
    fn count(self, sql: &Path, options: &[String], events: usize, data: &Path) -> Result<u64> {
        let own = std::env::current_exe()?;
        let out = data.with_extension("counts");
        let mut command = match self {
            Self::Perf => {
                let mut command = Command::new("perf");
                command.args(["stat", "-x", ",", "-e", "instructions:u", "-o"]).arg(&out);
                command
            }
            Self::Callgrind => {
                let mut command = Command::new("valgrind");
                command.args(["--tool=callgrind", "--quiet"]);
                command.arg(format!("--callgrind-out-file={}", out.display()));
                command
            }
        };
        command.arg(own).arg("run").arg(sql).args(options);
        command.args(["--usage", "--no-http", "--fresh", "--workers", "1", "--data-dir"]).arg(data);
        // One thread beside the worker: fewer ways to interleave.
        command.env("TOKIO_WORKER_THREADS", "1");
        let output = command.output().with_context(|| format!("{command:?}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        let usage: Usage = serde_json::from_str(text.lines().last().unwrap_or_default())
            .with_context(|| format!("the job said \"{text}\""))?;
        if usage.rows_read != events as u64 {
            bail!("{}: read {} of {events} events", sql.display(), usage.rows_read);
        }
        let counts = std::fs::read_to_string(&out).with_context(|| out.display().to_string())?;
        let count = if self == Self::Perf { of_perf(&counts) } else { of_callgrind(&counts) };
        count.with_context(|| format!("{}: no count of instructions", out.display()))
    }
}

/// Whether the machine, which may be a virtual one, has counters.
fn perf_counts() -> bool {
    let output =
        Command::new("perf").args(["stat", "-x", ",", "-e", "instructions:u", "true"]).output();
    output.is_ok_and(|output| of_perf(&String::from_utf8_lossy(&output.stderr)).is_some())
}

/// `12345,,instructions:u,…`; words where nothing was counted.
fn of_perf(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("instructions:u"))?;
    line.split(',').next()?.parse().ok().filter(|count| *count > 0)
}

/// `summary: 12345` or, in newer ones, `totals: 12345`.
fn of_callgrind(text: &str) -> Option<u64> {
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    line("summary:").or_else(|| line("totals:"))?.trim().parse().ok()
}

impl Baseline {
    fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
        say!("written to {}", path.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_words_are_not() {
        assert_eq!(of_perf("# started\n\n123456,,instructions:u,1000,100.00,,\n"), Some(123_456));
        assert_eq!(of_perf("<not supported>,,instructions:u,0,100.00,,\n"), None);
        assert_eq!(of_callgrind("events: Ir\nsummary: 99\n\nfn=(1)\n"), Some(99));
        assert_eq!(of_callgrind("events: Ir\nfn=(1)\ntotals: 98\n"), Some(98));
        assert_eq!(of_callgrind(""), None);
    }
}
