//! The coordinator of transactions: who may write under a transactional id, and how each one ends.
//!
//! Each transactional id has a small file. What a request changes is in the file before it is
//! answered. An end is decided by the file (`Prepare`), then every partition gets its marker, then
//! groups get the offsets, then the file says `Complete`; a start finishes what it finds between.
//! One lock is held over each of these, and over each transactional append: a batch is in the log
//! before its transaction ends, or refused.

mod transaction;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use kafka_protocol::ResponseError;

pub(crate) use transaction::{Producer, State, Transaction};

use crate::batch::Marker;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::{Durability, named, read_json, write_json};
use crate::groups::{Commit, Groups, Offsets};
use crate::log::Markers;
use crate::producer_ids::ProducerIds;
use crate::topics::Topics;

#[derive(Debug)]
pub(crate) struct Transactions {
    dir: PathBuf,
    durability: Durability,
    ids_max: usize,
    groups_max: usize,
    by_id: Mutex<ById>,
}

type ById = BTreeMap<String, Transaction>;

/// Where a transaction's end is written to.
#[derive(Clone, Copy)]
pub(crate) struct Ends<'a> {
    pub topics: &'a Topics,
    pub groups: &'a Groups,
}

impl Transactions {
    /// Opens the coordinator and ends what was decided before the last stop, and what is open in a
    /// log and nobody's.
    pub fn open(config: &Config, ends: Ends<'_>) -> Result<Transactions> {
        let dir = config.dir.join("transactions");
        fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
        let mut by_id = ById::new();
        for entry in fs::read_dir(&dir).map_err(Error::io(&dir))? {
            let path = entry.map_err(Error::io(&dir))?.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(transaction) = read_json::<Transaction>(&path)?
            {
                by_id.insert(transaction.id.clone(), transaction);
            }
        }
        let transactions = Transactions {
            dir,
            durability: config.fsync.durability(),
            ids_max: config.limits.transactional_ids_max,
            groups_max: config.limits.groups_max,
            by_id: Mutex::new(by_id),
        };
        transactions.tick(ends);
        transactions.abort_orphans(ends);
        Ok(transactions)
    }

    fn lock(&self) -> MutexGuard<'_, ById> {
        self.by_id.lock().expect("no holder panics")
    }

    /// Gives the transactional id a producer, and ends what an earlier one left open. `claimed` is
    /// what a producer that had one already says.
    pub fn init(
        &self,
        ends: Ends<'_>,
        producer_ids: &ProducerIds,
        id: &str,
        timeout_ms: i64,
        claimed: Option<Producer>,
        fenced: ResponseError,
    ) -> Result<Producer, ResponseError> {
        let mut by_id = self.lock();
        let fresh = || producer_ids.allocate().map_err(unavailable);
        let Some(present) = by_id.get(id) else {
            self.make_room(&mut by_id)?;
            let mut transaction = Transaction::new(id, fresh()?, timeout_ms);
            self.write(&mut transaction)?;
            let producer = Producer { id: transaction.producer_id, epoch: transaction.epoch };
            by_id.insert(id.to_owned(), transaction);
            return Ok(producer);
        };
        let bumps = claimed.map_or(Ok(true), |claimed| present.may_bump(claimed, fenced))?;
        let left_open = present.state == State::Ongoing;
        match present.state {
            State::Prepare(_) => return Err(ResponseError::ConcurrentTransactions),
            State::Ongoing => self.fence(&mut by_id, id, ends)?,
            State::Empty | State::Complete(_) => {}
        }
        self.edit(&mut by_id, id, |transaction| {
            transaction.timeout_ms = timeout_ms;
            if transaction.is_exhausted() {
                transaction.renew(fresh()?);
            } else if bumps && !left_open {
                transaction.bump();
            }
            if bumps {
                transaction.state = State::Empty;
            }
            Ok(Producer { id: transaction.producer_id, epoch: transaction.epoch })
        })
    }

    /// Forgets the longest untouched id whose transaction is over, where there are too many.
    fn make_room(&self, by_id: &mut ById) -> Result<(), ResponseError> {
        if by_id.len() < self.ids_max {
            return Ok(());
        }
        let over = by_id.values().filter(|transaction| transaction.is_over());
        let oldest = over.min_by_key(|transaction| transaction.touched_ms).map(|t| t.id.clone());
        let Some(oldest) = oldest else {
            tracing::warn!("no room: transactional_ids_max is reached");
            return Err(ResponseError::CoordinatorNotAvailable);
        };
        if let Some(path) = named(&self.dir, &oldest) {
            fs::remove_file(&path).map_err(|e| unavailable(Error::io(&path)(e)))?;
        }
        by_id.remove(&oldest);
        Ok(())
    }

    /// Makes partitions part of the transaction, which this opens.
    pub fn add_partitions(
        &self,
        id: &str,
        producer: Producer,
        fenced: ResponseError,
        partitions: Vec<(String, Vec<i32>)>,
    ) -> Result<(), ResponseError> {
        self.edit(&mut self.lock(), id, |transaction| {
            transaction.check(producer, fenced)?;
            transaction.begin(now_ms())?;
            for (topic, partitions) in partitions {
                transaction.partitions.entry(topic).or_default().extend(partitions);
            }
            Ok(())
        })
    }

    /// Makes a group's offsets part of the transaction, which this opens.
    pub fn add_group(
        &self,
        id: &str,
        producer: Producer,
        fenced: ResponseError,
        group: &str,
    ) -> Result<(), ResponseError> {
        self.edit(&mut self.lock(), id, |transaction| {
            transaction.check(producer, fenced)?;
            transaction.begin(now_ms())?;
            if transaction.groups.len() >= self.groups_max {
                return Err(ResponseError::CoordinatorNotAvailable);
            }
            transaction.groups.entry(group.to_owned()).or_default();
            Ok(())
        })
    }

    /// Keeps offsets until the transaction commits.
    pub fn add_offsets(
        &self,
        id: &str,
        producer: Producer,
        group: &str,
        commits: Vec<Commit>,
    ) -> Result<(), ResponseError> {
        self.edit(&mut self.lock(), id, |transaction| {
            transaction.check(producer, ResponseError::InvalidProducerEpoch)?;
            let is_open = transaction.state == State::Ongoing;
            let offsets = transaction.groups.get_mut(group).filter(|_| is_open);
            let offsets = offsets.ok_or(ResponseError::InvalidTxnState)?;
            for commit in commits {
                let of_topic = offsets.entry(commit.topic).or_default();
                of_topic.insert(commit.partition, commit.committed);
            }
            Ok(())
        })
    }

    /// What `look` finds in the transactional ids, in their order.
    pub fn look<T>(&self, look: impl FnMut(&Transaction) -> Option<T>) -> Vec<T> {
        self.lock().values().filter_map(look).collect()
    }

    /// Topics and partitions for which a transaction is about to commit offsets in this group.
    pub fn pending(&self, group: &str) -> BTreeSet<(String, i32)> {
        let by_id = self.lock();
        let offsets = by_id.values().filter_map(|transaction| transaction.groups.get(group));
        let topics = offsets.flat_map(Offsets::iter);
        topics.flat_map(|(topic, of)| of.keys().map(|&i| (topic.clone(), i))).collect()
    }

    /// Appends a transactional batch by `append`, if it belongs to an open transaction.
    pub fn append<T>(
        &self,
        id: &str,
        producer: Producer,
        (topic, partition): (&str, i32),
        append: impl FnOnce() -> Result<T, ResponseError>,
    ) -> Result<T, ResponseError> {
        let by_id = self.lock();
        let transaction = by_id.get(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        transaction.check(producer, ResponseError::InvalidProducerEpoch)?;
        if !transaction.has(topic, partition) {
            return Err(ResponseError::InvalidTxnState);
        }
        append()
    }

    /// Commits or aborts; when this returns, readers see it.
    pub fn end(
        &self,
        ends: Ends<'_>,
        id: &str,
        producer: Producer,
        fenced: ResponseError,
        marker: Marker,
    ) -> Result<(), ResponseError> {
        let mut by_id = self.lock();
        let present = by_id.get(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        present.check(producer, fenced)?;
        if !present.may_end(marker)? {
            return Ok(());
        }
        self.edit(&mut by_id, id, |transaction| {
            transaction.state = State::Prepare(marker);
            Ok(())
        })?;
        self.complete(&mut by_id, id, Markers::All, ends)
    }

    /// Aborts an open transaction and refuses its producer from now on.
    fn fence(&self, by_id: &mut ById, id: &str, ends: Ends<'_>) -> Result<(), ResponseError> {
        self.edit(by_id, id, |transaction| {
            transaction.fence();
            transaction.state = State::Prepare(Marker::Abort);
            Ok(())
        })?;
        self.complete(by_id, id, Markers::All, ends)
    }

    /// Carries out what was decided.
    fn complete(
        &self,
        by_id: &mut ById,
        id: &str,
        markers: Markers,
        ends: Ends<'_>,
    ) -> Result<(), ResponseError> {
        let Some(transaction) = by_id.get(id) else { return Ok(()) };
        let State::Prepare(marker) = transaction.state else { return Ok(()) };
        let producer = (transaction.producer_id, transaction.epoch);
        for (topic, partitions) in &transaction.partitions {
            for &partition in partitions {
                self.mark(ends, (topic, partition), producer, marker, markers)?;
            }
        }
        if marker == Marker::Commit {
            for (group, offsets) in &transaction.groups {
                ends.groups.put(group, known(offsets, ends.topics))?;
            }
        }
        self.edit(by_id, id, |transaction| {
            transaction.complete(marker);
            Ok(())
        })
    }

    /// A partition that is gone needs no marker.
    fn mark(
        &self,
        ends: Ends<'_>,
        (topic, partition): (&str, i32),
        producer: (i64, i16),
        marker: Marker,
        markers: Markers,
    ) -> Result<(), ResponseError> {
        let Some((topic, log)) = ends.topics.partition(topic, partition) else { return Ok(()) };
        match log.end_transaction(producer, marker, markers, now_ms(), &topic.config) {
            Ok(()) if self.durability == Durability::Disk => log.sync().map_err(unavailable),
            Ok(()) | Err(ResponseError::UnknownTopicOrPartition) => Ok(()),
            Err(code) => Err(code),
        }
    }

    /// Aborts what takes too long, and tries again what could not be carried out. To be called a
    /// few times a second.
    pub fn tick(&self, ends: Ends<'_>) {
        let mut by_id = self.lock();
        let now_ms = now_ms();
        let is_due =
            |t: &&Transaction| matches!(t.state, State::Prepare(_)) || t.is_overdue(now_ms);
        let due: Vec<_> = by_id.values().filter(is_due).map(|t| (t.id.clone(), t.state)).collect();
        for (id, state) in due {
            let ended = if state == State::Ongoing {
                tracing::info!(id, "transaction takes too long, aborted");
                self.fence(&mut by_id, &id, ends)
            } else {
                self.complete(&mut by_id, &id, Markers::WhereOpen, ends)
            };
            if let Err(error) = ended {
                tracing::error!(id, %error, "transaction could not be ended, tried again");
            }
        }
    }

    /// A power cut can take a marker, or the coordinator's file, and spare the records: readers of
    /// committed ones would wait for ever.
    fn abort_orphans(&self, ends: Ends<'_>) {
        let by_id = self.lock();
        let owned = |producer_id: i64, topic: &str, partition: i32| {
            let mut of_producer = by_id.values().filter(|t| t.producer_id == producer_id);
            of_producer.any(|t| {
                !t.is_over() && t.partitions.get(topic).is_some_and(|p| p.contains(&partition))
            })
        };
        for topic in ends.topics.all() {
            for (i, log) in (0i32..).zip(&topic.partitions) {
                for producer in log.open_transactions() {
                    if owned(producer.0, &topic.name, i) {
                        continue;
                    }
                    tracing::warn!(topic = topic.name, partition = i, "orphan transaction aborted");
                    let place = (topic.name.as_str(), i);
                    let markers = Markers::WhereOpen;
                    if let Err(error) = self.mark(ends, place, producer, Marker::Abort, markers) {
                        tracing::error!(topic = topic.name, partition = i, %error, "and stays open");
                    }
                }
            }
        }
    }

    /// Changes a transaction; the change counts once it is in the file.
    fn edit<T>(
        &self,
        by_id: &mut ById,
        id: &str,
        edit: impl FnOnce(&mut Transaction) -> Result<T, ResponseError>,
    ) -> Result<T, ResponseError> {
        let present = by_id.get_mut(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let mut changed = present.clone();
        let made = edit(&mut changed)?;
        self.write(&mut changed)?;
        *present = changed;
        Ok(made)
    }

    fn write(&self, transaction: &mut Transaction) -> Result<(), ResponseError> {
        transaction.touched_ms = now_ms();
        let path = named(&self.dir, &transaction.id).ok_or(ResponseError::InvalidRequest)?;
        write_json(&path, transaction, self.durability).map_err(unavailable)
    }
}

/// Without what was committed for topics that are gone.
fn known(offsets: &Offsets, topics: &Topics) -> Vec<Commit> {
    let mut commits = Vec::new();
    for (topic, of_topic) in offsets {
        for (&partition, committed) in of_topic {
            if topics.partition(topic, partition).is_some() {
                let (topic, committed) = (topic.clone(), committed.clone());
                commits.push(Commit { topic, partition, committed });
            }
        }
    }
    commits
}

fn unavailable(error: Error) -> ResponseError {
    tracing::error!(%error, "transaction not kept");
    ResponseError::CoordinatorNotAvailable
}

pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}
