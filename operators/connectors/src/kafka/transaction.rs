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
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer, PurgeConfig, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::brokers::transaction_timeout;
use super::client::{ASK_TIMEOUT, Watch, config, failed, partitions, refused};
use super::options::KafkaOptions;

pub const TIMEOUT_KEY: &str = "transaction.timeout.ms";

/// How long one request to the transaction's coordinator may take, and how often it is made.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const TRIES: usize = 4;

/// How often a draining queue is looked at. `commit_transaction` would look every 100 ms.
const LOOK: Duration = Duration::from_millis(1);

/// How long aborting may take when a job is dropped; the next start, or the timeout, does the same.
const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

/// What all tables of a job say that are written exactly once.
pub const PREFIX_KEY: &str = "sink.transactional-id-prefix";

/// The transactions of this process, by run.
#[derive(Default)]
pub struct Transactions(Mutex<HashMap<u64, (Identity, Weak<Transaction>)>>);

/// Cluster and transactional id.
type Identity = (String, String);

/// Of one run of a job.
pub struct Transaction {
    producer: Arc<ThreadedProducer<Watch>>,
    /// Belongs to the group of the marks.
    marker: BaseConsumer<Watch>,
    /// The topics whose first partition carries the mark: those of the job's tables.
    topics: Mutex<BTreeSet<String>>,
    options: Arc<KafkaOptions>,
    /// How long it may be open.
    timeout: Duration,
    /// Whether a transaction is open.
    open: AtomicBool,
    /// The last epoch that is committed. Held while a transaction begins or ends.
    committed: tokio::sync::Mutex<Epoch>,
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
    ) -> Result<(Arc<Transaction>, Epoch)> {
        let id = format!("{prefix}-{}", run.job);
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = runs.get(&run.number).and_then(|(of, known)| Some((of, known.upgrade()?)));
        let transaction = match known {
            Some((of, known)) if *of == (options.bootstrap.clone(), id.clone()) => known,
            Some(((bootstrap, other), _)) => {
                return Err(Error::user(format!(
                    "table \"{}\": exactly-once needs one transaction for all tables of a job, but \
                     another one has \"{PREFIX_KEY}\" or \"properties.bootstrap.servers\" for \
                     transactional id {other} on {bootstrap}, not {id} on {}",
                    options.table, options.bootstrap
                )));
            }
            None => {
                let begun = Arc::new(Transaction::begin(&id, options)?);
                runs.retain(|_, (_, transaction)| transaction.strong_count() > 0);
                let of = (options.bootstrap.clone(), id);
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
    fn begin(id: &str, options: &Arc<KafkaOptions>) -> Result<Self> {
        let mut settings = config(options, super::sink::SETTINGS);
        settings.set("transactional.id", id);
        let timeout = transaction_timeout(options)?;
        settings.set(TIMEOUT_KEY, timeout.as_millis().to_string());
        let producer: ThreadedProducer<Watch> = settings
            .create_with_context(Watch::default())
            .map_err(|error| refused(options, error))?;
        partitions(producer.client(), options, &|| {})?;
        producer.init_transactions(ANSWER_TIMEOUT).map_err(|error| {
            failed(options, format!("no transactions with id \"{id}\": {}", reason(&error)))
        })?;
        let mut settings = config(options, &[("enable.auto.commit", "false")]);
        settings.set("group.id", id);
        let marker: BaseConsumer<Watch> = settings
            .create_with_context(Watch::default())
            .map_err(|error| refused(options, error))?;
        Ok(Self {
            producer: Arc::new(producer),
            marker,
            topics: Mutex::default(),
            options: Arc::clone(options),
            timeout,
            open: AtomicBool::new(false),
            committed: tokio::sync::Mutex::new(0),
        })
    }

    /// Has the topic carry the mark too; the mark that it carries.
    fn mark(&self, topic: &str) -> Result<Epoch> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let unknown = |error: &KafkaError| {
            let why = reason(error);
            failed(&self.options, format!("the number of its last commit is not told: {why}"))
        };
        let marks = self.marker.committed_offsets(list, ASK_TIMEOUT);
        let marks = marks.map_err(|error| unknown(&error))?;
        let mark = marks.find_partition(topic, 0);
        if let Some(Err(error)) = mark.as_ref().map(|mark| mark.error()) {
            return Err(unknown(&error));
        }
        let mark = mark.map(|mark| mark.offset());
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned());
        Ok(match mark {
            Some(Offset::Offset(epoch)) => epoch.unsigned_abs(),
            _ => 0,
        })
    }

    pub fn producer(&self) -> Arc<ThreadedProducer<Watch>> {
        Arc::clone(&self.producer)
    }

    /// # Errors
    /// For settings with which a crash would lose rows.
    pub fn check(&self, context: &SinkContext) -> Result<()> {
        let table = &self.options.table;
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
            let begun = self.producer.begin_transaction();
            begun.map_err(|error| failed(&self.options, self.reason(&error)))?;
            self.open.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Commits all that was written, as of `epoch`; the tables of all workers call it, the first call
    /// counts.
    pub async fn commit(self: &Arc<Self>, epoch: Epoch) -> Result<()> {
        let mut committed = self.committed.lock().await;
        if *committed >= epoch {
            return Ok(());
        }
        // Also where there are no rows: a restart asks for the mark of the last checkpoint.
        self.open_alone()?;
        loop {
            let waiting = self.producer.in_flight_count();
            if let Some(error) = self.producer.client().context().delivery_error() {
                return Err(failed(
                    &self.options,
                    format!("not delivered: {}", self.reason(&error)),
                ));
            }
            if waiting == 0 {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let this = Arc::clone(self);
        let ended = tokio::task::spawn_blocking(move || this.end(epoch)).await;
        ended.map_err(|error| Error::bug(format!("a task died: {error}")))??;
        self.open.store(false, Ordering::Release);
        *committed = epoch;
        Ok(())
    }

    /// What went wrong; a producer that can write no more knows it best.
    pub fn reason(&self, error: &KafkaError) -> String {
        match self.producer.client().fatal_error() {
            Some((code, _)) if is_fenced(code) => TAKEN_OVER.to_owned(),
            Some((_, fatal)) => fatal,
            None => reason(error),
        }
    }

    /// Adds the mark to the open transaction and commits it.
    fn end(&self, epoch: Epoch) -> Result<()> {
        let failed = |error: &KafkaError| {
            let reason = self.reason(error);
            failed(&self.options, format!("checkpoint {epoch} not committed: {reason}"))
        };
        let mut marks = TopicPartitionList::new();
        for topic in &*self.topics.lock().unwrap_or_else(PoisonError::into_inner) {
            let added = marks.add_partition_offset(topic, 0, Offset::Offset(epoch as i64));
            added.map_err(|error| failed(&error))?;
        }
        let group = self.marker.group_metadata();
        let group = group.ok_or_else(|| Error::bug("a consumer without a group"))?;
        let send = || self.producer.send_offsets_to_transaction(&marks, &group, ANSWER_TIMEOUT);
        again(send).map_err(|error| failed(&error))?;
        again(|| self.producer.commit_transaction(ANSWER_TIMEOUT)).map_err(|error| failed(&error))
    }
}

/// Readers wait behind an open transaction: what a job leaves open is aborted.
impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open.load(Ordering::Acquire) {
            self.producer.purge(PurgeConfig::default().queue().inflight());
            if let Err(error) = self.producer.abort_transaction(ABORT_TIMEOUT) {
                tracing::debug!("{}: not aborted: {}", self.options.name(), reason(&error));
            }
        }
    }
}

/// Does it again while librdkafka says that it may.
fn again(deed: impl Fn() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let mut tries = 1;
    loop {
        match deed() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && tries < TRIES => {
                tries += 1
            }
            other => return other,
        }
    }
}

const TAKEN_OVER: &str = "another run of this job has taken over";

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | InvalidProducerEpoch | ProducerFenced)
}

/// What went wrong, in librdkafka's words.
fn reason(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) if is_fenced(error.code()) => TAKEN_OVER.to_owned(),
        KafkaError::Transaction(error) => error.string(),
        other => other.to_string(),
    }
}
