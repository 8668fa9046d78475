//! Dead letters in a topic, and dead letters that are sent again. On the embedded broker, and on a real
//! Kafka where there is one.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on should say where

mod common;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use common::{fail, fresh_topic, nowcast, produce, succeed, written_lines};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// Each of these twice: on an embedded broker of its own, and on Kafka where there is one.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(#[test]
            fn $case() {
                let folder = crate::common::folder();
                let broker = crate::common::embedded_broker(folder.path());
                crate::$case(crate::Bench::new(broker.address.clone()));
            })*
        }
        mod kafka {
            $(#[test]
            fn $case() {
                if let Some(bootstrap) = crate::common::given("NOWCAST_KAFKA") {
                    crate::$case(crate::Bench::new(bootstrap));
                }
            })*
        }
    };
}

cases!(
    a_message_is_kept_as_it_came_with_what_is_known_of_it,
    a_topic_of_dead_letters_is_a_table,
    dead_letters_are_sent_again_once,
    letters_in_a_file_are_sent_again_once,
    what_the_topic_does_not_take_is_kept_in_the_file,
    what_is_wrong_with_the_topic_is_said,
    kills_lose_no_letter,
);

/// Messages of `orders`: key, value. The second and third cannot be read, the fourth has no amount.
const ORDERS: [(&[u8], &[u8]); 5] = [
    (b"a", b"{\"id\":1,\"amount\":\"5\"}"),
    (b"b", b"{\"id\":\"two\",\"amount\":\"5\"}"),
    (b"\xff\x01", b"\xfe{"),
    (b"c", b"{\"id\":4,\"amount\":\"much\"}"),
    (b"d", b"{\"id\":5,\"amount\":\"7\"}"),
];

/// A topic of orders, one of dead letters, and a folder.
struct Bench {
    bootstrap: String,
    orders: String,
    letters: String,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(bootstrap: String) -> Self {
        let orders = fresh_topic("orders");
        produce(&bootstrap, &orders, 2, &[]);
        let bench =
            Self { bootstrap, orders, letters: fresh_topic("dlq"), folder: common::folder() };
        bench.send(&bench.orders, 1, &ORDERS);
        bench
    }

    /// Sends messages whose timestamps are 1000, 1001, ….
    fn send(&self, topic: &str, partition: i32, messages: &[(&[u8], &[u8])]) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create().unwrap();
        for (number, (key, value)) in messages.iter().enumerate() {
            let record = BaseRecord::to(topic).partition(partition).key(*key).payload(*value);
            producer.send(record.timestamp(1_000 + number as i64)).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is in a topic of one partition, or of this one of several.
    fn read(&self, topic: &str, partition: i32) -> Vec<OwnedMessage> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "nowcast-test")
            .create()
            .unwrap();
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let next = |_| consumer.poll(PATIENCE).expect("the topic ended early").unwrap().detach();
        (low..high).map(next).collect()
    }

    /// The job `orders`, whose dead letters go where `settings` say.
    fn run_with(&self, settings: &str) -> Command {
        let Self { bootstrap, orders, .. } = self;
        self.run(
            "orders",
            &format!(
                "{settings}
                 CREATE TABLE orders (id BIGINT, amount STRING) WITH (
                   'connector' = 'kafka', 'topic' = '{orders}', 'format' = 'json',
                   'properties.bootstrap.servers' = '{bootstrap}',
                   'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');
                 CREATE TABLE amounts (id BIGINT, amount INT)
                 WITH ('connector' = 'filesystem', 'path' = '$amounts', 'format' = 'json');
                 INSERT INTO amounts SELECT id, CAST(amount AS INT) FROM orders;"
            ),
        )
    }

    /// With the letters in their topic.
    fn run_to_topic(&self) -> Command {
        self.run_with(&format!("SET 'execution.dead-letter.topic' = '{}';", self.letters))
    }

    /// Runs SQL in which `$NAME` is the path of that name in the folder.
    fn run(&self, job: &str, sql: &str) -> Command {
        let file = self.path(&format!("{job}.sql"));
        std::fs::write(&file, sql.replace('$', &format!("{}/", self.folder.path().display())))
            .unwrap();
        let mut run = nowcast();
        run.arg("run").arg(file).args(["--no-http", "--workers", "2", "--data-dir"]);
        run.arg(self.path("data"));
        run
    }

    fn dlq(&self, args: &[&str]) -> Command {
        let mut dlq = nowcast();
        dlq.arg("dlq").args(args).arg("--data-dir").arg(self.path("data"));
        dlq.env_remove("KAFKA_BOOTSTRAP_SERVERS");
        dlq
    }

    /// The file of dead letters.
    fn file(&self) -> PathBuf {
        self.path("data/aside/orders.dead_letters.jsonl")
    }
}

fn header(message: &OwnedMessage, name: &str) -> Option<String> {
    let mut all = message.headers()?.iter();
    let found = all.find(|header| header.key.strip_prefix("nowcast.errors.") == Some(name))?;
    Some(String::from_utf8(found.value?.to_vec()).unwrap())
}

fn a_message_is_kept_as_it_came_with_what_is_known_of_it(bench: Bench) {
    succeed(&mut bench.run_to_topic());
    let mut letters = bench.read(&bench.letters, 0);
    letters.sort_by_key(|letter| header(letter, "timestamp"));
    let [row, two, garbage] = letters.as_slice() else { panic!("{letters:?}") };
    for (letter, (key, value), offset) in [(two, ORDERS[1], 1), (garbage, ORDERS[2], 2)] {
        assert_eq!(letter.key(), Some(key));
        assert_eq!(letter.payload(), Some(value));
        let known = |name: &str| header(letter, name).unwrap();
        assert_eq!(known("job"), "orders");
        assert_eq!(known("stage"), "orders");
        assert_eq!(known("topic"), bench.orders);
        assert_eq!(known("partition"), "1");
        assert_eq!(known("offset"), offset.to_string());
        assert_eq!(known("timestamp"), (1_000 + offset).to_string());
    }
    assert_eq!(header(two, "reason").unwrap(), "field \"id\": \"two\" is no BIGINT");
    // A row of an operator does not know its message.
    assert_eq!(row.payload(), Some(&b"{\"id\":4,\"amount\":\"much\"}"[..]));
    assert_eq!(header(row, "stage").unwrap(), "amounts/Calc");
    for unknown in ["topic", "partition", "offset", "timestamp"] {
        assert_eq!(header(row, unknown), None);
    }
    assert_eq!(std::fs::read_to_string(bench.file()).unwrap(), "");
}

fn a_topic_of_dead_letters_is_a_table(bench: Bench) {
    succeed(&mut bench.run_to_topic());
    let Bench { bootstrap, letters, .. } = &bench;
    succeed(&mut bench.run(
        "reader",
        &format!(
            "CREATE TABLE letters (raw STRING, headers MAP<STRING, BYTES> METADATA) WITH (
               'connector' = 'kafka', 'topic' = '{letters}', 'format' = 'raw',
               'properties.bootstrap.servers' = '{bootstrap}',
               'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset');
             CREATE TABLE reasons (stage STRING, reason STRING, `offset` BIGINT, raw STRING)
             WITH ('connector' = 'filesystem', 'path' = '$reasons', 'format' = 'json');
             INSERT INTO reasons
             SELECT CAST(headers['nowcast.errors.stage'] AS STRING),
               CAST(headers['nowcast.errors.reason'] AS STRING),
               CAST(CAST(headers['nowcast.errors.offset'] AS STRING) AS BIGINT), raw
             FROM letters WHERE CAST(headers['nowcast.errors.reason'] AS STRING) LIKE '%is no%';"
        ),
    ));
    let mut lines: Vec<Value> = written_lines(&bench.path("reasons"))
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.sort_by_key(|line| line["stage"].to_string());
    assert_eq!(
        lines,
        [
            serde_json::json!({
                "stage": "amounts/Calc", "reason": "'much' is no INT", "offset": null,
                "raw": "{\"id\":4,\"amount\":\"much\"}",
            }),
            serde_json::json!({
                "stage": "orders", "reason": "field \"id\": \"two\" is no BIGINT", "offset": 1,
                "raw": "{\"id\":\"two\",\"amount\":\"5\"}",
            }),
        ]
    );
}

fn dead_letters_are_sent_again_once(bench: Bench) {
    succeed(&mut bench.run_to_topic());
    let listed = succeed(&mut bench.dlq(&["list"]));
    assert!(listed.contains("| field \"id\": \"…\" is no BIGINT"), "{listed}");
    let shown = succeed(&mut bench.dlq(&["show", "orders", "--stage", "orders", "--json"]));
    assert_eq!(shown.lines().count(), 2);
    again(&bench);
}

fn letters_in_a_file_are_sent_again_once(bench: Bench) {
    succeed(&mut bench.run_with(""));
    // A letter of a message that came again, as after a crash.
    let letters = std::fs::read_to_string(bench.file()).unwrap();
    let first = letters.lines().find(|line| line.contains("\"offset\":1")).unwrap();
    std::fs::write(bench.file(), format!("{letters}{first}\n")).unwrap();
    let note = bench.path("data/aside/orders.dead_letter_topic.json");
    assert!(!note.exists());
    let note_of = serde_json::json!({"topic": bench.letters, "bootstrap": bench.bootstrap});
    produce(&bench.bootstrap, &bench.letters, 1, &[]);
    // With the brokers of a note instead of --bootstrap, so that both ends of the test are alike.
    std::fs::write(note, note_of.to_string()).unwrap();
    again(&bench);
}

/// Sends the letters of the job `orders` again: two messages and a row.
fn again(bench: &Bench) {
    let orders = || bench.read(&bench.orders, 1);
    let said = succeed(&mut bench.dlq(&["replay", "orders", "--dry-run"]));
    let words = format!("2 dead letters of job orders would go to topic {}", bench.orders);
    assert!(said.contains(&words), "{said}");
    assert_eq!(orders().len(), ORDERS.len());

    fail(
        &mut bench.dlq(&["replay", "orders", "--to", "no-such-topic"]),
        &["kafka topic \"no-such-topic\" does not exist", &bench.orders],
    );
    let said = succeed(&mut bench.dlq(&["replay", "orders"]));
    assert!(said.contains("2 dead letters of job orders sent again"), "{said}");
    assert!(said.contains("1 are rows without a topic; --to TOPIC"), "{said}");
    let mut sent = orders().split_off(ORDERS.len());
    sent.sort_by_key(|message| message.timestamp().to_millis());
    let seen: Vec<_> = sent.iter().map(|it| (it.key().unwrap(), it.payload().unwrap())).collect();
    assert_eq!(seen, ORDERS[1..3]);
    assert_eq!(sent[0].timestamp().to_millis(), Some(1_001));

    let said = succeed(&mut bench.dlq(&["replay", "orders"]));
    assert!(said.contains("0 dead letters of job orders sent again"), "{said}");
    assert!(said.contains("were sent already; --again"), "{said}");
    assert_eq!(orders().len(), ORDERS.len() + 2);
    let listed = succeed(&mut bench.dlq(&["list", "orders"]));
    assert!(
        listed.lines().any(|line| line.contains("orders | 1       | 1  "))
            || listed.contains("| 2       | 2 "),
        "{listed}"
    );

    let other = fresh_topic("other");
    produce(&bench.bootstrap, &other, 1, &[]);
    let said = succeed(&mut bench.dlq(&["replay", "orders", "--to", &other, "--since", "1 h"]));
    assert!(said.contains("1 dead letters of job orders sent again"), "{said}");
    assert_eq!(bench.read(&other, 0)[0].payload(), Some(ORDERS[3].1));
    let args = ["replay", "orders", "--to", &other, "--again", "--reason", "no BIGINT"];
    succeed(&mut bench.dlq(&args));
    assert_eq!(bench.read(&other, 0)[1].payload(), Some(ORDERS[1].1));
    assert_eq!(bench.read(&other, 0).len(), 2);
}

fn what_the_topic_does_not_take_is_kept_in_the_file(bench: Bench) {
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(5_000));
    bench.send(&bench.orders, 0, &[(b"k", long.as_bytes())]);
    succeed(&mut bench.run_with(&format!(
        "SET 'execution.dead-letter.topic' = '{}';
         SET 'execution.dead-letter.properties.message.max.bytes' = '2000';",
        bench.letters
    )));
    assert_eq!(bench.read(&bench.letters, 0).len(), 3);
    let kept = std::fs::read_to_string(bench.file()).unwrap();
    let kept: Value = serde_json::from_str(kept.trim()).unwrap();
    assert_eq!(kept["raw"], long);
    assert_eq!(kept["key"], "k");
    // Both places are read.
    let shown = succeed(&mut bench.dlq(&["show", "orders", "--json"]));
    assert_eq!(shown.lines().count(), 4);
}

fn what_is_wrong_with_the_topic_is_said(bench: Bench) {
    let topic = "SET 'execution.dead-letter.topic' = 'dlq';";
    let key = "execution.dead-letter.properties";
    fail(
        &mut bench.run_with(&format!("{topic} SET '{key}.bootstrap.servers' = '127.0.0.1:1';")),
        &["job orders", "kafka 127.0.0.1:1: broker unreachable"],
    );
    fail(
        &mut bench.run_with(&format!("{topic} SET '{key}.linger.millis' = '1';")),
        &["property \"linger.millis\""],
    );
    fail(
        &mut bench.run_with(&format!("SET 'execution.dead-letter.topic' = '{}';", bench.orders)),
        &["is read by the job itself, as `orders`"],
    );
    fail(
        &mut bench.run_with("SET 'execution.dead-letter.topics' = 'dlq';"),
        &["line 1, column", "there is no setting 'execution.dead-letter.topics'"],
    );
    let sql = "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = '1');
               CREATE TABLE o (a INT) WITH ('connector' = 'blackhole'); INSERT INTO o SELECT a FROM t;";
    fail(
        &mut bench.run("no_kafka", &format!("{topic} {sql}")),
        &["the job has no Kafka table", "properties.bootstrap.servers' is needed"],
    );
}

/// Messages that cannot be read among those that can.
const BAD: usize = 400;

fn kills_lose_no_letter(bench: Bench) {
    let orders: Vec<String> = (0..50 * BAD)
        .map(|id| match id % 50 {
            0 => format!("no {id}"),
            _ => format!("{{\"id\":{id},\"amount\":\"1\"}}"),
        })
        .collect();
    let orders: Vec<(&[u8], &[u8])> =
        orders.iter().map(|order| (&b"k"[..], order.as_bytes())).collect();
    bench.send(&bench.orders, 0, &orders);
    let run = || {
        let mut run = bench.run_to_topic();
        run.args(["--checkpoint-interval", "20ms", "--rows-max", "16"]);
        run
    };
    produce(&bench.bootstrap, &bench.letters, 1, &[]);
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &bench.bootstrap).create().unwrap();
    let letters = || consumer.fetch_watermarks(&bench.letters, 0, PATIENCE).unwrap().1 as usize;
    let mut kills = 0;
    for _ in 0..3 {
        let before = letters();
        let mut running = run().spawn().unwrap();
        common::wait_until("some letters", || {
            letters() > before + BAD / 8 || running.try_wait().unwrap().is_some()
        });
        kills += usize::from(running.try_wait().unwrap().is_none());
        running.kill().unwrap();
        running.wait().unwrap();
    }
    println!("{kills} kills");
    succeed(&mut run());
    let kept = bench.read(&bench.letters, 0);
    let offset = |letter: &OwnedMessage| {
        let of = header(letter, "partition").as_deref() == Some("0");
        header(letter, "offset").filter(|_| of).map(|offset| offset.parse::<usize>().unwrap())
    };
    let offsets: std::collections::BTreeSet<usize> = kept.iter().filter_map(offset).collect();
    assert_eq!(offsets, (0..50 * BAD).step_by(50).collect(), "{kills} kills");
    // However often a letter is there, it is sent again once.
    let said = succeed(&mut bench.dlq(&["replay", "orders", "--reason", "json"]));
    let words = format!("{} dead letters of job orders sent again", BAD + 1);
    assert!(said.contains(&words), "{kills} kills: {said}");
}
