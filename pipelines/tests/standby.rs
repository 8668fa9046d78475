//! A run that stands by answers probes until it has the job, and then serves it.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Server, address_said, get, newest, nowcast, succeed, wait_until};
use serde_json::Value;

fn job(folder: &Path, data: &str) -> Command {
    let sql = "CREATE TABLE numbers (n BIGINT) WITH (
                 'connector' = 'datagen', 'rows-per-second' = '10');
               CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
               INSERT INTO nowhere SELECT n FROM numbers;";
    let file = folder.join("job.sql");
    std::fs::write(&file, sql).unwrap();
    let mut run = nowcast();
    run.arg("run").arg(file).args(["--workers", "1", "--standby", "--lease-timeout", "1s"]);
    run.args(["--checkpoint-interval", "100ms", "--http", "127.0.0.1:0"]);
    run.arg("--checkpoints").arg(folder.join("shared")).arg("--data-dir").arg(folder.join(data));
    run.env("NOWCAST_LOG", "nowcast=info,warn").stderr(Stdio::piped());
    run
}

#[test]
fn one_that_stands_by_says_so_and_is_ready_when_it_has_the_job() {
    let folder = common::folder();
    let mut first = job(folder.path(), "first").spawn().unwrap();
    let address = address_said(&mut first, "serving on http://");
    let mut first = Server { child: first, address };
    wait_until("a checkpoint", || newest(&folder.path().join("shared")) > 0);

    let mut second = job(folder.path(), "second").spawn().unwrap();
    let address = address_said(&mut second, "probes on http://");
    let second = Server { child: second, address };
    let ask = |path: &str| get(&second.address, path);
    assert_eq!(ask("/livez").0, 200);
    let (code, answer) = ask("/readyz");
    assert_eq!((code, answer.contains("standing by")), (503, true), "{answer}");
    assert_eq!(ask("/v1/features/t/k").0, 503);
    let status: Value = serde_json::from_str(&ask("/status").1).unwrap();
    assert_eq!(
        (status["waiting"].as_str(), &status["jobs"]),
        (Some("standing by"), &serde_json::json!([]))
    );
    let metric = |line: &str| ask("/metrics").1.lines().any(|found| found == line);
    wait_until("the metric", || metric("nowcast_standing_by 1"));
    let why = succeed(nowcast().args(["why", "--http", &second.address]));
    assert!(why.starts_with("standing by"), "{why}");

    first.child.kill().unwrap();
    wait_until("the job", || ask("/readyz").0 == 200);
    let status: Value = serde_json::from_str(&ask("/status").1).unwrap();
    assert_eq!(
        (&status["waiting"], status["jobs"][0]["job"].as_str()),
        (&Value::Null, Some("job"))
    );
    wait_until("the metric", || metric("nowcast_standing_by 0"));
}
