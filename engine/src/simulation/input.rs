//! The input of a simulated job: partitions of rows that can be read from any offset.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;

use super::chance::Chance;
use crate::error::{Error, Result};
use crate::source::{Position, Source, SourceContext, SourceEvent, SourceFactory};

/// How many reads there are to one that fails.
const FAILS: usize = 400;

/// One row: its number among all, a key, the time of its event in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub number: i64,
    pub key: i64,
    pub time: i64,
}

/// The partitions of a topic.
#[derive(Clone)]
pub(super) struct Input {
    pub partitions: Arc<Vec<Vec<Event>>>,
    pub chance: Chance,
}

pub(super) fn event_schema() -> SchemaRef {
    let field = |name| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![field("number"), field("key"), field("time")]))
}

pub(super) fn event_rows(events: &[Event]) -> Result<RecordBatch> {
    let column = |of: fn(&Event) -> i64| {
        Arc::new(Int64Array::from_iter_values(events.iter().map(of))) as ArrayRef
    };
    let columns =
        vec![column(|event| event.number), column(|event| event.key), column(|event| event.time)];
    Ok(RecordBatch::try_new(event_schema(), columns)?)
}

impl Input {
    /// Some partitions of different lengths, time ascending in each.
    pub fn draw(chance: &Chance) -> Self {
        let keys = 1 + chance.below(9);
        let mut number = 0;
        let partitions = (0..1 + chance.below(4)).map(|_| {
            let mut time = chance.below(50) as i64;
            let rows = (0..20 + chance.below(180)).map(|_| {
                number += 1;
                time += chance.below(12) as i64;
                Event { number, key: chance.below(keys) as i64, time }
            });
            rows.collect()
        });
        Self { partitions: Arc::new(partitions.collect()), chance: chance.clone() }
    }
}

struct Reader {
    splits: Vec<(Arc<str>, usize, usize)>,
    input: Input,
    rows_max: usize,
    turn: usize,
    finished: usize,
}

#[async_trait]
impl SourceFactory for Input {
    fn schema(&self) -> SchemaRef {
        event_schema()
    }

    fn bounded(&self) -> bool {
        true
    }

    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let mine = |index: &usize| index % context.workers == context.worker;
        let splits = (0..self.partitions.len()).filter(mine).map(|index| {
            let name: Arc<str> = format!("events/{index}").into();
            let position = context.positions.iter().find(|position| *position.split == *name);
            (name, index, position.map_or(0, |position| position.offset as usize))
        });
        let (splits, input, rows_max) = (splits.collect(), self.clone(), context.rows_max);
        Ok(Box::new(Reader { splits, input, rows_max, turn: 0, finished: 0 }))
    }
}

#[async_trait]
impl Source for Reader {
    fn splits(&self) -> Vec<Arc<str>> {
        self.splits.iter().map(|(split, ..)| Arc::clone(split)).collect()
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        let chance = &self.input.chance;
        if chance.fault("poll failed", FAILS) {
            return Err(Error::outside("broker unreachable"));
        }
        for _ in 0..self.splits.len() {
            self.turn = (self.turn + 1) % self.splits.len();
            let (split, index, offset) = &mut self.splits[self.turn];
            let left = &self.input.partitions[*index][*offset..];
            let length = left.len().min(1 + chance.below(self.rows_max));
            if length > 0 {
                let rows = event_rows(&left[..length])?;
                *offset += length;
                chance.note(format_args!("read {split} to {offset}"));
                let split = Arc::clone(split);
                return Ok(SourceEvent::Rows { split, rows, weights: None, rejected: vec![] });
            }
        }
        if let Some((split, ..)) = self.splits.get(self.finished) {
            self.finished += 1;
            return Ok(SourceEvent::Finished { split: Arc::clone(split) });
        }
        Ok(SourceEvent::End)
    }

    fn positions(&self) -> Vec<Position> {
        let position = |(split, _, offset): &(Arc<str>, usize, usize)| Position {
            split: split.to_string(),
            offset: *offset as i64,
        };
        self.splits.iter().map(position).collect()
    }
}
