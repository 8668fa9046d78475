//! Exactly-once writing: one transactional producer for all `kafka` tables of a job.
//!
//! A transaction holds what all workers write between two checkpoints, and the number of the second
//! one: as the committed offset of a group that has the name of the transactional id. It is committed
//! when that checkpoint is complete. A transaction that was open in a crash cannot be taken up again,
//! it is aborted by the next start, which then goes on from the checkpoint whose number was committed.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use nowcast_engine::{Epoch, Error, JobRun, Result, SinkContext};
use rdkafka::producer::ThreadedProducer;

use super::brokers::transaction_timeout;
use super::client::Watch;
use super::librdkafka_writer::{LibrdkafkaTransactions, LibrdkafkaWriter, partitions_of};
use super::native::produce::{NativeWriter, Producer, WriteSettings};
use super::options::{Client, KafkaOptions};
use super::writing::{Transactional, Writer};

pub const TIMEOUT_KEY: &str = "transaction.timeout.ms";

/// What all tables of a job say that are written exactly once.
pub const PREFIX_KEY: &str = "sink.transactional-id-prefix";

pub const TAKEN_OVER: &str = "another run of this job has taken over";

/// The transactions of this process, by run.
#[derive(Default)]
pub struct Transactions(Mutex<HashMap<u64, (Identity, Weak<Transaction>)>>);

/// Cluster, transactional id and client.
type Identity = (String, String, Client);

/// Of one run of a job.
pub struct Transaction {
    producer: TransactionalProducer,
    /// The topics whose first partition carries the mark: those of the job's tables.
    topics: Mutex<BTreeSet<String>>,
    /// How long it may be open.
    timeout: Duration,
    /// Whether a transaction is open.
    open: AtomicBool,
    /// The last epoch that is committed. Held while a transaction begins or ends.
    committed: tokio::sync::Mutex<Epoch>,
}

enum TransactionalProducer {
    Native(Arc<Producer>),
    Librdkafka(LibrdkafkaTransactions),
}

impl Transactions {
    /// The transaction of a run and the last epoch that was committed, as far as the topic of this
    /// table tells; 0 if none. The first table that asks fences earlier runs. It blocks.
    pub fn of(
        &self,
        run: &JobRun,
        prefix: &str,
        topic: &str,
        options: &Arc<KafkaOptions>,
        settings: Option<&WriteSettings>,
    ) -> Result<(Arc<Transaction>, Epoch)> {
        let id = format!("{prefix}-{}", run.job);
        let client = settings.map_or(Client::Librdkafka, |_| Client::Native);
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = runs.get(&run.number).and_then(|(of, known)| Some((of, known.upgrade()?)));
        let transaction = match known {
            Some((of, known)) if *of == (options.bootstrap.clone(), id.clone(), client) => known,
            Some(((bootstrap, other, by), _)) => {
                return Err(Error::user(format!(
                    "table \"{}\": exactly-once needs one transaction for all tables of a job, but \
                     another one has \"{PREFIX_KEY}\", \"properties.bootstrap.servers\" or \"client\" \
                     for transactional id {other} on {bootstrap} by {by}, not {id} on {} by {client}",
                    options.table, options.bootstrap
                )));
            }
            None => {
                let begun = Arc::new(Transaction::begin(&id, options, settings)?);
                runs.retain(|_, (_, transaction)| transaction.strong_count() > 0);
                let of = (options.bootstrap.clone(), id, client);
                runs.insert(run.number, (of, Arc::downgrade(&begun)));
                begun
            }
        };
        drop(runs);
        let mark = transaction.mark(topic)?;
        Ok((transaction, mark))
    }
}

impl Transaction {
    /// Aborts what an earlier run has left open and fences it.
    fn begin(
        id: &str,
        options: &Arc<KafkaOptions>,
        settings: Option<&WriteSettings>,
    ) -> Result<Self> {
        let timeout = transaction_timeout(options)?;
        let producer = match settings {
            Some(settings) => {
                let producer = Producer::open(options, settings.clone(), Some((id, timeout)))?;
                TransactionalProducer::Native(Arc::new(producer))
            }
            None => {
                let producer = LibrdkafkaTransactions::open(id, options, timeout)?;
                TransactionalProducer::Librdkafka(producer)
            }
        };
        Ok(Self {
            producer,
            topics: Mutex::default(),
            timeout,
            open: AtomicBool::new(false),
            committed: tokio::sync::Mutex::new(0),
        })
    }

    fn producer(&self) -> &dyn Transactional {
        match &self.producer {
            TransactionalProducer::Native(producer) => &**producer,
            TransactionalProducer::Librdkafka(producer) => producer,
        }
    }

    /// Has the topic carry the mark too; the mark that it carries.
    fn mark(&self, topic: &str) -> Result<Epoch> {
        let mark = self.producer().mark(topic)?;
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned());
        Ok(mark.unwrap_or(0))
    }

    /// Writes into it, and the topic's partitions. It blocks.
    pub fn writer(
        &self,
        options: &Arc<KafkaOptions>,
        settings: Option<&WriteSettings>,
        topic: &str,
        worker: usize,
    ) -> Result<(Box<dyn Writer>, Vec<i32>)> {
        match (&self.producer, settings) {
            (TransactionalProducer::Native(producer), Some(settings)) => {
                native(producer, settings, topic, worker)
            }
            (TransactionalProducer::Librdkafka(producer), None) => {
                librdkafka(&producer.producer, options, topic)
            }
            _ => Err(Error::bug("a transaction of another client")),
        }
    }

    /// # Errors
    /// For settings with which a crash would lose rows.
    pub fn check(&self, table: &str, context: &SinkContext) -> Result<()> {
        let timeout = self.timeout;
        match context.checkpoint_interval {
            Some(interval) if interval * 2 > timeout => Err(Error::user(format!(
                "table \"{table}\": a transaction lives for {timeout:?} (\"properties.{TIMEOUT_KEY}\") \
                 and checkpoints begin every {interval:?}: it must live for two of them at least"
            ))),
            _ => Ok(()),
        }
    }

    /// A transaction is open afterwards.
    pub async fn open(&self) -> Result<()> {
        if self.open.load(Ordering::Acquire) {
            return Ok(());
        }
        let _ending = self.committed.lock().await;
        self.open_alone()
    }

    fn open_alone(&self) -> Result<()> {
        if !self.open.load(Ordering::Acquire) {
            self.producer().begin()?;
            self.open.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Commits all that was written, as of `epoch`; the tables of all workers call it, the first call
    /// counts.
    pub async fn commit(&self, epoch: Epoch) -> Result<()> {
        let mut committed = self.committed.lock().await;
        if *committed >= epoch {
            return Ok(());
        }
        // Also where there are no rows: a restart asks for the mark of the last checkpoint.
        self.open_alone()?;
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.producer().commit(topics.into_iter().collect(), epoch).await?;
        self.open.store(false, Ordering::Release);
        *committed = epoch;
        Ok(())
    }
}

/// Readers wait behind an open transaction: what a job leaves open is aborted.
impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open.load(Ordering::Acquire) {
            self.producer().abort();
        }
    }
}

/// A table's writer with a producer of our own client, and the topic's partitions. It blocks.
pub fn native(
    producer: &Arc<Producer>,
    settings: &WriteSettings,
    topic: &str,
    worker: usize,
) -> Result<(Box<dyn Writer>, Vec<i32>)> {
    let partitions = producer.partitions(topic)?;
    let writer = NativeWriter::new(Arc::clone(producer), settings, topic, &partitions, worker);
    Ok((Box::new(writer), partitions))
}

/// As [`native`], with a producer of librdkafka.
pub fn librdkafka(
    producer: &Arc<ThreadedProducer<Watch>>,
    options: &Arc<KafkaOptions>,
    topic: &str,
) -> Result<(Box<dyn Writer>, Vec<i32>)> {
    let partitions = partitions_of(producer, options)?;
    let writer = LibrdkafkaWriter {
        producer: Arc::clone(producer),
        options: Arc::clone(options),
        topic: topic.to_owned(),
    };
    Ok((Box::new(writer), partitions))
}
