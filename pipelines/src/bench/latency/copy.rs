//! The floor to compare with: a loop that copies messages into Redis and does nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;

use super::TTL_MS;
use super::seen::Seen;

const PATIENCE: Duration = Duration::from_secs(5);

/// Messages copied in one pipeline at most.
const AT_ONCE: usize = 1_024;

#[derive(Deserialize)]
struct Event {
    id: u64,
    intended_us: u64,
}

pub struct Copy {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Copy {
    /// Copies all of a topic, and what comes, by librdkafka and one connection to Redis.
    pub fn start(
        bootstrap: &str,
        topic: &str,
        redis: &str,
        table: String,
        seen: Arc<Seen>,
    ) -> Result<Self> {
        let mut redis = redis::Client::open(redis)
            .and_then(|client| client.get_connection())
            .with_context(|| format!("redis {redis}: unreachable"))?;
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "nowcast-bench-copy")
            .set("enable.auto.commit", "false")
            .create()?;
        let metadata = consumer
            .fetch_metadata(Some(topic), PATIENCE)
            .with_context(|| format!("kafka {bootstrap}: broker unreachable"))?;
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                copy(&consumer, &mut redis, &table, &seen)?;
            }
            Ok(())
        });
        Ok(Self { stop, thread })
    }

    pub fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the copying thread has failed"))?
    }
}

/// Copies what is there, if something comes soon.
fn copy(
    consumer: &BaseConsumer,
    redis: &mut redis::Connection,
    table: &str,
    seen: &Seen,
) -> Result<()> {
    let (mut writes, mut due) = (redis::pipe(), vec![]);
    let mut message = consumer.poll(Duration::from_millis(100));
    while let Some(found) = message {
        let found = found?;
        let event: Event = serde_json::from_slice(found.payload().unwrap_or_default())?;
        let key = format!("{table}:{}", event.id);
        let fields = [("id", event.id), ("intended_us", event.intended_us)];
        writes.cmd("HSET").arg(&key).arg(&fields).ignore();
        writes.cmd("PEXPIRE").arg(&key).arg(TTL_MS).ignore();
        due.push(event.intended_us);
        if due.len() == AT_ONCE {
            break;
        }
        message = consumer.poll(Duration::ZERO);
    }
    if !due.is_empty() {
        writes.query::<()>(redis).context("redis refused a write")?;
        seen.rows(due.into_iter());
    }
    Ok(())
}
