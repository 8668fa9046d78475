//! Kafka to Kafka, exactly once: whatever dies and whenever, a reader of committed messages sees each
//! row once. On the embedded broker, and on a real Kafka where there is one.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{committed, epoch, fresh_topic, newest, nowcast, produce, succeed, wait_until};
use rand::{RngExt, SeedableRng};

const EVENTS: usize = 40_000;
const KEYS: usize = 50;
const KILLS: usize = 5;
const INTERVAL: &str = "100ms";

/// Each of these twice: on an embedded broker of its own, and on Kafka where there is one.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(#[test]
            fn $case() {
                let folder = crate::common::folder();
                let broker = crate::common::embedded_broker(folder.path());
                crate::$case(broker.address.clone());
            })*
        }
        mod kafka {
            $(#[test]
            fn $case() {
                if let Some(bootstrap) = crate::common::given("NOWCAST_KAFKA") {
                    crate::$case(bootstrap);
                }
            })*
        }
    };
}

cases!(
    kills_lose_no_row_and_repeat_none,
    a_run_that_was_taken_over_commits_nothing_more,
    one_that_stands_by_takes_over,
    what_exactly_once_needs_is_said,
);

/// Topics, one job that writes two of them, and where it keeps its checkpoints.
struct Bench {
    bootstrap: String,
    folder: tempfile::TempDir,
    events: String,
    evens: String,
    totals: String,
}

impl Bench {
    fn new(bootstrap: String) -> Self {
        let events = fresh_topic("events");
        let rows: Vec<String> =
            (0..EVENTS).map(|id| format!("{{\"id\":{id},\"k\":{}}}", id % KEYS)).collect();
        let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
        produce(&bootstrap, &events, 3, &rows);
        let (evens, totals) = (fresh_topic("evens"), fresh_topic("totals"));
        for topic in [&evens, &totals] {
            produce(&bootstrap, topic, 2, &[]);
        }
        Self { bootstrap, folder: common::folder(), events, evens, totals }
    }

    fn run(&self, interval: &str, data: &Path) -> Command {
        let Self { bootstrap, folder, events, evens, totals } = self;
        let sql = format!(
            "CREATE TABLE events (id BIGINT, k INT) WITH (
               'connector' = 'kafka', 'topic' = '{events}', 'format' = 'json',
               'properties.bootstrap.servers' = '{bootstrap}',
               'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');
             CREATE TABLE evens (id BIGINT, k INT) WITH (
               'connector' = 'kafka', 'topic' = '{evens}', 'format' = 'json',
               'properties.bootstrap.servers' = '{bootstrap}',
               'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'test');
             CREATE TABLE totals (k INT, n BIGINT, s BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH (
               'connector' = 'upsert-kafka', 'topic' = '{totals}',
               'key.format' = 'json', 'value.format' = 'json',
               'properties.bootstrap.servers' = '{bootstrap}',
               'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'test');
             EXECUTE STATEMENT SET BEGIN
               INSERT INTO evens SELECT id, k FROM events WHERE MOD(id, 2) = 0;
               INSERT INTO totals SELECT k, COUNT(*), SUM(id) FROM events GROUP BY k;
             END;"
        );
        let file = folder.path().join(format!("{evens}.sql"));
        std::fs::write(&file, sql).unwrap();
        let mut run = nowcast();
        run.arg("run").arg(file).args(["--no-http", "--workers", "2", "--rows-max", "16"]);
        run.args(["--checkpoint-interval", interval, "--data-dir"]).arg(data);
        run
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn start(&self) -> Child {
        self.run(INTERVAL, &self.data()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Each even id once, and the last totals.
    fn check(&self) {
        let mut ids: Vec<i64> = committed(&self.bootstrap, &self.evens)
            .iter()
            .map(|(_, value)| value["id"].as_i64().unwrap())
            .collect();
        ids.sort_unstable();
        let seen = ids.len();
        ids.dedup();
        assert_eq!(seen - ids.len(), 0, "rows seen twice");
        let lost = EVENTS / 2 - ids.len();
        assert_eq!(lost, 0, "rows lost");

        let totals: BTreeMap<i64, (i64, i64)> = committed(&self.bootstrap, &self.totals)
            .iter()
            .map(|(_, value)| {
                let column = |name: &str| value[name].as_i64().unwrap();
                (column("k"), (column("n"), column("s")))
            })
            .collect();
        let mut expected = BTreeMap::new();
        for id in 0..EVENTS {
            let total: &mut (i64, i64) = expected.entry((id % KEYS) as i64).or_default();
            *total = (total.0 + 1, total.1 + id as i64);
        }
        assert_eq!(totals, expected);
    }
}

fn kills_lose_no_row_and_repeat_none(bootstrap: String) {
    let bench = Bench::new(bootstrap);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut killed = 0;
    for _ in 0..KILLS {
        let before = epoch(&bench.data());
        let mut child = bench.start();
        let mut ended = false;
        wait_until("a checkpoint", || {
            ended = child.try_wait().unwrap().is_some();
            ended || epoch(&bench.data()) > before
        });
        // Anywhere between two checkpoints, also between a manifest and its commit.
        std::thread::sleep(Duration::from_millis(random.random_range(0..150)));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        if ended {
            break;
        }
    }
    println!("killed {killed} times, the last time after epoch {}", epoch(&bench.data()));
    assert!(killed > 1, "the job ended before it could be killed");
    succeed(&mut bench.run(INTERVAL, &bench.data()));
    bench.check();
    // A job that has ended has nothing left to write.
    succeed(&mut bench.run(INTERVAL, &bench.data()));
    bench.check();
}

fn a_run_that_was_taken_over_commits_nothing_more(bootstrap: String) {
    let bench = Bench::new(bootstrap);
    let zombie = bench.start();
    wait_until("a checkpoint", || epoch(&bench.data()) > 0);
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &zombie.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    // Another machine has the checkpoints, as from a store that both reach.
    let other = bench.folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let mut copy = Command::new("cp");
    let copied = copy.arg("-r").arg(bench.data().join("checkpoints")).arg(&other).status();
    assert!(copied.unwrap().success());
    succeed(&mut bench.run(INTERVAL, &other));
    signal("-CONT");
    let zombie = zombie.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&zombie.stderr);
    assert!(!zombie.status.success(), "{told}");
    assert!(told.contains("another run of this job has taken over"), "{told}");
    bench.check();
}

/// One is killed, the next one is paused and comes back.
fn one_that_stands_by_takes_over(bootstrap: String) {
    let bench = Bench::new(bootstrap);
    let shared = bench.folder.path().join("shared");
    let run = |name: &str| {
        let mut run = bench.run(INTERVAL, &bench.folder.path().join(name));
        run.arg("--checkpoints").arg(&shared).args(["--lease-timeout", "1s", "--standby"]);
        run.env("NOWCAST_LOG", "info").stderr(Stdio::piped()).spawn().unwrap()
    };
    let reached = |least: u64| wait_until("a checkpoint", || newest(&shared) >= least);
    let mut first = run("first");
    reached(2);
    let second = run("second");
    first.kill().unwrap();
    first.wait().unwrap();
    let killed_at = newest(&shared);
    // The number of its start, and a checkpoint.
    reached(killed_at + 2);
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &second.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    let third = run("third").wait_with_output().unwrap();
    assert!(third.status.success(), "{}", String::from_utf8_lossy(&third.stderr));
    signal("-CONT");
    let second = second.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("standing by"), "{told}");
    assert!(!second.status.success(), "{told}");
    assert!(told.contains("another run of this job has taken over"), "{told}");
    bench.check();
}

fn what_exactly_once_needs_is_said(bootstrap: String) {
    let bench = Bench::new(bootstrap);
    common::fail(
        &mut bench.run("10min", &bench.data()),
        &["transaction.timeout.ms", "two of them"],
    );
    let job = |timeout: &str| {
        let Bench { bootstrap, folder, evens, .. } = &bench;
        let sql = format!(
            "CREATE TABLE numbers (id BIGINT, k INT) WITH (
               'connector' = 'datagen', 'number-of-rows' = '10');
             CREATE TABLE evens (id BIGINT, k INT) WITH (
               'connector' = 'kafka', 'topic' = '{evens}', 'format' = 'json',
               'properties.bootstrap.servers' = '{bootstrap}',
               'properties.transaction.timeout.ms' = '{timeout}',
               'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'short');
             INSERT INTO evens SELECT id, k FROM numbers;"
        );
        let file = folder.path().join("timeout.sql");
        std::fs::write(&file, sql).unwrap();
        let mut run = nowcast();
        run.arg("run").arg(file).args(["--no-http", "--checkpoint-interval", "1s", "--data-dir"]);
        run.arg(folder.path().join("short"));
        run
    };
    let hour = &["transaction.timeout.ms", "3600s", "brokers allow 900s"];
    common::fail(&mut job("3600000"), hour);
    common::fail(&mut job("soon"), &["no number of milliseconds"]);
    common::fail(&mut job("1500"), &["two of them"]);
    let said = common::finish(&mut job("2000"));
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(!said.contains("KIP-890"), "these brokers keep exactly-once: {said}");
}
