//! Flink's answers: each case of `golden/` in odd batch sizes, on several workers, through a crash
//! and, where no row is late, with its input in several partitions gives the rows that Flink wrote.
//! A case in which the order of rows of several partitions decides says so: `-- Arrival decides`.
//!
//! Cases that are known to differ stand in `golden/differs.txt`, each with its reason; one that
//! agrees again must be taken out of it. `NOWCAST_CASES=join,top_n` judges those alone whose names hold
//! one of the parts.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

#[path = "golden/job.rs"]
mod job;
#[path = "golden/partitions.rs"]
mod partitions;
#[path = "golden/rows.rs"]
mod rows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use job::{How, standing_rows};
use nowcast_engine::testing::Kept;
use serde_json::Value;

struct Case {
    name: String,
    folder: PathBuf,
    /// `${CASE}` in it stands for the folder of the input.
    sql: String,
    /// The rows of each sink at the end.
    expected: BTreeMap<String, Vec<Value>>,
    /// Arrays are equal in any order, as the first lines of the query say.
    arrays_in_any_order: bool,
    /// The rows depend on which of two partitions is read first, as the first lines of the query say.
    arrival_decides: bool,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("expected").is_file());
    folders.sort();
    let case = |folder: PathBuf| {
        let sql = std::fs::read_to_string(folder.join("query.sql")).unwrap();
        let expected = std::fs::read_to_string(folder.join("expected")).unwrap();
        let mut sinks: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut sink = String::new();
        for line in expected.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            match line["sink"].as_str() {
                Some(name) => {
                    sink = name.to_owned();
                    sinks.entry(sink.clone()).or_default();
                }
                None => sinks.get_mut(&sink).unwrap().push(line),
            }
        }
        Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            expected: sinks,
            arrays_in_any_order: sql.contains("-- Arrays in any order"),
            arrival_decides: sql.contains("-- Arrival decides"),
            folder,
            sql,
        }
    };
    folders.into_iter().map(case).collect()
}

/// Runs a case on the input in a folder and tells whether any row was late; what differs, in words.
async fn run(case: &Case, input: &Path, how: &How) -> std::result::Result<bool, String> {
    let sql = case.sql.replace("${CASE}", &input.display().to_string());
    let aside = Arc::new(Kept::default());
    let mut standing = standing_rows(&sql, how, aside.clone()).await?;
    for (sink, expected) in &case.expected {
        let mut got = standing.remove(sink).ok_or_else(|| format!("no table `{sink}`"))?;
        let mut expected = expected.clone();
        if case.arrays_in_any_order {
            expected = expected.iter().map(rows::with_arrays_sorted).collect();
            got = got.iter().map(rows::with_arrays_sorted).collect();
        }
        if let Some(difference) = rows::difference(&expected, &got).in_words() {
            return Err(format!("{sink}: {difference}"));
        }
    }
    let late = aside.late.lock().unwrap();
    Ok(!late.is_empty())
}

/// The first run of a case that differs from Flink.
async fn judge(case: &Case) -> std::result::Result<(), String> {
    let mut late = false;
    for (workers, rows_max, crash) in [
        (1, 1024, false),
        (1, 1, false),
        (1, 7, false),
        (2, 7, false),
        (4, 1, false),
        (1, 7, true),
        (2, 7, true),
    ] {
        let how = How { workers, rows_max, crash, seed: 7 };
        let ran = run(case, &case.folder, &how).await;
        late |= ran.map_err(|error| format!("{how}: {error}"))?;
    }
    if late || case.arrival_decides {
        return Ok(());
    }
    let shuffled = partitions::shuffled(&case.folder, 7).map_err(|error| error.to_string())?;
    for (workers, crash) in [(1, false), (2, true)] {
        let how = How { workers, rows_max: 3, crash, seed: 7 };
        let ran = run(case, shuffled.path(), &how).await;
        ran.map_err(|error| format!("in partitions, {how}: {error}"))?;
    }
    Ok(())
}

/// Judges all cases, on as many threads as there are cores.
fn judge_all(cases: &[Case]) -> Vec<std::result::Result<(), String>> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(vec![Ok(()); cases.len()]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { return };
                    let verdict = runtime.block_on(judge(case));
                    verdicts.lock().unwrap()[number] = verdict;
                }
            });
        }
    });
    verdicts.into_inner().unwrap()
}

#[test]
fn cases_equal_flink() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/differs.txt");
    let differs = std::fs::read_to_string(folder).unwrap();
    let known: Vec<&str> = differs.lines().filter_map(|line| line.split(':').next()).collect();
    let mut cases = cases();
    if let Ok(wanted) = std::env::var("NOWCAST_CASES") {
        cases.retain(|case| wanted.split(',').any(|part| case.name.contains(part)));
    }
    let (mut equal, mut wrong) = (0, vec![]);
    for (case, verdict) in cases.iter().zip(judge_all(&cases)) {
        match (verdict, known.contains(&case.name.as_str())) {
            (Ok(()), false) => equal += 1,
            (Ok(()), true) => {
                wrong.push(format!("{}: agrees now, take it out of differs.txt", case.name))
            }
            (Err(error), true) => println!("known to differ: {}: {error}", case.name),
            (Err(error), false) => wrong.push(format!("{}: {error}", case.name)),
        }
    }
    println!("golden: {equal} cases equal to Flink of {}", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
