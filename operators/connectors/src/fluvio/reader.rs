//! The thread that awaits a partition's records, decodes and hands batches over.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use fluvio::consumer::ConsumerConfig;
use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::record::Batch;
use fluvio::{Isolation, Offset};
use fluvio_future::future::timeout;
use fluvio_future::timer::sleep;
use futures::executor::block_on;
use futures::future::poll_fn;
use futures::{FutureExt as _, Stream, StreamExt as _};
use nowcast_engine::{Error, ErrorKind, Result, SourceEvent, TableDefinition};

use super::client::{self, Client, failed, words};
use super::offsets::Span;
use super::options::FluvioOptions;
use super::record::records;
use super::source::own_partitions;
use crate::handover::{Gone, Hands};
use crate::messages::{Collected, Rows};

/// Record bytes in one batch: with the queue of [`crate::handover`] it bounds what a source holds
/// decoded, whatever the records' size.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// The longest wait for records, after which the thread looks around: is the worker still there?
const LOOK: Duration = Duration::from_millis(100);
/// How long opening a stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before connecting again, the first time; then twice as long each time.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// The longest such wait.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(10);

pub struct Reader {
    client: Client,
    table: TableDefinition,
    options: Arc<FluvioOptions>,
    limits: Limits,
    partitions: Vec<Partition>,
    /// When the cluster was asked what there is.
    looked: Instant,
    /// How long to wait before connecting again.
    pause: Duration,
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
    /// The offset behind the last record taken in.
    next: i64,
    /// Whether there is something to hand over, if only a position.
    pending: bool,
    state: State,
    /// Its records from `next` on; `None` where they are yet to be asked for.
    batches: Option<Batches>,
    /// The offset of a record that is there and has not come, and since when.
    overdue: Option<(i64, Instant)>,
    /// How long a record may be overdue until the stream is taken for dead.
    patience: Duration,
}

type Batches = Pin<Box<dyn Stream<Item = Result<Batch, ErrorCode>> + Send>>;

/// What a stream has given: nothing where it has ended.
type Given = Option<Result<Batch, ErrorCode>>;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Reading,
    /// Without a record that waits, since then.
    Quiet(Instant),
    Idle,
    Finished,
}

enum Stop {
    Gone,
    Failed(Error),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Reader {
    pub fn new(
        client: Client,
        table: &TableDefinition,
        options: Arc<FluvioOptions>,
        spans: Vec<Span>,
        limits: Limits,
        hands: Hands,
    ) -> Result<Self> {
        let mut reader = Self {
            client,
            table: table.clone(),
            options,
            limits,
            partitions: vec![],
            looked: Instant::now(),
            pause: RECONNECT_PAUSE,
            hands,
        };
        spans.into_iter().try_for_each(|span| reader.add(span))?;
        Ok(reader)
    }

    fn add(&mut self, span: Span) -> Result<()> {
        self.partitions.push(Partition {
            split: span.split(&self.options).into(),
            rows: self.options.rows(&self.table)?,
            next: span.start,
            pending: false,
            state: State::Reading,
            batches: None,
            overdue: None,
            patience: self.options.discovery.unwrap_or_default(),
            span,
        });
        Ok(())
    }

    /// Reads until everything is read, the worker is gone, or reading fails for good.
    pub fn run(mut self) {
        match block_on(self.read()) {
            Ok(()) | Err(Stop::Gone) => {}
            Err(Stop::Failed(error)) => self.hands.fail(error),
        }
    }

    async fn read(&mut self) -> Result<(), Stop> {
        for at in 0..self.partitions.len() {
            let span = &self.partitions[at].span;
            if span.end.is_some_and(|end| span.start >= end) {
                self.finish(at)?;
            }
        }
        while self.is_open() {
            self.open_streams().await?;
            for (at, given) in self.given().await {
                match given {
                    Some(Ok(batch)) => self.take(at, &batch)?,
                    Some(Err(error)) => self.broken(at, Some(error)),
                    None => self.broken(at, None),
                }
            }
            self.settle()?;
            self.look().await?;
        }
        self.hands.give(SourceEvent::End, None)?;
        Ok(())
    }

    fn is_open(&self) -> bool {
        let reading = |partition: &Partition| partition.state != State::Finished;
        self.options.bounded.is_none() || self.partitions.iter().any(reading)
    }

    /// Asks for the records of each partition that is not read yet, as long as it takes.
    async fn open_streams(&mut self) -> Result<(), Stop> {
        for at in 0..self.partitions.len() {
            loop {
                let partition = &self.partitions[at];
                if partition.batches.is_some() || partition.state == State::Finished {
                    break;
                }
                match self.stream(partition).await {
                    Ok(batches) => self.partitions[at].batches = Some(batches),
                    Err(error) => self.reconnect(error).await?,
                }
            }
        }
        Ok(())
    }

    async fn stream(&self, partition: &Partition) -> Result<Batches> {
        let number = partition.span.partition.unsigned_abs();
        let offset =
            Offset::absolute(partition.next).map_err(|error| failed(&self.options, error))?;
        // A record that its replicas may still lose would be counted by the next one's offset.
        let config = ConsumerConfig::builder().isolation(Isolation::ReadCommitted).build();
        let config = config.map_err(|error| failed(&self.options, error))?;
        let open = async {
            // The one that is not deprecated hands out record by record, behind a lock and a timer.
            #[expect(deprecated)]
            let consumer =
                self.client.fluvio.partition_consumer(&self.options.topic, number).await?;
            let batches = consumer.stream_batches_with_config(offset, config).await?;
            anyhow::Ok(Box::pin(batches) as Batches)
        };
        match timeout(OPEN_TIMEOUT, open).await {
            Ok(Ok(batches)) => Ok(batches),
            Ok(Err(error)) => Err(failed(&self.options, words(&error))),
            Err(_) => Err(failed(&self.options, "no answer")),
        }
    }

    /// Connects again, as long as it takes. A cluster that is away is no end of the job: it may come
    /// back, and its records with it.
    async fn reconnect(&mut self, mut problem: Error) -> Result<(), Stop> {
        loop {
            if problem.kind() != ErrorKind::Outside {
                return Err(problem.into());
            }
            tracing::warn!("{problem}; connecting again in {:?}", self.pause);
            let until = Instant::now() + self.pause;
            self.pause = (self.pause * 2).min(RECONNECT_PAUSE_MAX);
            while Instant::now() < until {
                if self.hands.is_gone() {
                    return Err(Stop::Gone);
                }
                sleep(LOOK.min(until - Instant::now())).await;
            }
            match Client::connect(&self.options).await {
                Ok(client) => {
                    // Streams of the old client may live on, but would hold its connections.
                    self.partitions.iter_mut().for_each(|partition| partition.batches = None);
                    self.client = client;
                    return Ok(());
                }
                Err(error) => problem = error,
            }
        }
    }

    /// What partitions have to give, waiting for it a while, but not while rows wait to leave.
    async fn given(&mut self) -> Vec<(usize, Given)> {
        let pending = self.partitions.iter().any(|partition| partition.pending);
        let patience = self.limits.idle_timeout.map_or(LOOK, |timeout| timeout.min(LOOK));
        let mut timer = (!pending).then(|| Box::pin(sleep(patience)));
        poll_fn(|cx| {
            let given = self.poll(cx);
            let waited = timer.as_mut().is_none_or(|timer| timer.poll_unpin(cx).is_ready());
            match given.is_empty() && !waited {
                true => Poll::Pending,
                false => Poll::Ready(given),
            }
        })
        .await
    }

    /// One look at each partition; one that has nothing to give is quiet from now on.
    fn poll(&mut self, cx: &mut Context<'_>) -> Vec<(usize, Given)> {
        let mut found = vec![];
        for (at, partition) in self.partitions.iter_mut().enumerate() {
            let Some(batches) = &mut partition.batches else { continue };
            match batches.poll_next_unpin(cx) {
                Poll::Ready(given) => found.push((at, given)),
                Poll::Pending if partition.state == State::Reading => {
                    partition.state = State::Quiet(Instant::now());
                }
                Poll::Pending => {}
            }
        }
        found
    }

    fn take(&mut self, at: usize, batch: &Batch) -> Result<(), Stop> {
        self.pause = RECONNECT_PAUSE;
        self.partitions[at].patience = self.options.discovery.unwrap_or_default();
        let options = Arc::clone(&self.options);
        for record in records(&options.topic, self.partitions[at].span.partition, batch) {
            let partition = &mut self.partitions[at];
            if partition.span.end.is_some_and(|end| record.offset >= end) {
                break;
            }
            // Reading goes on in the middle of a batch.
            if record.offset < partition.next {
                continue;
            }
            partition.next = record.offset + 1;
            partition.rows.push(&record);
            partition.pending = true;
            partition.state = State::Reading;
            let rows = &partition.rows;
            if rows.len() >= self.limits.rows_max || rows.bytes >= BATCH_BYTES_MAX {
                self.hand_over(at)?;
            }
        }
        let partition = &mut self.partitions[at];
        // The last records of a batch may be gone.
        let behind = batch.computed_last_offset();
        if behind > partition.next {
            partition.next = behind.min(partition.span.end.unwrap_or(behind));
            partition.pending = true;
        }
        match partition.span.end.is_some_and(|end| partition.next >= end) {
            true => self.finish(at),
            false => Ok(()),
        }
    }

    /// A partition's stream has ended: its records are asked for anew, behind those that came.
    fn broken(&mut self, at: usize, error: Option<ErrorCode>) {
        let partition = &mut self.partitions[at];
        partition.batches = None;
        let split = &partition.split;
        match error {
            Some(ErrorCode::OffsetEvicted { offset, next_available }) => {
                tracing::warn!(
                    "fluvio partition \"{split}\": offset {offset} is gone; going on from \
                     {next_available}"
                );
                partition.next = next_available;
            }
            Some(error) => tracing::warn!("fluvio partition \"{split}\": {error}"),
            None => tracing::warn!("fluvio partition \"{split}\": the stream has ended"),
        }
    }

    /// What was collected of quiet partitions leaves; those that have been quiet for long are idle.
    fn settle(&mut self) -> Result<(), Stop> {
        if self.hands.is_gone() {
            return Err(Stop::Gone);
        }
        for at in 0..self.partitions.len() {
            let State::Quiet(since) = self.partitions[at].state else { continue };
            self.hand_over(at)?;
            let idle = |timeout: Duration| since.elapsed() >= timeout;
            if self.options.bounded.is_none() && self.limits.idle_timeout.is_some_and(idle) {
                let partition = &mut self.partitions[at];
                partition.state = State::Idle;
                let split = Arc::clone(&partition.split);
                self.hands.give(SourceEvent::Idle { split }, None)?;
            }
        }
        Ok(())
    }

    /// Now and then, asks what there is: partitions that were not there before are read from their
    /// beginning, and streams that have died without a word are asked for anew.
    async fn look(&mut self) -> Result<(), Stop> {
        if self.options.discovery.is_none_or(|interval| self.looked.elapsed() < interval) {
            return Ok(());
        }
        self.looked = Instant::now();
        let found = match self.found().await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!("{error}");
                // Streams outlive a controller that was away, its connection does not.
                if let Ok(client) = Client::connect(&self.options).await {
                    self.client = client;
                }
                return Ok(());
            }
        };
        for (number, limits) in found {
            let known = |partition: &Partition| partition.span.partition == number;
            match self.partitions.iter().position(known) {
                Some(at) => self.partitions[at].watch(limits.high),
                None if self.options.bounded.is_some() => {}
                None => {
                    let span = Span { partition: number, start: limits.low, end: None };
                    let split = span.split(&self.options);
                    tracing::info!("{}: reading the new partition {split}", self.options.name());
                    self.hands.add_split(split.into(), span.start)?;
                    self.add(span)?;
                }
            }
        }
        Ok(())
    }

    /// What there is of this worker's partitions.
    async fn found(&self) -> Result<BTreeMap<i32, client::Limits>> {
        let own = own_partitions(&self.client, &self.options, self.limits.share).await?;
        self.client.limits(&self.options, &own).await
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
        partition.batches = None;
        let split = Arc::clone(&partition.split);
        Ok(self.hands.give(SourceEvent::Finished { split }, None)?)
    }
}

impl Partition {
    /// A stream may die without a word: the client stops asking when an answer takes too long. Its
    /// records are asked for anew when one that is there does not come, each time more patiently.
    fn watch(&mut self, high: i64) {
        let now = Instant::now();
        match self.overdue {
            _ if self.next >= high || self.batches.is_none() => self.overdue = None,
            Some((offset, since)) if offset == self.next => {
                if now - since >= self.patience {
                    let split = &self.split;
                    tracing::warn!("fluvio partition \"{split}\": offset {offset} does not come");
                    self.batches = None;
                    self.overdue = None;
                    self.patience = self.patience.saturating_mul(2);
                }
            }
            _ => self.overdue = Some((self.next, now)),
        }
    }
}
