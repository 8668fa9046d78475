//! A partition that is fetched: where it is, and what a broker says of it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::PartitionData;

use super::super::offsets::Span;
use super::batch::Batches;
use super::cluster::{Leader, code};

pub struct Part {
    pub topic: Arc<str>,
    pub partition: i32,
    /// The offset to ask for next.
    pub next: i64,
    /// The latest timestamp that came.
    pub newest: i64,
    /// It had something, and nothing of it came: others were given first.
    pub passed_over: bool,
    /// Answers to what was asked before a jump are of no use.
    pub jumps: u32,
    pub state: State,
    /// `None`: nobody knows.
    pub leader: Option<Leader>,
    /// Whether the brokers said that it is not there, and since when.
    pub unknown_since: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    Wanted,
    /// Its offset is not there: somebody has to say where to go on.
    Lost,
    Finished,
}

/// What was asked of a broker.
pub struct Asked {
    pub at: usize,
    pub from: i64,
    pub jumps: u32,
}

/// What a broker gave of one partition.
pub struct Given {
    pub at: usize,
    /// The offset that was asked for.
    pub from: i64,
    /// The offset behind what is here.
    pub next: i64,
    /// The offset behind what can be read now, and behind what is there.
    pub end: i64,
    pub high: i64,
    pub records: Bytes,
    /// Producers whose records from an offset on were given up, by that offset.
    pub aborted: Vec<(i64, i64)>,
    jumps: u32,
}

/// What has come of the brokers.
pub enum Come {
    Given(Given),
    /// A partition's offset is not there.
    OutOfRange(usize),
    /// A topic or partition is not there, for long enough.
    Unknown(usize),
    /// It will not get better.
    Denied(usize, ResponseError),
    /// A broker is away, or cannot answer for now; it is asked again.
    Passing(String),
}

impl Part {
    pub fn new(span: &Span) -> Self {
        Self {
            topic: span.topic.as_str().into(),
            partition: span.partition,
            next: span.start,
            newest: i64::MIN,
            passed_over: false,
            jumps: 0,
            state: State::Wanted,
            leader: None,
            unknown_since: None,
        }
    }

    /// Goes on from another offset; what is on its way is thrown away when it comes.
    pub fn jump(&mut self, offset: i64) {
        self.next = offset;
        self.jumps = self.jumps.wrapping_add(1);
        self.state = State::Wanted;
    }

    pub fn is_stale(&self, given: &Given) -> bool {
        given.jumps != self.jumps
    }

    /// What a broker's answer means. Where it does not lead the partition, the leader is not known
    /// any more.
    pub fn receive(
        &mut self,
        asked: &Asked,
        data: PartitionData,
        uncommitted: bool,
    ) -> Option<Come> {
        let Asked { at, from, jumps } = *asked;
        if self.jumps != jumps || self.state != State::Wanted {
            return None;
        }
        match code(data.error_code) {
            None => {}
            Some(ResponseError::OffsetOutOfRange) => {
                self.state = State::Lost;
                return Some(Come::OutOfRange(at));
            }
            Some(
                denied @ (ResponseError::TopicAuthorizationFailed
                | ResponseError::UnsupportedCompressionType),
            ) => {
                self.state = State::Lost;
                return Some(Come::Denied(at, denied));
            }
            Some(code) => {
                tracing::debug!("kafka partition {}/{}: {code}", self.topic, self.partition);
                self.leader = None;
                return None;
            }
        }
        let stable = (!uncommitted).then_some(data.last_stable_offset);
        let high = data.high_watermark;
        let end = stable.filter(|stable| *stable >= 0).unwrap_or(high);
        let records = data.records.unwrap_or_default();
        let mut next = from;
        // Bytes that are no batch are met again by those who read it.
        for batch in Batches(&records).map_while(Result::ok) {
            next = next.max(batch.next_offset());
            self.newest = self.newest.max(batch.max_timestamp());
        }
        self.passed_over = next == from && end > from;
        self.next = next;
        let aborted = data.aborted_transactions.unwrap_or_default();
        let mut aborted: Vec<_> =
            aborted.iter().map(|it| (it.first_offset, it.producer_id.0)).collect();
        aborted.sort_unstable();
        Some(Come::Given(Given { at, from, next, end, high, records, aborted, jumps }))
    }
}
