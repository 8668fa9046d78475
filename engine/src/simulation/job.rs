//! The job that is simulated: a row passes a look-up whose answers are late, and is summed by key and
//! window; both results go into one transaction, the sums also into a table and into files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::chance::Chance;
use super::input::{Event, Input, event_rows, event_schema};
use super::log::{Log, Row};
use super::parts::Parts;
use super::sums::WindowSum;
use super::table::Table;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::evaluate::ColumnAt;
use crate::graph::{Graph, Input as Edge, Node, NodeKind, Route, SourceNode, WatermarkStrategy};
use crate::keys::{KeyCodec, key_group, key_hash};
use crate::operator::{Epoch, Operator, Output, Reply, Request, StateTable};
use crate::sink::SinkFactory;
use crate::time::Time;

/// Length of a window, ms.
const WINDOW: i64 = 100;

/// How many answers there are to one that fails.
const FAILS: usize = 200;

/// Everything outside of the job that outlives its runs.
#[derive(Clone)]
pub(super) struct Outside {
    pub input: Input,
    pub log: Log,
    pub table: Table,
    pub parts: Parts,
    pub chance: Chance,
    /// Whether the job writes into the log.
    pub transactions: bool,
}

/// What has come out of the job.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    pub log: Vec<Row>,
    pub table: BTreeMap<i64, Vec<i64>>,
    pub parts: Vec<Vec<i64>>,
}

impl Outside {
    pub fn draw(chance: &Chance) -> Self {
        Self {
            input: Input::draw(chance),
            log: Log::new(chance.clone()),
            table: Table::new(chance.clone()),
            parts: Parts::new(chance.clone()),
            chance: chance.clone(),
            transactions: !chance.one_in(3),
        }
    }

    pub fn effect(&self) -> Effect {
        let (mut log, mut parts) = (self.log.committed(), self.parts.rows());
        log.sort_unstable();
        parts.sort_unstable();
        Effect { log, table: self.table.rows(), parts }
    }

    /// What the job must do, computed from its input alone.
    pub fn expected(&self) -> Effect {
        let mut effect = Effect::default();
        let mut sums: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for event in self.input.partitions.iter().flatten() {
            effect.log.push(("looked up", vec![event.number, answer(event.number)]));
            let end = window_end(event.time);
            *sums.entry((end, event.key)).or_default() += event.number;
        }
        for ((end, key), sum) in sums {
            let row = vec![key, end, sum];
            effect.log.push(("sums", row.clone()));
            effect.parts.push(row.clone());
            // Ends ascend.
            effect.table.insert(key, row);
        }
        if !self.transactions {
            effect.log.clear();
        }
        effect.log.sort_unstable();
        effect.parts.sort_unstable();
        effect
    }

    pub fn graph(&self) -> Graph {
        let source = SourceNode {
            factory: Arc::new(self.input.clone()),
            computed: None,
            watermark: Some(WatermarkStrategy { column: 2, bound: Arc::new(ColumnAt(2)) }),
            idle_timeout: None,
            alignment: None,
        };
        let chance = self.chance.clone();
        let look_up = move |_| {
            let look_up = LookUp { chance: chance.clone(), asked: BTreeMap::new(), last: 0 };
            Ok(Box::new(look_up) as Box<dyn Operator>)
        };
        let sum = |_| Ok(Box::new(WindowSum::default()) as Box<dyn Operator>);
        let pairs = schema(&["number", "answer"]);
        let sums = schema(&["key", "end", "sum"]);
        let node = |name: &str, kind, from: Option<usize>, route, schema: &SchemaRef| Node {
            name: name.into(),
            kind,
            inputs: from.map(|from| Edge { from, route }).into_iter().collect(),
            schema: Arc::clone(schema),
        };
        let sink = |factory: Arc<dyn SinkFactory>| NodeKind::Sink(factory);
        let by_key = Route::Hash(vec![1]);
        let mut nodes = vec![
            node("events", NodeKind::Source(source), None, Route::Forward, &event_schema()),
            node("sum", NodeKind::Operator(Arc::new(sum)), Some(0), by_key, &sums),
            node("table", sink(Arc::new(self.table.clone())), Some(1), Route::Forward, &sums),
            node("parts", sink(Arc::new(self.parts.clone())), Some(1), Route::Forward, &sums),
        ];
        if self.transactions {
            let (look_up, topic) = (NodeKind::Operator(Arc::new(look_up)), "looked up");
            let topics = [self.log.topic(topic), self.log.topic("sums")].map(Arc::new);
            let [looked_up, summed] = topics;
            nodes.extend([
                node("look up", look_up, Some(0), Route::Forward, &pairs),
                node(topic, sink(looked_up), Some(4), Route::Forward, &pairs),
                node("sums", sink(summed), Some(1), Route::Forward, &sums),
            ]);
        }
        Graph { nodes }
    }
}

pub(super) fn window_end(time: i64) -> i64 {
    (time / WINDOW + 1) * WINDOW
}

fn answer(number: i64) -> i64 {
    number * 7
}

pub(super) fn schema(names: &[&str]) -> SchemaRef {
    let fields = names.iter().map(|name| Field::new(*name, DataType::Int64, false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

pub(super) fn column(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

pub(super) fn key_groups(keys: &ArrayRef) -> Result<Vec<u16>> {
    let keys = KeyCodec::new(&[DataType::Int64])?.encode(std::slice::from_ref(keys))?;
    Ok(keys.iter().map(|key| key_group(key_hash(key.as_ref()))).collect())
}

/// Asks about the rows of each batch; what was not answered yet is asked again after a restart.
struct LookUp {
    chance: Chance,
    asked: BTreeMap<u64, Vec<Event>>,
    last: u64,
}

impl LookUp {
    fn ask(&mut self, events: Vec<Event>, out: &mut Output) -> Result<()> {
        self.last += 1;
        let chance = self.chance.clone();
        let numbers: Vec<i64> = events.iter().map(|event| event.number).collect();
        self.asked.insert(self.last, events);
        let answer = async move {
            chance.delay().await;
            if chance.fault("no answer", FAILS) {
                return Err(Error::outside("look-up: no answer"));
            }
            let answers = column(numbers.iter().map(|number| answer(*number)));
            let columns = vec![column(numbers), answers];
            Ok(RecordBatch::try_new(schema(&["number", "answer"]), columns)?)
        };
        out.request(Request { id: self.last, answer: Box::pin(answer) });
        Ok(())
    }
}

pub(super) fn events(rows: &RecordBatch, first: usize) -> Vec<Event> {
    let column = |at: usize| rows.column(first + at).as_primitive::<Int64Type>();
    let (numbers, keys, times) = (column(0), column(1), column(2));
    let event =
        |row| Event { number: numbers.value(row), key: keys.value(row), time: times.value(row) };
    (0..rows.num_rows()).map(event).collect()
}

impl Operator for LookUp {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        self.ask(events(batch.rows(), 0), out)
    }

    fn on_time(&mut self, _time: Time, out: &mut Output) -> Result<()> {
        // What came back from a checkpoint has no number.
        match self.asked.remove(&0) {
            Some(events) => self.ask(events, out),
            None => Ok(()),
        }
    }

    fn on_reply(&mut self, reply: Reply, out: &mut Output) -> Result<()> {
        self.asked.remove(&reply.id);
        out.emit(Batch::new(reply.answer?));
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let asked: Vec<Event> = self.asked.values().flatten().copied().collect();
        Ok(vec![StateTable { name: "asked".into(), rows: event_rows(&asked)? }])
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        let asked: Vec<Event> = tables.iter().flat_map(|table| events(&table.rows, 0)).collect();
        if !asked.is_empty() {
            self.asked.insert(0, asked);
        }
        Ok(())
    }
}
