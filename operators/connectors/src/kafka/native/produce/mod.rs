//! Writing by our own client: an idempotent producer, or one with transactions.
//!
//! Rows are laid into the batches of their partitions where they are encoded (`batch`), by the sink's
//! own task; whole batches wait in a queue (`queue`) for a thread that has the connections (`sender`).
//! What may never be lost or doubled is kept by few rules: a batch gets its numbers once, one batch a
//! partition is under way at a time, and it is sent again as it is until the leader has it. An error that
//! is not known to pass ends the producer, and the job goes on from its last checkpoint.

pub(super) mod batch;
pub(super) mod compress;
pub mod murmur;
mod queue;
mod sender;
mod settings;
mod transaction;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::stream::FuturesUnordered;
use nowcast_engine::{Epoch, Error, Result};
use tokio::sync::{mpsc, oneshot};

use self::batch::{Building, Identity};
use self::compress::Compressor;
use self::queue::{Failed, Queue};
use self::sender::{Command, Sender};
pub use self::settings::WriteSettings;
use self::transaction::Transactions;
use super::super::contact::failed;
use super::super::options::KafkaOptions;
use super::super::transaction::TAKEN_OVER;
use super::super::writing::{Outgoing, Put, Transactional, Writer};
use super::backoff::Backoff;
use super::cluster::Cluster;
use super::connection::Door;
use super::topics;
use crate::random::Random;

/// Bytes of a batch that are worth a request of their own while a transaction is open.
const WORTH_BYTES: usize = 64 << 10;
/// How long an end without commit may take when a job is dropped; the next start, or the timeout, does the
/// same.
const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

/// A producer, and the thread that sends for it.
pub struct Producer {
    options: Arc<KafkaOptions>,
    /// Bytes that wait to be sent.
    queue_bytes: usize,
    queue: Arc<Queue>,
    commands: mpsc::UnboundedSender<Command>,
    transactional: bool,
}

/// What waits is not sent any more: another run may have begun.
impl Drop for Producer {
    fn drop(&mut self) {
        self.queue.fail(ended());
    }
}

fn ended() -> Failed {
    Failed { reason: "the producer has ended".into(), fenced: false }
}

/// Whatever becomes of the thread, nobody waits for it.
struct Ends(Arc<Queue>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fail(ended());
    }
}

impl Producer {
    /// With a transactional id and how long its transactions live, or without. It blocks.
    ///
    /// # Errors
    /// Where the brokers cannot be asked, or say no.
    pub fn open(
        options: &Arc<KafkaOptions>,
        mut settings: WriteSettings,
        transactional: Option<(&str, Duration)>,
    ) -> Result<Self> {
        if let Some((id, _)) = transactional {
            settings.reach.group = Some(id.to_owned());
            settings.reach.uncommitted = false;
        }
        let door = Door::new(Arc::new(settings.reach.clone()));
        let door = door.map_err(|why| Error::user(format!("table \"{}\": {why}", options.table)));
        let door = Arc::new(door?);
        let (first, most) = settings.reach.backoff;
        let (commands, received) = mpsc::unbounded_channel();
        let queue = Arc::new(Queue::default());
        let mut sender = Sender {
            options: Arc::clone(options),
            settings: settings.clone(),
            cluster: Cluster::new(Arc::clone(&door)),
            door,
            queue: Arc::clone(&queue),
            commands: received,
            identity: Identity { id: -1, epoch: -1 },
            transactions: transactional
                .map(|(id, timeout)| (id.to_owned(), Transactions::new(id.to_owned(), timeout))),
            idle: HashMap::new(),
            trips: FuturesUnordered::new(),
            busy: vec![],
            asked: None,
            backoff: Backoff::new(first, most),
            held_until: None,
            unknown: HashMap::new(),
            in_trouble: false,
            turn: 0,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(options, error))?;
        let thread = std::thread::Builder::new().name(format!("to kafka {}", options.table));
        let (begun, begins) = oneshot::channel();
        let queue_bytes = settings.queue_bytes;
        let of = Arc::clone(options);
        let ends = Ends(Arc::clone(&queue));
        let spawned = thread.spawn(move || {
            let _ends = ends;
            runtime.block_on(async move {
                let identity = identity(&mut sender, &of).await;
                let goes_on = identity.as_ref().map(|identity| sender.identity = *identity).is_ok();
                if begun.send(identity).is_ok() && goes_on {
                    sender.run().await;
                }
            });
        });
        spawned.map_err(|error| failed(options, error))?;
        let begun = begins.blocking_recv();
        begun.map_err(|_| Error::bug("the thread of a producer died"))??;
        let options = Arc::clone(options);
        let transactional = transactional.is_some();
        Ok(Self { options, queue_bytes, queue, commands, transactional })
    }

    /// The partitions of a topic, ascending. It blocks.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>> {
        self.ask(|answer| Command::Partitions(topic.to_owned(), answer))?
    }

    fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.send(command(answer)).ok();
        let answered = sent.and_then(|()| answered.blocking_recv().ok());
        answered.ok_or_else(|| self.ended())
    }

    /// Why a producer does not answer.
    fn ended(&self) -> Error {
        let failed = self.queue.lock().failure.clone();
        self.error(&failed.unwrap_or_else(ended))
    }

    fn error(&self, failed: &Failed) -> Error {
        self.error_with("not delivered", failed)
    }

    fn error_with(&self, what: &str, why: &Failed) -> Error {
        let reason = if why.fenced { TAKEN_OVER } else { &why.reason };
        failed(&self.options, format!("{what}: {reason}"))
    }
}

/// Who the brokers say that we are.
async fn identity(sender: &mut Sender, options: &KafkaOptions) -> Result<Identity> {
    let deadline = Instant::now() + topics::CONNECT_TIMEOUT;
    topics::metadata(&mut sender.cluster, options, Some(&[]), deadline).await?;
    let Some((id, transactions)) = &mut sender.transactions else {
        let identity = transaction::identity(&mut sender.cluster).await;
        return identity.map_err(|refused| failed(options, refused));
    };
    let identity = transactions.init(&mut sender.cluster).await;
    identity
        .map_err(|refused| failed(options, format!("no transactions with id \"{id}\": {refused}")))
}

#[async_trait]
impl Transactional for Producer {
    fn mark(&self, topic: &str) -> Result<Option<Epoch>> {
        let mark = self.ask(|answer| Command::Mark(topic.to_owned(), answer))?;
        let mark = mark.map_err(|why| {
            failed(&self.options, format!("the number of its last commit is not told: {why}"))
        })?;
        Ok(mark.map(i64::unsigned_abs))
    }

    fn begin(&self) -> Result<()> {
        match &self.queue.lock().failure {
            Some(failed) => Err(self.error(failed)),
            None => Ok(()),
        }
    }

    async fn commit(&self, topics: Vec<String>, epoch: Epoch) -> Result<()> {
        let arrived = self.queue.until(|state| state.batches == 0).await;
        arrived.map_err(|failed| self.error(&failed))?;
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.send(Command::Commit(topics, epoch, answer));
        let committed = match sent {
            Ok(()) => answered.await.map_err(|_| self.ended())?,
            Err(_) => return Err(self.ended()),
        };
        let what = format!("checkpoint {epoch} not committed");
        committed.map_err(|failed| self.error_with(&what, &failed))
    }

    fn abort(&self) {
        let (done, waits) = std::sync::mpsc::channel();
        if self.commands.send(Command::Abort(done)).is_ok() {
            let _ = waits.recv_timeout(ABORT_TIMEOUT);
        }
    }
}

/// Lays rows into batches for one topic.
pub struct NativeWriter {
    producer: Arc<Producer>,
    topic: String,
    settings: WriteSettings,
    /// By partition: where its batches wait, and the one that is being filled.
    places: Vec<usize>,
    building: Vec<Building>,
    compressor: Compressor,
    /// Bytes that are being laid into batches.
    bytes: usize,
    /// Where messages without a key go, until a batch of it is full.
    sticky: usize,
    random: Random,
    now: i64,
}

impl NativeWriter {
    pub fn new(
        producer: Arc<Producer>,
        settings: &WriteSettings,
        topic: &str,
        partitions: &[i32],
        worker: usize,
    ) -> Self {
        let places = partitions.iter().map(|it| producer.queue.place(topic, *it)).collect();
        let mut random = Random::seeded(u64::from(std::process::id()) ^ ((worker as u64) << 32));
        Self {
            places,
            building: partitions.iter().map(|_| Building::default()).collect(),
            compressor: settings.compressor,
            topic: topic.to_owned(),
            settings: settings.clone(),
            bytes: 0,
            sticky: random.below(partitions.len() as u64) as usize,
            random,
            now: 0,
            producer,
        }
    }

    /// The batch that a message goes to.
    fn batch_of(&self, message: &Outgoing<'_>) -> usize {
        match (message.partition, message.key) {
            (Some(partition), _) => partition.unsigned_abs() as usize,
            (None, Some(key)) => murmur::partition(key, self.building.len()),
            (None, None) => self.sticky,
        }
    }

    fn seal(&mut self, at: usize) {
        let building = &mut self.building[at];
        if building.is_empty() {
            return;
        }
        self.bytes -= building.bytes();
        let room_max = self.filling_max() / self.building.len();
        let building = &mut self.building[at];
        let batch = building.seal(&mut self.compressor, self.producer.transactional, room_max);
        self.producer.queue.push(self.places[at], batch);
        if at == self.sticky {
            self.sticky = self.random.below(self.building.len() as u64) as usize;
        }
    }

    fn seal_all(&mut self) {
        (0..self.building.len()).for_each(|at| self.seal(at));
    }

    /// Bytes of all batches that are being filled.
    fn filling_max(&self) -> usize {
        self.producer.queue_bytes / 8
    }

    fn is_full(&self) -> bool {
        self.producer.queue.lock().bytes >= self.producer.queue_bytes
    }
}

#[async_trait]
impl Writer for NativeWriter {
    fn begin(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        // Keys go by the number of partitions, and others who write the topic see new ones too.
        let known = self.producer.queue.lock().partitions.get(&self.topic).copied();
        for partition in self.places.len()..known.unwrap_or(0) {
            self.places.push(self.producer.queue.place(&self.topic, partition as i32));
            self.building.push(Building::default());
        }
    }

    fn put(&mut self, message: Outgoing<'_>) -> Result<Put> {
        let bytes = message.bytes();
        if bytes > self.settings.message_bytes_max {
            return Ok(Put::TooLarge);
        }
        if self.bytes > self.filling_max() {
            if self.is_full() {
                return Ok(Put::Full);
            }
            self.seal_all();
        }
        let at = self.batch_of(&message);
        let Some(building) = self.building.get(at) else {
            return Err(Error::bug(format!("there is no partition {at}")));
        };
        if !building.is_empty() && building.bytes() + bytes > self.settings.batch_bytes {
            if self.is_full() {
                return Ok(Put::Full);
            }
            self.seal(at);
        }
        let building = &mut self.building[at];
        let before = building.bytes();
        building.push(&message, message.timestamp.unwrap_or(self.now));
        self.bytes += building.bytes() - before;
        Ok(Put::Taken)
    }

    async fn room(&mut self) -> Result<()> {
        let most = self.producer.queue_bytes;
        let room = self.producer.queue.until(|state| state.bytes < most).await;
        room.map_err(|failed| self.producer.error(&failed))
    }

    fn check(&self) -> Result<()> {
        match &self.producer.queue.lock().failure {
            Some(failed) => Err(self.producer.error(failed)),
            None => Ok(()),
        }
    }

    fn pause(&mut self) -> Result<()> {
        for at in 0..self.building.len() {
            if self.building[at].bytes() > WORTH_BYTES {
                self.seal(at);
            }
        }
        self.check()
    }

    fn send(&mut self) -> Result<()> {
        self.seal_all();
        self.check()
    }

    async fn deliver(&mut self) -> Result<()> {
        self.send()?;
        let arrived = self.producer.queue.until(|state| state.batches == 0).await;
        arrived.map_err(|failed| self.producer.error(&failed))
    }
}
