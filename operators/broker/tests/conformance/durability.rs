//! What the embedded broker keeps over restarts, crashes and torn files, and what it forgets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_protocol::ResponseError;
use nowcast_broker::{Broker, Config};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

use crate::raw::{Raw, batch};
use crate::support::{Embedded, PATIENCE, client, read_texts, runtime, send_numbers, topic, until};
use crate::transactions::{Owner, committed, read, stable};

#[test]
fn a_restart_keeps_records_settings_offsets_and_producers() {
    let mut broker = Embedded::start();
    let name = topic(&broker.bootstrap(), 2, &[("retention.ms", "-1")]);
    send_numbers(&broker.bootstrap(), &name, 0..1000);
    let mut raw = Raw::connect(&broker.bootstrap());
    raw.produce(&name, batch((500_000, 0, 0), &["by a producer"]));
    let commit = |bootstrap: &str| {
        let consumer: BaseConsumer = client(bootstrap, &[("group.id", "g/ü %")]).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&name, 0, Offset::Offset(321)).unwrap();
        consumer.commit(&list, CommitMode::Sync).unwrap();
    };
    commit(&broker.bootstrap());
    for _ in 0..2 {
        broker.restart();
        let bootstrap = broker.bootstrap();
        assert_eq!(read_texts(&bootstrap, &name).len(), 1001);
        let consumer: BaseConsumer = client(&bootstrap, &[("group.id", "g/ü %")]).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(&name, 0);
        let committed = consumer.committed_offsets(list, PATIENCE).unwrap();
        assert_eq!(committed.elements()[0].offset(), Offset::Offset(321));
        let mut raw = Raw::connect(&bootstrap);
        let again = raw.produce(&name, batch((500_000, 0, 0), &["by a producer"]));
        assert_eq!((again.error_code, again.base_offset), (0, 1000));
        assert_eq!(broker.broker().topics()[0].partitions.len(), 2);
    }
}

#[test]
fn a_client_goes_on_over_a_restart() {
    let mut broker = Embedded::start();
    let address = broker.bootstrap();
    let name = topic(&address, 1, &[]);
    let producer = crate::support::producer(&address, &[("enable.idempotence", "true")]);
    let send = |numbers: std::ops::Range<u32>| {
        for i in numbers {
            let value = i.to_string();
            let record = BaseRecord::<str, str>::to(&name).payload(&value);
            producer.send(record).map_err(|(e, _)| e).unwrap();
        }
    };
    send(0..500);
    producer.flush(PATIENCE).unwrap();
    broker.stop();
    send(500..1000);
    broker.config.listen = address.clone();
    broker.start_again();
    producer.flush(PATIENCE).unwrap();
    let numbers: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
    assert_eq!(read_texts(&address, &name), numbers);
}

/// A broker in a process of its own, which can be killed.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(dir: &Path, listen: &str) -> Process {
        let this = std::env::current_exe().unwrap();
        Process::start_by(Command::new(this), dir, listen)
    }

    /// One that can make no file longer than about half a megabyte.
    fn start_short_of_space(dir: &Path, listen: &str) -> Process {
        let mut shell = Command::new("bash");
        // Writes past the limit fail instead of ending the process; 512 blocks are of 1 KiB.
        let script = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"";
        shell.args(["-c", script]).arg(std::env::current_exe().unwrap());
        Process::start_by(shell, dir, listen)
    }

    fn start_by(mut command: Command, dir: &Path, listen: &str) -> Process {
        let child = command
            .args(["durability::broker_process", "--exact", "--nocapture"])
            .env(DIR, dir)
            .env(LISTEN, listen)
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let marked = lines
            .map_while(Result::ok)
            .find_map(|line| line.split_once(MARK).map(|(_, address)| address.to_owned()));
        Process { child, address: marked.expect("the broker says where it is") }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

const DIR: &str = "NOWCAST_BROKER_TEST_DIR";
const LISTEN: &str = "NOWCAST_BROKER_TEST_LISTEN";
const MARK: &str = "broker listens on ";

/// Not a test: the body of [`Process`], when its variables are set.
#[test]
fn broker_process() {
    let (Ok(dir), Ok(listen)) = (std::env::var(DIR), std::env::var(LISTEN)) else { return };
    runtime().block_on(async {
        let config = Config { dir: dir.into(), listen, ..Config::default() };
        let broker = Broker::start(config).await.unwrap();
        println!("{MARK}{}", broker.address());
        std::future::pending::<()>().await;
    });
}

/// Counts what was acknowledged, and remembers it.
#[derive(Clone, Default)]
struct Acknowledged {
    values: Arc<Mutex<Vec<u64>>>,
    count: Arc<AtomicI64>,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Ok(message) = result {
            let text = std::str::from_utf8(message.payload().unwrap()).unwrap();
            self.values.lock().unwrap().push(text.parse().unwrap());
            self.count.fetch_add(1, Relaxed);
        }
    }
}

#[test]
fn kill_9_in_the_middle_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(dir.path(), "127.0.0.1:0");
    let address = process.address.clone();
    let name = topic(&address, 1, &[]);
    let acknowledged = Acknowledged::default();
    let settings =
        [("enable.idempotence", "true"), ("batch.num.messages", "20"), ("linger.ms", "0")];
    let producer: ThreadedProducer<Acknowledged> =
        client(&address, &settings).create_with_context(acknowledged.clone()).unwrap();
    let mut next = 0u64;
    for round in 1..=4 {
        // Killed with requests under way: some written and not acknowledged, some half sent.
        until("some more are acknowledged", || {
            for _ in 0..100 {
                let value = next.to_string();
                let record = BaseRecord::<str, str>::to(&name).payload(&value);
                if producer.send(record).is_ok() {
                    next += 1;
                }
            }
            (acknowledged.count.load(Relaxed) > round * 2000).then_some(())
        });
        process.kill();
        process = Process::start(dir.path(), &address);
        let sure = acknowledged.values.lock().unwrap().clone();
        let kept: std::collections::BTreeSet<u64> =
            read_texts(&address, &name).iter().map(|text| text.parse().unwrap()).collect();
        let lost: Vec<_> = sure.iter().filter(|value| !kept.contains(value)).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} lost", lost.len(), sure.len());
    }
    producer.flush(PATIENCE).unwrap();
    // And the producer, who sent again what it was not sure of, wrote nothing twice.
    let all: Vec<String> = (0..next).map(|i| i.to_string()).collect();
    assert_eq!(read_texts(&address, &name), all);
    process.kill();
}

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on() {
    let mut broker = Embedded::start();
    let name = topic(&broker.bootstrap(), 1, &[]);
    let mut raw = Raw::connect(&broker.bootstrap());
    for i in 0..10 {
        raw.produce(&name, batch((500_000, 0, i), &["x"]));
    }
    drop(raw);
    broker.stop();
    let path = broker.config.dir.join("topics").join(&name).join("0/00000000000000000000.log");
    let bytes = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(bytes - 5).unwrap();
    broker.start_again();
    assert_eq!(broker.broker().topics()[0].partitions[0].end_offset, 9);
    let mut raw = Raw::connect(&broker.bootstrap());
    let again = raw.produce(&name, batch((500_000, 0, 9), &["x"]));
    assert_eq!((again.error_code, again.base_offset), (0, 9));
    assert_eq!(read_texts(&broker.bootstrap(), &name).len(), 10);
}

#[test]
fn retention_deletes_old_segments_and_readers_go_on() {
    let broker = Embedded::start_with(|c| c.retention_check_interval = Duration::from_millis(50));
    let bootstrap = broker.bootstrap();
    let settings =
        [("retention.ms", "-1"), ("retention.bytes", "2000000"), ("segment.bytes", "1048576")];
    let name = topic(&bootstrap, 1, &settings);
    let mut raw = Raw::connect(&bootstrap);
    let value = "x".repeat(100_000);
    for _ in 0..60 {
        assert_eq!(raw.produce(&name, batch(crate::raw::NOBODY, &[&value])).error_code, 0);
    }
    let partition = || broker.broker().topics()[0].partitions[0];
    until("old segments go", || (partition().bytes < 3_200_000).then_some(()));
    let status = partition();
    assert_eq!(status.end_offset, 60);
    assert!(status.start_offset > 20 && status.bytes >= 2_000_000, "{status:?}");
    let read = read_texts(&bootstrap, &name).len() as i64;
    assert_eq!(read, status.end_offset - status.start_offset);
    // These records are of 2023: by age they are all too old.
    let old = topic(&bootstrap, 1, &[("retention.ms", "1000")]);
    raw.produce(&old, batch(crate::raw::NOBODY, &["x"]));
    until("the newest goes as well", || {
        let topics = broker.broker().topics();
        let topic = topics.iter().find(|topic| topic.name == old).expect("made above");
        (topic.partitions[0].start_offset == 1 && topic.partitions[0].bytes == 0).then_some(())
    });
}

/// Cuts connections in the middle of answers: the client cannot know what was written.
#[test]
fn lost_answers_make_no_record_twice() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let broker = Embedded::start_with(|config| config.advertised = Some(address.clone()));
    let name = "clicks";
    broker.broker().create_topic(name, 1, &[]).unwrap();
    let target = broker.bootstrap();
    std::thread::spawn(move || {
        for (i, stream) in proxy.incoming().enumerate() {
            let to = std::net::TcpStream::connect(&target).unwrap();
            // Every connection answers some more bytes than the one before.
            relay(stream.unwrap(), to, 3000 + i as u64 * 1500);
        }
    });
    let settings = [
        ("enable.idempotence", "true"),
        ("batch.num.messages", "10"),
        ("reconnect.backoff.ms", "1"),
        ("reconnect.backoff.max.ms", "10"),
        ("retry.backoff.ms", "1"),
    ];
    let producer = crate::support::producer(&address, &settings);
    for i in 0..5000 {
        let value = i.to_string();
        let record = BaseRecord::<str, str>::to(name).payload(&value);
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    assert!(broker.broker().stats().duplicates > 0, "no answer was lost");
    let numbers: Vec<String> = (0..5000).map(|i| i.to_string()).collect();
    assert_eq!(values_of(&broker, name), numbers);
}

/// Straight from the broker: a client would be sent through the proxy.
fn values_of(broker: &Embedded, topic: &str) -> Vec<String> {
    use kafka_protocol::records::RecordBatchDecoder;
    let mut raw = Raw::connect(&broker.bootstrap());
    let end = broker.broker().topics()[0].partitions[0].end_offset;
    let mut values = Vec::new();
    while (values.len() as i64) < end {
        let mut records = raw.fetch(topic, values.len() as i64, 0, 1).records.unwrap();
        for set in RecordBatchDecoder::decode_all(&mut records).unwrap() {
            for record in set.records {
                assert_eq!(record.offset, values.len() as i64);
                values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
    }
    values
}

/// Passes all requests on, and answers up to so many bytes.
fn relay(client: std::net::TcpStream, broker: std::net::TcpStream, answer_bytes: u64) {
    use std::io::{Read, copy};
    use std::net::Shutdown;
    let (mut from, mut to) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let mut client = client;
        let _ = copy(&mut (&broker).take(answer_bytes), &mut client);
        let _ = client.shutdown(Shutdown::Both);
        let _ = broker.shutdown(Shutdown::Write);
    });
}

#[test]
fn kill_9_keeps_a_transaction_open_until_its_producer_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), "127.0.0.1:0");
    let name = topic(&process.address, 1, &[]);
    let mut owner = Owner::start(&process.address, "tx", 60_000);
    owner.add(&name);
    owner.produce(&name, &["committed"]);
    owner.end(true);
    owner.add(&name);
    owner.produce(&name, &["lost"]);
    process.kill();
    let process = Process::start(dir.path(), "127.0.0.1:0");
    let address = &process.address;
    assert_eq!(read(address, &name, "read_uncommitted"), ["committed", "lost"]);
    assert_eq!(read(address, &name, "read_committed"), ["committed"]);
    assert_eq!(stable(address, &name), 2);
    // The old producer may go on, and a new one ends what is open.
    owner.reconnect(address);
    owner.produce(&name, &["lost as well"]);
    assert_eq!(stable(address, &name), 2);
    let mut next = Owner::start(address, "tx", 60_000);
    assert_eq!((next.id, next.epoch > owner.epoch), (owner.id, true));
    next.add(&name);
    next.produce(&name, &["found"]);
    next.end(true);
    assert_eq!(read(address, &name, "read_committed"), ["committed", "found"]);
    process.kill();
}

#[test]
fn a_decision_is_carried_out_at_the_next_start() {
    for (decided, seen) in [("Commit", &["x"][..]), ("Abort", &[])] {
        let mut broker = Embedded::start();
        let name = topic(&broker.bootstrap(), 1, &[]);
        let mut owner = Owner::start(&broker.bootstrap(), "tx", 60_000);
        owner.add(&name);
        owner.produce(&name, &["x"]);
        owner.add_offsets("g", &name, 7);
        broker.stop();
        // As a crash leaves it between the decision and the first marker.
        let path = broker.config.dir.join("transactions/tx.json");
        let file = std::fs::read_to_string(&path).unwrap();
        let prepared = file.replace("\"Ongoing\"", &format!("{{\"Prepare\":\"{decided}\"}}"));
        assert_ne!(prepared, file);
        std::fs::write(&path, prepared).unwrap();
        for _ in 0..2 {
            broker.start_again();
            assert_eq!(read(&broker.bootstrap(), &name, "read_committed"), seen, "{decided}");
            // One marker, however often it starts.
            assert_eq!(stable(&broker.bootstrap(), &name), 2);
            let offset = if decided == "Commit" { 7 } else { -1 };
            assert_eq!(committed(&broker.bootstrap(), "g", &name), (0, offset));
            broker.stop();
        }
        broker.start_again();
        owner.reconnect(&broker.bootstrap());
        owner.end(decided == "Commit");
    }
}

#[test]
fn a_transaction_without_its_coordinator_is_aborted_at_the_next_start() {
    let mut broker = Embedded::start();
    let name = topic(&broker.bootstrap(), 1, &[]);
    let mut owner = Owner::start(&broker.bootstrap(), "tx", 60_000);
    owner.add(&name);
    owner.produce(&name, &["x"]);
    broker.stop();
    std::fs::remove_file(broker.config.dir.join("transactions/tx.json")).unwrap();
    broker.start_again();
    assert_eq!(stable(&broker.bootstrap(), &name), 2);
    assert!(read(&broker.bootstrap(), &name, "read_committed").is_empty());
}

#[test]
fn after_the_last_epoch_comes_another_producer_id() {
    let mut broker = Embedded::start();
    let first = Owner::start(&broker.bootstrap(), "tx", 60_000);
    broker.stop();
    let path = broker.config.dir.join("transactions/tx.json");
    let file = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, file.replace("\"epoch\":0", "\"epoch\":32766")).unwrap();
    broker.start_again();
    let next = Owner::start(&broker.bootstrap(), "tx", 60_000);
    assert!(next.id != first.id && next.epoch == 0);
}

#[test]
fn aborted_ones_are_known_of_closed_segments_and_open_ones_are_kept() {
    let mut broker = Embedded::start_with(|c| {
        c.retention_check_interval = Duration::from_millis(50);
        c.topic_defaults.segment_bytes = 1 << 20;
    });
    let name = topic(&broker.bootstrap(), 1, &[("retention.ms", "-1")]);
    let (value, mut seen) = ("x".repeat(300_000), 0);
    let mut owner = Owner::start(&broker.bootstrap(), "tx", 60_000);
    for round in 0..8 {
        owner.add(&name);
        for _ in 0..3 {
            owner.produce(&name, &[&value]);
        }
        owner.end(round % 2 == 0);
        seen += if round % 2 == 0 { 3 } else { 0 };
    }
    for _ in 0..2 {
        assert_eq!(read(&broker.bootstrap(), &name, "read_committed").len(), seen);
        assert_eq!(read(&broker.bootstrap(), &name, "read_uncommitted").len(), 24);
        broker.restart();
    }
    // These records are of 2023: only an open transaction keeps them.
    let old = topic(&broker.bootstrap(), 1, &[("retention.ms", "1000")]);
    owner.reconnect(&broker.bootstrap());
    owner.add(&old);
    owner.produce(&old, &["open"]);
    let start = |name: &str| {
        let topics = broker.broker().topics();
        topics.iter().find(|topic| topic.name == name).unwrap().partitions[0].start_offset
    };
    // What came later to another topic, and is as old, has gone meanwhile.
    let other = topic(&broker.bootstrap(), 1, &[("retention.ms", "1000")]);
    Raw::connect(&broker.bootstrap()).produce(&other, batch(crate::raw::NOBODY, &["x"]));
    until("another one goes", || (start(&other) == 1).then_some(()));
    assert_eq!(start(&old), 0);
    owner.end(true);
    assert_eq!(stable(&broker.bootstrap(), &old), 2);
}

/// Fills the topic until the disk takes no more; the values that were acknowledged.
fn fill_the_disk(address: &str, name: &str) -> Vec<String> {
    let mut raw = Raw::connect(address);
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for i in 0..100_000 {
        // Smaller and smaller ones, until none fits.
        let value = format!("{i} {}", "x".repeat(20_000 >> (2 * refused)));
        let answer = raw.produce(name, batch(crate::raw::NOBODY, &[&value]));
        if answer.error_code == 0 {
            assert_eq!(answer.base_offset, acknowledged.len() as i64);
            acknowledged.push(value);
            continue;
        }
        assert_eq!(answer.error_code, ResponseError::KafkaStorageError.code());
        refused += 1;
        if refused == 7 {
            return acknowledged;
        }
    }
    panic!("the disk is never full");
}

#[test]
fn a_full_disk_is_told_and_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start_short_of_space(dir.path(), "127.0.0.1:0");
    let name = topic(&process.address, 1, &[("retention.ms", "-1")]);
    let mut acknowledged = fill_the_disk(&process.address, &name);
    assert!(acknowledged.len() > 20, "{} values", acknowledged.len());
    // Readers are served as ever.
    assert_eq!(read_texts(&process.address, &name), acknowledged);
    process.kill();
    let process = Process::start(dir.path(), "127.0.0.1:0");
    assert_eq!(read_texts(&process.address, &name), acknowledged);
    let mut raw = Raw::connect(&process.address);
    assert_eq!(
        raw.produce(&name, batch(crate::raw::NOBODY, &["there is room again"])).error_code,
        0
    );
    acknowledged.push("there is room again".into());
    assert_eq!(read_texts(&process.address, &name), acknowledged);
    process.kill();
}

/// A file system of two megabytes, where one can be had.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let disk = SmallDisk(tempfile::tempdir().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(disk.0.path());
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then_some(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).stderr(Stdio::null()).status();
    }
}

#[test]
fn a_disk_that_is_full_and_then_not_goes_on() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let dir = disk.0.path().join("broker");
    let process = Process::start(&dir, "127.0.0.1:0");
    let kept = topic(&process.address, 1, &[("retention.ms", "-1")]);
    let ballast = topic(&process.address, 1, &[("retention.ms", "-1")]);
    let mut raw = Raw::connect(&process.address);
    let value = "x".repeat(500_000);
    for _ in 0..2 {
        assert_eq!(raw.produce(&ballast, batch(crate::raw::NOBODY, &[&value])).error_code, 0);
    }
    let mut acknowledged = fill_the_disk(&process.address, &kept);
    let deleted = runtime().block_on(
        crate::support::admin(&process.address)
            .delete_topics(&[&ballast], &crate::support::options()),
    );
    deleted.unwrap().remove(0).unwrap();
    for i in 0..20 {
        let value = format!("after {i}");
        assert_eq!(raw.produce(&kept, batch(crate::raw::NOBODY, &[&value])).error_code, 0);
        acknowledged.push(value);
    }
    assert_eq!(read_texts(&process.address, &kept), acknowledged);
    process.kill();
    let process = Process::start(&dir, "127.0.0.1:0");
    assert_eq!(read_texts(&process.address, &kept), acknowledged);
    process.kill();
}
