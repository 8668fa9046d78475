//! The brokers of a cluster: where they are, who leads which partition, and questions to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    BrokerId, FindCoordinatorRequest, GroupId, ListOffsetsRequest, MetadataRequest,
    OffsetFetchRequest, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};

use super::super::contact::Name;
use super::connection::{Connection, Door, Failure};

/// How long questions to the brokers may take.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// One try of them.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// The newest versions that are spoken here: later ones add nothing that is used.
const METADATA: i16 = 12;
const LIST_OFFSETS: i16 = 7;
const FIND_COORDINATOR: i16 = 3;
const OFFSET_FETCH: i16 = 7;

/// What `ListOffsets` takes for times.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// What a broker is asked to coordinate, as `FindCoordinator` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    Group = 0,
    Transactions = 1,
}

/// Who leads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    pub broker: i32,
    pub epoch: i32,
}

/// An answer that is an error, or none at all.
#[derive(Debug, Clone)]
pub enum Refused {
    /// The brokers cannot be asked.
    Away(Failure),
    /// They have answered with this.
    Code(ResponseError),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Away(failure)
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(failure) => write!(f, "{}", failure.reason),
            Self::Code(code) => write!(f, "{code}"),
        }
    }
}

pub struct Cluster {
    door: Arc<Door>,
    addresses: BTreeMap<i32, String>,
    leaders: HashMap<Name, Leader>,
    /// Connections for questions, by address: an answer does not wait behind messages.
    connections: HashMap<String, Connection>,
    /// Whether brokers may make a topic that is asked for. One that was deleted would come again.
    pub creates: bool,
}

impl Cluster {
    pub fn new(door: Arc<Door>) -> Self {
        Self {
            door,
            addresses: BTreeMap::new(),
            leaders: HashMap::new(),
            connections: HashMap::new(),
            creates: false,
        }
    }

    pub fn leader(&self, topic: &str, partition: i32) -> Option<Leader> {
        self.leaders.get(&(topic.to_owned(), partition)).copied()
    }

    pub fn address(&self, broker: i32) -> Option<&String> {
        self.addresses.get(&broker)
    }

    /// Who leads what of some topics, or of all. Brokers that move are found too.
    pub async fn metadata(
        &mut self,
        topics: Option<&[String]>,
    ) -> Result<Vec<MetadataResponseTopic>, Failure> {
        let topic = |name: &String| {
            let name = StrBytes::from_string(name.clone());
            MetadataRequestTopic::default().with_name(Some(TopicName(name)))
        };
        let topics = topics.map(|names| names.iter().map(topic).collect());
        let request = MetadataRequest::default()
            .with_topics(topics)
            .with_allow_auto_topic_creation(self.creates);
        let answer = self.ask_any(&request, METADATA).await?;
        let brokers = answer.brokers.iter();
        self.addresses = brokers.map(|it| (it.node_id.0, at(&it.host, it.port))).collect();
        for topic in &answer.topics {
            let Some(name) = &topic.name else { continue };
            // One that is there no more has no leader.
            let there = |at: &i32| topic.partitions.iter().any(|it| it.partition_index == *at);
            self.leaders.retain(|(topic, at), _| **topic != ***name || there(at));
            for partition in &topic.partitions {
                let key = (name.to_string(), partition.partition_index);
                match partition.leader_id.0 {
                    ..0 => drop(self.leaders.remove(&key)),
                    broker => {
                        let leader = Leader { broker, epoch: partition.leader_epoch };
                        self.leaders.insert(key, leader);
                    }
                }
            }
        }
        Ok(answer.topics)
    }

    /// The first offset that is there and the first that is not there yet: committed, if nothing
    /// else is read.
    pub async fn limits(&mut self, topic: &str, partition: i32) -> Result<(i64, i64), Refused> {
        let low = self.offset_at(topic, partition, EARLIEST).await?;
        let high = self.offset_at(topic, partition, LATEST).await?;
        let unknown = || Failure::passing("a broker does not say where a partition ends");
        Ok((low.unwrap_or_default(), high.ok_or_else(unknown)?))
    }

    /// The offset of the first message from a time on.
    pub async fn offset_at(
        &mut self,
        topic: &str,
        partition: i32,
        millis: i64,
    ) -> Result<Option<i64>, Refused> {
        let deadline = Instant::now() + ASK_TIMEOUT;
        loop {
            let asked = self.try_offset_at(topic, partition, millis).await;
            let again = match &asked {
                Ok(_) => false,
                Err(Refused::Code(code)) => code.is_retriable() && !is_unknown(*code),
                Err(Refused::Away(failure)) => !failure.refused,
            };
            if !again || Instant::now() >= deadline {
                return asked;
            }
            self.leaders.remove(&(topic.to_owned(), partition));
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_offset_at(
        &mut self,
        topic: &str,
        partition: i32,
        millis: i64,
    ) -> Result<Option<i64>, Refused> {
        let leader = match self.leader(topic, partition) {
            Some(leader) => leader,
            None => self.find_leader(topic, partition).await?,
        };
        let wanted = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_current_leader_epoch(leader.epoch)
            .with_timestamp(millis);
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let wanted = ListOffsetsTopic::default().with_name(name).with_partitions(vec![wanted]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(!self.door.settings.uncommitted))
            .with_topics(vec![wanted]);
        let Some(address) = self.addresses.get(&leader.broker).cloned() else {
            return Err(Refused::Code(ResponseError::LeaderNotAvailable));
        };
        let answer = self.ask(&address, &request, LIST_OFFSETS).await?;
        let found = answer.topics.first().and_then(|topic| topic.partitions.first());
        let Some(found) = found else {
            return Err(Failure::passing("a broker answered for another partition").into());
        };
        match code(found.error_code) {
            Some(code) => Err(Refused::Code(code)),
            None => Ok((found.offset >= 0).then_some(found.offset)),
        }
    }

    async fn find_leader(&mut self, topic: &str, partition: i32) -> Result<Leader, Refused> {
        let topics = self.metadata(Some(&[topic.to_owned()])).await?;
        if let Some(leader) = self.leader(topic, partition) {
            return Ok(leader);
        }
        let unknown = topics.first().and_then(|topic| code(topic.error_code));
        Err(Refused::Code(unknown.unwrap_or(ResponseError::LeaderNotAvailable)))
    }

    /// What the group has committed of some partitions.
    pub async fn committed(&mut self, partitions: &[Name]) -> Result<BTreeMap<Name, i64>, Refused> {
        let deadline = Instant::now() + ASK_TIMEOUT;
        loop {
            let asked = self.try_committed(partitions).await;
            let again = match &asked {
                Ok(_) => false,
                Err(Refused::Code(code)) => code.is_retriable(),
                Err(Refused::Away(failure)) => !failure.refused,
            };
            if !again || Instant::now() >= deadline {
                return asked;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_committed(&mut self, partitions: &[Name]) -> Result<BTreeMap<Name, i64>, Refused> {
        let group = self.door.settings.group.clone().unwrap_or_default();
        let coordinator = self.coordinator(&group, Coordinates::Group).await?;
        let topics = by_topic(partitions.iter().map(|(topic, at)| (topic.as_str(), *at)));
        let topics = topics.into_iter().map(|(topic, at)| {
            OffsetFetchRequestTopic::default().with_name(topic).with_partition_indexes(at)
        });
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group)))
            .with_topics(Some(topics.collect()))
            .with_require_stable(!self.door.settings.uncommitted);
        let answer = self.ask(&coordinator, &request, OFFSET_FETCH).await?;
        if let Some(code) = code(answer.error_code) {
            return Err(Refused::Code(code));
        }
        let mut committed = BTreeMap::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                if let Some(code) = code(partition.error_code) {
                    return Err(Refused::Code(code));
                }
                if partition.committed_offset >= 0 {
                    let name = (topic.name.to_string(), partition.partition_index);
                    committed.insert(name, partition.committed_offset);
                }
            }
        }
        Ok(committed)
    }

    /// The address of the broker that keeps a group's offsets, or the transactions of an id.
    pub async fn coordinator(&mut self, of: &str, what: Coordinates) -> Result<String, Refused> {
        let request = FindCoordinatorRequest::default()
            .with_key(StrBytes::from_string(of.to_owned()))
            .with_key_type(what as i8);
        let answer = self.ask_any(&request, FIND_COORDINATOR).await?;
        match code(answer.error_code) {
            Some(code) => Err(Refused::Code(code)),
            None => Ok(at(&answer.host, answer.port)),
        }
    }

    /// Asks any broker: first one that is connected, then the others that are known.
    pub async fn ask_any<R: Request>(
        &mut self,
        request: &R,
        ceiling: i16,
    ) -> Result<R::Response, Failure> {
        let connected = self.connections.keys().cloned();
        let known = self.addresses.values().cloned();
        let all = connected.chain(known).chain(self.door.settings.bootstrap.iter().cloned());
        let mut tried: Vec<String> = vec![];
        let mut failed = Failure::passing("there is no broker");
        for address in all.collect::<Vec<_>>() {
            if tried.contains(&address) {
                continue;
            }
            match self.ask(&address, request, ceiling).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.refused => return Err(failure),
                Err(failure) => failed = failure,
            }
            tried.push(address);
        }
        Err(failed)
    }

    pub async fn ask<R: Request>(
        &mut self,
        address: &str,
        request: &R,
        ceiling: i16,
    ) -> Result<R::Response, Failure> {
        // A connection that has been quiet may be closed: then a new one is asked.
        if let Some(mut connection) = self.connections.remove(address)
            && let Ok(answer) = connection.ask(request, ceiling, TRY_TIMEOUT).await
        {
            self.connections.insert(address.to_owned(), connection);
            return Ok(answer);
        }
        let opening = Connection::open(&self.door, address);
        let Ok(opened) = tokio::time::timeout(TRY_TIMEOUT, opening).await else {
            let reason = format!("{address} has not answered for {TRY_TIMEOUT:?}");
            return Err(Failure::passing(reason));
        };
        let mut connection = opened?;
        let answer = connection.ask(request, ceiling, TRY_TIMEOUT).await?;
        self.connections.insert(address.to_owned(), connection);
        Ok(answer)
    }
}

fn at(host: &str, port: i32) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// `None`: all is well.
pub fn code(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

/// Whether an error says that a topic or partition is not there.
pub fn is_unknown(code: ResponseError) -> bool {
    matches!(code, ResponseError::UnknownTopicOrPartition | ResponseError::UnknownTopicId)
}

/// Items by the topic they are of.
pub fn by_topic<'a, T>(items: impl Iterator<Item = (&'a str, T)>) -> Vec<(TopicName, Vec<T>)> {
    let mut topics: Vec<(TopicName, Vec<T>)> = vec![];
    for (topic, item) in items {
        match topics.iter_mut().find(|(name, _)| name.as_str() == topic) {
            Some((_, items)) => items.push(item),
            None => {
                let name = TopicName(StrBytes::from_string(topic.to_owned()));
                topics.push((name, vec![item]));
            }
        }
    }
    topics
}
