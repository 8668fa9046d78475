//! The thread that polls librdkafka, decodes and hands batches over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nowcast_engine::{ErrorKind, Result, SourceEvent, TableDefinition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{ASK_TIMEOUT, Watch, failed, topic_partitions};
use super::offsets::{Span, from_the_beginning, reachable};
use super::options::KafkaOptions;
use super::source::own_partitions;
use crate::handover::{Gone, Hands};
use crate::messages::{Collected, Rows};

/// Message bytes in one batch: with the queue of [`crate::handover`] it bounds what a source holds
/// decoded, whatever the messages' size.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// The longest wait for a message, after which the thread looks around: is the worker still there?
const POLL: Duration = Duration::from_millis(100);
/// The most that counts as one wait for messages: in longer ones the worker was awaited.
const LISTENED_MAX: Duration = Duration::from_secs(1);

pub struct Reader {
    consumer: Arc<BaseConsumer<Watch>>,
    table: TableDefinition,
    options: Arc<KafkaOptions>,
    limits: Limits,
    partitions: Vec<Partition>,
    by_name: HashMap<(String, i32), usize>,
    /// The partition of the last message: most often also that of the next.
    last: usize,
    /// When the brokers were asked for partitions.
    looked: Instant,
    /// How long messages were waited for in all; it stands still while the worker is awaited.
    listened: Duration,
    /// When they were waited for last.
    paused: Instant,
    hands: Hands,
}

/// What a reader is held to.
pub struct Limits {
    pub rows_max: usize,
    pub idle_timeout: Option<Duration>,
    /// This worker, and of how many.
    pub share: (usize, usize),
}

struct Partition {
    split: Arc<str>,
    span: Span,
    rows: Rows,
    /// The offset behind the last message taken in.
    next: i64,
    /// Whether there is something to hand over, if only a position.
    pending: bool,
    state: State,
    /// How long had been listened when something was heard of it.
    heard: Duration,
    /// The offset behind which there are messages that do not come, and since when.
    suspect: Option<(i64, Duration)>,
}

impl Partition {
    fn hear(&mut self, listened: Duration) {
        self.heard = listened;
        self.suspect = None;
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Reading,
    /// Read to its end for now, since then.
    Quiet(Instant),
    Idle,
    Finished,
}

enum Stop {
    Gone,
    Failed(nowcast_engine::Error),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<nowcast_engine::Error> for Stop {
    fn from(error: nowcast_engine::Error) -> Self {
        Self::Failed(error)
    }
}

impl Reader {
    pub fn new(
        consumer: Arc<BaseConsumer<Watch>>,
        table: &TableDefinition,
        options: Arc<KafkaOptions>,
        spans: Vec<Span>,
        limits: Limits,
        hands: Hands,
    ) -> Result<Self> {
        let mut reader = Self {
            consumer,
            table: table.clone(),
            options,
            limits,
            partitions: vec![],
            by_name: HashMap::new(),
            last: 0,
            looked: Instant::now(),
            listened: Duration::ZERO,
            paused: Instant::now(),
            hands,
        };
        spans.into_iter().try_for_each(|span| reader.add(span))?;
        Ok(reader)
    }

    fn add(&mut self, span: Span) -> Result<()> {
        self.by_name.insert((span.topic.clone(), span.partition), self.partitions.len());
        self.partitions.push(Partition {
            split: span.split().into(),
            rows: self.options.rows(&self.table)?,
            next: span.start,
            pending: false,
            state: State::Reading,
            heard: self.listened,
            suspect: None,
            span,
        });
        Ok(())
    }

    /// Reads until everything is read, the worker is gone, or reading fails for good.
    pub fn run(mut self) {
        match self.read() {
            Ok(()) | Err(Stop::Gone) => {}
            Err(Stop::Failed(error)) => self.hands.fail(error),
        }
    }

    fn read(&mut self) -> Result<(), Stop> {
        for at in 0..self.partitions.len() {
            let span = &self.partitions[at].span;
            if span.end.is_some_and(|end| span.start >= end) {
                self.finish(at)?;
            }
        }
        let consumer = Arc::clone(&self.consumer);
        while self.is_open() {
            match consumer.poll(self.patience()) {
                Some(Ok(message)) => self.take(&message)?,
                Some(Err(KafkaError::PartitionEOF(partition))) => self.at_end(partition)?,
                Some(Err(error)) => self.weigh(error)?,
                None => self.pause()?,
            }
        }
        self.hands.give(SourceEvent::End, None)?;
        self.linger();
        Ok(())
    }

    /// Reads nothing more, but serves the consumer until the worker goes: offsets are committed with
    /// checkpoints that come after the end.
    fn linger(&self) {
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!("{}: {error}", self.options.name());
        }
        while !self.hands.is_gone() {
            drop(self.consumer.poll(POLL));
        }
    }

    fn is_open(&self) -> bool {
        let reading = |partition: &Partition| partition.state != State::Finished;
        self.options.bounded.is_none() || self.partitions.iter().any(reading)
    }

    /// No wait at all while rows wait to leave.
    fn patience(&self) -> Duration {
        match self.partitions.iter().any(|partition| partition.pending) {
            true => Duration::ZERO,
            false => self.limits.idle_timeout.map_or(POLL, |timeout| timeout.min(POLL)),
        }
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Stop> {
        let known = self.partitions.get(self.last).is_some_and(|partition| {
            partition.span.partition == message.partition()
                && partition.span.topic == message.topic()
        });
        if !known {
            let name = (message.topic().to_owned(), message.partition());
            let Some(at) = self.by_name.get(&name) else { return Ok(()) };
            self.last = *at;
        }
        let partition = &mut self.partitions[self.last];
        if partition.state == State::Finished {
            return Ok(());
        }
        partition.hear(self.listened);
        if partition.span.end.is_some_and(|end| message.offset() >= end) {
            return self.finish(self.last);
        }
        partition.state = State::Reading;
        partition.pending = true;
        partition.next = message.offset() + 1;
        partition.rows.push(message);
        let full =
            partition.rows.len() >= self.limits.rows_max || partition.rows.bytes >= BATCH_BYTES_MAX;
        if partition.span.end == Some(partition.next) {
            return self.finish(self.last);
        }
        if full {
            self.hand_over(self.last)?;
            self.discover()?;
        }
        Ok(())
    }

    /// Now and then, looks for partitions that were not there before; they are read from their
    /// beginning.
    fn discover(&mut self) -> Result<(), Stop> {
        let due = self.options.discovery.filter(|_| self.options.bounded.is_none());
        if due.is_none_or(|interval| self.looked.elapsed() < interval) {
            return Ok(());
        }
        self.looked = Instant::now();
        let found = own_partitions(&self.consumer, &self.options, self.limits.share, &|| {});
        let mut found = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!("{error}");
                return Ok(());
            }
        };
        found.retain(|name| !self.by_name.contains_key(name));
        for span in from_the_beginning(&self.consumer, &self.options, &found)? {
            let failed = |error| failed(&self.options, error);
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&span.topic, span.partition, Offset::Offset(span.start))
                .map_err(failed)?;
            self.consumer.incremental_assign(&list).map_err(failed)?;
            tracing::info!("{}: reading the new partition {}", self.options.name(), span.split());
            self.hands.add_split(span.split().into(), span.start)?;
            self.add(span)?;
        }
        Ok(())
    }

    /// The queue is empty: what was collected leaves, quiet partitions become idle.
    fn pause(&mut self) -> Result<(), Stop> {
        if self.hands.is_gone() {
            return Err(Stop::Gone);
        }
        for at in 0..self.partitions.len() {
            self.hand_over(at)?;
            let partition = &mut self.partitions[at];
            let State::Quiet(since) = partition.state else { continue };
            if self.limits.idle_timeout.is_some_and(|timeout| since.elapsed() >= timeout) {
                partition.state = State::Idle;
                let split = Arc::clone(&partition.split);
                self.hands.give(SourceEvent::Idle { split }, None)?;
            }
        }
        self.watch()?;
        self.discover()
    }

    /// Looks at partitions of which nothing is heard: has one of them messages, and does its broker
    /// answer, then something is broken that a new start may mend.
    fn watch(&mut self) -> Result<(), Stop> {
        let waited = self.paused.elapsed().min(LISTENED_MAX);
        self.paused = Instant::now();
        self.listened += waited;
        let (Some(timeout), listened) = (self.options.stall_timeout, self.listened) else {
            return Ok(());
        };
        let due = |partition: &&mut Partition| {
            let since = partition.suspect.map_or(partition.heard, |(_, since)| since);
            partition.state != State::Finished && listened.saturating_sub(since) >= timeout
        };
        // One question a turn: it may take its time.
        let Some(partition) = self.partitions.iter_mut().find(due) else { return Ok(()) };
        let Span { topic, partition: number, .. } = &partition.span;
        let fetched = self.consumer.context().fetched(topic, *number);
        let fetched = fetched.unwrap_or_default().max(partition.next);
        match self.consumer.fetch_watermarks(topic, *number, ASK_TIMEOUT) {
            Ok((_, high)) if high <= fetched => partition.hear(listened),
            Ok((_, high)) => match partition.suspect {
                Some((at, _)) if at == fetched => {
                    let split = &partition.split;
                    return Err(nowcast_engine::Error::outside(format!(
                        "kafka partition \"{split}\": its broker answers but has given nothing for \
                         {timeout:?} (\"scan.stall-timeout\"), and there are messages from {fetched} \
                         to {high}"
                    ))
                    .into());
                }
                _ => partition.suspect = Some((fetched, listened)),
            },
            // It is away, or has no leader: it is waited for, if the topic is still there.
            Err(error) => {
                partition.hear(listened);
                self.weigh(error)?;
            }
        }
        Ok(())
    }

    /// A partition of this number has been read to its end. The event does not say of which topic:
    /// with several, positions tell.
    fn at_end(&mut self, number: i32) -> Result<(), Stop> {
        let of_number = |partition: &&Partition| partition.span.partition == number;
        let alone = self.partitions.iter().filter(of_number).count() == 1;
        for at in 0..self.partitions.len() {
            let span = &self.partitions[at].span;
            if span.partition != number || !(alone || self.is_at_end(span)?) {
                continue;
            }
            self.hand_over(at)?;
            let partition = &mut self.partitions[at];
            partition.hear(self.listened);
            match (partition.state, partition.span.end) {
                (State::Reading, None) => partition.state = State::Quiet(Instant::now()),
                // Between the last message and the end were only markers, or nothing any more.
                (State::Reading, Some(end)) if end <= partition.span.high => self.finish(at)?,
                // An end that is yet to come, or nothing new.
                _ => {}
            }
        }
        Ok(())
    }

    fn is_at_end(&self, span: &Span) -> Result<bool, Stop> {
        let failed = |error| failed(&self.options, error);
        let limits = self.consumer.fetch_watermarks(&span.topic, span.partition, ASK_TIMEOUT);
        let (_, high) = limits.map_err(failed)?;
        let positions = self.consumer.position().map_err(failed)?;
        let position = positions.find_partition(&span.topic, span.partition);
        Ok(match position.map(|position| position.offset()) {
            Some(Offset::Offset(offset)) => offset >= high,
            _ => span.start >= high,
        })
    }

    fn hand_over(&mut self, at: usize) -> Result<(), Stop> {
        let partition = &mut self.partitions[at];
        if std::mem::take(&mut partition.pending) {
            let Collected { rows, weights, rejected } = partition.rows.finish()?;
            let split = Arc::clone(&partition.split);
            let advanced = Some((at, partition.next));
            self.hands.give(SourceEvent::Rows { split, rows, weights, rejected }, advanced)?;
        }
        Ok(())
    }

    fn finish(&mut self, at: usize) -> Result<(), Stop> {
        self.hand_over(at)?;
        let partition = &mut self.partitions[at];
        partition.state = State::Finished;
        let split = Arc::clone(&partition.split);
        Ok(self.hands.give(SourceEvent::Finished { split }, None)?)
    }

    /// Most errors pass: librdkafka connects again by itself. Some never do.
    fn weigh(&mut self, error: KafkaError) -> Result<(), Stop> {
        use RDKafkaErrorCode::{
            AutoOffsetReset, GroupAuthorizationFailed, TopicAuthorizationFailed, UnknownPartition,
            UnknownTopic, UnknownTopicOrPartition,
        };
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        match error.rdkafka_error_code() {
            Some(AutoOffsetReset) => self.reset(),
            Some(UnknownPartition | UnknownTopic | UnknownTopicOrPartition) => {
                self.still_there()?;
                tracing::warn!("{}: {error}", self.options.name());
                Ok(())
            }
            Some(TopicAuthorizationFailed | GroupAuthorizationFailed) => {
                Err(failed(&self.options, error).into())
            }
            _ if fatal => Err(failed(&self.options, error).into()),
            _ => {
                tracing::warn!("{}: {error}", self.options.name());
                Ok(())
            }
        }
    }

    /// # Errors
    /// Where a topic, or a partition that is read, is no longer there.
    fn still_there(&self) -> Result<(), Stop> {
        let mut topics: Vec<&str> = vec![];
        for partition in &self.partitions {
            let Span { topic, partition: number, .. } = &partition.span;
            if topics.contains(&topic.as_str()) {
                continue;
            }
            topics.push(topic);
            let deadline = Instant::now() + ASK_TIMEOUT;
            let client = self.consumer.client();
            let found = topic_partitions(client, &self.options, topic, deadline, &|| {});
            match found {
                Ok(found) if found.contains(number) => {}
                Ok(_) => {
                    let split = &partition.split;
                    return Err(nowcast_engine::Error::user(format!(
                        "kafka partition \"{split}\" was deleted while it was read"
                    ))
                    .into());
                }
                Err(error) if error.kind() == ErrorKind::User => {
                    return Err(nowcast_engine::Error::user(format!(
                        "kafka topic \"{topic}\" was deleted while it was read"
                    ))
                    .into());
                }
                // Nobody knows for now.
                Err(error) => tracing::warn!("{error}"),
            }
        }
        Ok(())
    }

    /// Some partition has no longer what is to be read next: reading goes on where
    /// `auto.offset.reset` says.
    fn reset(&mut self) -> Result<(), Stop> {
        for at in 0..self.partitions.len() {
            let Partition { span, next, state, split, .. } = &self.partitions[at];
            if *state == State::Finished {
                continue;
            }
            let failed = |error| failed(&self.options, error);
            let limits = self.consumer.fetch_watermarks(&span.topic, span.partition, ASK_TIMEOUT);
            let (low, high) = limits.map_err(failed)?;
            if (low..=high).contains(next) {
                continue;
            }
            let start = reachable(&self.options, split, *next, low, high)?;
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&span.topic, span.partition, Offset::Offset(start))
                .map_err(failed)?;
            self.consumer.incremental_unassign(&list).map_err(failed)?;
            self.consumer.incremental_assign(&list).map_err(failed)?;
            let partition = &mut self.partitions[at];
            partition.next = start;
            partition.pending = true;
            partition.hear(self.listened);
        }
        Ok(())
    }
}
