//! The partitions that a source reads: what was taken in of each, and how it leaves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nowcast_engine::{Result, SourceContext, SourceEvent, TableDefinition};

use super::contact::{End, Stop, Take, Taken};
use super::offsets::Span;
use super::options::KafkaOptions;
use crate::handover::Hands;
use crate::messages::{Collected, Message, Rows};

/// Message bytes in one batch: with the queue of [`crate::handover`] it bounds what a source holds
/// decoded, whatever the messages' size.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What a reader is held to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub rows_max: usize,
    pub idle_timeout: Option<Duration>,
    /// This worker, and of how many.
    pub share: (usize, usize),
}

impl Limits {
    pub fn new(options: &KafkaOptions, context: &SourceContext) -> Self {
        let idle_timeout = options.idle_timeout.or(context.idle_timeout);
        Self {
            rows_max: context.rows_max.max(1),
            idle_timeout: idle_timeout.filter(|timeout| !timeout.is_zero()),
            share: (context.worker, context.workers),
        }
    }
}

pub struct Reading {
    table: TableDefinition,
    options: Arc<KafkaOptions>,
    limits: Limits,
    pub partitions: Vec<Partition>,
    by_name: HashMap<(String, i32), usize>,
    /// The partition of the last message: most often also that of the next.
    last: usize,
    /// How long messages were waited for in all; it stands still while the worker is awaited.
    pub listened: Duration,
    pub hands: Hands,
}

pub struct Partition {
    pub split: Arc<str>,
    pub span: Span,
    rows: Rows,
    /// The offset behind the last message taken in.
    pub next: i64,
    /// Whether there is something to hand over, if only a position.
    pending: bool,
    pub state: State,
    /// How long had been listened when something was heard of it.
    pub heard: Duration,
    /// The offset behind which there are messages that do not come, and since when.
    pub suspect: Option<(i64, Duration)>,
}

impl Partition {
    pub fn hear(&mut self, listened: Duration) {
        self.heard = listened;
        self.suspect = None;
    }

    /// Goes on from elsewhere.
    pub fn jump(&mut self, offset: i64, listened: Duration) {
        self.next = offset;
        self.pending = true;
        self.hear(listened);
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum State {
    Reading,
    /// Read to its end for now, since then.
    Quiet(Instant),
    Idle,
    Finished,
}

impl Reading {
    pub fn new(
        table: &TableDefinition,
        options: Arc<KafkaOptions>,
        limits: Limits,
        hands: Hands,
    ) -> Self {
        Self {
            table: table.clone(),
            options,
            limits,
            partitions: vec![],
            by_name: HashMap::new(),
            last: 0,
            listened: Duration::ZERO,
            hands,
        }
    }

    pub fn add(&mut self, span: Span) -> Result<()> {
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

    pub fn has(&self, name: &(String, i32)) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether messages wait to leave.
    pub fn is_pending(&self) -> bool {
        self.partitions.iter().any(|partition| partition.pending)
    }

    /// Spans without a message are finished before anything is read.
    pub fn finish_empty(&mut self) -> Result<(), Stop> {
        for at in 0..self.partitions.len() {
            let span = &self.partitions[at].span;
            if span.end.is_some_and(|end| span.start >= end) {
                self.finish(at)?;
            }
        }
        Ok(())
    }

    /// A partition is read to its end for now.
    pub fn at_end(&mut self, End { at, behind }: End) -> Result<(), Stop> {
        self.hand_over(at)?;
        let partition = &mut self.partitions[at];
        partition.hear(self.listened);
        match (partition.state, partition.span.end) {
            (State::Reading, None) => partition.state = State::Quiet(Instant::now()),
            // Between the last message and the end were only markers, or nothing any more.
            (State::Reading, Some(end))
                if end <= partition.span.high && behind.is_none_or(|behind| behind >= end) =>
            {
                self.finish(at)?;
            }
            // An end that is yet to come, or to come back, or nothing new.
            _ => {}
        }
        Ok(())
    }

    /// What was collected leaves.
    pub fn hand_over_all(&mut self) -> Result<(), Stop> {
        (0..self.partitions.len()).try_for_each(|at| self.hand_over(at))
    }

    /// Partitions that are quiet for long become idle.
    pub fn look_for_idle(&mut self) -> Result<(), Stop> {
        let Some(timeout) = self.limits.idle_timeout else { return Ok(()) };
        for partition in &mut self.partitions {
            let State::Quiet(since) = partition.state else { continue };
            if since.elapsed() >= timeout {
                partition.state = State::Idle;
                let split = Arc::clone(&partition.split);
                self.hands.give(SourceEvent::Idle { split }, None)?;
            }
        }
        Ok(())
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
}

impl Take for Reading {
    fn find(&mut self, topic: &str, partition: i32) -> Option<usize> {
        let known = self
            .partitions
            .get(self.last)
            .is_some_and(|known| known.span.partition == partition && known.span.topic == topic);
        if !known {
            self.last = *self.by_name.get(&(topic.to_owned(), partition))?;
        }
        Some(self.last)
    }

    fn is_finished(&self, at: usize) -> bool {
        self.partitions[at].state == State::Finished
    }

    #[inline]
    fn take(&mut self, at: usize, message: &impl Message) -> Result<Taken, Stop> {
        let partition = &mut self.partitions[at];
        if partition.state == State::Finished {
            return Ok(Taken::Kept);
        }
        partition.hear(self.listened);
        if partition.span.end.is_some_and(|end| message.offset() >= end) {
            self.finish(at)?;
            return Ok(Taken::HandedOver);
        }
        partition.state = State::Reading;
        partition.pending = true;
        partition.next = message.offset() + 1;
        partition.rows.push(message);
        let full =
            partition.rows.len() >= self.limits.rows_max || partition.rows.bytes >= BATCH_BYTES_MAX;
        if partition.span.end == Some(partition.next) {
            self.finish(at)?;
        } else if full {
            self.hand_over(at)?;
        } else {
            return Ok(Taken::Kept);
        }
        Ok(Taken::HandedOver)
    }
}
