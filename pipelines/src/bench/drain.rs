//! The floor to compare with: a client reads a topic and nothing is done with it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use nowcast_bench::cpu;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub struct Drain {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    #[arg(long, value_enum, default_value_t = Client::Librdkafka)]
    client: Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Client {
    Librdkafka,
    /// Our own.
    Native,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Drained {
    pub events: u64,
    pub bytes: u64,
    pub cpu_s: f64,
    pub wall_s: f64,
}

pub fn drain(command: &Drain) -> Result<()> {
    let drained = match command.client {
        Client::Librdkafka => by_librdkafka(&command.bootstrap, &command.topic)?,
        Client::Native => natively(&command.bootstrap, &command.topic)?,
    };
    say!("{}", serde_json::to_string(&drained)?);
    Ok(())
}

fn natively(bootstrap: &str, topic: &str) -> Result<Drained> {
    let (started, before) = (Instant::now(), cpu::own()?.cpu_s);
    let drained = nowcast_connectors::drain_topic(bootstrap, topic)?;
    Ok(Drained {
        events: drained.messages,
        bytes: drained.bytes,
        cpu_s: cpu::own()?.cpu_s - before,
        wall_s: started.elapsed().as_secs_f64(),
    })
}

fn by_librdkafka(bootstrap: &str, topic: &str) -> Result<Drained> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "nowcast-bench-drain")
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = consumer
        .fetch_metadata(Some(topic), PATIENCE)
        .with_context(|| format!("kafka {bootstrap}: broker unreachable"))?;
    let mut list = TopicPartitionList::new();
    let mut left = 0;
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
        left += high - low;
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    let (started, before) = (Instant::now(), cpu::own()?.cpu_s);
    consumer.assign(&list)?;
    let (mut events, mut bytes) = (0, 0);
    while left > 0 {
        let message = consumer.poll(PATIENCE).context("the topic ended early")??;
        bytes += message.payload().map_or(0, <[u8]>::len) as u64;
        events += 1;
        left -= 1;
    }
    Ok(Drained {
        events,
        bytes,
        cpu_s: cpu::own()?.cpu_s - before,
        wall_s: started.elapsed().as_secs_f64(),
    })
}
