//! Random queries over random small tables: what a stream of changes leaves standing, in any batch
//! size, on any number of workers and through a crash, is what DuckDB answers in one batch.
//!
//! `NOWCAST_QUERIES_SECONDS` says how long to go on (60), `NOWCAST_QUERIES_SEED` where to begin; a
//! query that differs is printed with its seed and its tables.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;
#[path = "golden/job.rs"]
mod job;
#[path = "queries/random.rs"]
mod random;
#[allow(dead_code)] // a part of it
#[path = "golden/rows.rs"]
mod rows;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use job::{How, standing_rows};
use nowcast_engine::aside::Discard;
use random::Question;
use serde_json::{Value, json};

/// DuckDB in a process of its own.
struct Judge {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Judge {
    fn start() -> Option<Self> {
        let knows = common::python().args(["-c", "import duckdb"]).stderr(Stdio::null()).status();
        if !knows.is_ok_and(|status| status.success()) {
            println!("skipped: no DuckDB in NOWCAST_PYTHON");
            return None;
        }
        let mut python = common::python();
        python.arg(common::judge("queries.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = python.spawn().unwrap();
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Some(Self { process, questions, answers })
    }

    fn answer(&mut self, question: &Question) -> Vec<Value> {
        let asked = json!({
            "tables": question.columns_by_table(),
            "rows": question.rows_by_table(),
            "sql": question.select,
        });
        writeln!(self.questions, "{asked}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let rows = told["rows"].as_array();
        rows.unwrap_or_else(|| panic!("DuckDB: {}\n{}", told["error"], question.select)).clone()
    }
}

/// The first way of running the question that gives other rows, in words.
async fn judge(question: &Question, expected: &[Value], seed: u64) -> Result<(), String> {
    let folder = common::folder();
    let sql = question.statements(folder.path());
    for (workers, rows_max, crash) in [(1, 1024, false), (1, 1, false), (2, 3, false), (2, 2, true)]
    {
        let how = How { workers, rows_max, crash, seed };
        let standing = standing_rows(&sql, &how, Arc::new(Discard))
            .await
            .map_err(|error| format!("{how}: {error}"))?;
        let got = standing.get("answer").cloned().unwrap_or_default();
        if let Some(difference) = rows::difference(expected, &got).in_words() {
            return Err(format!("{how}: {difference}"));
        }
    }
    Ok(())
}

#[test]
fn standing_rows_are_those_of_a_batch() {
    let Some(mut duckdb) = Judge::start() else { return };
    let number = |variable: &str| std::env::var(variable).ok().and_then(|text| text.parse().ok());
    let limit = Duration::from_secs(number("NOWCAST_QUERIES_SECONDS").unwrap_or(60));
    let first: u64 = number("NOWCAST_QUERIES_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_secs() % 1_000_000 * 1_000
    });
    println!("queries: from seed {first}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = Instant::now();
    let mut seed = first;
    while started.elapsed() < limit {
        let question = Question::random(seed);
        let expected = duckdb.answer(&question);
        if let Err(error) = runtime.block_on(judge(&question, &expected, seed)) {
            panic!(
                "NOWCAST_QUERIES_SEED={seed}\n{}\n{}\n{error}",
                json!(question.rows_by_table()),
                question.select
            );
        }
        seed += 1;
    }
    println!("queries: {} equal to DuckDB", seed - first);
}
