//! What the tests of the binary share: starting it, brokers, topics, rows.

#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout)] // each test uses its part

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// A command of the binary under test.
pub fn nowcast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nowcast"));
    command.env_remove("NOWCAST_DATA").env("NOWCAST_LOG", "warn");
    command
}

/// A folder that goes with the test. Its name is no hidden one: those are passed over as input.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("nowcast").tempdir().unwrap()
}

/// Runs to the end; the output with what went wrong in it.
pub fn finish(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Runs to the end and expects success.
pub fn succeed(command: &mut Command) -> String {
    let output = finish(command);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs to the end and expects an error that names all of `words`.
pub fn fail(command: &mut Command, words: &[&str]) {
    let output = finish(command);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{command:?}\n{error}");
    assert!(!error.contains("panicked"), "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

/// A server that ends with the test.
pub struct Server {
    pub child: Child,
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The embedded broker in a process of its own.
pub fn embedded_broker(folder: &Path) -> Server {
    let mut child = nowcast()
        .args(["broker", "--listen", "127.0.0.1:0", "--dir"])
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
    let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
    Server { child, address: address.trim_end_matches(',').to_owned() }
}

/// A variable that the check script sets; says so where a test is skipped for its lack.
pub fn given(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        println!("skipped: {variable} is not set");
    }
    value
}

/// The folder of real data sets.
pub fn data_folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var("NOWCAST_DATA").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: no data folder ({})", folder.display());
        return None;
    }
    Some(folder)
}

/// The Python of the check script's environment.
pub fn python() -> Command {
    Command::new(std::env::var("NOWCAST_PYTHON").unwrap_or_else(|_| "python3".into()))
}

pub fn judge(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge").join(script)
}

pub fn pipeline(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(name)
}

pub fn models() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx_models").display().to_string()
}

/// A topic name no other test has.
pub fn fresh_topic(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{name}-{}-{}", std::process::id(), now.as_nanos())
}

/// Sends payloads to a topic in order; each to partition `number % partitions`.
pub fn produce(bootstrap: &str, topic: &str, partitions: i32, payloads: &[&[u8]]) {
    let admin: rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let new = rdkafka::admin::NewTopic::new(
        topic,
        partitions,
        rdkafka::admin::TopicReplication::Fixed(1),
    )
    .set("retention.ms", "-1");
    // It may be there already.
    let _ = runtime.block_on(admin.create_topics([&new], &rdkafka::admin::AdminOptions::new()));
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .create()
        .unwrap();
    for (number, payload) in payloads.iter().enumerate() {
        let partition = number as i32 % partitions;
        loop {
            let record: BaseRecord<'_, (), [u8]> =
                BaseRecord::to(topic).partition(partition).payload(payload);
            match producer.send(record) {
                Ok(()) => break,
                Err((error, _))
                    if error.rdkafka_error_code()
                        == Some(rdkafka::types::RDKafkaErrorCode::QueueFull) =>
                {
                    producer.poll(Duration::from_millis(5));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
    }
    producer.flush(PATIENCE).unwrap();
}

/// All messages of a topic as `(partition, offset, payload)`, partition by partition in order.
pub fn messages(bootstrap: &str, topic: &str) -> Vec<(i32, i64, Vec<u8>)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "nowcast-test")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let mut list = TopicPartitionList::new();
    let mut left = 0;
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE).unwrap();
        left += high - low;
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut messages = vec![];
    while left > 0 {
        let message = consumer.poll(PATIENCE).expect("the topic ended early").unwrap();
        messages.push((
            message.partition(),
            message.offset(),
            message.payload().unwrap_or_default().to_vec(),
        ));
        left -= 1;
    }
    messages.sort_by_key(|(partition, offset, _)| (*partition, *offset));
    messages
}

/// The messages that a reader with `isolation.level = read_committed` sees, in order of a partition.
pub fn committed(bootstrap: &str, topic: &str) -> Vec<(i32, Value)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "nowcast-test")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..2 {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut messages, mut ends) = (vec![], BTreeSet::new());
    while ends.len() < 2 {
        match consumer.poll(Duration::from_secs(30)).expect("no answer") {
            Ok(message) => {
                let value = serde_json::from_slice(message.payload().unwrap_or(b"null")).unwrap();
                messages.push((message.partition(), value));
            }
            Err(KafkaError::PartitionEOF(partition)) => drop(ends.insert(partition)),
            Err(error) => panic!("{error}"),
        }
    }
    messages
}

/// The newest complete checkpoint of a data folder.
pub fn epoch(data: &Path) -> u64 {
    newest(&data.join("checkpoints"))
}

/// The newest complete checkpoint in a folder of them.
pub fn newest(checkpoints: &Path) -> u64 {
    let Ok(jobs) = std::fs::read_dir(checkpoints) else { return 0 };
    let epochs = jobs.flatten().filter_map(|job| std::fs::read_dir(job.path()).ok());
    let complete = epochs.flatten().flatten();
    let complete = complete.filter(|epoch| is_checkpoint(&epoch.path()));
    let numbers = complete
        .filter_map(|epoch| epoch.file_name().to_str()?.strip_prefix("epoch-")?.parse().ok());
    numbers.max().unwrap_or(0)
}

/// Lines of all files beneath a folder that a filesystem sink wrote.
pub fn written_lines(folder: &Path) -> Vec<String> {
    let mut lines = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            lines.extend(std::fs::read_to_string(path).unwrap().lines().map(str::to_owned));
        }
    }
    lines
}

/// Waits until `done`, at most for a time that only a hung program takes.
/// Whether a folder of the checkpoints holds a complete one; starts have their numbers too.
pub fn is_checkpoint(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("manifest.json"));
    manifest.is_ok_and(|manifest| manifest.contains("\"sources\""))
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(120), "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Status and body of an HTTP answer.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
}

/// The address behind `words` in what a child says; the rest of it goes to the test's output.
pub fn address_said(child: &mut Child, words: &str) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        line.unwrap().split(words).nth(1).map(|address| address.trim().to_owned())
    });
    std::thread::spawn(move || lines.for_each(|line| println!("{}", line.unwrap_or_default())));
    address.unwrap_or_else(|| panic!("it did not say {words:?}"))
}

/// All features of a store, by key.
pub fn features(
    store: &dyn nowcast_connectors::Store,
) -> std::collections::BTreeMap<String, Vec<(String, String)>> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut keys = store.scan("", usize::MAX).await.unwrap();
        keys.sort();
        let fields = store.multi_get(&keys).await.unwrap();
        let with_fields = keys.into_iter().zip(fields);
        with_fields
            .filter_map(|(key, fields)| {
                let mut fields = fields?;
                fields.sort();
                Some((key, fields))
            })
            .collect()
    })
}

/// The features that a run left in the embedded store of its data folder.
pub fn embedded_features(data: &Path) -> std::collections::BTreeMap<String, Vec<(String, String)>> {
    features(&nowcast_connectors::EmbeddedStore::open(&data.join("store")).unwrap())
}

/// Fields that a model wrote: a row's score depends in its last bits on the rows that are scored
/// with it.
const SCORED: [&str; 2] = ["quantiles", "scores"];

/// How far two scores of a row may lie apart, relative to the greater.
const SCORE_TOLERANCE: f64 = 1e-4;

type Fields = Vec<(String, String)>;

/// The first difference between two sets of features, in words; `None` where they are equal.
pub fn difference(
    left: &std::collections::BTreeMap<String, Fields>,
    right: &std::collections::BTreeMap<String, Fields>,
) -> Option<String> {
    let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let equal = |key: &String| match (left.get(key), right.get(key)) {
        (Some(left), Some(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| same_field(left, right))
        }
        _ => false,
    };
    let different: Vec<_> = keys.into_iter().filter(|key| !equal(key)).collect();
    let first = different.first()?;
    Some(format!(
        "{} of {} keys differ; {first}: {:?} / {:?}",
        different.len(),
        left.len(),
        left.get(*first),
        right.get(*first)
    ))
}

fn same_field((name, left): &(String, String), (other, right): &(String, String)) -> bool {
    if name != other || left == right {
        return name == other;
    }
    let numbers = |text: &str| serde_json::from_str::<Vec<f64>>(text).ok();
    match (numbers(left), numbers(right)) {
        (Some(left), Some(right)) if SCORED.contains(&name.as_str()) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| {
                    (left - right).abs() <= SCORE_TOLERANCE * left.abs().max(right.abs())
                })
        }
        _ => false,
    }
}

/// Sends the synthetic events of the shipped pipelines to topics of their own; returns the
/// variables that name the topics.
pub fn send_shipped_events(
    bootstrap: &str,
    folder: &Path,
    clicks: usize,
) -> Vec<(&'static str, String)> {
    let feeds = [
        ("CLICKS_TOPIC", "clicks", clicks, Some("profile_id"), 4),
        ("DEMAND_TOPIC", "demand", 4 * 24 * 21, Some("region"), 1),
        ("SUBSCRIPTIONS_TOPIC", "subscriptions", 20_000, Some("country"), 2),
    ];
    let mut variables = vec![];
    for (variable, kind, events, key, partitions) in feeds {
        let file = folder.join(format!("{kind}.jsonl"));
        if !file.exists() {
            std::fs::write(
                &file,
                succeed(nowcast().args(["generate", kind, "--events", &events.to_string()])),
            )
            .unwrap();
        }
        let topic = fresh_topic(kind);
        let mut replay = nowcast();
        replay.arg("replay").arg(&file).args(["--topic", &topic, "--bootstrap", bootstrap]);
        replay.args(["--partitions", &partitions.to_string(), "--disorder-ms", "4000"]);
        if let Some(key) = key {
            replay.args(["--key", key]);
        }
        succeed(&mut replay);
        variables.push((variable, topic));
    }
    variables.push(("KAFKA_BOOTSTRAP_SERVERS", bootstrap.to_owned()));
    variables.push(("BOUNDED_MODE", "latest-offset".to_owned()));
    variables.push(("MODELS", models()));
    variables
}

pub const PIPELINES: [&str; 4] =
    ["clickstream_features.sql", "demand_nowcast.sql", "subscriptions.sql", "recommendations.sql"];
