//! A broker behind a wire that is cut again and again, in the middle of a request or before an answer: who
//! writes never knows whether a batch has come, and each row has to be there once all the same.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use nowcast_broker::{Broker, Config};
use nowcast_connectors::{Environment, Registry};
use nowcast_engine::{Batch, Connectors, JobRun, SinkContext, TableDefinition};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const PARTITIONS: i32 = 3;
const ROWS: i64 = 200;
const WRITES: i64 = 60;
const WRITES_A_CHECKPOINT: i64 = 6;
/// One of so many requests, and one of so many answers, does not come through.
const CUTS: u32 = 12;
const PATIENCE: Duration = Duration::from_secs(60);

/// The wire between clients and a broker.
struct Wire {
    address: String,
    broker: std::sync::OnceLock<String>,
    cuts: AtomicU64,
    calm: std::sync::atomic::AtomicBool,
}

impl Wire {
    async fn lay() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Arc::new(Self {
            address: listener.local_addr().unwrap().to_string(),
            broker: std::sync::OnceLock::new(),
            cuts: AtomicU64::new(0),
            calm: false.into(),
        });
        let this = Arc::clone(&wire);
        tokio::spawn(async move {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let seeds = [random.random(), random.random()];
                tokio::spawn(Arc::clone(&this).serve(client, seeds));
            }
        });
        wire
    }

    /// Either way until it is cut: then both ends hear of it.
    async fn serve(self: Arc<Self>, client: TcpStream, seeds: [u64; 2]) {
        let Ok(broker) = TcpStream::connect(self.broker.get().unwrap()).await else { return };
        let (from_client, to_client) = client.into_split();
        let (from_broker, to_broker) = broker.into_split();
        tokio::select! {
            _ = self.carry(from_client, to_broker, seeds[0], true) => {}
            _ = self.carry(from_broker, to_client, seeds[1], false) => {}
        }
    }

    async fn carry(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        seed: u64,
        torn: bool,
    ) -> io::Result<()> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        loop {
            let length = from.read_i32().await?;
            let mut frame = length.to_be_bytes().to_vec();
            frame.resize(4 + length as usize, 0);
            from.read_exact(&mut frame[4..]).await?;
            if !self.calm.load(Ordering::Relaxed) && random.random_ratio(1, CUTS) {
                self.cuts.fetch_add(1, Ordering::Relaxed);
                if torn && random.random_bool(0.5) {
                    to.write_all(&frame[..frame.len() / 2]).await?;
                }
                return Ok(());
            }
            to.write_all(&frame).await?;
        }
    }
}

async fn broker(folder: &Path, wire: &Wire) -> Broker {
    let config = Config {
        dir: folder.join("broker"),
        advertised: Some(wire.address.clone()),
        default_partitions: PARTITIONS,
        ..Config::default()
    };
    let broker = Broker::start(config).await.unwrap();
    wire.broker.set(broker.address().to_string()).unwrap();
    broker
}

fn table(topic: &str, bootstrap: &str, guarantee: &str) -> TableDefinition {
    let options = [
        ("connector", "kafka"),
        ("topic", topic),
        ("properties.bootstrap.servers", bootstrap),
        ("format", "json"),
        ("client", "native"),
        ("sink.delivery-guarantee", guarantee),
        ("sink.transactional-id-prefix", "lost-answers"),
        ("properties.batch.size", "1500"),
        ("properties.reconnect.backoff.ms", "2"),
        ("properties.reconnect.backoff.max.ms", "10"),
    ];
    TableDefinition {
        name: "numbers".into(),
        schema: Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)])),
        metadata: vec![],
        primary_key: vec![],
        partition_keys: vec![],
        unread: vec![],
        unread_fields: vec![],
        options: options.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}

/// All numbers that a reader of committed messages sees, by partition.
fn read(topic: &str, bootstrap: &str) -> BTreeMap<i32, Vec<i64>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "judge")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut read: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    let mut patience = PATIENCE;
    // What comes after all have come would be a row too many.
    while let Some(message) = consumer.poll(patience) {
        let message = message.unwrap();
        let row: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        read.entry(message.partition()).or_default().push(row["n"].as_i64().unwrap());
        if read.values().map(Vec::len).sum::<usize>() as i64 >= ROWS * WRITES {
            patience = Duration::from_secs(1);
        }
    }
    read
}

async fn each_row_is_there_once(guarantee: &str) {
    let folder = tempfile::tempdir().unwrap();
    let wire = Wire::lay().await;
    let broker = broker(folder.path(), &wire).await;
    let table = table("numbers", &wire.address, guarantee);
    let registry = Registry::new(Environment::default());
    let factory = registry.sink(&table).unwrap();
    let exactly_once = guarantee == "exactly-once";
    let run = JobRun::new("test");
    assert_eq!(factory.committed(&run).await.unwrap(), exactly_once.then_some(0));
    let context =
        SinkContext { keeps_checkpoints: exactly_once, ..SinkContext::alone("lost-answers") };
    let mut sink = factory.open(context).await.unwrap();
    let (mut rejected, mut epoch) = (vec![], 0);
    for write in 0..WRITES {
        let column: ArrayRef = Arc::new((write * ROWS..(write + 1) * ROWS).collect::<Int64Array>());
        let rows = RecordBatch::try_new(Arc::clone(&table.schema), vec![column]).unwrap();
        sink.write(&Batch::new(rows), &mut rejected).await.unwrap();
        sink.flush().await.unwrap();
        if exactly_once && (write + 1) % WRITES_A_CHECKPOINT == 0 {
            epoch += 1;
            sink.prepare(epoch).await.unwrap();
            sink.commit(epoch).await.unwrap();
        }
    }
    drop(sink);
    assert_eq!(rejected, []);
    let cuts = wire.cuts.load(Ordering::Relaxed);
    assert!(cuts > 10, "{cuts} cuts");
    wire.calm.store(true, Ordering::Relaxed);
    if exactly_once {
        // The next run hears what was committed last.
        let run = JobRun::new("test");
        assert_eq!(factory.committed(&run).await.unwrap(), Some(epoch));
    }
    let address = wire.address.clone();
    let read = tokio::task::spawn_blocking(move || read("numbers", &address)).await.unwrap();
    for (partition, numbers) in &read {
        assert!(numbers.is_sorted(), "partition {partition} is out of order");
    }
    let mut all: Vec<i64> = read.into_values().flatten().collect();
    all.sort_unstable();
    assert_eq!(all, (0..ROWS * WRITES).collect::<Vec<_>>(), "after {cuts} cuts");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_idempotent_producer_are_there_once() {
    each_row_is_there_once("at-least-once").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_transactions_are_there_once() {
    each_row_is_there_once("exactly-once").await;
}
