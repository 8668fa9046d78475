//! Flink's answers to the Nexmark queries, over few events: as many rows at the end, of the same digest.
//!
//! `bench/nexmark/run.sh --expected` has Flink write the answers, and `run.sh` compares over more
//! events. Queries that are known to differ stand in `bench/nexmark/differs.txt`, each with its
//! reason; one that agrees again must be taken out of it.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

#[path = "nexmark/digest.rs"]
mod digest;
#[allow(dead_code)] // comparing rows is for the golden cases
#[path = "golden/rows.rs"]
mod rows;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// As in `run.sh --expected`.
const EVENTS: &str = "20000";
const EVENTS_PER_S: &str = "500";

fn read(name: &str) -> String {
    let nexmark = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/nexmark");
    std::fs::read_to_string(nexmark.join(name)).unwrap()
}

#[tokio::test]
async fn the_connector_makes_the_events_of_the_file() {
    let table = read("table_from_generator.sql")
        .replace("'next-event.rate' = '10000'", &format!("'next-event.rate' = '{EVENTS_PER_S}'"))
        .replace("'events.num' = '1000000'", &format!("'events.num' = '{EVENTS}'"));
    let sql = table + &read("views.sql") + &read("q0.sql");
    let digests = digest::digests(&sql, 2).await.unwrap();
    let expected = read("expected");
    let expected = expected.lines().next().unwrap().strip_prefix("q0 nexmark_q0 ").unwrap();
    assert_eq!(digests["nexmark_q0"], expected);
}

#[tokio::test]
async fn queries_equal_flink() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let generated = Command::new(env!("CARGO_BIN_EXE_nowcast"))
        .args(["generate", "nexmark", "--events", EVENTS, "--events-per-s", EVENTS_PER_S])
        .output()
        .unwrap();
    assert!(generated.status.success());
    let events = write("events.json", &generated.stdout);
    let mut entries = String::new();
    for key in 0..10_000 {
        writeln!(entries, "{key},value of {key}").unwrap();
    }
    let entries = write("side_input.csv", entries.as_bytes());
    let tables = read("table_from_file.sql") + &read("views.sql");
    let differs = read("differs.txt");
    let known: Vec<&str> = differs.lines().filter_map(|line| line.split(':').next()).collect();
    let expected = read("expected");
    let (mut equal, mut wrong) = (0, vec![]);
    for line in expected.lines() {
        let (query, answer) = line.split_once(' ').unwrap();
        let (table, answer) = answer.split_once(' ').unwrap();
        let sql = tables.clone() + &read(&format!("{query}.sql"));
        let sql = sql.replace("${EVENTS}", &events).replace("${SIDE_INPUT}", &entries);
        let problem = match digest::digests(&sql, 2).await {
            Ok(digests) if digests.get(table).is_some_and(|digest| digest == answer) => None,
            Ok(digests) => Some(format!("{:?}, Flink {answer}", digests.get(table))),
            Err(error) => Some(error),
        };
        match (problem, known.contains(&query)) {
            (None, false) => equal += 1,
            (None, true) => wrong.push(format!("{query}: agrees now, take it out of differs.txt")),
            (Some(problem), true) => println!("known to differ: {query}: {problem}"),
            (Some(problem), false) => wrong.push(format!("{query}: {problem}")),
        }
    }
    println!("nexmark: {equal} queries equal to Flink of {}", expected.lines().count());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
