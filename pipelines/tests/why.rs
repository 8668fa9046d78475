//! `nowcast why` names what holds a running job's output back: one job a cause, all in one process.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Server, embedded_broker, fail, fresh_topic, nowcast, produce, succeed, wait_until};

struct Running {
    server: Server,
    address: String,
}

/// Runs files in one process and waits for its HTTP address.
fn run(folder: &Path, files: &[(&str, String)]) -> Running {
    let mut command = nowcast();
    command.arg("run").args(["--http", "127.0.0.1:0", "--workers", "1", "--data-dir"]);
    command.arg(folder.join("data")).env("NOWCAST_LOG", "nowcast=info,warn");
    for (name, sql) in files {
        let path = folder.join(format!("{name}.sql"));
        std::fs::write(&path, sql).unwrap();
        command.arg(path);
    }
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.unwrap();
        println!("{line}");
        line.split("serving on http://").nth(1).map(|address| address.trim().to_owned())
    });
    // The rest is read, so that the child never waits to write.
    std::thread::spawn(move || lines.for_each(|line| println!("{}", line.unwrap_or_default())));
    let address = address.expect("an address");
    Running { server: Server { child, address: address.clone() }, address }
}

impl Running {
    fn why(&self, job: &str) -> String {
        succeed(nowcast().args(["why", job, "--http", &self.address]))
    }

    /// Waits until the answer for a job has all of these words.
    fn says(&self, job: &str, words: &[&str]) {
        let mut last = String::new();
        wait_until(&format!("{words:?}"), || {
            let text = self.why(job);
            if text != last {
                println!("{text}");
                last.clone_from(&text);
            }
            words.iter().all(|word| text.contains(word))
        });
    }
}

fn clicks(broker: &str, topic: &str, more: &str) -> String {
    format!(
        "CREATE TABLE clicks (ts TIMESTAMP(3), title_id BIGINT, WATERMARK FOR ts AS ts) WITH (
           'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{broker}',
           'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
         CREATE TABLE plays (title_id BIGINT, plays BIGINT) WITH ('connector' = 'blackhole');
         {more}"
    )
}

const WINDOW: &str = "INSERT INTO plays SELECT title_id, COUNT(*)
    FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '5' MINUTES))
    GROUP BY title_id, window_start, window_end;";

fn click(minute: usize, second: usize) -> Vec<u8> {
    format!("{{\"ts\": \"2026-01-01 12:{minute:02}:{second:02}\", \"title_id\": 1}}").into_bytes()
}

fn send(broker: &str, topic: &str, partitions: i32, rows: &[Vec<u8>]) {
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    produce(broker, topic, partitions, &rows);
}

#[test]
fn each_cause_is_named() {
    let folder = common::folder();
    let broker = embedded_broker(&folder.path().join("broker"));
    let address = broker.address.as_str();
    let topic = |name: &str| fresh_topic(name);

    let behind = topic("behind");
    let rows: Vec<_> = [(6, 0), (1, 10), (8, 0), (1, 20)].map(|(m, s)| click(m, s)).into();
    send(address, &behind, 2, &rows);
    let empty = topic("empty");
    send(address, &empty, 2, &[]);
    let quiet = topic("quiet");
    send(address, &quiet, 2, &[click(6, 0), click(7, 0)]);
    let late = topic("late");
    send(address, &late, 1, &[click(30, 0), click(1, 0), click(2, 0)]);
    let broken = topic("broken");
    send(address, &broken, 1, &[b"{".to_vec(), b"[".to_vec()]);
    let filtered = topic("filtered");
    send(address, &filtered, 1, &[click(1, 0), click(2, 0)]);

    let no_idle = "SET 'table.exec.source.idle-timeout' = '0 s';";
    let files = [
        ("behind", format!("{no_idle}{}", clicks(address, &behind, WINDOW))),
        ("empty", clicks(address, &empty, WINDOW)),
        (
            "quiet",
            format!(
                "SET 'table.exec.source.idle-timeout' = '100 ms';{}",
                clicks(address, &quiet, WINDOW)
            ),
        ),
        ("late", clicks(address, &late, WINDOW)),
        ("broken", clicks(address, &broken, WINDOW)),
        (
            "filtered",
            clicks(
                address,
                &filtered,
                "INSERT INTO plays SELECT title_id, 1 FROM clicks WHERE title_id > 5;",
            ),
        ),
    ];
    let running = run(folder.path(), &files);
    running.says(
        "behind",
        &[
            "window of `plays/WindowAggregate` ending 2026-01-01 12:05:00 waits for partition",
            &format!(
                "{behind}/1: its watermark is 2026-01-01 12:01:20, 00:06:40 behind {behind}/0"
            ),
            "idle partitions are not passed over here",
        ],
    );
    running.says("empty", &["no rows have come from `clicks`", &format!("{empty} is empty")]);
    running.says(
        "quiet",
        &["ending 2026-01-01 12:10:00 waits for newer rows: all partitions are quiet"],
    );
    running.says("late", &["2 of 3 rows were late for `plays/WindowAggregate`"]);
    running.says(
        "broken",
        &["all 2 rows of `clicks` went to the dead letters: ", "nowcast dlq show broken"],
    );
    running.says("filtered", &["lets none of 2 rows pass", "title_id"]);
    fail(
        nowcast().args(["why", "other", "--http", &running.address]),
        &["no job other", "behind, empty"],
    );
    drop(running.server);
    fail(nowcast().args(["why", "--http", &running.address]), &["no job answers"]);
}

#[test]
fn a_store_that_does_not_answer_is_named() {
    let folder = common::folder();
    let broker = embedded_broker(&folder.path().join("broker"));
    let topic = fresh_topic("store");
    send(&broker.address, &topic, 1, &[click(1, 0)]);
    // As much of a Redis as a connection needs, until it is told to be silent.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = listener.local_addr().unwrap();
    let silent = Arc::new(AtomicBool::new(false));
    let quiet = Arc::clone(&silent);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, quiet) = (stream.unwrap(), Arc::clone(&quiet));
            std::thread::spawn(move || {
                let mut bytes = [0; 65_536];
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    // Writes end the connection; everything else is fine.
                    if bytes[..read].windows(4).any(|word| word == b"HSET") {
                        quiet.store(true, Ordering::Relaxed);
                        return;
                    }
                    let commands = bytes[..read].iter().filter(|byte| **byte == b'*').count();
                    let _ = stream.write_all(&b"+OK\r\n".repeat(commands));
                }
            });
        }
    });
    let sql = clicks(
        &broker.address,
        &topic,
        &format!(
        "CREATE TABLE seen (title_id BIGINT, ts TIMESTAMP(3), PRIMARY KEY (title_id) NOT ENFORCED)
         WITH ('connector' = 'redis', 'url' = 'redis://{store}', 'sink.fencing' = 'false');
         INSERT INTO seen SELECT title_id, ts FROM clicks;"
    ),
    );
    let running = run(folder.path(), &[("store", sql)]);
    running.says("store", &["sink `seen`: no answer for", &format!("redis {store}: "), "retry"]);
    assert!(silent.load(Ordering::Relaxed));
}
