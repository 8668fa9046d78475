//! Flink's answers: each case of `golden/` in odd batch sizes, on several workers and through a
//! crash gives the rows that Flink wrote.
//!
//! Cases that are known to differ stand in `golden/differs.txt`, each with its reason; one that
//! agrees again must be taken out of it.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

#[path = "golden/rows.rs"]
mod rows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nowcast_connectors::{EmbeddedStore, Environment, Registry};
use nowcast_engine::testing::{Collected, Until, simulate, world};
use nowcast_engine::{Connectors, JobOptions, Result, SinkFactory, SourceFactory, TableDefinition};
use nowcast_onnx::OnnxProvider;
use nowcast_planner::Planner;
use serde_json::Value;

/// Real sources; sinks that keep their rows.
struct Kept {
    real: Registry,
    sinks: Mutex<BTreeMap<String, Collected>>,
}

impl Connectors for Kept {
    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceFactory>> {
        self.real.source(table)
    }

    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkFactory>> {
        let mut sinks = self.sinks.lock().unwrap();
        Ok(Arc::new(sinks.entry(table.name.clone()).or_default().clone()))
    }
}

struct Case {
    name: String,
    sql: String,
    /// The rows of each sink at the end.
    expected: BTreeMap<String, Vec<Value>>,
    /// Arrays are equal in any order, as the first lines of the query say.
    arrays_in_any_order: bool,
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
            sql: sql.replace("${CASE}", &folder.display().to_string()),
            expected: sinks,
            arrays_in_any_order: sql.contains("-- Arrays in any order"),
        }
    };
    folders.into_iter().map(case).collect()
}

/// Runs a case; what differs, in words.
async fn run(
    case: &Case,
    workers: usize,
    rows_max: usize,
    crash: bool,
) -> std::result::Result<(), String> {
    let environment = Environment {
        embedded_bootstrap: None,
        store: Arc::new(EmbeddedStore::in_memory()),
        ..Environment::default()
    };
    let kept = Arc::new(Kept { real: Registry::new(environment), sinks: Mutex::default() });
    let world = world(Arc::new(nowcast_engine::aside::Discard));
    let options = JobOptions { workers, rows_max, ..JobOptions::default() };
    let plan = || {
        let mut planner =
            Planner::new(kept.clone(), Arc::new(OnnxProvider::default()), BTreeMap::new());
        planner.plan(&case.sql).map_err(|error| error.to_string())
    };
    let failed = |error: nowcast_engine::Error| error.to_string();
    if crash {
        let until = Until::CrashAfterCheckpoint { turns: 5 };
        simulate(&plan()?.graph, &options, &world, 7, until).await.map_err(failed)?;
    }
    let job = plan()?;
    simulate(&job.graph, &options, &world, 8, Until::End).await.map_err(failed)?;
    for (sink, expected) in &case.expected {
        let collected = kept.sinks.lock().unwrap().get(sink).cloned().unwrap_or_default();
        let table = job.tables.iter().find(|table| table.name == *sink);
        let table = table.ok_or_else(|| format!("no table `{sink}`"))?;
        let mut got = rows::materialised(&collected.batches(), &table.primary_key)?;
        let mut expected = expected.clone();
        if case.arrays_in_any_order {
            expected = expected.iter().map(rows::with_arrays_sorted).collect();
            got = got.iter().map(rows::with_arrays_sorted).collect();
        }
        if let Some(difference) = rows::difference(&expected, &got).in_words() {
            return Err(format!("{sink}: {difference}"));
        }
    }
    Ok(())
}

/// The first run of a case that differs from Flink.
async fn judge(case: &Case) -> std::result::Result<(), String> {
    for (workers, rows_max, crash) in [
        (1, 1024, false),
        (1, 1, false),
        (1, 7, false),
        (2, 7, false),
        (4, 1, false),
        (1, 7, true),
        (2, 7, true),
    ] {
        let ran = run(case, workers, rows_max, crash).await;
        ran.map_err(|error| {
            format!("{workers} workers, {rows_max} rows a batch, crash {crash}: {error}")
        })?;
    }
    Ok(())
}

#[tokio::test]
async fn cases_equal_flink() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/differs.txt");
    let differs = std::fs::read_to_string(folder).unwrap();
    let known: Vec<&str> = differs.lines().filter_map(|line| line.split(':').next()).collect();
    let cases = cases();
    let (mut equal, mut wrong) = (0, vec![]);
    for case in &cases {
        match (judge(case).await, known.contains(&case.name.as_str())) {
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
