//! Events into a Kafka topic: made if it is missing, with retention off, in batches.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long a broker may take to answer before it counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is asked for what is about to be there.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Makes a topic that keeps everything, unless it is there already.
pub async fn ensure_topic(bootstrap: &str, topic: &str, partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("log_level", "0").create()?;
    let new =
        NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let made = admin.create_topics([&new], &options).await;
    let made = made.with_context(|| format!("kafka {bootstrap}: broker unreachable"))?;
    match made.first() {
        Some(Ok(_)) | Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {}
        Some(Err((topic, code))) => bail!("kafka topic \"{topic}\": cannot be made: {code}"),
        None => bail!("kafka topic \"{topic}\": the broker did not answer"),
    }
    let topic = topic.to_owned();
    // Its answers may come from a broker on this very runtime.
    tokio::task::spawn_blocking(move || wait_for_leaders(&admin, &topic)).await?
}

/// A topic is made before its partitions have leaders, which take what is sent.
fn wait_for_leaders(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let metadata = admin.inner().fetch_metadata(Some(topic), PATIENCE)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        let led =
            partitions.map(|partition| partition.leader() >= 0 && partition.error().is_none());
        if led.reduce(|all, one| all && one) == Some(true) {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            bail!("kafka topic \"{topic}\": its partitions have no leaders");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[derive(Default)]
struct Failures(AtomicU64);

#[derive(Clone, Default)]
struct Deliveries(Arc<Failures>);

impl rdkafka::ClientContext for Deliveries {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, _fac: &str, message: &str) {
        tracing::debug!(?level, "{message}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &rdkafka::producer::DeliveryResult<'_>, _opaque: ()) {
        if result.is_err() {
            self.0.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A message to send.
pub struct Message<'a> {
    pub topic: &'a str,
    /// By its key where none is given.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub payload: &'a [u8],
    /// Now where none is given.
    pub timestamp: Option<i64>,
}

/// Sends messages to one broker; idempotent, compressed with lz4.
pub struct Events {
    producer: ThreadedProducer<Deliveries>,
    deliveries: Deliveries,
    bootstrap: String,
}

impl Events {
    pub fn connect(bootstrap: &str) -> Result<Self> {
        Self::connect_to(bootstrap, &[("linger.ms".to_owned(), "5".to_owned())].into())
    }

    /// With properties for librdkafka.
    pub fn connect_to(bootstrap: &str, properties: &BTreeMap<String, String>) -> Result<Self> {
        let deliveries = Deliveries::default();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.kbytes", "65536");
        for (key, value) in properties {
            config.set(key, value);
        }
        let producer =
            config.create_with_context::<_, ThreadedProducer<Deliveries>>(deliveries.clone())?;
        let events = Self { producer, deliveries, bootstrap: bootstrap.to_owned() };
        events.check()?;
        Ok(events)
    }

    /// The topics that are there, with how many partitions each has.
    pub fn topics(&self) -> Result<BTreeMap<String, usize>> {
        let answer = self.producer.client().fetch_metadata(None, PATIENCE);
        let all =
            answer.with_context(|| format!("kafka {}: broker unreachable", self.bootstrap))?;
        let topics = all.topics().iter();
        Ok(topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
    }

    fn check(&self) -> Result<()> {
        let answer = self.producer.client().fetch_metadata(None, PATIENCE);
        answer.map(|_| ()).with_context(|| format!("kafka {}: broker unreachable", self.bootstrap))
    }

    /// Queues a message; waits while the queue is full. An empty key is none.
    pub fn send(&self, topic: &str, key: &str, payload: &[u8], timestamp: i64) -> Result<()> {
        let key = Some(key.as_bytes()).filter(|key| !key.is_empty());
        self.send_message(&Message {
            topic,
            partition: None,
            key,
            payload,
            timestamp: Some(timestamp),
        })
    }

    /// As [`Events::send`].
    pub fn send_message(&self, message: &Message<'_>) -> Result<()> {
        let topic = message.topic;
        loop {
            let mut record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(topic).payload(message.payload);
            record.key = message.key;
            record.partition = message.partition;
            record.timestamp = message.timestamp;
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => bail!("kafka topic \"{topic}\": {error}"),
            }
        }
    }

    /// Waits until everything sent has been acknowledged.
    pub fn finish(&self) -> Result<()> {
        while self.producer.in_flight_count() > 0
            && self.deliveries.0.0.load(Ordering::Relaxed) == 0
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.producer
            .flush(PATIENCE)
            .with_context(|| format!("kafka {}: messages were not acknowledged", self.bootstrap))?;
        match self.deliveries.0.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => bail!("kafka {}: {failed} messages were not acknowledged", self.bootstrap),
        }
    }
}
