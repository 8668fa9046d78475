//! The thread that reads from the brokers, decodes and hands batches over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nowcast_engine::{Error, ErrorKind, Result, SourceEvent, TableDefinition};

use super::contact::{Brokers, Cause, Heard, Stop, Taken, Trouble, own_partitions};
use super::offsets::{Span, from_the_beginning, reachable};
use super::options::KafkaOptions;
use super::reading::{Limits, Partition, Reading, State};
use crate::handover::Hands;

/// The longest wait for a message, after which the thread looks around: is the worker still there?
const POLL: Duration = Duration::from_millis(100);
/// The most that counts as one wait for messages: in longer ones the worker was awaited.
const LISTENED_MAX: Duration = Duration::from_secs(1);

pub struct Reader<B> {
    brokers: B,
    options: Arc<KafkaOptions>,
    limits: Limits,
    reading: Reading,
    /// When the brokers were asked for partitions.
    looked: Instant,
    /// When messages were waited for last.
    paused: Instant,
}

impl<B: Brokers> Reader<B> {
    /// Reads spans that `brokers` fetches already.
    pub fn new(
        brokers: B,
        table: &TableDefinition,
        options: Arc<KafkaOptions>,
        spans: Vec<Span>,
        limits: Limits,
        hands: Hands,
    ) -> Result<Self> {
        let mut reading = Reading::new(table, Arc::clone(&options), limits, hands);
        spans.into_iter().try_for_each(|span| reading.add(span))?;
        let now = Instant::now();
        Ok(Self { brokers, options, limits, reading, looked: now, paused: now })
    }

    /// Reads until everything is read, the worker is gone, or reading fails for good.
    pub fn run(mut self) {
        match self.read() {
            Ok(()) | Err(Stop::Gone) => {}
            Err(Stop::Failed(error)) => self.reading.hands.fail(error),
        }
    }

    fn read(&mut self) -> Result<(), Stop> {
        self.reading.finish_empty()?;
        while self.is_open() {
            match self.brokers.poll(self.patience(), &mut self.reading)? {
                Heard::Messages(Taken::Kept) => {}
                Heard::Messages(Taken::HandedOver) => self.discover()?,
                Heard::Ends(ends) => {
                    ends.into_iter().try_for_each(|end| self.reading.at_end(end))?
                }
                Heard::Trouble(trouble) => self.weigh(trouble)?,
                Heard::Nothing => self.pause()?,
            }
        }
        self.reading.hands.give(SourceEvent::End, None)?;
        // Offsets are committed with checkpoints that come after the end.
        while !self.reading.hands.is_gone() {
            self.brokers.linger(POLL);
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        let reading = |partition: &Partition| partition.state != State::Finished;
        self.options.bounded.is_none() || self.reading.partitions.iter().any(reading)
    }

    /// No wait at all while rows wait to leave.
    fn patience(&self) -> Duration {
        match self.reading.is_pending() {
            true => Duration::ZERO,
            false => self.limits.idle_timeout.map_or(POLL, |timeout| timeout.min(POLL)),
        }
    }

    /// Now and then, looks for partitions that were not there before; they are read from their
    /// beginning.
    fn discover(&mut self) -> Result<(), Stop> {
        let due = self.options.discovery.filter(|_| self.options.bounded.is_none());
        if due.is_none_or(|interval| self.looked.elapsed() < interval) {
            return Ok(());
        }
        self.looked = Instant::now();
        let mut found = match own_partitions(&mut self.brokers, self.limits.share) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!("{error}");
                return Ok(());
            }
        };
        found.retain(|name| !self.reading.has(name));
        for span in from_the_beginning(&mut self.brokers, &found)? {
            self.brokers.read(std::slice::from_ref(&span))?;
            tracing::info!("{}: reading the new partition {}", self.options.name(), span.split());
            self.reading.hands.add_split(span.split().into(), span.start)?;
            self.reading.add(span)?;
        }
        Ok(())
    }

    /// Nothing is there: what was collected leaves, quiet partitions become idle.
    fn pause(&mut self) -> Result<(), Stop> {
        if self.reading.hands.is_gone() {
            return Err(Stop::Gone);
        }
        self.reading.hand_over_all()?;
        self.reading.look_for_idle()?;
        self.watch()?;
        self.discover()
    }

    /// Looks at partitions of which nothing is heard: has one of them messages, and does its broker
    /// answer, then something is broken that a new start may mend.
    fn watch(&mut self) -> Result<(), Stop> {
        let waited = self.paused.elapsed().min(LISTENED_MAX);
        self.paused = Instant::now();
        self.reading.listened += waited;
        let (Some(timeout), listened) = (self.options.stall_timeout, self.reading.listened) else {
            return Ok(());
        };
        let due = |partition: &Partition| {
            let since = partition.suspect.map_or(partition.heard, |(_, since)| since);
            partition.state != State::Finished && listened.saturating_sub(since) >= timeout
        };
        // One question a turn: it may take its time.
        let Some(at) = self.reading.partitions.iter().position(due) else { return Ok(()) };
        let partition = &mut self.reading.partitions[at];
        let fetched = self.brokers.fetched(at, &partition.span);
        let fetched = fetched.unwrap_or_default().max(partition.next);
        match self.brokers.limits(&partition.span.topic, partition.span.partition) {
            Ok((_, high)) if high <= fetched => partition.hear(listened),
            Ok((_, high)) => match partition.suspect {
                Some((offset, _)) if offset == fetched => {
                    let split = &partition.split;
                    return Err(Error::outside(format!(
                        "kafka partition \"{split}\": its broker answers but has given nothing for \
                         {timeout:?} (\"scan.stall-timeout\"), and there are messages from {fetched} \
                         to {high}"
                    ))
                    .into());
                }
                _ => partition.suspect = Some((fetched, listened)),
            },
            // It is away, or has no leader: it is waited for, if the topic is still there.
            Err(trouble) => {
                partition.hear(listened);
                self.weigh(trouble)?;
            }
        }
        Ok(())
    }

    /// Most trouble passes: clients connect again by themselves. Some never does.
    fn weigh(&mut self, trouble: Trouble) -> Result<(), Stop> {
        match trouble.cause {
            Cause::OutOfRange(at) => return self.reset(at),
            Cause::Final => return Err(trouble.error.into()),
            Cause::Unknown => self.still_there()?,
            Cause::Passing => {}
        }
        tracing::warn!("{}", trouble.error);
        Ok(())
    }

    /// # Errors
    /// Where a topic, or a partition that is read, is no longer there.
    fn still_there(&mut self) -> Result<(), Stop> {
        let mut topics: Vec<&str> = vec![];
        for partition in &self.reading.partitions {
            let Span { topic, partition: number, .. } = &partition.span;
            if topics.contains(&topic.as_str()) {
                continue;
            }
            topics.push(topic);
            match self.brokers.topic_partitions(topic) {
                Ok(found) if found.contains(number) => {}
                Ok(_) => {
                    let split = &partition.split;
                    return Err(Error::user(format!(
                        "kafka partition \"{split}\" was deleted while it was read"
                    ))
                    .into());
                }
                Err(error) if error.kind() == ErrorKind::User => {
                    return Err(Error::user(format!(
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

    /// A partition, or some, has no longer what is to be read next: reading goes on where
    /// `auto.offset.reset` says.
    fn reset(&mut self, of: Option<usize>) -> Result<(), Stop> {
        for at in 0..self.reading.partitions.len() {
            let Partition { span, next, state, split, .. } = &self.reading.partitions[at];
            if *state == State::Finished || of.is_some_and(|of| of != at) {
                continue;
            }
            let (low, high) = match self.brokers.limits(&span.topic, span.partition) {
                Ok(limits) => limits,
                Err(Trouble { error, .. }) => return Err(error.into()),
            };
            if of.is_none() && (low..=high).contains(next) {
                continue;
            }
            let next = of.and_then(|at| self.brokers.fetched(at, span)).unwrap_or(*next);
            let start = reachable(&self.options, split, next, low, high)?;
            self.brokers.seek(at, span, start)?;
            self.reading.partitions[at].jump(start, self.reading.listened);
        }
        Ok(())
    }
}
