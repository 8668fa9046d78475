//! Checkpoints in S3: a job that is killed goes on with nothing of its own machine but the bucket.
//! Against a server of the S3 protocol.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{fail, folder, nowcast, succeed, wait_until, written_lines};

const ROWS: usize = 4_000;

/// moto's server, with one bucket.
struct Bucket {
    server: Child,
    port: u16,
}

impl Bucket {
    fn start() -> Option<Self> {
        let python = common::given("NOWCAST_PYTHON")?;
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let server = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bucket = Self { server, port };
        wait_until("S3", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(bucket.ask("PUT", "/bucket", "").starts_with("HTTP/1.1 200"));
        Some(bucket)
    }

    /// A request without a signature: moto takes it.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let bytes = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request\r\n\
             Content-Length: {bytes}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn reach(&self, command: &mut Command) {
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port));
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "secret-of-the-test");
        command.env("NOWCAST_CHECKPOINTS", "s3://bucket/jobs");
    }

    fn run(&self, sql: &Path, data: &Path) -> Command {
        let mut run = nowcast();
        run.arg("run").arg(sql).args(["--no-http", "--workers", "2", "--rows-max", "64"]);
        run.args(["--checkpoint-interval", "200ms", "--data-dir"]).arg(data);
        self.reach(&mut run);
        run
    }

    fn checkpoints(&self, arguments: &[&str]) -> Command {
        let mut command = nowcast();
        command.arg("checkpoints").args(arguments);
        self.reach(&mut command);
        command
    }

    fn epochs(&self) -> usize {
        succeed(&mut self.checkpoints(&["list"])).lines().count()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Numbers that come slowly enough to be killed in between, and their sums by key.
fn job(folder: &Path) -> std::path::PathBuf {
    let sql = format!(
        "CREATE TABLE numbers (n BIGINT) WITH (
           'connector' = 'datagen', 'rows-per-second' = '2000', 'number-of-rows' = '{ROWS}',
           'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{ROWS}');
         CREATE TABLE written (n BIGINT, k BIGINT) WITH (
           'connector' = 'filesystem', 'format' = 'json', 'path' = '{}');
         INSERT INTO written SELECT n, MOD(n, 7) FROM numbers;",
        folder.join("written").display()
    );
    let file = folder.join("numbers.sql");
    std::fs::write(&file, sql).unwrap();
    file
}

fn written(folder: &Path) -> Vec<i64> {
    let lines = written_lines(&folder.join("written"));
    let number = |line: &String| -> i64 {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["n"].as_i64().unwrap()
    };
    let mut numbers: Vec<i64> = lines.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Runs the job until it has two checkpoints, and kills it.
fn killed(bucket: &Bucket, sql: &Path, data: &Path) {
    let mut child = bucket.run(sql, data).spawn().unwrap();
    wait_until("checkpoints", || bucket.epochs() >= 2);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it ended before it could be killed");
}

#[test]
fn a_killed_job_goes_on_from_the_bucket() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = folder();
    let sql = job(folder.path());
    killed(&bucket, &sql, &folder.path().join("first"));
    let again = bucket.run(&sql, &folder.path().join("second")).output().unwrap();
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success(), "{told}");
    assert!(!told.contains("secret-of-the-test"), "{told}");
    assert_eq!(written(folder.path()), (1..=ROWS as i64).collect::<Vec<_>>());
}

#[test]
fn an_altered_checkpoint_is_passed_over_aloud() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = folder();
    let sql = job(folder.path());
    killed(&bucket, &sql, &folder.path().join("first"));
    let listed = succeed(&mut bucket.checkpoints(&["list"]));
    let epoch: u64 = listed.lines().last().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let manifest = format!("/bucket/jobs/numbers/epoch-{epoch:010}/manifest.json");
    assert!(bucket.ask("GET", &manifest, "").contains("\"positions\""));
    assert!(bucket.ask("PUT", &manifest, "{").starts_with("HTTP/1.1 200"));
    fail(&mut bucket.checkpoints(&["verify", "numbers"]), &["1 of ", "cannot be restored"]);

    let again = bucket.run(&sql, &folder.path().join("second")).output().unwrap();
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success(), "{told}");
    assert!(told.contains(&format!("epoch-{epoch:010}")) && told.contains("passed over"), "{told}");
    // What followed the altered one is written again.
    let mut numbers = written(folder.path());
    assert!(numbers.len() > ROWS, "nothing was repeated");
    numbers.dedup();
    assert_eq!(numbers, (1..=ROWS as i64).collect::<Vec<_>>());
}

#[test]
fn checkpoints_are_exported_and_restored() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = folder();
    let sql = job(folder.path());
    succeed(&mut bucket.run(&sql, &folder.path().join("data")));
    let exported = folder.path().join("exported").display().to_string();
    succeed(&mut bucket.checkpoints(&["export", "numbers", "--to", &exported]));
    let before = bucket.epochs();
    let told = succeed(&mut bucket.checkpoints(&["restore", "numbers", "--from", &exported]));
    assert!(told.starts_with("checkpoint "), "{told}");
    assert_eq!(bucket.epochs(), before + 1);
    succeed(&mut bucket.checkpoints(&["verify"]));
    fail(&mut bucket.checkpoints(&["export", "none", "--to", &exported]), &["no checkpoint there"]);
}

#[test]
fn a_bucket_that_is_not_there_is_named() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = folder();
    let mut run = bucket.run(&job(folder.path()), &folder.path().join("data"));
    fail(run.args(["--checkpoints", "s3://none/jobs"]), &["none"]);
    let mut run = bucket.run(&job(folder.path()), &folder.path().join("data"));
    fail(run.args(["--checkpoints", "gs://bucket"]), &["gs://bucket", "unknown kind \"gs\""]);
}
