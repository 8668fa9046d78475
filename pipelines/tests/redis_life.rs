//! A job and its Redis, which goes and comes back, moves its slots, or gets another writer. On
//! servers of the test's own, where `NOWCAST_REDIS` says that there are some to start.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use common::{Server, embedded_broker, fail, fresh_topic, nowcast, produce, succeed, wait_until};
use nowcast_connectors::{Patience, RedisAddress, RedisStore, Store};

const KEYS: usize = 200;
const EVENTS: usize = 2_000;
const RESTARTS: usize = 5;
const TRIES: usize = 5;

/// A Redis that keeps what it has acknowledged, whatever happens to it.
struct Redis {
    child: Option<Child>,
    port: u16,
    folder: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        let mut redis = Self { child: None, port: 0, folder: common::folder() };
        for _ in 0..TRIES {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            redis.port = free.local_addr().unwrap().port();
            drop(free);
            if redis.up() {
                return redis;
            }
        }
        panic!("no server");
    }

    /// Whether it is there.
    fn up(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command.current_dir(self.folder.path()).stdout(Stdio::null());
        command.args("--bind 127.0.0.1 --appendonly yes --appendfsync always --port".split(' '));
        command.arg(self.port.to_string()).args(["--save", ""]);
        let child = self.child.insert(command.spawn().unwrap());
        while child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        false
    }

    fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.down();
    }
}

/// A topic of events, and how many there are.
struct Events {
    broker: Server,
    folder: tempfile::TempDir,
    topic: String,
    sent: usize,
}

impl Events {
    fn new() -> Self {
        let folder = common::folder();
        let broker = embedded_broker(&folder.path().join("broker"));
        let topic = fresh_topic("events");
        produce(&broker.address, &topic, 2, &[]);
        Self { broker, folder, topic, sent: 0 }
    }

    fn send(&mut self, events: usize) {
        let rows: Vec<String> = (self.sent..self.sent + events)
            .map(|id| format!("{{\"id\":{id},\"k\":{}}}", id % KEYS))
            .collect();
        let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
        produce(&self.broker.address, &self.topic, 2, &rows);
        self.sent += events;
    }

    /// The job that counts them by key into `totals`.
    fn sql(&self, redis: &str) -> PathBuf {
        let (broker, topic) = (&self.broker.address, &self.topic);
        let sql = format!(
            "CREATE TABLE events (id BIGINT, k INT) WITH (
               'connector' = 'kafka', 'topic' = '{topic}', 'format' = 'json',
               'properties.bootstrap.servers' = '{broker}',
               'scan.startup.mode' = 'earliest-offset');
             CREATE TABLE totals (k INT, n BIGINT, s BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH (
               'connector' = 'redis', {redis});
             INSERT INTO totals SELECT k, COUNT(*), SUM(id) FROM events GROUP BY k;"
        );
        let file = self.folder.path().join("totals.sql");
        std::fs::write(&file, sql).unwrap();
        file
    }

    /// What `totals` comes to.
    fn totals(&self) -> BTreeMap<String, Vec<(String, String)>> {
        let mut totals = BTreeMap::<usize, (usize, usize)>::new();
        for id in 0..self.sent {
            let total = totals.entry(id % KEYS).or_default();
            *total = (total.0 + 1, total.1 + id);
        }
        let row = |(k, (n, s)): (usize, (usize, usize))| {
            let fields = [("k", k), ("n", n), ("s", s)];
            let fields = fields.map(|(name, value)| (name.to_owned(), value.to_string()));
            (format!("totals:{k}"), fields.to_vec())
        };
        totals.into_iter().map(row).collect()
    }
}

/// A job in a process of its own, with all that it has said.
struct Job {
    server: Server,
    said: Arc<Mutex<String>>,
}

impl Job {
    fn start(sql: &Path, data: &Path) -> Self {
        let mut command = nowcast();
        command.arg("run").arg(sql).args(["--http", "127.0.0.1:0", "--workers", "2"]);
        command.args(["--checkpoint-interval", "200ms", "--data-dir"]).arg(data);
        command.env("NOWCAST_LOG", "nowcast=info,warn").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            println!("{line}");
            line.split("serving on http://").nth(1).map(|address| address.trim().to_owned())
        });
        let said = Arc::new(Mutex::new(String::new()));
        let more = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                println!("{line}");
                more.lock().unwrap().push_str(&line);
            }
        });
        Self { server: Server { child, address: address.expect("an address") }, said }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.server.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn has_ended(&mut self) -> bool {
        self.server.child.try_wait().unwrap().is_some()
    }

    fn ends_with(&mut self, words: &str) {
        assert_eq!(self.server.child.wait().unwrap().code(), Some(1));
        wait_until(words, || self.said.lock().unwrap().contains(words));
    }
}

/// The rows of `totals` as they come to be.
fn await_totals(address: &RedisAddress, events: &Events) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(RedisStore::open(address, Patience::default())).unwrap();
    let expected = events.totals();
    wait_until("all totals", || {
        runtime.block_on(async {
            let mut keys = store.scan("totals:", usize::MAX).await.unwrap();
            keys.sort();
            let fields = store.multi_get(&keys).await.unwrap();
            let found: BTreeMap<_, _> =
                keys.into_iter().zip(fields).filter_map(|(k, row)| Some((k, row?))).collect();
            found == expected
        })
    });
}

#[test]
fn restarts_of_redis_lose_no_row() {
    if common::given("NOWCAST_REDIS").is_none() {
        return;
    }
    let (mut redis, mut events) = (Redis::start(), Events::new());
    let sql = events.sql(&format!("'url' = '{}'", redis.url()));
    let job = Job::start(&sql, &events.folder.path().join("data"));
    let address = RedisAddress::parse(&redis.url()).unwrap();
    for restart in 0..RESTARTS {
        events.send(EVENTS);
        // Sometimes in the middle of what was sent.
        if restart % 2 == 0 {
            await_totals(&address, &events);
        }
        redis.down();
        events.send(EVENTS);
        let mut answer = String::new();
        wait_until("a job that is not ready", || {
            answer = job.get("/readyz");
            answer.starts_with("HTTP/1.1 503")
        });
        let words = format!("job totals: sink `totals`: redis 127.0.0.1:{}: ", redis.port);
        assert!(answer.contains(&words), "{answer}");
        assert!(job.get("/livez").starts_with("HTTP/1.1 200"));
        assert!(redis.up());
        await_totals(&address, &events);
        wait_until("a job that is ready", || job.get("/readyz").starts_with("HTTP/1.1 200"));
    }
    assert!(
        job.get("/v1/features/totals/7").contains("\"k\""),
        "{}",
        job.get("/v1/features/totals/7")
    );
}

#[test]
fn a_redis_that_stays_away_ends_the_job() {
    if common::given("NOWCAST_REDIS").is_none() {
        return;
    }
    let (mut redis, mut events) = (Redis::start(), Events::new());
    let sql = events.sql(&format!("'url' = '{}', 'sink.retry-timeout' = '1 s'", redis.url()));
    let mut job = Job::start(&sql, &events.folder.path().join("data"));
    redis.down();
    events.send(10);
    job.ends_with("given up after");
    // It goes on where it was.
    assert!(redis.up());
    let job = Job::start(&sql, &events.folder.path().join("data"));
    await_totals(&RedisAddress::parse(&redis.url()).unwrap(), &events);
    drop(job);
}

#[test]
fn a_run_that_was_taken_over_ends() {
    if common::given("NOWCAST_REDIS").is_none() {
        return;
    }
    let (redis, mut events) = (Redis::start(), Events::new());
    let sql = events.sql(&format!("'url' = '{}'", redis.url()));
    let address = RedisAddress::parse(&redis.url()).unwrap();
    // Each on a machine of its own, as far as they know.
    let mut first = Job::start(&sql, &events.folder.path().join("first"));
    events.send(EVENTS);
    await_totals(&address, &events);
    let mut second = Job::start(&sql, &events.folder.path().join("second"));
    wait_until("the end of the first run", || {
        events.send(1);
        first.has_ended()
    });
    first.ends_with("table \"totals\": another run of this job has taken over");
    events.send(EVENTS);
    await_totals(&address, &events);
    assert!(!second.has_ended());
}

/// The newest complete checkpoint.
fn epoch(data: &Path) -> u64 {
    let list = succeed(nowcast().args(["checkpoints", "list", "totals", "--data-dir"]).arg(data));
    let last = list.lines().last().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    last.unwrap_or(0)
}

#[test]
fn a_flushed_redis_is_filled_again() {
    if common::given("NOWCAST_REDIS").is_none() {
        return;
    }
    let (redis, mut events) = (Redis::start(), Events::new());
    let sql = events.sql(&format!("'url' = '{}', 'sink.reconcile' = 'true'", redis.url()));
    let data = events.folder.path().join("data");
    let address = RedisAddress::parse(&redis.url()).unwrap();
    let reconcile = || {
        let mut command = nowcast();
        command.args(["reconcile", "redis"]).arg(&sql).arg("--data-dir").arg(&data);
        succeed(&mut command)
    };
    let flush = || {
        let port = redis.port.to_string();
        succeed(Command::new("redis-cli").args(["-p", &port, "flushall"]))
    };
    let job = Job::start(&sql, &data);
    events.send(EVENTS);
    await_totals(&address, &events);
    flush();
    // One that begins from now on has all that was lost.
    let before = epoch(&data);
    wait_until("a checkpoint", || epoch(&data) > before + 1);
    let said = reconcile();
    assert!(said.starts_with(&format!("totals: {KEYS} rows written")), "{said}");
    await_totals(&address, &events);
    // The job has gone on: a few keys are newer, the others are lost again.
    flush();
    let before = epoch(&data);
    events.send(10);
    wait_until("a checkpoint", || epoch(&data) > before + 1);
    reconcile();
    await_totals(&address, &events);
    events.send(EVENTS);
    await_totals(&address, &events);
    // Of a job that is not running too.
    drop(job);
    flush();
    reconcile();
    let job = Job::start(&sql, &data);
    await_totals(&address, &events);
    drop(job);
}

#[test]
fn what_reconciling_needs_is_said() {
    let folder = common::folder();
    let refused = |options: &str, words: &str| {
        let file = folder.path().join("totals.sql");
        let sql = format!(
            "CREATE TABLE totals (k INT, PRIMARY KEY (k) NOT ENFORCED) WITH (
               'connector' = 'redis', 'url' = 'redis://127.0.0.1:1'{options});
             INSERT INTO totals VALUES (1);"
        );
        std::fs::write(&file, sql).unwrap();
        let mut command = nowcast();
        command.args(["reconcile", "redis"]).arg(file).arg("--data-dir").arg(folder.path());
        fail(&mut command, &[words]);
    };
    refused("", "no redis table has 'sink.reconcile' = 'true'");
    refused(", 'sink.reconcile' = 'true'", "job totals: no checkpoint to read");
    let unfenced = ", 'sink.reconcile' = 'true', 'sink.fencing' = 'false'";
    refused(unfenced, "\"sink.reconcile\" needs a Redis and \"sink.fencing\"");
}

/// A cluster that ends with the test.
struct Cluster(tempfile::TempDir, String);

impl Cluster {
    fn start() -> Self {
        let folder = common::folder();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/redis-up.sh");
        let url = succeed(Command::new(script).arg("--cluster").arg(folder.path()));
        Self(folder, url.trim().to_owned())
    }

    fn node(&self) -> &str {
        self.1.trim_start_matches("redis://")
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let (host, port) = self.node().split_once(':').unwrap();
        succeed(Command::new("redis-cli").args(["-h", host, "-p", port]).args(arguments))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for file in std::fs::read_dir(self.0.path()).unwrap().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "pid") {
                let pid = std::fs::read_to_string(file.path()).unwrap();
                let _ = Command::new("kill").arg(pid.trim()).status();
            }
        }
    }
}

#[test]
fn slots_that_move_are_followed() {
    if common::given("NOWCAST_REDIS_CLUSTER").is_none() {
        return;
    }
    let (cluster, mut events) = (Cluster::start(), Events::new());
    let sql = events.sql(&format!("'url' = '{}', 'cluster' = 'true'", cluster.1));
    let job = Job::start(&sql, &events.folder.path().join("data"));
    let address = RedisAddress::parse(&cluster.1).unwrap().in_cluster(&[]).unwrap();
    events.send(EVENTS);
    await_totals(&address, &events);
    let nodes = cluster.cli(&["cluster", "nodes"]);
    let ids: Vec<&str> = nodes.lines().filter_map(|line| line.split(' ').next()).collect();
    let mut moving = Command::new("redis-cli")
        .args(["--cluster", "reshard", cluster.node(), "--cluster-from", ids[0]])
        .args(["--cluster-to", ids[1], "--cluster-slots", "1000", "--cluster-yes"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while moving.try_wait().unwrap().is_none() {
        events.send(KEYS);
    }
    assert!(moving.wait().unwrap().success());
    assert_ne!(cluster.cli(&["cluster", "nodes"]), nodes);
    events.send(EVENTS);
    await_totals(&address, &events);
    for k in 0..KEYS {
        let row = job.get(&format!("/v1/features/totals/{k}"));
        assert!(row.starts_with("HTTP/1.1 200") && row.contains("\"n\""), "{row}");
    }
}
