//! `nowcast bench`: workloads against running systems, seen through topics, feeds, endpoints and Redis; its reports and exit codes.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{fail, finish, folder, given, nowcast, succeed, wait_until};
use serde_json::{Value, json};

/// An address that nobody listens on.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn workloads() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/workloads")
}

/// A workload of some seconds whose events a nowcast answers, each one; `output` says where that is seen.
fn workload(folder: &Path, bootstrap: &str, http: &str, output: &str, sink: &str) -> PathBuf {
    let key = if sink.contains("redis") { ", PRIMARY KEY (k) NOT ENFORCED" } else { "" };
    let sql = format!(
        "CREATE TABLE i (seq BIGINT, k STRING, at_us BIGINT, t TIMESTAMP(3)) WITH ('connector' = 'kafka',
           'topic' = '${{TOPIC}}', 'properties.bootstrap.servers' = '${{BOOTSTRAP}}',
           'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
         CREATE TABLE o (k STRING, seq BIGINT, at_us BIGINT{key}) WITH ({sink});
         INSERT INTO o SELECT k, seq, at_us FROM i;"
    );
    std::fs::write(folder.join("job.sql"), sql).unwrap();
    let text = format!(
        r#"name = "small"
duration = "3 s"
warm_up = "1 s"
threads = 2
poison = 0.01
rate.constant.per_s = 300
keys = {{ count = 50, zipf = 1.0, prefix = "user-" }}
late = {{ share = 0.05, from = "10 s", to = "20 s" }}

[fields]
seq = "sequence"
k = "key"
at_us = "intended_us"
t = "event_time"

[input]
bootstrap = "{bootstrap}"

{output}

[system]
command = ["{{nowcast}}", "run", "{{here}}/job.sql", "--data-dir", "{{out}}/data", "--fresh", "--workers", "1",
           "--http", "{http}", "--set", "TOPIC={{topic}}", "--set", "BOOTSTRAP={{bootstrap}}"]
ready = "http://{http}/readyz"
metrics = "http://{http}/metrics"
"#
    );
    let path = folder.join("workload.toml");
    std::fs::write(&path, text).unwrap();
    path
}

const KAFKA: &str = "'connector' = 'kafka', 'topic' = 'answers',
    'properties.bootstrap.servers' = '${BOOTSTRAP}', 'format' = 'json'";
const EMBEDDED: &str = "'connector' = 'redis', 'url' = 'embedded://'";
const TOPIC: &str = "[output.kafka]\ntopic = \"answers\"\nsequence = \"seq\"";

fn bench(workload: &Path, out: &Path) -> Command {
    let mut command = nowcast();
    // A debug build on a busy machine: what is tested is the bench, not the speed.
    command.args(["bench", "run", "--patience=60s", "--out"]).arg(out).arg(workload);
    command
}

/// The record of a run in which every event was answered.
fn record(output: &Output, out: &Path) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{error}");
    let run: Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    let nowcast = &run["nowcast"];
    let count = |name: &str| nowcast["counts"][name].as_u64().unwrap();
    assert_eq!(count("due"), 1201);
    assert_eq!(count("sent"), 1201);
    assert_eq!(count("acknowledged"), 1201);
    assert_eq!((count("lost"), count("duplicates"), count("refused")), (0, 0, 0));
    assert!(count("poison") > 0 && count("late") > 0);
    assert!(count("results") >= count("expected") && count("expected") > 100);
    assert!(nowcast["latency"]["p50_us"].as_u64().unwrap() > 0);
    assert!(nowcast["system"]["cpu_s"].as_f64().unwrap() > 0.0);
    assert!(nowcast["samples"].as_array().unwrap().len() >= 4);
    run
}

#[test]
fn a_topic_shows_each_answer_and_the_folder_all_of_the_run() {
    let folder = folder();
    let (http, metrics) = (free_address(), free_address());
    let workload = workload(folder.path(), "embedded", &http, TOPIC, KAFKA);
    let out = folder.path().join("out");
    let mut command = bench(&workload, &out);
    command.args(["--slo", "p99<60s,lag<60s", "--metrics", &metrics]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let live = scrape_until(&metrics, "nowcast_bench_results_total");
    let output = child.wait_with_output().unwrap();
    let run = record(&output, &out);

    assert!(live.contains("nowcast_bench_latency_seconds{quantile=\"0.99\"}"), "{live}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("pass p99<60s") && said.contains("0 lost"), "{said}");
    // Events that are late come out as well, and no poison.
    let counts = &run["nowcast"]["counts"];
    assert_eq!(counts["results"], 1201 - counts["poison"].as_u64().unwrap());
    assert!(run["aggregatedEndToEndLatency99pct"].as_f64().unwrap() > 0.0);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    let p99_us = run["nowcast"]["latency"]["p99_us"].as_f64().unwrap();
    assert!(page.contains(&format!("{:.3} ", p99_us / 1e3)) || p99_us >= 1e6, "{p99_us}");
    assert!(page.matches("<svg").count() >= 6);
    let hgrm = std::fs::read_to_string(out.join("latency.hgrm")).unwrap();
    assert!(hgrm.contains("#[Max     ="), "{hgrm}");
    let hlog = std::fs::read_to_string(out.join("latency.hlog")).unwrap();
    assert!(hlog.lines().filter(|line| !line.starts_with(['#', '"'])).count() >= 4, "{hlog}");
    let log = std::fs::read_to_string(out.join("system.log")).unwrap();
    assert!(log.contains("dead letters"), "{log}");

    let json = out.join("run.json");
    let mut compare = nowcast();
    let same = finish(compare.args(["bench", "compare", "--fail-on", "sent"]).args([&json, &json]));
    let said = String::from_utf8_lossy(&same.stdout);
    assert!(same.status.success() && said.contains("p99 ms"), "{said}");
}

/// What `/metrics` says once it names `word`.
fn scrape_until(address: &str, word: &str) -> String {
    let mut text = String::new();
    wait_until(word, || {
        text.clear();
        let Ok(mut stream) = TcpStream::connect(address) else { return false };
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        stream.read_to_string(&mut text).is_ok() && text.contains(word)
    });
    text
}

#[test]
fn a_feed_an_endpoint_and_stamps_show_the_same() {
    let folder = folder();
    // Of a feed of keyed rows who is slow is shown the last of each key.
    for (output, sink) in [
        (
            "[output.sse]\nurl = \"http://HTTP/v1/feeds/o\"\nsequence = \"seq\"",
            "'connector' = 'blackhole'",
        ),
        (
            "[output.http]\nurl = \"http://HTTP/v1/features/o/{key}\"\nsequence = \"seq\"\nsample = 25",
            EMBEDDED,
        ),
    ] {
        let http = free_address();
        let output = output.replace("HTTP", &http);
        let workload = workload(folder.path(), "embedded", &http, &output, sink);
        let out = folder.path().join("out");
        record(&finish(&mut bench(&workload, &out)), &out);
        std::fs::remove_dir_all(&out).unwrap();
    }
    // By a stamp alone nothing can be lost, and latency is the same thing.
    let http = free_address();
    let output = TOPIC.replace("sequence = \"seq\"", "intended_us = \"at_us\"");
    let workload = workload(folder.path(), "embedded", &http, &output, KAFKA);
    let out = folder.path().join("out");
    let output = finish(&mut bench(&workload, &out));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let run: Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(run["nowcast"]["counts"]["lost"], Value::Null);
    assert!(run["nowcast"]["latency"]["count"].as_u64().unwrap() > 800);
}

#[test]
fn real_kafka_and_real_redis_show_the_same() {
    let folder = folder();
    let Some(kafka) = given("NOWCAST_KAFKA") else { return };
    let http = free_address();
    let topic = common::fresh_topic("bench-answers");
    let output = TOPIC.replace("answers", &topic);
    let sink = KAFKA.replace("answers", &topic);
    let workload_file = workload(folder.path(), &kafka, &http, &output, &sink);
    let out = folder.path().join("out");
    record(&finish(&mut bench(&workload_file, &out)), &out);

    let Some(redis) = given("NOWCAST_REDIS") else { return };
    let url = format!("{}/8", redis.trim_end_matches('/'));
    let http = free_address();
    let output =
        format!("[output.redis]\nurl = \"{url}\"\nkey = \"o:{{key}}\"\nsequence = \"seq\"");
    let sink = format!("'connector' = 'redis', 'url' = '{url}', 'ttl' = '1 min'");
    let workload = workload(folder.path(), &kafka, &http, &output, &sink);
    std::fs::remove_dir_all(&out).unwrap();
    record(&finish(&mut bench(&workload, &out)), &out);
}

#[test]
fn an_objective_that_does_not_hold_is_exit_code_4_and_so_is_what_is_lost() {
    let folder = folder();
    let http = free_address();
    let path = workload(folder.path(), "embedded", &http, TOPIC, KAFKA);
    let out = folder.path().join("out");
    let output = finish(bench(&path, &out).args(["--slo", "p50<1us", "--for", "1s"]));
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("fail p50<1us"), "{said}");
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("badge bad"));

    // A filter loses half of the events, which the workload does not expect.
    let sql = std::fs::read_to_string(folder.path().join("job.sql")).unwrap();
    std::fs::write(
        folder.path().join("job.sql"),
        sql.replace("FROM i", "FROM i WHERE seq % 2 = 0"),
    )
    .unwrap();
    std::fs::remove_dir_all(&out).unwrap();
    let mut command = nowcast();
    command.args(["bench", "run", "--patience=2s", "--for=1s", "--out"]).arg(&out).arg(&path);
    let output = finish(&mut command);
    assert_eq!(output.status.code(), Some(4));
    let run: Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    let (lost, expected) =
        (&run["nowcast"]["counts"]["lost"], &run["nowcast"]["counts"]["expected"]);
    let share = lost.as_f64().unwrap() / expected.as_f64().unwrap();
    // More where the job is behind when patience ends.
    assert!(share > 0.45 && share < 1.0, "{share}");
}

#[test]
fn a_search_tries_rates_until_the_ceiling_holds() {
    let folder = folder();
    let http = free_address();
    let path = workload(folder.path(), "embedded", &http, TOPIC, KAFKA);
    let out = folder.path().join("out");
    let mut command = bench(&path, &out);
    command.args(["--search", "--slo", "p99<60s,lag<60s", "--trial", "1s", "--ceiling", "500"]);
    let output = finish(&mut command);
    let said = String::from_utf8_lossy(&output.stdout);
    let run: Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    let trials = run["nowcast"]["trials"].as_array().unwrap();
    assert!(trials.len() >= 3, "{said}");
    // A machine too busy for 500 events a second may find less, but says what it has found.
    match run["nowcast"]["sustainable_per_s"].as_f64() {
        Some(rate) => {
            assert!(output.status.success() && rate <= 500.0, "{said}");
            assert!(said.contains("highest sustainable rate"), "{said}");
        }
        None => assert_eq!(output.status.code(), Some(4), "{said}"),
    }
}

#[test]
fn what_cannot_be_run_is_named() {
    let folder = folder();
    let http = free_address();
    let path = workload(folder.path(), "embedded", &http, TOPIC, KAFKA);
    let text = std::fs::read_to_string(&path).unwrap();
    let out = folder.path().join("out");
    std::fs::write(&path, text.replace("zipf = 1.0", "zipf = -1.0")).unwrap();
    fail(
        &mut bench(&path, &out),
        &["workload.toml\" line 7", "zipf = -1.0", "must not be below zero"],
    );
    std::fs::write(&path, text.replace("warm_up = \"1 s\"", "warm_up = \"${NO_SUCH}\"")).unwrap();
    fail(&mut bench(&path, &out), &["workload.toml", "NO_SUCH"]);
    std::fs::write(&path, &text).unwrap();
    fail(bench(&path, &out).args(["--search"]), &["--search: needs objectives"]);
    std::fs::write(folder.path().join("job.sql"), "SELECT nonsense").unwrap();
    fail(
        &mut bench(&path, &out),
        &["the system has ended", "system.log", "a query without a sink"],
    );
    std::fs::write(&path, text.replace("bootstrap = \"embedded\"", "bootstrap = \"127.0.0.1:9\""))
        .unwrap();
    fail(&mut bench(&path, &out), &["kafka 127.0.0.1:9", "unreachable"]);
    let mut compare = nowcast();
    fail(compare.args(["bench", "compare"]).args([&path, &path]), &["not the record of a run"]);
}

#[test]
fn shipped_workloads_read_and_run() {
    let folder = folder();
    for (name, extra) in [("features.toml", "--rate=200"), ("live_event.toml", "--rate=200")] {
        let (http, out) = (free_address(), folder.path().join(name));
        let mut command = bench(&workloads().join(name), &out);
        command.args(["--for", "3s", "--slo", "p50<60s", extra]).env("HTTP", &http);
        let output = finish(&mut command);
        let (said, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}\n{said}\n{error}");
        let run = std::fs::read(out.join("run.json")).unwrap();
        let run: Value = serde_json::from_slice(&run).unwrap();
        assert!(run["nowcast"]["counts"]["results"].as_u64().unwrap() > 10, "{name}\n{said}");
    }
}

#[test]
fn lookups_are_measured_beside_a_bare_redis_and_a_bare_model() {
    // `redis-server` is where the check script starts one.
    if common::given("NOWCAST_REDIS").is_none() {
        return;
    }
    let said = succeed(nowcast().args(["bench", "lookups", "--clicks", "3000", "--for", "500ms"]));
    let report: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&report["bench"], &report["clicks"]), (&json!("lookups"), &json!(3000)));
    assert!(report["profiles"].as_u64().unwrap() > 100, "{report}");
    let rows = report["rows"].as_array().unwrap();
    let (served, bare): (Vec<&Value>, Vec<&Value>) =
        rows.iter().partition(|row| row["figures"].is_object());
    let names: Vec<&str> = served.iter().map(|row| row["target"].as_str().unwrap()).collect();
    assert_eq!(names, ["redis: HGETALL", "nowcast: features", "nowcast: recommendations"]);
    for row in served {
        let figures = &row["figures"];
        assert!(figures["per_s"].as_f64().unwrap() > 10.0, "{row}");
        let (p50, p99) = (&figures["latency"]["p50_us"], &figures["latency"]["p99_us"]);
        assert!(0 < p50.as_u64().unwrap() && p50.as_u64() <= p99.as_u64(), "{row}");
    }
    assert!(!bare.is_empty() && bare.iter().all(|row| row["rows_per_core_s"].as_f64() > Some(1.0)));
}

#[test]
fn latency_is_measured_from_when_an_event_was_due_to_when_its_feature_can_be_read() {
    let said = succeed(nowcast().args([
        "bench",
        "latency",
        "--rate",
        "200",
        "--warm-up",
        "500ms",
        "--for",
        "2s",
        "--slo",
        "p99<60s",
    ]));
    assert!(said.contains("pass p99<60s"), "{said}");
    let report: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&report["events"], &report["readable"]), (&json!(501), &json!(501)));
    // Those that were due once it was warm.
    assert_eq!(report["latency"]["count"], json!(401));
    fail(
        nowcast().args(["bench", "latency", "--beside-copy"]),
        &["--beside-copy needs --store redis://"],
    );
    let refused = finish(nowcast().args(["bench", "latency", "--rate=-1%"]));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("a share such as 70%"), "{said}");
}

#[test]
fn latency_at_a_share_of_what_comes_through_beside_a_bare_loop_and_with_checkpoints() {
    let (Some(kafka), Some(redis)) = (given("NOWCAST_KAFKA"), given("NOWCAST_REDIS")) else {
        return;
    };
    let store = format!("{}/11", redis.trim_end_matches('/'));
    let said = succeed(
        nowcast().args(["bench", "latency", "--rate=1%", "--warm-up=1s", "--for=2s"]).args([
            "--beside-copy",
            "--checkpoint-interval=200ms",
            "--bootstrap",
            &kafka,
            "--store",
            &store,
        ]),
    );
    let report: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let (rate, saturation) = (report["rate"].as_f64(), report["saturation"].as_f64().unwrap());
    assert_eq!(rate, Some(0.01 * saturation), "{report}");
    assert!(saturation > 100.0 && report["checkpoints"].as_u64() > Some(1), "{report}");
    for figures in [&report, &report["copy"]] {
        let (events, measured) = (&figures["events"], &figures["latency"]["count"]);
        assert_eq!(&figures["readable"], events, "{report}");
        let share = measured.as_f64().unwrap() / events.as_f64().unwrap();
        assert!((0.5..0.8).contains(&share), "two of three seconds: {report}");
    }
}

/// Stands where `perf` does and counts a fixed number; the job that it is given runs.
const COUNTER: &str = "#!/bin/sh
if [ \"$6\" = true ]; then echo '5,,instructions:u,1,100.00,,' >&2; exit 0; fi
echo \"$COUNT,,instructions:u,1,100.00,,\" >\"$7\"; shift 7; exec \"$@\"
";

#[cfg(unix)]
#[test]
fn more_instructions_than_the_baseline_has_end_with_code_4() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    let folder = folder.path();
    let (counter, baseline) = (folder.join("perf"), folder.join("baseline.json"));
    std::fs::write(&counter, COUNTER).unwrap();
    std::fs::set_permissions(&counter, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let regress = |count: u64, more: &[&str]| {
        let mut command = nowcast();
        command.args(["bench", "regress", "--jobs", "start,small", "--baseline"]).arg(&baseline);
        command.args(more).env("PATH", &path).env("COUNT", count.to_string());
        command.output().unwrap()
    };
    let code = |output: &Output| output.status.code().unwrap();
    let none = regress(1_000, &[]);
    assert!(code(&none) == 1 && String::from_utf8_lossy(&none.stderr).contains("--update"));
    assert_eq!(code(&regress(1_000, &["--update"])), 0);
    let written: Value = serde_json::from_slice(&std::fs::read(&baseline).unwrap()).unwrap();
    let written = written.as_object().unwrap().values().next().unwrap();
    assert_eq!(*written, json!({"small": 1_000, "start": 1_000}));
    assert_eq!(code(&regress(1_029, &[])), 0);
    let more = regress(1_031, &[]);
    assert_eq!(code(&more), 4);
    assert!(
        String::from_utf8_lossy(&more.stdout)
            .contains("more instructions than before: start, small")
    );
    assert_eq!(code(&regress(1_031, &["--tolerance", "5"])), 0);
}
