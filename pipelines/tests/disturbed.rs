//! Kafka to Kafka, exactly once, while everything around the job dies: a short run of what
//! `deploy/reliability.sh` does at length. With a Kafka and a Redis of its own.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{committed, epoch, fresh_topic, nowcast, produce, succeed, wait_until};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// Rows that are sent before each deed.
const ROWS: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Kill,
    RestartKafka,
    RestartRedis,
    /// The job is paused, taken over elsewhere, and comes back.
    Pause,
}

/// A server of `deploy`, on the same port through all restarts.
struct Restarted {
    script: PathBuf,
    folder: PathBuf,
    pid: &'static str,
    address: String,
}

impl Restarted {
    fn start(script: &str, pid: &'static str, folder: PathBuf) -> Self {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        let mut server = Self { script: deploy.join(script), folder, pid, address: String::new() };
        server.address = server.up(None);
        server
    }

    fn up(&self, port: Option<&str>) -> String {
        let mut command = Command::new(&self.script);
        command.arg(&self.folder).args(port).env("KAFKA_HEAP", "256m");
        succeed(&mut command).trim().to_owned()
    }

    fn signal(&self, name: &str) -> bool {
        let Ok(pid) = std::fs::read_to_string(self.folder.join(self.pid)) else { return false };
        let mut kill = Command::new("kill");
        kill.args([name, pid.trim()]).stderr(Stdio::null());
        kill.status().unwrap().success()
    }

    fn down(&self) {
        self.signal("-KILL");
        wait_until("the end of a server", || !self.signal("-0"));
    }

    fn restart(&self) {
        self.down();
        let port = self.address.rsplit(':').next().unwrap();
        assert_eq!(self.up(Some(port)), self.address);
    }
}

impl Drop for Restarted {
    fn drop(&mut self) {
        self.signal("-KILL");
    }
}

struct Bench {
    kafka: Restarted,
    redis: Restarted,
    folder: tempfile::TempDir,
    events: String,
    sent: usize,
}

impl Bench {
    fn send(&mut self) {
        let rows: Vec<String> = (self.sent..self.sent + ROWS)
            .map(|id| format!("{{\"id\":{id},\"k\":{}}}", id % 50))
            .collect();
        let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
        produce(&self.kafka.address, &self.events, 3, &rows);
        self.sent += ROWS;
    }

    fn run(&self, name: &str, out: &str, bounded: &str, data: &Path) -> Command {
        let (kafka, redis, events) = (&self.kafka.address, &self.redis.address, &self.events);
        let sql = format!(
            "CREATE TABLE events (id BIGINT, k INT) WITH (
               'connector' = 'kafka', 'topic' = '{events}', 'format' = 'json',
               'properties.bootstrap.servers' = '{kafka}',
               'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = '{bounded}');
             CREATE TABLE evens (id BIGINT, k INT) WITH (
               'connector' = 'kafka', 'topic' = '{out}', 'format' = 'json',
               'properties.bootstrap.servers' = '{kafka}',
               'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{out}');
             CREATE TABLE totals (k INT, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH (
               'connector' = 'redis', 'url' = '{redis}');
             EXECUTE STATEMENT SET BEGIN
               INSERT INTO evens SELECT id, k FROM events WHERE MOD(id, 2) = 0;
               INSERT INTO totals SELECT k, COUNT(*) FROM events GROUP BY k;
             END;"
        );
        let file = self.folder.path().join(format!("{name}.sql"));
        std::fs::write(&file, sql).unwrap();
        let mut run = nowcast();
        run.arg("run").arg(file).args(["--no-http", "--workers", "2", "--rows-max", "16"]);
        run.args(["--checkpoint-interval", "100ms", "--data-dir"]).arg(data);
        run.stderr(Stdio::null());
        run
    }

    /// How often each id was seen by readers of committed messages.
    fn seen(&self, topic: &str) -> BTreeMap<i64, usize> {
        let mut seen = BTreeMap::new();
        for (_, value) in committed(&self.kafka.address, topic) {
            *seen.entry(value["id"].as_i64().unwrap()).or_default() += 1;
        }
        seen
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// The deeds in a random order; `NOWCAST_DEEDS` = `kills,kafka,redis,pauses` asks for more of them.
fn deeds(random: &mut rand_chacha::ChaCha8Rng) -> Vec<Deed> {
    let asked = std::env::var("NOWCAST_DEEDS").unwrap_or_else(|_| "4,1,1,1".into());
    let counts: Vec<usize> = asked.split(',').map(|count| count.parse().unwrap()).collect();
    let kinds = [Deed::Kill, Deed::RestartKafka, Deed::RestartRedis, Deed::Pause];
    let deeds = kinds.into_iter().zip(counts);
    let mut deeds: Vec<Deed> =
        deeds.flat_map(|(deed, count)| std::iter::repeat_n(deed, count)).collect();
    deeds.shuffle(random);
    deeds
}

#[test]
fn whatever_dies_no_row_is_lost_or_comes_twice() {
    if common::given("NOWCAST_KAFKA").is_none() {
        return;
    }
    let started = Instant::now();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let folder = common::folder();
    let mut bench = Bench {
        kafka: Restarted::start("kafka-up.sh", "kafka.pid", folder.path().join("kafka")),
        redis: Restarted::start("redis-up.sh", "redis.pid", folder.path().join("redis")),
        folder,
        events: fresh_topic("events"),
        sent: 0,
    };
    let (out, calm) = (fresh_topic("out"), fresh_topic("calm"));
    for topic in [&out, &calm] {
        produce(&bench.kafka.address, topic, 2, &[]);
    }
    let mut data = bench.folder.path().join("data-0");
    let (mut done, mut starts) = (BTreeMap::<String, usize>::new(), 0);
    let mut child: Option<Child> = None;
    for (at, deed) in deeds(&mut random).into_iter().enumerate() {
        bench.send();
        let before = epoch(&data);
        wait_until("a checkpoint", || {
            // One that a restart around it has ended is started again, as by an operator.
            let ended = child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            if ended {
                starts += 1;
                child = Some(bench.run("job", &out, "unbounded", &data).spawn().unwrap());
            }
            epoch(&data) > before
        });
        std::thread::sleep(Duration::from_millis(random.random_range(0..150)));
        match deed {
            Deed::Kill => {
                let mut child = child.take().unwrap();
                child.kill().unwrap();
                child.wait().unwrap();
            }
            Deed::RestartKafka => bench.kafka.restart(),
            Deed::RestartRedis => bench.redis.restart(),
            Deed::Pause => {
                let mut zombie = child.take().unwrap();
                signal(&zombie, "-STOP");
                let other = bench.folder.path().join(format!("data-{}", at + 1));
                std::fs::create_dir(&other).unwrap();
                let mut copy = Command::new("cp");
                succeed(copy.arg("-r").arg(data.join("checkpoints")).arg(&other));
                let before = epoch(&other);
                data = other;
                starts += 1;
                child = Some(bench.run("job", &out, "unbounded", &data).spawn().unwrap());
                wait_until("a checkpoint of the other", || epoch(&data) > before);
                signal(&zombie, "-CONT");
                assert!(!zombie.wait().unwrap().success(), "the zombie went on");
            }
        }
        *done.entry(format!("{deed:?}")).or_default() += 1;
    }
    if let Some(mut child) = child {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeed(&mut bench.run("job", &out, "latest-offset", &data));
    let other = bench.folder.path().join("calm");
    succeed(&mut bench.run("calm", &calm, "latest-offset", &other));
    let (seen, undisturbed) = (bench.seen(&out), bench.seen(&calm));
    let lost = undisturbed.keys().filter(|id| !seen.contains_key(id)).count();
    let strange = seen.keys().filter(|id| !undisturbed.contains_key(id)).count();
    let twice = seen.values().filter(|count| **count > 1).count();
    println!(
        "disturbed: {} rows read, {} written; {done:?}, {starts} starts, {} checkpoints, {:.0} s",
        bench.sent,
        seen.len(),
        epoch(&data),
        started.elapsed().as_secs_f64()
    );
    println!("disturbed: {lost} lost, {twice} twice");
    assert_eq!((lost, twice, strange), (0, 0, 0));
    assert_eq!(undisturbed.len(), bench.sent / 2);
}
