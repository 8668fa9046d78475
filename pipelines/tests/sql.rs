//! The shell, through a pipe, a file and `-e`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use common::{fail, nowcast, succeed};

const TABLES: &str = "
CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '3',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '3');
CREATE TABLE sink (n BIGINT) WITH ('connector' = 'blackhole');
";

fn piped(data: &Path, text: &str) -> Output {
    let mut command = nowcast();
    command.args(["sql", "--workers", "1", "--data-dir"]).arg(data);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_bounded_query_prints_a_table_and_its_count() {
    let folder = common::folder();
    let output = piped(
        folder.path(),
        &format!("{TABLES}SELECT n, n * 2 AS twice FROM numbers WHERE n > 1;"),
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("n | twice\n--+------\n2 | 4\n3 | 6\n2 rows\n"), "{text}");
    assert!(output.status.success());
}

#[test]
fn names_columns_and_jobs_are_shown() {
    let folder = common::folder();
    let text = format!(
        "{TABLES}SHOW TABLES;\n\\d numbers\nSHOW FUNCTIONS;
         EXPLAIN SELECT n FROM numbers;
         SET 'pipeline.name' = 'all'; INSERT INTO sink SELECT n FROM numbers; SHOW JOBS;"
    );
    let output = piped(folder.path(), &text);
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "numbers\nsink\n",
        "n    | BIGINT | yes",
        "\nCOUNT\n",
        "Source `numbers`",
        "job all runs",
        "all | ",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_first_error_ends_a_script_and_points_at_its_place() {
    let folder = common::folder();
    let output =
        piped(folder.path(), "SELECT 1;\nSHOW TABLES; SELECT n\n  FROM nowhere; SHOW TABLES;");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let script = folder.path().join("script.sql");
    std::fs::write(&script, format!("{TABLES}SELECT m FROM numbers;")).unwrap();
    fail(
        nowcast().args(["sql", "-f"]).arg(script).arg("--data-dir").arg(folder.path()),
        &["line 5, column 8: unknown column `m`", "  SELECT m FROM numbers;\n         ^"],
    );
}

#[test]
fn one_statement_needs_no_semicolon() {
    let folder = common::folder();
    let text =
        succeed(nowcast().args(["sql", "-e", "SHOW TABLES", "--data-dir"]).arg(folder.path()));
    assert_eq!(text.trim(), "");
    fail(
        nowcast().args(["sql", "-e", "SELEC 1", "--data-dir"]).arg(folder.path()),
        &["SELEC", "^"],
    );
}

#[test]
fn a_job_can_be_stopped_by_name() {
    let folder = common::folder();
    let endless = TABLES.replace("'number-of-rows' = '3',", "'rows-per-second' = '10',");
    let endless = endless.replace(
        "'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '3'",
        "'fields.n.min' = '1'",
    );
    let output = piped(
        folder.path(),
        &format!("{endless}INSERT INTO sink SELECT n FROM numbers; STOP JOB 'job-1'; SHOW JOBS;"),
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("job job-1 runs\njob job-1 has stopped\n"), "{text}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
