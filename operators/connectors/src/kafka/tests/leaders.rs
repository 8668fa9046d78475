//! Who leads a partition changes while it is read, and brokers come and go: librdkafka's own cluster for
//! tests, which speaks Kafka's protocol on real sockets.

use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;

with_each_client!(
    a_partition_is_followed_to_its_new_leader,
    brokers_that_were_away_are_found_again,
    what_is_written_follows_the_leaders,
    a_sink_that_is_gone_writes_nothing_more,
);

const TOPIC: &str = "led";

fn unbounded(client: &'static str, bootstrap: &str) -> TableDefinition {
    let options = [
        ("client", client),
        ("scan.startup.mode", "earliest-offset"),
        ("properties.reconnect.backoff.max.ms", "500"),
    ];
    table(TOPIC, bootstrap, vec![Field::new("n", DataType::Int64, true)], &options)
}

async fn produce(bootstrap: &str, partition: i32, numbers: std::ops::Range<i64>) {
    let producer: FutureProducer = config(bootstrap).create().unwrap();
    for number in numbers {
        let value = format!("{{\"n\":{number}}}");
        let record = FutureRecord::<(), _>::to(TOPIC).partition(partition).payload(&value);
        producer.send(record, PATIENCE).await.unwrap();
    }
}

/// The next `count` numbers of a partition.
async fn read(source: &mut Box<dyn Source>, partition: i32, count: usize) -> Vec<i64> {
    let mut read = vec![];
    while read.len() < count {
        if let SourceEvent::Rows { split, rows, .. } = next(source).await
            && *split == *format!("{TOPIC}/{partition}")
        {
            read.extend(numbers(&[rows]));
        }
    }
    read
}

async fn a_partition_is_followed_to_its_new_leader(client: &'static str) {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic(TOPIC, 2, 3).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    for partition in 0..2 {
        cluster.partition_leader(TOPIC, partition, Some(1 + partition)).unwrap();
    }
    produce(&bootstrap, 0, 0..3).await;
    produce(&bootstrap, 1, 0..3).await;
    let mut source = open(&unbounded(client, &bootstrap), at(&[])).await;
    let mut first = BTreeMap::<String, usize>::new();
    while first.values().sum::<usize>() < 6 {
        if let SourceEvent::Rows { split, rows, .. } = next(&mut source).await {
            *first.entry(split.to_string()).or_default() += rows.num_rows();
        }
    }
    assert_eq!(first.into_values().collect::<Vec<_>>(), [3, 3]);
    for (round, leader) in [3, 1, 2].into_iter().enumerate() {
        cluster.partition_leader(TOPIC, 0, Some(leader)).unwrap();
        let from = 3 + 2 * round as i64;
        produce(&bootstrap, 0, from..from + 2).await;
        assert_eq!(read(&mut source, 0, 2).await, [from, from + 1], "led by {leader}");
    }
    // The other one has been read on meanwhile.
    produce(&bootstrap, 1, 3..5).await;
    assert_eq!(read(&mut source, 1, 2).await, [3, 4]);
}

async fn brokers_that_were_away_are_found_again(client: &'static str) {
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic(TOPIC, 2, 2).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    for partition in 0..2 {
        cluster.partition_leader(TOPIC, partition, Some(1 + partition)).unwrap();
    }
    produce(&bootstrap, 0, 0..2).await;
    let mut source = open(&unbounded(client, &bootstrap), at(&[])).await;
    assert_eq!(read(&mut source, 0, 2).await, [0, 1]);
    cluster.broker_down(1).unwrap();
    // What the other broker leads is read all the same.
    produce(&bootstrap, 1, 0..2).await;
    assert_eq!(read(&mut source, 1, 2).await, [0, 1]);
    cluster.broker_up(1).unwrap();
    produce(&bootstrap, 0, 2..4).await;
    assert_eq!(read(&mut source, 0, 2).await, [2, 3]);
    // And both at once.
    (1..=2).for_each(|broker| cluster.broker_down(broker).unwrap());
    (1..=2).for_each(|broker| cluster.broker_up(broker).unwrap());
    produce(&bootstrap, 0, 4..6).await;
    assert_eq!(read(&mut source, 0, 2).await, [4, 5]);
    produce(&bootstrap, 1, 2..4).await;
    assert_eq!(read(&mut source, 1, 2).await, [2, 3]);
}

/// Rows are written while leaders change, brokers are away and answers are errors: each is there, once, and
/// those of a partition in order.
async fn what_is_written_follows_the_leaders(client: &'static str) {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic(TOPIC, 2, 3).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    let mut table = unbounded(client, &bootstrap);
    let options = [
        ("sink.partitioner", "round-robin"),
        ("properties.reconnect.backoff.ms", "20"),
        ("properties.retry.backoff.ms", "20"),
    ];
    table.options.extend(options.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let mut sink = registry().sink(&table).unwrap().open(SinkContext::alone("test")).await.unwrap();
    let mut rejected = vec![];
    let rounds = 9;
    for round in 0..rounds {
        match round % 3 {
            0 => (0..2).for_each(|partition| {
                let leader = 1 + (round / 3 + partition) % 3;
                cluster.partition_leader(TOPIC, partition, Some(leader)).unwrap();
            }),
            1 => {
                let errors = [
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                ];
                cluster.request_errors(RDKafkaApiKey::Produce, &errors);
            }
            _ => {
                (1..=3).for_each(|broker| cluster.broker_down(broker).unwrap());
                (1..=3).for_each(|broker| cluster.broker_up(broker).unwrap());
            }
        }
        let from = i64::from(round) * 10;
        let schema = Arc::clone(&table.schema);
        let column: ArrayRef = Arc::new((from..from + 10).collect::<Int64Array>());
        let rows = RecordBatch::try_new(schema, vec![column]).unwrap();
        sink.write(&Batch::new(rows), &mut rejected).await.unwrap();
        tokio::time::timeout(PATIENCE, sink.flush()).await.expect("in time").unwrap();
    }
    assert_eq!(rejected, []);
    let mut source = open(&unbounded("librdkafka", &bootstrap), at(&[])).await;
    let mut read: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    while read.values().map(Vec::len).sum::<usize>() < 10 * rounds as usize {
        if let SourceEvent::Rows { split, rows, .. } = next(&mut source).await {
            read.entry(split.to_string()).or_default().extend(numbers(&[rows]));
        }
    }
    assert_eq!(read.len(), 2);
    let mut all: Vec<i64> = vec![];
    for numbers in read.values() {
        assert!(numbers.is_sorted(), "{numbers:?}");
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, (0..10 * i64::from(rounds)).collect::<Vec<_>>());
}

fn row(schema: &arrow::datatypes::SchemaRef, number: i64) -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![number]));
    Batch::new(RecordBatch::try_new(Arc::clone(schema), vec![column]).unwrap())
}

async fn open_sink(table: &TableDefinition) -> Box<dyn Sink> {
    registry().sink(table).unwrap().open(SinkContext::alone("test")).await.unwrap()
}

/// With our own client alone: librdkafka's cluster for tests breaks where its own client asks it then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_for_a_partition_without_a_leader_fail_in_time() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let mut table = unbounded("native", &cluster.bootstrap_servers());
    table.options.insert("properties.message.timeout.ms".into(), "1500".into());
    let mut sink = open_sink(&table).await;
    cluster.partition_leader(TOPIC, 0, None).unwrap();
    sink.write(&row(&table.schema, 1), &mut vec![]).await.unwrap();
    let failed = tokio::time::timeout(PATIENCE, sink.flush()).await.expect("it does not wait");
    let failed = failed.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Outside);
    assert!(failed.to_string().contains("not delivered"), "{failed}");
}

async fn a_sink_that_is_gone_writes_nothing_more(client: &'static str) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    let table = unbounded(client, &bootstrap);
    let mut sink = open_sink(&table).await;
    cluster.broker_down(1).unwrap();
    sink.write(&row(&table.schema, 1), &mut vec![]).await.unwrap();
    // It tries meanwhile.
    let flushed = tokio::time::timeout(Duration::from_millis(300), sink.flush()).await;
    assert!(flushed.is_err(), "there is no broker");
    drop(sink);
    cluster.broker_up(1).unwrap();
    let mut other = open_sink(&table).await;
    other.write(&row(&table.schema, 2), &mut vec![]).await.unwrap();
    tokio::time::timeout(PATIENCE, other.flush()).await.expect("in time").unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut source = open(&unbounded("librdkafka", &bootstrap), at(&[])).await;
    assert_eq!(read(&mut source, 0, 1).await, [2]);
}
