//! The embedded broker's bounds, and the errors of starting it.

use kafka_protocol::messages::ApiKey;
use nowcast_broker::{Broker, Config, Error, Fsync, Limits};
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::raw::{NOBODY, Raw, batch};
use crate::support::{Embedded, PATIENCE, client, read_texts, runtime, send_numbers, until};

#[test]
fn a_folder_has_one_broker_at_a_time() {
    let mut first = Embedded::start();
    let again = first.runtime.block_on(Broker::start(first.config.clone()));
    let error = again.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }));
    assert!(error.to_string().ends_with(": in use by another broker"), "{error}");
    first.restart();
}

#[test]
fn a_port_in_use_is_told() {
    let first = Embedded::start();
    let dir = tempfile::tempdir().unwrap();
    let config =
        Config { dir: dir.path().to_path_buf(), listen: first.bootstrap(), ..Config::default() };
    let error = runtime().block_on(Broker::start(config)).unwrap_err();
    assert_eq!(error.to_string(), format!("broker address {}: port in use", first.bootstrap()));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut config = Config { dir: dir.path().to_path_buf(), ..Config::default() };
        change(&mut config);
        runtime().block_on(Broker::start(config)).unwrap_err().to_string()
    };
    let error = refused(&|config| config.listen = "nowhere".into());
    assert_eq!(error, "broker config: address \"nowhere\" is not host:port");
    let error = refused(&|config| config.default_partitions = 0);
    assert_eq!(error, "broker config: default_partitions must be 1 or more");
    let error = refused(&|config| config.limits.in_flight_bytes_max = 1);
    assert!(error.contains("in_flight_bytes_max"), "{error}");
    let error = refused(&|config| config.topic_defaults.segment_bytes = 1);
    assert!(error.contains("segment.bytes"), "{error}");
}

#[test]
fn connections_past_the_limit_are_closed() {
    let broker = Embedded::start_with(|config| config.limits.connections_max = 2);
    broker.broker().create_topic("t", 1, &[]).unwrap();
    let mut first = Raw::connect(&broker.bootstrap());
    let mut second = Raw::connect(&broker.bootstrap());
    first.produce("t", batch(NOBODY, &["a"]));
    second.produce("t", batch(NOBODY, &["b"]));
    assert!(Raw::connect(&broker.bootstrap()).is_closed());
    assert_eq!(broker.broker().stats().connections_refused, 1);
    // A place that is left is free again.
    drop(first);
    until("a third is let in", || {
        let mut third = Raw::connect(&broker.bootstrap());
        third.send_bytes(ApiKey::ApiVersions as i16, 0, 1, &[]);
        third.try_receive().ok()
    });
}

#[test]
fn a_connection_that_is_idle_or_stuck_is_closed() {
    let short = std::time::Duration::from_millis(200);
    let limits = Limits { idle_max: short, ..Limits::default() };
    let broker = Embedded::start_with(|config| config.limits = limits);
    assert!(Raw::connect(&broker.bootstrap()).is_closed());
    let limits = Limits { transfer_max: short, ..Limits::default() };
    let broker = Embedded::start_with(|config| config.limits = limits);
    // A request of a hundred bytes, of which two come.
    let mut stuck = Raw::connect(&broker.bootstrap());
    stuck.write(&[0, 0, 0, 100, 0, 18]);
    assert!(stuck.is_closed());
}

#[test]
fn a_large_request_without_records_closes_its_connection_only() {
    let broker = Embedded::start();
    broker.broker().create_topic("t", 1, &[]).unwrap();
    let mut large = Raw::connect(&broker.bootstrap());
    large.send_bytes(ApiKey::Metadata as i16, 9, 2, &vec![0; 5 << 20]);
    assert!(large.is_closed());
    let mut other = Raw::connect(&broker.bootstrap());
    assert_eq!(other.produce("t", batch(NOBODY, &["small"])).error_code, 0);
}

#[test]
fn a_request_over_the_limit_closes_its_connection_only() {
    let small = Limits { request_bytes_max: 10_000, ..Limits::default() };
    let broker = Embedded::start_with(|config| config.limits = small);
    broker.broker().create_topic("t", 1, &[]).unwrap();
    let mut large = Raw::connect(&broker.bootstrap());
    let mut other = Raw::connect(&broker.bootstrap());
    let value = "x".repeat(20_000);
    large.send(8, &crate::raw::produce_request("t", batch(NOBODY, &[&value])));
    assert!(large.is_closed());
    assert_eq!(other.produce("t", batch(NOBODY, &["small"])).error_code, 0);
}

#[test]
fn bytes_that_are_no_protocol_end_their_connection_only() {
    let broker = Embedded::start();
    broker.broker().create_topic("t", 1, &[]).unwrap();
    // A header that is cut off, then a web browser.
    let mut cut = Raw::connect(&broker.bootstrap());
    cut.send_bytes(0, 8, 1, &[255; 40]);
    assert!(cut.is_closed());
    let mut other = Raw::connect(&broker.bootstrap());
    assert_eq!(other.produce("t", batch(NOBODY, &["fine"])).error_code, 0);
}

#[test]
fn fetches_share_a_bound_on_memory() {
    // Room for two responses: the others wait, and all get their records in the end.
    let limits = Limits {
        request_bytes_max: 2 << 20,
        fetch_bytes_max: 1 << 20,
        in_flight_bytes_max: 2 << 20,
        ..Limits::default()
    };
    let broker = Embedded::start_with(|config| config.limits = limits);
    broker.broker().create_topic("t", 1, &[]).unwrap();
    let bootstrap = broker.bootstrap();
    let mut writing = Raw::connect(&bootstrap);
    let value = "x".repeat(300_000);
    for _ in 0..10 {
        assert_eq!(writing.produce("t", batch(NOBODY, &[&value])).error_code, 0);
    }
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let bootstrap = bootstrap.clone();
            std::thread::spawn(move || read_texts(&bootstrap, "t").len())
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 10);
    }
    until("all is given back", || (broker.broker().stats().in_flight_bytes == 0).then_some(()));
}

#[test]
fn asking_for_a_topic_makes_it_only_where_that_is_wanted() {
    let broker = Embedded::start_with(|config| config.default_partitions = 3);
    send_numbers(&broker.bootstrap(), "made", 0..5);
    let topics = broker.broker().topics();
    assert_eq!((topics[0].name.as_str(), topics[0].partitions.len()), ("made", 3));

    let broker = Embedded::start_with(|config| config.auto_create_topics = false);
    let consumer: BaseConsumer = client(&broker.bootstrap(), &[]).create().unwrap();
    let metadata = consumer.fetch_metadata(Some("not-made"), PATIENCE).unwrap();
    assert!(metadata.topics()[0].error().is_some());
    assert!(broker.broker().topics().is_empty());
}

#[test]
fn topics_are_made_and_told_in_process() {
    let broker = Embedded::start();
    broker.broker().create_topic("b", 2, &[("retention.ms", "-1")]).unwrap();
    broker.broker().create_topic("a", 1, &[]).unwrap();
    send_numbers(&broker.bootstrap(), "b", 0..7);
    let topics = broker.broker().topics();
    let names: Vec<_> = topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(topics[1].partitions[0].end_offset, 7);
    assert!(topics[1].partitions[0].bytes > 0);
    let again = broker.broker().create_topic("a", 1, &[]).unwrap_err();
    assert!(matches!(again, Error::TopicExists(name) if name == "a"));
    let wrong = broker.broker().create_topic("c", 1, &[("cleanup.policy", "shrink")]).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "topic \"c\": cleanup.policy=shrink is not one of delete; compact; compact,delete"
    );
    let stats = broker.broker().stats();
    assert_eq!((stats.records_appended, stats.partitions), (7, 3));
}

#[test]
fn each_fsync_policy_serves() {
    for fsync in [Fsync::BeforeAck, Fsync::Every(std::time::Duration::from_millis(20))] {
        let mut broker = Embedded::start_with(|config| config.fsync = fsync);
        broker.broker().create_topic("t", 1, &[]).unwrap();
        send_numbers(&broker.bootstrap(), "t", 0..1000);
        broker.restart();
        assert_eq!(read_texts(&broker.bootstrap(), "t").len(), 1000);
    }
}
