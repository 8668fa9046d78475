//! One transactional id: its producer, and the transaction that is open or was the last.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};

use crate::batch::Marker;
use crate::groups::Offsets;

/// The epoch of nobody.
const NONE: i16 = -1;

/// As its file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transaction {
    pub id: String,
    pub producer_id: i64,
    pub epoch: i16,
    /// The epoch before this one where the producer itself asked for the next: it may ask again.
    last_epoch: i16,
    pub timeout_ms: i64,
    pub state: State,
    pub started_ms: i64,
    /// Last change: the longest untouched is forgotten first.
    pub touched_ms: i64,
    /// By topic.
    pub partitions: BTreeMap<String, BTreeSet<i32>>,
    /// Offsets to be committed with it, by group.
    pub groups: BTreeMap<String, Offsets>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    Empty,
    Ongoing,
    /// Decided: whatever happens now, it ends so.
    Prepare(Marker),
    Complete(Marker),
}

impl State {
    pub const ALL: [State; 6] = [
        State::Empty,
        State::Ongoing,
        State::Prepare(Marker::Commit),
        State::Prepare(Marker::Abort),
        State::Complete(Marker::Commit),
        State::Complete(Marker::Abort),
    ];

    /// As clients know it.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::Prepare(Marker::Commit) => "PrepareCommit",
            State::Prepare(Marker::Abort) => "PrepareAbort",
            State::Complete(Marker::Commit) => "CompleteCommit",
            State::Complete(Marker::Abort) => "CompleteAbort",
        }
    }
}

/// The producer that a request says it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub id: i64,
    pub epoch: i16,
}

impl Transaction {
    pub fn new(id: &str, producer_id: i64, timeout_ms: i64) -> Transaction {
        Transaction {
            id: id.to_owned(),
            producer_id,
            epoch: 0,
            last_epoch: NONE,
            timeout_ms,
            state: State::Empty,
            started_ms: 0,
            touched_ms: 0,
            partitions: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Whether the producer is the present one; `fenced` is what an older one is told.
    pub fn check(&self, producer: Producer, fenced: ResponseError) -> Result<(), ResponseError> {
        if producer.id != self.producer_id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if producer.epoch == self.epoch { Ok(()) } else { Err(fenced) }
    }

    /// Whether a producer that knows its id and epoch may have the next epoch; `false` if it has it
    /// already, and lost our answer.
    pub fn may_bump(
        &self,
        producer: Producer,
        fenced: ResponseError,
    ) -> Result<bool, ResponseError> {
        if producer.id != self.producer_id {
            return Err(fenced);
        }
        if producer.epoch == self.epoch {
            return Ok(true);
        }
        let again = self.last_epoch != NONE && producer.epoch == self.last_epoch;
        if again { Ok(false) } else { Err(fenced) }
    }

    pub fn is_exhausted(&self) -> bool {
        self.epoch >= i16::MAX - 1
    }

    pub fn bump(&mut self) {
        self.last_epoch = self.epoch;
        self.epoch += 1;
    }

    /// The next epoch, for nobody: what the present producer still sends is refused.
    pub fn fence(&mut self) {
        self.last_epoch = NONE;
        self.epoch = self.epoch.saturating_add(1);
    }

    pub fn renew(&mut self, producer_id: i64) {
        self.producer_id = producer_id;
        self.epoch = 0;
        self.last_epoch = NONE;
    }

    /// A transaction is open from now on, if it is not already.
    pub fn begin(&mut self, now_ms: i64) -> Result<(), ResponseError> {
        match self.state {
            State::Ongoing => Ok(()),
            State::Prepare(_) => Err(ResponseError::ConcurrentTransactions),
            State::Empty | State::Complete(_) => {
                self.state = State::Ongoing;
                self.started_ms = now_ms;
                Ok(())
            }
        }
    }

    pub fn has(&self, topic: &str, partition: i32) -> bool {
        self.state == State::Ongoing
            && self.partitions.get(topic).is_some_and(|of_topic| of_topic.contains(&partition))
    }

    /// Whether it is to be ended so; `false` if it has been.
    pub fn may_end(&self, marker: Marker) -> Result<bool, ResponseError> {
        match self.state {
            State::Ongoing => Ok(true),
            State::Complete(was) if was == marker => Ok(false),
            State::Prepare(was) if was == marker => Err(ResponseError::ConcurrentTransactions),
            State::Empty | State::Prepare(_) | State::Complete(_) => {
                Err(ResponseError::InvalidTxnState)
            }
        }
    }

    pub fn complete(&mut self, marker: Marker) {
        self.state = State::Complete(marker);
        self.partitions.clear();
        self.groups.clear();
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Empty | State::Complete(_))
    }

    pub fn is_overdue(&self, now_ms: i64) -> bool {
        self.state == State::Ongoing && now_ms.saturating_sub(self.started_ms) > self.timeout_ms
    }
}
