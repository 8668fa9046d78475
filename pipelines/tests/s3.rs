//! Checkpoints in S3: a job that is killed goes on with nothing of its own machine but the bucket.
//! Against a server of the S3 protocol.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{fail, folder, nowcast, succeed, wait_until, written_lines};

const ROWS: usize = 6_000;

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
        self.reach_by(command, self.port);
    }

    fn reach_by(&self, command: &mut Command, port: u16) {
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
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

/// Rows a second of a job that is killed, or loses its bucket, long before it ends.
const SLOW: usize = 500;
const FAST: usize = 20_000;

/// Numbers, and what they leave by seven.
fn job(folder: &Path, rows_per_s: usize) -> std::path::PathBuf {
    let sql = format!(
        "CREATE TABLE numbers (n BIGINT) WITH (
           'connector' = 'datagen', 'rows-per-second' = '{rows_per_s}', 'number-of-rows' = '{ROWS}',
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

/// Runs the job until it has a few checkpoints and rows have been shown since, and kills it. The newest
/// may be there before its rows are shown.
fn killed(bucket: &Bucket, folder: &Path) {
    let sql = job(folder, SLOW);
    let mut child = bucket.run(&sql, &folder.join("first")).spawn().unwrap();
    wait_until("checkpoints", || bucket.epochs() >= 3);
    let shown = written(folder).len();
    wait_until("rows of a checkpoint", || written(folder).len() > shown);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it ended before it could be killed");
}

#[test]
fn a_killed_job_goes_on_from_the_bucket() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = folder();
    killed(&bucket, folder.path());
    let sql = job(folder.path(), FAST);
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
    killed(&bucket, folder.path());
    let sql = job(folder.path(), FAST);
    let listed = succeed(&mut bucket.checkpoints(&["list"]));
    let epochs: Vec<u64> =
        listed.lines().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    // Of two, for the rows of the newest may never have been shown.
    let altered = &epochs[epochs.len() - 2..];
    for epoch in altered {
        let manifest = format!("/bucket/jobs/numbers/epoch-{epoch:010}/manifest.json");
        assert!(bucket.ask("GET", &manifest, "").contains("\"positions\""));
        assert!(bucket.ask("PUT", &manifest, "{").starts_with("HTTP/1.1 200"));
    }
    fail(&mut bucket.checkpoints(&["verify", "numbers"]), &["2 of ", "cannot be restored"]);

    let again = bucket.run(&sql, &folder.path().join("second")).output().unwrap();
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success(), "{told}");
    for epoch in altered {
        assert!(
            told.contains(&format!("epoch-{epoch:010}")) && told.contains("passed over"),
            "{told}"
        );
    }
    // What followed the last whole one is written again.
    let mut numbers = written(folder.path());
    assert!(numbers.len() > ROWS, "nothing was repeated");
    numbers.dedup();
    assert_eq!(numbers, (1..=ROWS as i64).collect::<Vec<_>>());
}

#[test]
fn checkpoints_are_exported_and_restored() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = folder();
    let sql = job(folder.path(), FAST);
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
    let mut run = bucket.run(&job(folder.path(), FAST), &folder.path().join("data"));
    fail(run.args(["--checkpoints", "s3://none/jobs"]), &["none"]);
    let mut run = bucket.run(&job(folder.path(), FAST), &folder.path().join("data"));
    fail(run.args(["--checkpoints", "gs://bucket"]), &["gs://bucket", "unknown kind \"gs\""]);
}

/// What the way to the bucket does to a request.
#[derive(Clone, Copy)]
enum Trouble {
    None,
    /// Answers as S3 does under load.
    SlowDown,
    /// Takes it and never answers.
    Silence,
}

/// A way to the bucket that fails; some requests pass all the same.
struct Proxy {
    port: u16,
    trouble: Arc<Mutex<Trouble>>,
    troubled: Arc<AtomicUsize>,
}

impl Proxy {
    fn to(port: u16, passes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            trouble: Arc::new(Mutex::new(Trouble::None)),
            troubled: Arc::default(),
        };
        let (trouble, troubled) = (Arc::clone(&proxy.trouble), Arc::clone(&proxy.troubled));
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                // In no rhythm that requests could fall into step with.
                let passes = passes > 0 && number * number % 7 % passes == 0;
                let trouble = match *trouble.lock().unwrap() {
                    _ if passes => Trouble::None,
                    trouble => trouble,
                };
                if !matches!(trouble, Trouble::None) {
                    troubled.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::spawn(move || pass(client, port, trouble));
            }
        });
        proxy
    }

    fn set(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }
}

/// One request a connection.
fn pass(mut client: TcpStream, port: u16, trouble: Trouble) {
    let mut request = vec![];
    let mut piece = [0; 65_536];
    let head = loop {
        match client.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&piece[..read]),
        }
        if let Some(at) = request.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    while request.len() < head + length {
        match client.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&piece[..read]),
        }
    }
    let answer = match trouble {
        Trouble::Silence => {
            std::thread::sleep(std::time::Duration::from_secs(60));
            return;
        }
        Trouble::SlowDown => b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\n\
            Content-Length: 35\r\n\r\n<Error><Code>SlowDown</Code></Error>"
            .to_vec(),
        Trouble::None => {
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let line = request.windows(2).position(|end| end == b"\r\n").unwrap() + 2;
            request.splice(line..line, *b"Connection: close\r\n");
            server.write_all(&request).unwrap();
            let mut answer = vec![];
            let _ = server.read_to_end(&mut answer);
            // The next request comes on a connection of its own.
            let line = answer.windows(2).position(|end| end == b"\r\n").unwrap_or(0) + 2;
            answer.splice(line..line, *b"Connection: close\r\n");
            answer
        }
    };
    let _ = client.write_all(&answer);
}

#[test]
fn a_bucket_that_refuses_or_is_silent_is_asked_again() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = folder();
    let text = std::fs::read_to_string(job(folder.path(), 4 * SLOW)).unwrap();
    for trouble in [Trouble::SlowDown, Trouble::Silence] {
        let proxy = Proxy::to(bucket.port, 2);
        proxy.set(trouble);
        let data = tempfile::tempdir_in(folder.path()).unwrap();
        let file = folder.path().join("patient.sql");
        let set = "SET 's3.connection.request.timeout' = '300 ms';";
        std::fs::write(&file, format!("{set}\n{text}")).unwrap();
        let mut run = bucket.run(&file, data.path());
        bucket.reach_by(&mut run, proxy.port);
        run.arg("--fresh");
        succeed(&mut run);
        assert!(proxy.troubled.load(Ordering::Relaxed) > 2);
    }
    let mut numbers = written(folder.path());
    assert_eq!(numbers.len(), 2 * ROWS);
    numbers.dedup();
    assert_eq!(numbers, (1..=ROWS as i64).collect::<Vec<_>>());
}

#[test]
fn a_job_goes_on_without_its_bucket_unless_it_is_told_to_end() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = folder();
    let text = std::fs::read_to_string(job(folder.path(), SLOW)).unwrap();
    let file = folder.path().join("numbers.sql");
    let proxy = Proxy::to(bucket.port, 0);
    let run = |settings: &str, data: &str| {
        std::fs::write(&file, format!("SET 's3.attempts.maximum' = '1';{settings}\n{text}"))
            .unwrap();
        let mut run = bucket.run(&file, &folder.path().join(data));
        bucket.reach_by(&mut run, proxy.port);
        run.stderr(Stdio::piped()).spawn().unwrap()
    };
    let child = run("", "first");
    wait_until("a checkpoint", || bucket.epochs() >= 1);
    proxy.set(Trouble::SlowDown);
    wait_until("refusals", || proxy.troubled.load(Ordering::Relaxed) > 5);
    proxy.set(Trouble::None);
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{told}");
    assert!(told.contains("checkpoint failed") && told.contains("epoch-"), "{told}");
    assert_eq!(written(folder.path()), (1..=ROWS as i64).collect::<Vec<_>>());
    succeed(&mut bucket.checkpoints(&["verify"]));

    let tolerable = "SET 'execution.checkpointing.tolerable-failed-checkpoints' = '1';
        SET 'pipeline.name' = 'strict';";
    let child = run(tolerable, "second");
    wait_until("a checkpoint", || {
        succeed(&mut bucket.checkpoints(&["list", "strict"])).lines().count() >= 1
    });
    proxy.set(Trouble::SlowDown);
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("2 checkpoints failed in a row"), "{told}");
}
