//! How the binary stops, and how it lives on a disk that is full.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use common::{Server, fail, get, nowcast, succeed, wait_until};

/// Numbers into standard output: a sink that is as slow as whoever reads it.
fn printing(folder: &Path, rows: usize, rate: usize) -> PathBuf {
    let sql = format!(
        "CREATE TABLE numbers (n BIGINT) WITH (
           'connector' = 'datagen', 'rows-per-second' = '{rate}', 'number-of-rows' = '{rows}',
           'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{rows}');
         CREATE TABLE shown (n BIGINT) WITH ('connector' = 'print');
         INSERT INTO shown SELECT n FROM numbers;"
    );
    let file = folder.join("numbers.sql");
    std::fs::write(&file, sql).unwrap();
    file
}

fn run(file: &Path, data: &Path) -> Command {
    let mut run = nowcast();
    run.arg("run").arg(file).args(["--workers", "1", "--rows-max", "64", "--data-dir"]).arg(data);
    run.stdout(Stdio::piped()).stderr(Stdio::piped());
    run
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

fn ended(child: &mut Child, within: Duration) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(started.elapsed() < within, "it did not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn told(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_stop_waits_for_a_slow_sink_and_the_next_start_repeats_nothing() {
    const ROWS: usize = 30_000;
    let folder = common::folder();
    let file = printing(folder.path(), ROWS, 20_000);
    let mut seen = vec![];
    for stop in [true, false] {
        let mut command = run(&file, &folder.path().join("data"));
        command.args(["--no-http", "--checkpoint-interval", "1h"]);
        let mut child = command.spawn().unwrap();
        for (at, line) in BufReader::new(child.stdout.take().unwrap()).lines().enumerate() {
            seen.push(line.unwrap());
            if stop && at == 2_000 {
                signal(&child, "-TERM");
                // It hears of it while the pipe is full: what is left does not fit into it.
                std::thread::sleep(Duration::from_secs(1));
            }
            if stop && at > 2_000 && at % 100 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let status = ended(&mut child, Duration::from_secs(30));
        assert_eq!(status.code(), Some(0), "{}", told(&mut child));
        assert!(!stop || seen.len() < ROWS, "it ended before it was stopped");
    }
    let expected = (1..=ROWS).map(|n| format!("+I[{n}]"));
    assert_eq!(seen.len(), ROWS);
    for (seen, expected) in seen.iter().zip(expected) {
        assert_eq!(*seen, expected);
    }
}

/// A job whose sink takes nothing any more, for nobody reads what it prints, and where it serves HTTP.
fn blocked(command: &mut Command) -> (Child, String) {
    command.args(["--http", "127.0.0.1:0"]);
    let mut child = command.env("NOWCAST_LOG", "nowcast=info").spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let serving = lines.find_map(|line| {
        line.unwrap().split("serving on http://").nth(1).map(|address| address.trim().to_owned())
    });
    let address = serving.unwrap();
    let mut before = Value::Null;
    wait_until("a write that does not return", || {
        let status = status(&address);
        let stages = status["jobs"][0]["stages"].as_array().unwrap();
        let since = &stages.last().unwrap()["blocked_since"];
        let held =
            since.as_i64().is_some_and(|since| status["now"].as_i64().unwrap() > since + 200);
        let still = held && *since == before;
        before = since.clone();
        still
    });
    (child, address)
}

fn status(address: &str) -> Value {
    serde_json::from_str(&get(address, "/status").1).unwrap()
}

fn stuck(folder: &Path, stop_timeout: &str) -> Child {
    let file = printing(folder, 10_000_000, 1_000_000);
    let mut command = run(&file, &folder.join("data"));
    blocked(command.args(["--stop-timeout", stop_timeout])).0
}

fn resident_mb(child: &Child) -> f64 {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", child.id())).unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0 / 1e6
}

/// Megabytes that one second of a blocked job may add, for whatever it does meanwhile.
const ADDED_MB: f64 = 8.0;

#[test]
fn a_blocked_sink_stops_the_reading_and_nothing_is_lost() {
    const ROWS: usize = 120_000;
    let folder = common::folder();
    let broker = common::embedded_broker(folder.path());
    let row = format!(r#"{{"t":"{}"}}"#, "x".repeat(1_000));
    common::produce(&broker.address, "rows", 4, &vec![row.as_bytes(); ROWS]);
    for client in ["native", "librdkafka"] {
        let sql = format!(
            "CREATE TABLE texts (t STRING) WITH (
               'connector' = 'kafka', 'topic' = 'rows', 'format' = 'json', 'client' = '{client}',
               'properties.bootstrap.servers' = '{}',
               'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');
             CREATE TABLE shown (t STRING) WITH ('connector' = 'print');
             INSERT INTO shown SELECT t FROM texts;",
            broker.address
        );
        let file = folder.path().join(format!("{client}.sql"));
        std::fs::write(&file, sql).unwrap();
        let (mut child, address) = blocked(&mut run(&file, &folder.path().join(client)));
        let seen =
            |child: &Child| (status(&address)["jobs"][0]["rows_read"].as_u64(), resident_mb(child));
        // The queues of the client fill up to their bounds.
        let mut before = seen(&child);
        wait_until("a job that reads no more", || {
            std::thread::sleep(Duration::from_secs(1));
            let now = seen(&child);
            let rests = now.0 == before.0 && now.1 < before.1 + ADDED_MB;
            before = now;
            rests
        });
        println!("{client}: {:?} rows read, {:.0} MB resident", before.0, before.1);
        assert!(before.0.unwrap() < ROWS as u64 / 4, "{client}: {before:?}");
        let shown = BufReader::new(child.stdout.take().unwrap()).lines();
        let whole = shown.filter(|line| line.as_ref().unwrap().len() > 1_000).count();
        let status = ended(&mut child, Duration::from_secs(30));
        assert_eq!((status.code(), whole), (Some(0), ROWS), "{client}");
    }
}

#[test]
fn a_stop_that_takes_too_long_has_its_own_exit_code() {
    let folder = common::folder();
    let mut child = stuck(folder.path(), "500 ms");
    signal(&child, "-TERM");
    let status = ended(&mut child, Duration::from_secs(20));
    assert_eq!(status.code(), Some(3));
    let told = told(&mut child);
    assert!(told.contains("not stopped within 500ms"), "{told}");
}

#[test]
fn a_second_signal_leaves_at_once() {
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let folder = common::folder();
        let mut child = stuck(folder.path(), "1 h");
        signal(&child, "-TERM");
        let mut heard = String::new();
        let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
        lines.read_line(&mut heard).unwrap();
        assert!(heard.contains("stopping, within"), "{heard}");
        assert!(child.try_wait().unwrap().is_none(), "the first one waits");
        signal(&child, name);
        let status = ended(&mut child, Duration::from_secs(20));
        assert_eq!((status.code(), status.signal()), (Some(code), None));
    }
}

#[test]
fn wrong_settings_of_checkpoints_are_named() {
    let folder = common::folder();
    let file = printing(folder.path(), 10, 10);
    let sql = std::fs::read_to_string(&file).unwrap();
    for (setting, value, word) in [
        ("execution.checkpointing.tolerable-failed-checkpoints", "-1", "tolerable-failed"),
        ("execution.checkpointing.timeout", "soon", "soon"),
        ("execution.checkpointing.incremental", "maybe", "neither true nor false"),
        ("state.memory.max", "much", "'state.memory.max' = 'much'"),
    ] {
        std::fs::write(&file, format!("SET '{setting}' = '{value}';\n{sql}")).unwrap();
        fail(run(&file, &folder.path().join("data")).arg("--no-http"), &[word]);
    }
    fail_usage(run(&file, folder.path()).args(["--stop-timeout", "soon"]), "--stop-timeout");
}

/// Distinct numbers that are kept forever, read from a file: more than a megabyte of them.
#[test]
fn state_that_outgrows_its_bound_ends_the_job_by_name_and_goes_on_with_more() {
    let folder = common::folder();
    let numbers: String = (0..200_000).map(|n| format!("{{\"n\":\"number {n}\"}}\n")).collect();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    std::fs::write(folder.path().join("in/numbers.json"), numbers).unwrap();
    let file = folder.path().join("job.sql");
    let sql = format!(
        "CREATE TABLE numbers (n STRING) WITH ('connector' = 'filesystem', 'path' = '{0}/in', \
           'format' = 'json');
         CREATE TABLE counted (c BIGINT) WITH ('connector' = 'print');
         INSERT INTO counted SELECT COUNT(DISTINCT n) FROM numbers;",
        folder.path().display()
    );
    std::fs::write(&file, format!("SET 'state.memory.max' = '1 mb';\n{sql}")).unwrap();
    let data = folder.path().join("data");
    let words = ["'state.memory.max' = 1 mb", "GroupAggregate", "table.exec.state.ttl"];
    fail(run(&file, &data).arg("--no-http"), &words);
    std::fs::write(&file, format!("SET 'state.memory.max' = '1 gb';\n{sql}")).unwrap();
    let counted = succeed(run(&file, &data).arg("--no-http"));
    assert!(counted.lines().any(|line| line.contains("200000")), "{counted}");
}

fn fail_usage(command: &mut Command, word: &str) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains(word), "{error}");
}

/// Status and body.
/// The state of the job outgrows the largest file that its process may write, until it may write
/// larger ones: as on a disk that is full, and then is not.
#[test]
fn a_job_goes_on_when_its_disk_is_full() {
    let folder = common::folder();
    let sql = "CREATE TABLE numbers (n BIGINT) WITH (
           'connector' = 'datagen', 'rows-per-second' = '5000',
           'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000000');
         CREATE TABLE counts (n BIGINT, c BIGINT) WITH ('connector' = 'print');
         CREATE TABLE nowhere (n BIGINT, c BIGINT, PRIMARY KEY (n) NOT ENFORCED) WITH (
           'connector' = 'blackhole');
         INSERT INTO nowhere SELECT n, COUNT(*) FROM numbers GROUP BY n;";
    let file = folder.path().join("counts.sql");
    std::fs::write(&file, sql).unwrap();
    let data = folder.path().join("data");
    let mut command = Command::new("sh");
    // 64 KiB, in whatever blocks the shell counts; going beyond is an error then, not a signal.
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 64; exec \"$@\"", "sh"]);
    command.arg(nowcast().get_program()).arg("run").arg(&file);
    command.args(["--http", "127.0.0.1:0", "--workers", "1", "--checkpoint-interval", "100ms"]);
    command.arg("--data-dir").arg(&data).env("NOWCAST_LOG", "nowcast=info,warn");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = |word: &str| {
        let found = lines.find(|line| {
            let line = line.as_ref().unwrap();
            println!("{line}");
            line.contains(word)
        });
        found.unwrap_or_else(|| panic!("it never said {word}")).unwrap()
    };
    let serving = next("serving on http://");
    let address = serving.split("http://").nth(1).unwrap().trim().to_owned();
    let mut server = Server { child, address };
    let warning = next("checkpoint failed");
    assert!(warning.contains("epoch-") && warning.contains("File too large"), "{warning}");
    let (status, why) = get(&server.address, "/readyz");
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("checkpoints failed in a row") && why.contains("epoch-"), "{why}");
    let rows = |server: &Server| {
        let (_, status) = get(&server.address, "/status");
        let status: Value = serde_json::from_str(&status).unwrap();
        status["jobs"][0]["rows_read"].as_u64().unwrap()
    };
    let before = rows(&server);
    wait_until("more rows", || rows(&server) > before);
    // What is there is whole.
    succeed(nowcast().args(["checkpoints", "verify", "--data-dir"]).arg(&data));

    let pid = server.child.id().to_string();
    let raised = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid]).status();
    assert!(raised.unwrap().success());
    next("checkpoints are complete again");
    assert_eq!(get(&server.address, "/readyz").0, 200);
    signal(&server.child, "-TERM");
    assert_eq!(ended(&mut server.child, Duration::from_secs(30)).code(), Some(0));
    succeed(nowcast().args(["checkpoints", "verify", "--data-dir"]).arg(&data));
}
