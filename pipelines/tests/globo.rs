//! Real clicks through real Kafka: every window equals DuckDB's, every late row is where it belongs.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::io::Write;
use std::path::Path;

use common::{
    data_folder, fresh_topic, given, judge, messages, nowcast, python, succeed, written_lines,
};

/// Windows over `topic` into `folder`.
fn job(bootstrap: &str, topic: &str, bound_s: u32, folder: &Path) -> String {
    format!(
        "SET 'pipeline.name' = 'globo';
         CREATE TABLE clicks (
           event_time TIMESTAMP(3), profile_id BIGINT, title_id BIGINT,
           WATERMARK FOR event_time AS event_time - INTERVAL '{bound_s}' SECOND
         ) WITH (
           'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{bootstrap}',
           'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json'
         );
         CREATE TABLE windows (title_id BIGINT, window_start TIMESTAMP(3), clicks BIGINT, users BIGINT)
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
         INSERT INTO windows
         SELECT title_id, window_start, COUNT(*), COUNT(DISTINCT profile_id)
         FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(event_time), INTERVAL '5' MINUTES))
         GROUP BY title_id, window_start, window_end;",
        folder.display()
    )
}

fn run(partitions: u32, disorder_ms: u32, bound_s: u32, clicks: Option<usize>, late: bool) {
    let (Some(bootstrap), Some(data)) = (given("NOWCAST_KAFKA"), data_folder()) else { return };
    let folder = common::folder();
    let events = folder.path().join("clicks.jsonl");
    let mut generate = nowcast();
    generate.args(["generate", "globo", "--data"]).arg(&data);
    if let Some(clicks) = clicks {
        generate.args(["--events", &clicks.to_string()]);
    }
    let text = succeed(&mut generate);
    std::fs::write(&events, &text).unwrap();

    let topic = fresh_topic("globo");
    succeed(
        nowcast()
            .arg("replay")
            .arg(&events)
            .args(["--topic", &topic, "--bootstrap", &bootstrap, "--key", "title_id"])
            .args(["--partitions", &partitions.to_string()])
            .args(["--disorder-ms", &disorder_ms.to_string(), "--seed", "7"]),
    );
    let sql = folder.path().join("globo.sql");
    let out = folder.path().join("windows");
    std::fs::write(&sql, job(&bootstrap, &topic, bound_s, &out)).unwrap();
    let state = folder.path().join("state");
    succeed(
        nowcast()
            .arg("run")
            .arg(&sql)
            .args(["--no-http", "--workers", "2", "--data-dir"])
            .arg(&state),
    );

    let raw = folder.path().join("messages.tsv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&raw).unwrap());
    let read = messages(&bootstrap, &topic);
    assert_eq!(read.len(), text.lines().count(), "the replay lost or doubled events");
    for (partition, offset, payload) in read {
        write!(file, "{partition}\t{offset}\t").unwrap();
        file.write_all(&payload).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.flush().unwrap();
    let windows = folder.path().join("windows.jsonl");
    std::fs::write(&windows, written_lines(&out).join("\n")).unwrap();
    let mut judging = python();
    judging.arg(judge("globo_windows.py")).arg(&raw).arg(&windows).arg(bound_s.to_string());
    if late {
        judging.arg(state.join("aside/globo.late.jsonl"));
    }
    let verdict = judging.output().unwrap();
    println!("{}", String::from_utf8_lossy(&verdict.stdout));
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stderr));
}

#[test]
fn every_window_of_two_million_clicks_equals_duckdbs() {
    run(4, 60_000, 60, None, false);
}

#[test]
fn just_the_rows_that_the_watermark_makes_late_are_set_aside() {
    run(1, 60_000, 10, Some(300_000), true);
}
