//! The contract of operators: rows and time in, rows out.

use arrow::array::RecordBatch;
use futures::future::BoxFuture;

use crate::aside::{DeadLetter, LateRows};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::evaluate::rejected_rows;
use crate::time::{Millis, Time};

/// Number of a checkpoint, counting from 1.
pub type Epoch = u64;

/// A synchronous, deterministic step of the graph.
///
/// An operator never awaits, never reads a clock and never draws a random number: all of that
/// reaches it as input. The same inputs in the same order give the same outputs, whatever the size
/// of the batches they come in.
pub trait Operator: Send {
    /// Takes rows that arrived at `port` (0 for the first input).
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<()>;

    /// Takes the progress of time. Event time never steps back; rows at or before it may still
    /// come, and are then late.
    fn on_time(&mut self, _time: Time, _out: &mut Output) -> Result<()> {
        Ok(())
    }

    /// Takes the answer to a request made through [`Output::request`].
    fn on_reply(&mut self, reply: Reply, _out: &mut Output) -> Result<()> {
        Err(Error::bug(format!("a reply ({}) to an operator that asks nothing", reply.id)))
    }

    /// What the earliest rows held here wait for: the end of a window or the time of a row that the
    /// watermark must pass. Asked a few times a second, for people.
    fn waiting(&self) -> Option<Millis> {
        None
    }

    /// The state as of now; a large table in pieces, one behind the other, which have its name and its columns.
    /// Requests that were not answered yet belong to it: they are made again after a restart.
    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        Ok(vec![])
    }

    /// What has changed of the state since the barrier of checkpoint `since`, or since
    /// [`Operator::load`] where that was the checkpoint; all of its tables, also those without
    /// changes; one that is not named is empty now. `None`, also always where `since` is, asks for [`Operator::save`] instead: an operator
    /// that does not know, or whose state has changed for the most part. Called at the barrier of each
    /// checkpoint `epoch`, which may come to nothing: `since` is one that is safe outside, perhaps not
    /// the last.
    fn changes(
        &mut self,
        _epoch: Epoch,
        _since: Option<Epoch>,
    ) -> Result<Option<Vec<TableChanges>>> {
        Ok(None)
    }

    /// The tables of [`Operator::save`] as of one key that has seen no rows, or without rows where
    /// there is no such thing: what the state of an earlier version of the query is converted to. None
    /// where only [`Operator::load`] knows what it takes.
    fn blank(&self) -> Result<Vec<StateTable>> {
        Ok(vec![])
    }

    /// Whether [`Operator::load`] may be called for each piece of a table, in any order of tables: else
    /// it is called once with all of them, which are then in memory beside what it makes of them.
    fn loads_pieces(&self) -> bool {
        false
    }

    /// Bytes of memory that the state takes, about: what grows with its keys and rows. Asked a few
    /// times a second, so it counts as it goes. `None`: as many as it had when it was last saved.
    fn state_bytes(&self) -> Option<usize> {
        None
    }

    /// Takes back what [`Operator::save`] returned, perhaps on another number of workers: of keyed
    /// tables only the key groups of this worker. Called before any input.
    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        match tables.is_empty() {
            true => Ok(()),
            false => Err(Error::user("the checkpoint holds state for an operator without state")),
        }
    }
}

/// A part of an operator's state. Where the first column is named [`KEY_GROUP`] (`UInt16`), rows
/// follow their key group when the number of workers changes; other tables follow the worker. Tables
/// that have their columns in common and come and go, such as those of windows, are named `table@part`,
/// and [`Operator::blank`] has one `table` for all of them.
#[derive(Debug, Clone)]
pub struct StateTable {
    pub name: String,
    pub rows: RecordBatch,
}

/// What an operator says of one of its tables where it knows what has changed.
#[derive(Debug, Clone)]
pub enum TableChanges {
    /// All of it as it is now, or a piece of that as in [`Operator::save`]: most has changed, or what has
    /// is not known.
    All(StateTable),
    Since(StateChanges),
}

impl TableChanges {
    /// Whether it is all of this table, or a piece of that.
    pub(crate) fn is_all_of(&self, name: &str) -> bool {
        matches!(self, Self::All(table) if table.name == name)
    }
}

/// What has changed of a part of an operator's state whose rows follow their key group.
#[derive(Debug, Clone)]
pub struct StateChanges {
    /// That of the [`StateTable`].
    pub name: String,
    /// The columns whose values make the key of a row. Several rows may have one key.
    pub key: Vec<String>,
    /// All rows of the keys that have changed and have rows still, as the [`StateTable`] has them.
    pub rows: RecordBatch,
    /// The key columns of those that may have none any more.
    pub gone: RecordBatch,
}

pub const KEY_GROUP: &str = "key_group";

/// A question to the outside: the worker awaits it and hands the answer to the operator.
pub struct Request {
    /// The operator's own number for it.
    pub id: u64,
    pub answer: BoxFuture<'static, Result<RecordBatch>>,
}

pub struct Reply {
    pub id: u64,
    pub answer: Result<RecordBatch>,
}

/// Collects what an operator emits during one call.
#[derive(Default)]
pub struct Output {
    pub(crate) batches: Vec<Batch>,
    pub(crate) late: Vec<LateRows>,
    pub(crate) rejected: Vec<DeadLetter>,
    pub(crate) requests: Vec<Request>,
    pub(crate) watermark: Option<Millis>,
    pub(crate) now: Millis,
}

impl Output {
    /// Of a call that the worker makes at `now`.
    pub fn at(now: Millis) -> Self {
        Self { now, ..Self::default() }
    }

    /// The wall clock as the worker that makes the call saw it.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Sends rows on; empty batches are dropped.
    pub fn emit(&mut self, batch: Batch) {
        if batch.num_rows() > 0 {
            self.batches.push(batch);
        }
    }

    /// Sets rows aside as late.
    pub fn late(&mut self, rows: LateRows) {
        if rows.rows.num_rows() > 0 {
            self.late.push(rows);
        }
    }

    /// Sets rows of `from` aside as dead letters: `(position, reason)` each.
    pub fn reject(&mut self, from: &RecordBatch, rejected: Vec<(usize, String)>) -> Result<()> {
        if rejected.is_empty() {
            return Ok(());
        }
        let raw = crate::aside::rows_as_json(&rejected_rows(from, &rejected)?);
        self.rejected.extend(rejected.into_iter().zip(raw).map(|((_, error), raw)| DeadLetter {
            error,
            raw,
            ..DeadLetter::default()
        }));
        Ok(())
    }

    /// Asks the outside; the answer comes as [`Operator::on_reply`].
    pub fn request(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// What follows sees event time come to `watermark`: in [`Operator::on_time`] in place of the
    /// time at hand, for an operator that holds rows back which must not be late then.
    pub fn advance_to(&mut self, watermark: Millis) {
        self.watermark = Some(watermark);
    }

    /// What was emitted so far, taken out: for tests and for operators inside operators.
    pub fn take_batches(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.batches)
    }

    /// The requests so far, taken out.
    pub fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    /// The late rows so far, taken out.
    pub fn take_late(&mut self) -> Vec<LateRows> {
        std::mem::take(&mut self.late)
    }

    /// The dead letters so far, taken out.
    pub fn take_rejected(&mut self) -> Vec<DeadLetter> {
        std::mem::take(&mut self.rejected)
    }
}
