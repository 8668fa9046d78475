//! Lookup joins: each row meets the rows that an outside table holds of its key at that moment.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::record_batch::RecordBatchOptions;
use nowcast_engine::keys::Keys;
use nowcast_engine::time::TIME_MIN;
use nowcast_engine::{
    Batch, Epoch, Error, ErrorKind, Lookup, LookupCache, Millis, Operator, Output, Reply, Request,
    Result, StateTable, Time,
};

use super::pairs::{Condition, Made, Port};
use super::regular::{JoinKind, JoinSpec};
use crate::saved::{self, Columns};

/// A join of rows (left) with a table that is asked (right).
#[derive(Clone)]
pub struct LookupJoinSpec {
    /// Of kind inner or left.
    pub join: JoinSpec,
    pub lookup: Arc<dyn Lookup>,
    /// Which of the table's columns each of the right columns is.
    pub columns: Vec<usize>,
}

/// Rows leave in the order in which they came. A batch asks once for all keys that are not in the
/// cache; event time waits with the rows that wait for an answer. Those rows belong to the state and
/// ask anew after a restart; the cache does not.
pub struct LookupJoin {
    spec: LookupJoinSpec,
    condition: Condition,
    waiting: VecDeque<Waiting>,
    next_request: u64,
    cache: Cache,
    now: Millis,
    /// The event time that those behind this operator have been told.
    told: Millis,
    /// Rows of a checkpoint that have not asked yet.
    restored: Option<Batch>,
}

enum Waiting {
    Rows(Box<Question>),
    Watermark(Millis),
}

/// Rows and what is known of their keys.
struct Question {
    batch: Batch,
    /// Rows of the table that the cache held.
    known: Vec<RecordBatch>,
    /// The keys that were not in the cache.
    asked: Vec<Box<[u8]>>,
    request: u64,
    answer: Option<RecordBatch>,
}

/// The answers of the last keys.
struct Cache {
    options: LookupCache,
    keys: Keys,
    answers: Vec<Option<Held>>,
    /// Numbers and slots of answers, those to let go first in front, some outdated.
    order: VecDeque<(u64, u32)>,
    /// Of the next answer.
    number: u64,
}

struct Held {
    number: u64,
    rows: RecordBatch,
    written: Millis,
    asked: Millis,
    /// Asked for since it was put into the order: it moves to the back instead of being let go.
    wanted: bool,
}

const STATE: &str = "waiting";

impl LookupJoin {
    pub fn new(spec: LookupJoinSpec) -> Result<Self> {
        spec.join.check()?;
        if !matches!(spec.join.kind, JoinKind::Inner | JoinKind::Left) {
            return Err(Error::bug("lookup join: it is inner or left"));
        }
        Ok(Self {
            condition: spec.join.condition(),
            cache: Cache::new(spec.join.keys()?, spec.lookup.options().cache),
            spec,
            waiting: VecDeque::new(),
            next_request: 0,
            now: TIME_MIN,
            told: TIME_MIN,
            restored: None,
        })
    }

    fn key_columns(rows: &RecordBatch, keys: &[usize]) -> Vec<ArrayRef> {
        keys.iter().map(|key| rows.column(*key).clone()).collect()
    }

    /// Asks for the keys of a batch of which nothing is known.
    fn take(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let [left, _] = self.spec.join.sides(false)?;
        let joinable = left.joinable(batch.rows());
        let columns = Self::key_columns(batch.rows(), &self.spec.join.left_keys);
        let mut asked = self.spec.join.keys()?;
        let (mut rows, mut unknown, mut known) = (vec![], vec![], vec![]);
        let slots = asked.intern(&columns, batch.num_rows())?;
        let mut seen = vec![false; asked.slots_len()];
        for (row, slot) in slots.iter().enumerate() {
            if !joinable[row] || std::mem::replace(&mut seen[*slot as usize], true) {
                continue;
            }
            let key = asked.key(*slot);
            match self.cache.get(key, self.now) {
                Some(held) => known.push(held.clone()),
                None => {
                    rows.push(row as u32);
                    unknown.push(key.into());
                }
            }
        }
        let request = self.next_request;
        self.next_request += 1;
        let none = || RecordBatch::new_empty(Arc::clone(&self.spec.join.right));
        let answer = rows.is_empty().then(none);
        let question = Question { batch, known, asked: unknown, request, answer };
        if rows.is_empty() && self.waiting.is_empty() {
            return self.join(question, out);
        }
        if !rows.is_empty() {
            let rows = UInt32Array::from(rows);
            let keys = columns.iter().map(|column| Ok(take(column, &rows, None)?));
            let keys = keys.collect::<Result<Vec<ArrayRef>>>()?;
            let answer = Box::pin(ask(Arc::clone(&self.spec.lookup), keys));
            out.request(Request { id: request, answer });
        }
        self.waiting.push_back(Waiting::Rows(Box::new(question)));
        Ok(())
    }

    /// The right columns of an answer.
    fn arranged(&self, answer: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.spec.columns.iter().map(|column| answer.column(*column).clone());
        let options = RecordBatchOptions::new().with_row_count(Some(answer.num_rows()));
        let schema = Arc::clone(&self.spec.join.right);
        Ok(RecordBatch::try_new_with_options(schema, columns.collect(), &options)?)
    }

    /// Sends on what has its answer, in order.
    fn drain(&mut self, out: &mut Output) -> Result<()> {
        while let Some(first) = self.waiting.pop_front() {
            match first {
                Waiting::Rows(question) if question.answer.is_some() => {
                    self.join(*question, out)?;
                }
                Waiting::Watermark(watermark) => {
                    self.told = watermark;
                    out.advance_to(watermark);
                }
                rows => {
                    self.waiting.push_front(rows);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Joins rows with what is known of their keys by now.
    fn join(&mut self, question: Question, out: &mut Output) -> Result<()> {
        let spec = &self.spec.join;
        let [left, mut right] = spec.sides(false)?;
        let Question { batch, known: mut found, asked, answer, .. } = question;
        let rows = batch.rows();
        let mut keys = spec.keys()?;
        if let Some(answer) = answer {
            let columns = Self::key_columns(&answer, &spec.right_keys);
            let slots = keys.intern(&columns, answer.num_rows())?;
            let mut by_key = vec![vec![]; keys.slots_len()];
            for (row, slot) in slots.iter().enumerate() {
                by_key[*slot as usize].push(row as u32);
            }
            for key in &asked {
                let own = keys.find(key).map(|slot| std::mem::take(&mut by_key[slot as usize]));
                let own = UInt32Array::from(own.unwrap_or_default());
                let own = arrow::compute::take_record_batch(&answer, &own)?;
                self.cache.put(key, own.clone(), self.now);
                found.push(own);
            }
        }
        let slots = keys.intern(&Self::key_columns(rows, &spec.left_keys), rows.num_rows())?;
        let joinable = left.joinable(rows);
        let found = concat_batches(&spec.right, &found)?;
        let encoded = right.encode(&found)?;
        let found_keys =
            keys.intern(&Self::key_columns(&found, &spec.right_keys), found.num_rows())?;
        let mut others = vec![];
        for (row, key) in found_keys.iter().enumerate() {
            others.extend(right.add(encoded.row(row), *key, 1, 0, TIME_MIN));
        }
        let (mut own, mut numbers) = (vec![], vec![]);
        for (row, slot) in slots.iter().enumerate().filter(|(row, _)| joinable[*row]) {
            let partners = right.of_key(*slot);
            own.extend(partners.iter().map(|_| row as u32));
            numbers.extend_from_slice(partners);
        }
        let matching = self.condition.of(Port::Left, (rows, &own), (&right, &numbers), out)?;
        let mut made = Made::new(Port::Left, false);
        let mut pair = 0;
        for row in 0..rows.num_rows() {
            let weight = batch.weights().map_or(1, |weights| weights.value(row));
            let mut alone = true;
            while own.get(pair).is_some_and(|of| *of as usize == row) {
                if matching.has(pair) {
                    alone = false;
                    let count = right.count(numbers[pair]);
                    made.push(Some(row as u32), Some(numbers[pair]), weight * count);
                }
                pair += 1;
            }
            if alone && spec.kind.keeps(Port::Left) {
                made.push(Some(row as u32), None, weight);
            }
        }
        made.emit(&spec.schema, rows, &right, out)
    }

    fn resume(&mut self, out: &mut Output) -> Result<()> {
        match self.restored.take() {
            Some(batch) => self.take(batch, out),
            None => Ok(()),
        }
    }
}

/// Asks, and asks again where that may help.
async fn ask(lookup: Arc<dyn Lookup>, keys: Vec<ArrayRef>) -> Result<RecordBatch> {
    let mut again = lookup.options().retries;
    loop {
        match lookup.lookup(keys.clone()).await {
            Err(error) if error.kind() == ErrorKind::Outside && again > 0 => again -= 1,
            answer => return answer,
        }
    }
}

impl Cache {
    /// `None` keeps nothing.
    fn new(keys: Keys, options: Option<LookupCache>) -> Self {
        let options = options.unwrap_or_default();
        Self { options, keys, answers: vec![], order: VecDeque::new(), number: 0 }
    }

    fn get(&mut self, key: &[u8], now: Millis) -> Option<&RecordBatch> {
        let slot = self.keys.find(key)?;
        let held = self.answers.get_mut(slot as usize)?.as_mut()?;
        if held.expired(&self.options, now) {
            return None;
        }
        held.asked = now;
        held.wanted = true;
        Some(&held.rows)
    }

    fn put(&mut self, key: &[u8], rows: RecordBatch, now: Millis) {
        if self.options.keys_max == 0 || (rows.num_rows() == 0 && !self.options.missing) {
            return;
        }
        let slot = self.keys.intern_bytes(key);
        if self.answers.len() <= slot as usize {
            self.answers.resize_with(slot as usize + 1, || None);
        }
        let number = self.number;
        self.number += 1;
        let held = Held { number, rows, written: now, asked: now, wanted: false };
        self.answers[slot as usize] = Some(held);
        self.order.push_back((number, slot));
        while self.keys.len() > self.options.keys_max && self.let_go(|_| true) {}
    }

    fn expire(&mut self, now: Millis) {
        let options = self.options;
        while self.let_go(|held| held.expired(&options, now)) {}
    }

    /// Looks at the first answer in the order, which goes if it may; `false` where it stays.
    fn let_go(&mut self, may_go: impl Fn(&Held) -> bool) -> bool {
        let Some((number, slot)) = self.order.pop_front() else { return false };
        let held = self.answers[slot as usize].as_mut().filter(|held| held.number == number);
        let Some(held) = held else { return true };
        if std::mem::take(&mut held.wanted) {
            self.order.push_back((number, slot));
        } else if may_go(held) {
            self.answers[slot as usize] = None;
            self.keys.remove(slot);
        } else {
            self.order.push_front((number, slot));
            return false;
        }
        true
    }
}

impl Held {
    fn expired(&self, options: &LookupCache, now: Millis) -> bool {
        // Before the first tick of the clock it is not known when the time is over.
        let over = |since: Millis, ms: Option<i64>| {
            ms.is_some_and(|ms| since == TIME_MIN || since.saturating_add(ms) <= now)
        };
        over(self.written, options.expire_after_write_ms)
            || over(self.asked, options.expire_after_access_ms)
    }
}

impl Operator for LookupJoin {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        self.resume(out)?;
        self.take(batch, out)
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        self.resume(out)?;
        match time {
            Time::Processing(now) => {
                self.now = self.now.max(now);
                self.cache.expire(self.now);
            }
            Time::Event(watermark) if self.waiting.is_empty() => self.told = watermark,
            Time::Event(watermark) => {
                self.waiting.push_back(Waiting::Watermark(watermark));
                out.advance_to(self.told);
            }
        }
        Ok(())
    }

    fn on_reply(&mut self, reply: Reply, out: &mut Output) -> Result<()> {
        let answered = self.arranged(&reply.answer?)?;
        let asked = self.waiting.iter_mut().find_map(|waiting| match waiting {
            Waiting::Rows(question) if question.request == reply.id => Some(question),
            _ => None,
        });
        let asked = asked.ok_or_else(|| Error::bug("lookup join: an answer to no question"))?;
        asked.answer = Some(answered);
        self.drain(out)
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let batches = self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Rows(question) => Some(question.batch.clone()),
            Waiting::Watermark(_) => None,
        });
        let batches: Vec<Batch> = self.restored.iter().cloned().chain(batches).collect();
        if batches.is_empty() {
            return Ok(vec![]);
        }
        let all = Batch::concat(&self.spec.join.left, &batches)?;
        let weights = all.weights().cloned();
        let weights = weights.unwrap_or_else(|| Int64Array::from_value(1, all.num_rows()));
        let keys = Self::key_columns(all.rows(), &self.spec.join.left_keys);
        let mut columns: Columns = vec![
            saved::key_groups_of(&keys, all.num_rows())?,
            ("weight".to_owned(), Arc::new(weights)),
        ];
        columns.extend(saved::named("column_", all.rows().columns().to_vec()));
        Ok(saved::table(STATE, [saved::rows(columns)?]))
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        let schema: &SchemaRef = &self.spec.join.left;
        for table in tables {
            if table.rows.num_rows() == 0 {
                continue;
            }
            if table.rows.num_columns() != schema.fields().len() + 2 {
                return Err(saved::changed(&table.name));
            }
            let weights = table.rows.column(1).as_primitive_opt::<Int64Type>();
            let weights = weights.ok_or_else(|| saved::changed(&table.name))?.clone();
            let rows = RecordBatch::try_new(Arc::clone(schema), table.rows.columns()[2..].to_vec());
            let rows = rows.map_err(|_| saved::changed(&table.name))?;
            let weights = weights.values().iter().any(|weight| *weight != 1).then_some(weights);
            let batch = Batch::new(rows).with_weights(weights);
            // There is one for each worker that has saved.
            self.restored = Some(match self.restored.take() {
                Some(held) => Batch::concat(schema, &[held, batch])?,
                None => batch,
            });
        }
        Ok(())
    }
}
