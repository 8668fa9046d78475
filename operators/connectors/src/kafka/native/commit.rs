//! Commits of the group's offsets, on their way while messages are read.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest};
use kafka_protocol::protocol::StrBytes;
use nowcast_engine::Position;

use super::super::contact::Outlook;
use super::super::offsets::Span;
use super::cluster::{ASK_TIMEOUT, Cluster, Coordinates, Refused, by_topic, code};
use super::connection::Door;

/// Before topics' ids take the place of their names.
const OFFSET_COMMIT: i16 = 8;
/// Between two tries: a new group looks for its coordinator.
const PAUSE: Duration = Duration::from_millis(50);
/// A source that goes waits so long for its last commit.
const LAST_TIMEOUT: Duration = Duration::from_secs(1);

/// What the worker's thread sees of the reader's, and asks of it.
#[derive(Default)]
pub struct Beside {
    ends: Mutex<Vec<Position>>,
    /// The latest that was asked to be committed, and not yet begun.
    commit: Mutex<Option<Vec<Position>>>,
}

impl Beside {
    pub fn add(&self, span: &Span) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.push(Position { split: span.split(), offset: span.high });
    }

    pub fn ends_at(&self, at: usize, offset: i64) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends[at].offset = offset;
    }

    fn wanted(&self) -> Option<Vec<Position>> {
        self.commit.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Outlook for Beside {
    fn ends(&self) -> Vec<Position> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn commit(&self, positions: &[Position]) {
        let mut commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        *commit = Some(positions.to_vec());
    }
}

/// One commit at a time.
pub struct Commits {
    door: Arc<Door>,
    /// Its connections are its own: a commit waits for no other answer. `None` while it is on its way.
    cluster: Option<Cluster>,
    flight: Option<BoxFuture<'static, (Cluster, Result<(), Refused>)>>,
}

impl Commits {
    pub fn new(door: Arc<Door>) -> Self {
        Self { cluster: Some(Cluster::new(Arc::clone(&door))), flight: None, door }
    }

    /// Begins what is asked for, if none is on its way.
    pub fn begin(&mut self, beside: &Beside) {
        if self.flight.is_some() {
            return;
        }
        let (Some(group), Some(positions)) = (&self.door.settings.group, beside.wanted()) else {
            return;
        };
        let Some(mut cluster) = self.cluster.take() else { return };
        let request = request(group, &positions);
        let group = group.clone();
        self.flight = Some(Box::pin(async move {
            let done = commit(&mut cluster, &group, &request).await;
            (cluster, done)
        }));
    }

    /// Waits for the commit on its way to end; without one, for ever. Cancel-safe.
    pub async fn wait(&mut self) {
        let Some(flight) = &mut self.flight else { return std::future::pending().await };
        let (cluster, done) = flight.await;
        self.flight = None;
        self.cluster = Some(cluster);
        if let Err(refused) = done {
            // The next checkpoint brings another.
            tracing::warn!("{}: offsets not committed: {refused}", self.door.settings.name);
        }
    }

    /// Ends the one on its way, if that is quick.
    pub async fn finish(&mut self) {
        if self.flight.is_some() {
            let _ = tokio::time::timeout(LAST_TIMEOUT, pin!(self.wait())).await;
        }
    }
}

fn request(group: &str, positions: &[Position]) -> OffsetCommitRequest {
    let partitions = positions.iter().filter_map(|position| {
        let (topic, partition) = position.split.rsplit_once('/')?;
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(partition.parse().ok()?)
            .with_committed_offset(position.offset)
            .with_committed_metadata(Some(StrBytes::default()));
        Some((topic, partition))
    });
    let topics = by_topic(partitions).into_iter().map(|(topic, partitions)| {
        OffsetCommitRequestTopic::default().with_name(topic).with_partitions(partitions)
    });
    // Of no member: the group has none.
    OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics.collect())
}

async fn commit(
    cluster: &mut Cluster,
    group: &str,
    request: &OffsetCommitRequest,
) -> Result<(), Refused> {
    let deadline = Instant::now() + ASK_TIMEOUT;
    loop {
        let done = try_commit(cluster, group, request).await;
        let again = match &done {
            Ok(()) => false,
            Err(Refused::Code(code)) => code.is_retriable(),
            Err(Refused::Away(failure)) => !failure.refused,
        };
        if !again || Instant::now() >= deadline {
            return done;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn try_commit(
    cluster: &mut Cluster,
    group: &str,
    request: &OffsetCommitRequest,
) -> Result<(), Refused> {
    let coordinator = cluster.coordinator(group, Coordinates::Group).await?;
    let answer = cluster.ask(&coordinator, request, OFFSET_COMMIT).await?;
    let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    match partitions.find_map(|partition| code(partition.error_code)) {
        Some(code) => Err(Refused::Code(code)),
        None => Ok(()),
    }
}
