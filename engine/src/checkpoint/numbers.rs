//! The numbers of manifests: a log that one run alone can go on with.
//!
//! A start takes the next number too, with a word on the checkpoint that it goes on from. A run that
//! was paused, or cut off, finds its next number taken, and has been taken over: it publishes nothing
//! more.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::PoisonError;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use super::manifest::{FORMAT, FORMAT_OF_CHANGES, Manifest};
use super::{Checkpoints, failed, is_broken};
use crate::error::{Error, ErrorKind, Result};
use crate::operator::Epoch;

/// How often the number of a start is asked for while the store gives no answer.
const TRIES: usize = 4;

/// A run that writes checkpoints.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    /// Names the run among all.
    pub by: String,
    /// The number of its start.
    pub generation: Epoch,
}

/// The start of a run. It takes a number, so that no earlier run goes on with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Start {
    format: u32,
    job: String,
    epoch: Epoch,
    by: String,
    /// The checkpoint that the run goes on from, 0 for none: what lies between is void.
    starts_from: Epoch,
}

/// What a number of the log stands for.
enum Entry {
    Checkpoint(Box<Manifest>),
    Start(Start),
}

impl Entry {
    fn by(&self) -> &str {
        match self {
            Entry::Checkpoint(manifest) => &manifest.by,
            Entry::Start(start) => &start.by,
        }
    }
}

impl Checkpoints {
    /// Writes a manifest, unless its number is taken: from then on the checkpoint exists.
    pub(super) async fn publish(&self, manifest: &Manifest) -> Result<usize> {
        let text = serde_json::to_vec_pretty(manifest).map_err(Error::bug)?;
        let bytes = text.len();
        match self.claim(manifest.epoch, &manifest.by, text).await? {
            true => Ok(bytes),
            false => Err(taken_over()),
        }
    }

    /// Takes a number of the log; whether nobody else has it.
    async fn claim(&self, epoch: Epoch, by: &str, text: Vec<u8>) -> Result<bool> {
        let path = self.folder(epoch).join("manifest.json");
        let create = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&path, PutPayload::from(text), create).await {
            Ok(_) => {}
            // The answer to a first try may have been lost.
            Err(object_store::Error::AlreadyExists { .. }) => {
                return Ok(self.entry(epoch).await.is_ok_and(|entry| entry.by() == by));
            }
            Err(error) => return Err(failed("cannot write", &path, error)),
        }
        // A number that was taken and is gone again is behind those that came after it.
        Ok(self.numbers().await?.last().is_none_or(|last| *last <= epoch))
    }

    /// Takes the next number for a run that goes on from a checkpoint; false if another run was
    /// faster.
    pub(crate) async fn start(&self, writer: &Writer, starts_from: Epoch) -> Result<bool> {
        let start = self.start_of(writer, writer.generation, starts_from)?;
        let mut tries = 1;
        // A number that was taken by a try whose answer was lost is its own; the store's client does not
        // repeat a write on a condition by itself.
        let claimed = loop {
            match self.claim(writer.generation, &writer.by, start.clone()).await {
                Err(error) if error.kind() == ErrorKind::Outside && tries < TRIES => tries += 1,
                claimed => break claimed?,
            }
        };
        if !claimed {
            return Ok(false);
        }
        self.retire(starts_from).await?;
        Ok(true)
    }

    /// The text that takes a number without a checkpoint.
    fn start_of(&self, writer: &Writer, epoch: Epoch, starts_from: Epoch) -> Result<Vec<u8>> {
        let (job, by) = (self.job.clone(), writer.by.clone());
        let start = Start { format: FORMAT, job, epoch, by, starts_from };
        serde_json::to_vec_pretty(&start).map_err(Error::bug)
    }

    /// Takes the numbers of checkpoints that were given up, so that no other run goes on with them.
    pub(crate) async fn take(
        &self,
        writer: &Writer,
        given_up: Range<Epoch>,
        starts_from: Epoch,
    ) -> Result<()> {
        for epoch in given_up {
            let start = self.start_of(writer, epoch, starts_from)?;
            // A torn one is of a try that has failed.
            if !self.claim(epoch, &writer.by, start).await? && self.entry(epoch).await.is_ok() {
                return Err(taken_over());
            }
        }
        Ok(())
    }

    /// The numbers that are taken, ascending.
    pub(crate) async fn numbers(&self) -> Result<Vec<Epoch>> {
        let begun = self.begun().await?;
        Ok(begun.into_iter().filter_map(|(epoch, taken)| taken.then_some(epoch)).collect())
    }

    /// Numbers of which there is a file, and whether it is a manifest.
    pub(super) async fn begun(&self) -> Result<BTreeMap<Epoch, bool>> {
        let root = Path::from(self.job.as_str());
        let files = self.store.list(Some(&root)).try_collect::<Vec<_>>().await;
        let files = files.map_err(|error| failed("cannot list", &root, error))?;
        let mut begun = BTreeMap::new();
        for file in &files {
            let folder = file.location.as_ref().rsplit('/').nth(1);
            let number = folder.and_then(|folder| folder.strip_prefix("epoch-"));
            let Some(Ok(epoch)) = number.map(str::parse) else { continue };
            *begun.entry(epoch).or_default() |= file.location.filename() == Some("manifest.json");
        }
        Ok(begun)
    }

    /// Checkpoints that were published and are not void, ascending. Whether they are whole is not
    /// known yet.
    pub async fn epochs(&self) -> Result<Vec<Epoch>> {
        let mut epochs = vec![];
        let mut below = Epoch::MAX;
        for epoch in self.numbers().await?.into_iter().rev() {
            match self.starts_from(epoch).await? {
                Some(starts_from) => below = below.min(starts_from),
                None if epoch <= below => epochs.push(epoch),
                None => {}
            }
        }
        epochs.reverse();
        Ok(epochs)
    }

    /// Where the run goes on from whose start has this number; `None` for a checkpoint, also one that
    /// is torn.
    pub(super) async fn starts_from(&self, epoch: Epoch) -> Result<Option<Epoch>> {
        let known = self.starts.lock().unwrap_or_else(PoisonError::into_inner).get(&epoch).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let read = match self.entry(epoch).await {
            Ok(Entry::Start(start)) => Some(start.starts_from),
            Ok(Entry::Checkpoint(_)) => None,
            Err(error) if is_broken(&error) => None,
            Err(error) => return Err(error),
        };
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).insert(epoch, read);
        Ok(read)
    }

    /// Reads what a checkpoint holds, without its states.
    pub async fn manifest(&self, epoch: Epoch) -> Result<Manifest> {
        match self.entry(epoch).await? {
            Entry::Checkpoint(manifest) => Ok(*manifest),
            Entry::Start(_) => Err(Error::user(format!(
                "checkpoint {}: number {epoch} is that of a start, not of a checkpoint",
                self.folder(epoch)
            ))),
        }
    }

    async fn entry(&self, epoch: Epoch) -> Result<Entry> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            starts_from: Option<Epoch>,
        }
        let folder = self.folder(epoch);
        let text = self.get(&folder.clone().join("manifest.json")).await?;
        let broken = |error| {
            Error::data(format!("checkpoint {folder}/manifest.json: not readable: {error}"))
        };
        let head: Head = serde_json::from_slice(&text).map_err(broken)?;
        if !(FORMAT..=FORMAT_OF_CHANGES).contains(&head.format) {
            return Err(Error::user(format!(
                "checkpoint {folder}: format {} is none that this version reads, which are {FORMAT} \
                 and {FORMAT_OF_CHANGES}",
                head.format
            )));
        }
        Ok(match head.starts_from {
            Some(_) => Entry::Start(serde_json::from_slice(&text).map_err(broken)?),
            None => {
                let manifest: Box<Manifest> = serde_json::from_slice(&text).map_err(broken)?;
                Entry::Checkpoint(Box::new(manifest.placed()))
            }
        })
    }

    /// A small file, whole.
    async fn get(&self, path: &Path) -> Result<Vec<u8>> {
        let got = match self.store.get(path).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        got.map(Vec::from).map_err(|error| match error {
            object_store::Error::NotFound { .. } => {
                Error::data(format!("checkpoint {path}: not there"))
            }
            error => failed("cannot read", path, error),
        })
    }
}

fn taken_over() -> Error {
    Error::user("another run of this job has taken over")
}
