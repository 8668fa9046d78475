//! Which slots of a keyed state have changed since a checkpoint, and which keys have gone: what the
//! next checkpoint writes.
//!
//! A slot remembers how many barriers there had been at its last change, which costs four bytes a slot
//! and one store a change, whatever becomes of the checkpoints.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use nowcast_engine::keys::Keys;
use nowcast_engine::{Epoch, Result};

use crate::saved::{self, Columns};

/// The epoch of the mark that stands for the checkpoint which was loaded, whichever that was.
const LOADED: Epoch = 0;

/// Keys that have gone which are remembered in any case; beyond, no more than there are slots.
const GONE_MAX: usize = 1 << 16;

/// What changed slots may take in memory for a table of changes, which is not in pieces: a column of
/// texts or lists has room for twice as much.
const CHANGES_BYTES: usize = 1 << 30;

#[derive(Default)]
pub(crate) struct Changed {
    /// By slot, the barriers there had been when it last changed; slots past the end have not changed.
    changed: Vec<u32>,
    /// Barriers so far.
    barriers: u32,
    /// Of checkpoints that the next one may build on, the barriers there had been with theirs. What
    /// has changed is not remembered before there is one.
    marks: VecDeque<(Epoch, u32)>,
    /// Keys that have gone since the first mark, by barriers.
    gone: Vec<Gone>,
    gone_bytes: usize,
}

struct Gone {
    barriers: u32,
    key: Box<[u8]>,
}

/// All columns of a key.
pub(crate) fn every(key: &[String]) -> Vec<usize> {
    (0..key.len()).collect()
}

/// What has changed since a checkpoint.
pub(crate) struct Since {
    /// Slots in use, ascending.
    pub slots: Vec<u32>,
    from: u32,
}

impl Changed {
    /// The slot is another one than at the last barrier.
    pub fn touch(&mut self, slot: u32) {
        if self.marks.is_empty() {
            return;
        }
        let slot = slot as usize;
        if self.changed.len() <= slot {
            self.changed.resize(slot + 1, 0);
        }
        self.changed[slot] = self.barriers;
    }

    /// As [`Changed::touch`], of all of them.
    pub fn touch_all(&mut self, slots: &[u32], slots_len: usize) {
        if self.marks.is_empty() {
            return;
        }
        if self.changed.len() < slots_len {
            self.changed.resize(slots_len, 0);
        }
        for slot in slots {
            self.changed[*slot as usize] = self.barriers;
        }
    }

    /// The key of a slot leaves it.
    pub fn remove(&mut self, slot: u32, key: &[u8]) {
        if !self.marks.is_empty() {
            if let Some(changed) = self.changed.get_mut(slot as usize) {
                *changed = 0;
            }
            self.gone_bytes += key.len();
            self.gone.push(Gone { barriers: self.barriers, key: key.into() });
        }
        if self.gone.len() > self.changed.len().max(GONE_MAX) {
            // Checkpoints do not come, or come to nothing: the next one that does has all state.
            self.marks.clear();
            self.gone = vec![];
            self.gone_bytes = 0;
        }
    }

    /// What is there was loaded from a checkpoint; called before any change.
    pub fn loaded(&mut self) {
        if self.marks.is_empty() {
            self.barriers = 1;
            self.marks.push_back((LOADED, self.barriers));
        }
    }

    /// The barrier of checkpoint `epoch`: what has changed since checkpoint `since`. `None` where that
    /// is not known, most of `keys` has changed, so that all of it is as good, or too much of what takes `bytes`
    /// for one table of changes.
    pub fn barrier(
        &mut self,
        epoch: Epoch,
        since: Option<Epoch>,
        keys: &Keys,
        bytes: usize,
    ) -> Option<Since> {
        self.barriers += 1;
        let mark = since.and_then(|since| {
            let before = self.marks.iter().rposition(|(epoch, _)| *epoch <= since)?;
            let (epoch, from) = self.marks[before];
            (epoch == since || epoch == LOADED).then_some((before, from))
        });
        let kept = mark.map_or(self.marks.len(), |(before, _)| before);
        self.marks.drain(..kept);
        self.marks.push_back((epoch, self.barriers));
        let from = mark.map_or(self.barriers, |(_, from)| from);
        let left = self.gone.partition_point(|gone| gone.barriers < from);
        self.gone_bytes -= self.gone.drain(..left).map(|gone| gone.key.len()).sum::<usize>();
        mark?;
        let changed = (0u32..).zip(&self.changed).filter(|(_, changed)| **changed >= from);
        let slots: Vec<u32> = changed.map(|(slot, _)| slot).collect();
        let changed = slots.len() + self.gone.len();
        let told =
            changed <= keys.len() / 2 && bytes / keys.len().max(1) * changed <= CHANGES_BYTES;
        told.then_some(Since { slots, from })
    }

    /// The keys that have gone: key group, and their columns under these names. `grouped` are those
    /// among them that rows are exchanged by.
    pub fn gone(
        &self,
        since: &Since,
        names: &[String],
        grouped: &[usize],
        keys: &Keys,
    ) -> Result<RecordBatch> {
        let first = self.gone.partition_point(|gone| gone.barriers < since.from);
        let gone = &self.gone[first..];
        let keys = keys.decode(gone.iter().map(|gone| &*gone.key))?;
        let by: Vec<ArrayRef> = grouped.iter().map(|column| Arc::clone(&keys[*column])).collect();
        let mut columns: Columns = vec![saved::key_groups_of(&by, gone.len())?];
        columns.extend(names.iter().cloned().zip(keys));
        saved::rows(columns)
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.gone_bytes + size_of_val(self.changed.as_slice()) + size_of_val(self.gone.as_slice())
    }
}
