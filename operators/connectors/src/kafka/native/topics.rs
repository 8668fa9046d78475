//! First contact: the partitions of a topic, or why there are none.

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use nowcast_engine::{Error, Result};

use super::cluster::{Cluster, code, is_unknown};
use super::connection::Failure;
use crate::kafka::options::KafkaOptions;
use crate::nearest::did_you_mean;

/// How long the brokers have to answer when a table is opened: one that starts up meanwhile is found.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long brokers have to make a topic that is asked for.
const CREATE_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until there is an answer, or the time is over.
pub async fn metadata(
    cluster: &mut Cluster,
    options: &KafkaOptions,
    topics: Option<&[String]>,
    deadline: Instant,
) -> Result<Vec<MetadataResponseTopic>> {
    loop {
        match cluster.metadata(topics).await {
            Ok(found) => return Ok(found),
            Err(failure) if !failure.refused && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(failure) => return Err(unreachable(options, &failure)),
        }
    }
}

/// The partitions of a topic, ascending.
pub async fn partitions(
    cluster: &mut Cluster,
    options: &KafkaOptions,
    topic: &str,
    deadline: Instant,
) -> Result<Vec<i32>> {
    let begun = Instant::now();
    loop {
        let again = Instant::now() < deadline;
        let found = metadata(cluster, options, Some(&[topic.to_owned()]), deadline).await?;
        let Some(found) = found.first() else {
            return Err(Error::bug("a broker answered for another topic"));
        };
        match code(found.error_code) {
            None if !found.partitions.is_empty() => {
                let partitions = found.partitions.iter();
                let mut partitions: Vec<_> = partitions.map(|it| it.partition_index).collect();
                partitions.sort_unstable();
                return Ok(partitions);
            }
            // It may have been made by our asking for it.
            Some(code)
                if is_unknown(code) && cluster.creates && begun.elapsed() < CREATE_TIMEOUT =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            Some(code) if is_unknown(code) => return Err(unknown(cluster, options, topic).await),
            // The topic has just been made.
            None | Some(ResponseError::LeaderNotAvailable) if again => {
                tokio::time::sleep(PAUSE).await;
            }
            None => return Err(Error::outside(format!("kafka topic \"{topic}\": no partitions"))),
            Some(code) => return Err(Error::outside(format!("kafka topic \"{topic}\": {code}"))),
        }
    }
}

async fn unknown(cluster: &mut Cluster, options: &KafkaOptions, topic: &str) -> Error {
    let all = metadata(cluster, options, None, Instant::now()).await.unwrap_or_default();
    let names = all.iter().filter_map(|topic| topic.name.as_deref());
    let hint = did_you_mean(topic, names.map(|name| name.as_str()));
    Error::user(format!("kafka topic \"{topic}\" does not exist{hint}"))
}

fn unreachable(options: &KafkaOptions, failure: &Failure) -> Error {
    let (name, bootstrap) = (options.name(), &options.bootstrap);
    Error::outside(format!("{name}: broker {bootstrap} unreachable: {}", failure.reason))
}
