//! Results in a Kafka topic: every message from the start of the run on, as soon as it can be read.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::JoinHandle;

use super::{Fields, Seen};
use crate::bench::load::Plan;
use crate::producer::ensure_topic;

/// How long a broker may take to answer before it counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at the wish to stop.
const POLL: Duration = Duration::from_millis(50);

pub async fn watch(
    plan: &Arc<Plan>,
    seen: &Arc<Seen>,
    fields: Fields,
    bootstrap: &str,
    topic: &str,
) -> Result<JoinHandle<Result<()>>> {
    let partitions = i32::try_from(plan.workload.input.partitions)?;
    ensure_topic(bootstrap, topic, partitions).await?;
    let (servers, name) = (bootstrap.to_owned(), topic.to_owned());
    let consumer = tokio::task::spawn_blocking(move || from_the_end(&servers, &name))
        .await?
        .with_context(|| format!("kafka topic \"{topic}\" on {bootstrap}: cannot be read"))?;
    let (plan, seen) = (Arc::clone(plan), Arc::clone(seen));
    Ok(tokio::task::spawn_blocking(move || read(&plan, &seen, &fields, &consumer)))
}

fn from_the_end(bootstrap: &str, topic: &str) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "nowcast-bench-watch")
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        // The offset, not `End`: that is asked for later, when results may have come.
        let (_, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
        list.add_partition_offset(topic, partition.id(), Offset::Offset(high))?;
    }
    if list.count() == 0 {
        bail!("it has no partitions");
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

fn read(plan: &Plan, seen: &Seen, fields: &Fields, consumer: &BaseConsumer) -> Result<()> {
    while !seen.stops() {
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                let now = plan.elapsed();
                // A deletion in an upsert topic is no result.
                if let Some(payload) = message.payload() {
                    seen.result(fields, payload, now);
                }
            }
            // librdkafka connects again by itself.
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
            ))) => seen.failed("the broker of the results was unreachable".into()),
            Some(Err(error)) => return Err(error).context("the results cannot be read"),
        }
    }
    Ok(())
}
