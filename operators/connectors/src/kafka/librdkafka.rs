//! A source's brokers through librdkafka.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use nowcast_engine::{Position, Result};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{ASK_TIMEOUT, Watch, config, partitions, refused, topic_partitions};
use super::contact::{
    Brokers, Cause, End, Heard, Name, Outlook, Stop, Take, Taken, Trouble, failed,
};
use super::offsets::Span;
use super::options::KafkaOptions;

/// Kilobytes of messages that librdkafka fetches ahead for one source instance; then it stops
/// fetching until the reader has caught up.
const QUEUE_KBYTES: &str = "32768";
/// How soon it looks again whether the queue has room. librdkafka's 1,000 ms would starve a reader
/// that empties the queue faster.
const QUEUE_BACKOFF_MS: &str = "10";

/// Events looked for between two tries to connect: some errors and statistics come with each.
const EVENTS_SERVED: usize = 64;

/// How often librdkafka says where partitions end.
const STATISTICS_MS: &str = "1000";

pub struct Librdkafka {
    consumer: Arc<BaseConsumer<Watch>>,
    options: Arc<KafkaOptions>,
    /// What is assigned, in the order of [`Brokers::read`].
    spans: Vec<Span>,
}

impl Librdkafka {
    pub fn new(options: Arc<KafkaOptions>) -> Result<Self> {
        let mut config = config(
            &options,
            &[
                ("enable.partition.eof", "true"),
                ("queued.max.messages.kbytes", QUEUE_KBYTES),
                ("fetch.queue.backoff.ms", QUEUE_BACKOFF_MS),
                ("statistics.interval.ms", STATISTICS_MS),
            ],
        );
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        // librdkafka wants a group for any assignment; without commits nobody sees it.
        config.set("group.id", options.group.as_deref().unwrap_or("nowcast"));
        // The reader does it, and says so.
        config.set("auto.offset.reset", "error");
        let consumer = config
            .create_with_context(Watch::default())
            .map_err(|error| refused(&options, error))?;
        Ok(Self { consumer: Arc::new(consumer), options, spans: vec![] })
    }

    fn failed(&self, error: KafkaError) -> nowcast_engine::Error {
        failed(&self.options, error)
    }

    fn trouble(&self, error: KafkaError) -> Trouble {
        use RDKafkaErrorCode::{
            AutoOffsetReset, GroupAuthorizationFailed, TopicAuthorizationFailed, UnknownPartition,
            UnknownTopic, UnknownTopicOrPartition,
        };
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        let cause = match error.rdkafka_error_code() {
            Some(AutoOffsetReset) => Cause::OutOfRange(None),
            Some(UnknownPartition | UnknownTopic | UnknownTopicOrPartition) => Cause::Unknown,
            Some(TopicAuthorizationFailed | GroupAuthorizationFailed) => Cause::Final,
            _ if fatal => Cause::Final,
            _ => Cause::Passing,
        };
        Trouble { cause, error: self.failed(error) }
    }

    fn list(&self, partitions: &[Name], offset: Offset) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (topic, partition) in partitions {
            list.add_partition_offset(topic, *partition, offset)
                .map_err(|error| self.failed(error))?;
        }
        Ok(list)
    }

    /// Those spans of a partition's number that are read to their end. The event does not say of
    /// which topic: with several, positions tell.
    fn at_end(&self, number: i32) -> Result<Vec<End>> {
        let spans = self.spans.iter().enumerate();
        let of_number: Vec<_> = spans.filter(|(_, span)| span.partition == number).collect();
        let alone = of_number.len() == 1;
        let mut ends = vec![];
        for (at, span) in of_number {
            if alone && span.end.is_none() {
                ends.push(End { at, behind: None });
                continue;
            }
            let (_, high) = self
                .consumer
                .fetch_watermarks(&span.topic, span.partition, ASK_TIMEOUT)
                .map_err(|error| self.failed(error))?;
            if alone || self.position(span)? >= high {
                ends.push(End { at, behind: Some(high) });
            }
        }
        Ok(ends)
    }

    fn position(&self, span: &Span) -> Result<i64> {
        let positions = self.consumer.position().map_err(|error| self.failed(error))?;
        let position = positions.find_partition(&span.topic, span.partition);
        Ok(match position.map(|position| position.offset()) {
            Some(Offset::Offset(offset)) => offset,
            _ => span.start,
        })
    }

    /// Nothing is fetched of a partition any more, without a word to those who wait for it.
    #[cfg(test)]
    pub fn hold(&self, topic: &str, partition: i32) {
        let mut held = TopicPartitionList::new();
        held.add_partition(topic, partition);
        self.consumer.incremental_unassign(&held).expect("it is assigned");
    }
}

impl Brokers for Librdkafka {
    fn partitions(&mut self) -> Result<Vec<(String, Vec<i32>)>> {
        // While nothing is assigned there are no messages to lose. A poll that meets statistics
        // returns without the events behind them.
        let serve = || {
            if self.spans.is_empty() {
                (0..EVENTS_SERVED).for_each(|_| drop(self.consumer.poll(Duration::ZERO)));
            }
        };
        partitions(self.consumer.client(), &self.options, &serve)
    }

    fn topic_partitions(&mut self, topic: &str) -> Result<Vec<i32>> {
        let deadline = Instant::now() + ASK_TIMEOUT;
        topic_partitions(self.consumer.client(), &self.options, topic, deadline, &|| {})
    }

    fn limits(&mut self, topic: &str, partition: i32) -> Result<(i64, i64), Trouble> {
        let limits = self.consumer.fetch_watermarks(topic, partition, ASK_TIMEOUT);
        limits.map_err(|error| self.trouble(error))
    }

    fn at_time(&mut self, partitions: &[Name], millis: i64) -> Result<BTreeMap<Name, i64>> {
        let list = self.list(partitions, Offset::Offset(millis))?;
        let found = self.consumer.offsets_for_times(list, ASK_TIMEOUT);
        found.map(offsets).map_err(|error| self.failed(error))
    }

    fn committed(&mut self, partitions: &[Name]) -> Result<BTreeMap<Name, i64>> {
        let list = self.list(partitions, Offset::Invalid)?;
        let found = self.consumer.committed_offsets(list, ASK_TIMEOUT);
        found.map(offsets).map_err(|error| self.failed(error))
    }

    fn read(&mut self, spans: &[Span]) -> Result<()> {
        if spans.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for span in spans {
            list.add_partition_offset(&span.topic, span.partition, Offset::Offset(span.start))
                .map_err(|error| self.failed(error))?;
        }
        let assigned = match self.spans.is_empty() {
            true => self.consumer.assign(&list),
            false => self.consumer.incremental_assign(&list),
        };
        assigned.map_err(|error| self.failed(error))?;
        self.spans.extend_from_slice(spans);
        Ok(())
    }

    fn seek(&mut self, _: usize, span: &Span, offset: i64) -> Result<()> {
        let name = (span.topic.clone(), span.partition);
        let list = self.list(&[name], Offset::Offset(offset))?;
        let left = self.consumer.incremental_unassign(&list);
        let back = left.and_then(|()| self.consumer.incremental_assign(&list));
        back.map_err(|error| self.failed(error))
    }

    fn fetched(&self, _: usize, span: &Span) -> Option<i64> {
        self.consumer.context().fetched(&span.topic, span.partition)
    }

    fn poll(&mut self, patience: Duration, into: &mut impl Take) -> Result<Heard, Stop> {
        Ok(match self.consumer.poll(patience) {
            Some(Ok(message)) => match into.find(message.topic(), message.partition()) {
                Some(at) => Heard::Messages(into.take(at, &message)?),
                None => Heard::Messages(Taken::Kept),
            },
            Some(Err(KafkaError::PartitionEOF(number))) => Heard::Ends(self.at_end(number)?),
            Some(Err(error)) => Heard::Trouble(self.trouble(error)),
            None => Heard::Nothing,
        })
    }

    fn linger(&mut self, patience: Duration) {
        if !std::mem::take(&mut self.spans).is_empty()
            && let Err(error) = self.consumer.unassign()
        {
            tracing::debug!("{}: {error}", self.options.name());
        }
        drop(self.consumer.poll(patience));
    }

    fn outlook(&self) -> Arc<dyn Outlook> {
        Arc::new(Beside {
            consumer: Arc::downgrade(&self.consumer),
            options: Arc::clone(&self.options),
        })
    }
}

/// The offsets of a list that are known.
fn offsets(list: TopicPartitionList) -> BTreeMap<Name, i64> {
    let all = list.to_topic_map().into_iter();
    all.filter_map(|(name, offset)| match offset {
        Offset::Offset(offset) => Some((name, offset)),
        _ => None,
    })
    .collect()
}

/// The consumer ends with the reader's thread.
struct Beside {
    consumer: Weak<BaseConsumer<Watch>>,
    options: Arc<KafkaOptions>,
}

impl Outlook for Beside {
    fn ends(&self) -> Vec<Position> {
        let ends = self.consumer.upgrade().map_or(vec![], |consumer| consumer.context().ends());
        ends.into_iter().map(|(split, offset)| Position { split, offset }).collect()
    }

    fn commit(&self, positions: &[Position]) {
        let Some(consumer) = self.consumer.upgrade() else { return };
        let mut list = TopicPartitionList::new();
        for position in positions {
            let Some((topic, partition)) = position.split.rsplit_once('/') else { continue };
            let Ok(partition) = partition.parse() else { continue };
            let offset = Offset::Offset(position.offset);
            list.add_partition_offset(topic, partition, offset).unwrap_or_else(|error| {
                tracing::warn!("{}: offset not committed: {error}", self.options.name());
            });
        }
        if list.count() > 0
            && let Err(error) = consumer.commit(&list, CommitMode::Async)
        {
            tracing::warn!("{}: offsets not committed: {error}", self.options.name());
        }
    }
}
