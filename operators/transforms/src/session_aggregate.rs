//! GROUP BY over SESSION windows of the same keys: a session is its accumulators, not its rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use nowcast_engine::keys::Keys;
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{
    Batch, Epoch, Error, Millis, Operator, Output, Result, StateChanges, StateTable, TableChanges,
    Time,
};

use crate::admission::{Admission, inserts_only};
use crate::aggregate::{Accumulator, AggregateCall, Rows, as_type};
use crate::changed::{Changed, every};
use crate::clock::WindowClock;
use crate::groups::EMIT_ROWS_MAX;
use crate::saved::{self, Columns};
use crate::sessions::Sessions;
use crate::window::{Span, TIME_LIMIT, time_column, unusable};

/// The output columns are the keys, the aggregates, `window_start`, `window_end`, `window_time`.
#[derive(Debug, Clone)]
pub struct SessionAggregateSpec {
    pub gap_ms: i64,
    /// What the windows go by.
    pub clock: WindowClock,
    /// The time column.
    pub time: usize,
    /// Each key has sessions of its own. Rows are exchanged by these columns in this order.
    pub keys: Vec<usize>,
    pub aggregates: Vec<AggregateCall>,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// A row opens the session `[time, time + gap)`; sessions of a key that overlap or touch become one,
/// the rows of the earlier one before those of the later. A session leaves when time has passed
/// `window_end - 1`, sessions in order of their end and start.
///
/// A row whose session, with all that it joins, had ended at its own watermark is set aside as late.
pub struct SessionAggregate {
    spec: SessionAggregateSpec,
    keys: Keys,
    sessions: Sessions,
    /// Their slots are the numbers of sessions.
    accumulators: Vec<Box<dyn Accumulator>>,
    /// By key.
    changed: Changed,
    now: Millis,
}

const STATE: &str = "sessions";

impl SessionAggregate {
    /// # Errors
    /// Of the user, where the gap is not positive or too long, or an aggregate cannot take its
    /// arguments.
    pub fn new(spec: SessionAggregateSpec) -> Result<Self> {
        if spec.gap_ms <= 0 || spec.gap_ms > TIME_LIMIT / 4 {
            let gap_ms = spec.gap_ms;
            return Err(Error::user(format!("SESSION: gap {gap_ms} ms must be positive")));
        }
        let wanted = spec.keys.len() + spec.aggregates.len() + 3;
        let given = spec.schema.fields().len();
        if given != wanted {
            return Err(Error::bug(format!("session: an output of {given} columns, not {wanted}")));
        }
        let types: Vec<DataType> =
            spec.input_schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let key_types: Vec<_> = spec.keys.iter().map(|key| types[*key].clone()).collect();
        let accumulators =
            spec.aggregates.iter().map(|call| call.accumulator(&types, Rows::Inserted));
        Ok(Self {
            keys: Keys::new(&key_types)?,
            sessions: Sessions::default(),
            accumulators: accumulators.collect::<Result<_>>()?,
            changed: Changed::default(),
            now: TIME_MIN,
            spec,
        })
    }

    fn slots(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let slots = self.keys.intern(keys, rows)?;
        self.sessions.resize(self.keys.slots_len());
        Ok(slots)
    }

    /// What the sessions of a key are together that a row of `time` is in or connects; they are put
    /// into `joined`, ascending. `None` where that had ended at `watermark`.
    fn whole(
        &self,
        slot: u32,
        time: Millis,
        watermark: Millis,
        joined: &mut Vec<u32>,
    ) -> Option<Span> {
        let clock = self.spec.clock;
        let alone = Span { start: time, end: time + self.spec.gap_ms };
        self.sessions.touching(slot, alone, |end| !clock.is_over(end, watermark), joined);
        let whole = joined.iter().fold(alone, |whole, number| {
            let Span { start, end } = self.sessions.get(*number).span;
            Span { start: whole.start.min(start), end: whole.end.max(end) }
        });
        (!clock.is_over(whole.end, watermark)).then_some(whole)
    }

    /// Adds the rows of a batch at `rows` to their sessions.
    fn add(&mut self, batch: &RecordBatch, rows: &mut Vec<u32>, of: &mut Vec<u32>) -> Result<()> {
        let (rows, of) = (std::mem::take(rows), std::mem::take(of));
        if rows.is_empty() {
            return Ok(());
        }
        let taken = match rows.len() == batch.num_rows() {
            true => batch.clone(),
            false => take_record_batch(batch, &UInt32Array::from(rows))?,
        };
        for (call, accumulator) in self.spec.aggregates.iter().zip(&mut self.accumulators) {
            let args: Vec<ArrayRef> =
                call.args.iter().map(|arg| taken.column(*arg).clone()).collect();
            let filter: Option<&BooleanArray> =
                call.filter.map(|filter| taken.column(filter).as_boolean());
            accumulator.resize(self.sessions.numbers_len());
            accumulator.update(&of, &args, filter)?;
        }
        Ok(())
    }

    /// Adds the later sessions to the first, each after the one before.
    fn merge(&mut self, numbers: &[u32]) -> Result<()> {
        let [first, later @ ..] = numbers else { return Ok(()) };
        for accumulator in &mut self.accumulators {
            let states = accumulator.save(later)?;
            accumulator.merge(&vec![*first; later.len()], &states)?;
        }
        later.iter().for_each(|number| self.release(*number));
        Ok(())
    }

    fn release(&mut self, number: u32) {
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.clear(number));
        self.sessions.remove(number);
    }

    /// Forgets keys without sessions.
    fn forget(&mut self, slots: &[u32]) {
        let none = slots.iter().copied().filter(|slot| self.sessions.none_of(*slot));
        let mut none: Vec<u32> = none.collect();
        none.sort_unstable();
        none.dedup();
        for slot in none {
            self.changed.remove(slot, self.keys.key(slot));
            self.keys.remove(slot);
        }
    }

    /// Emits sessions that are over and forgets them.
    fn emit(&mut self, numbers: &[u32], out: &mut Output) -> Result<()> {
        let Listed { slots, starts, ends } = self.listed(numbers);
        let mut columns = self.keys.columns(&slots)?;
        for accumulator in &self.accumulators {
            columns.push(accumulator.evaluate(numbers)?);
        }
        let fields = self.spec.schema.fields();
        for (column, field) in columns.iter_mut().zip(fields) {
            *column = as_type(column, field.data_type())?;
        }
        let times = ends.iter().map(|end| self.spec.clock.instant(end - 1)).collect();
        for values in [starts, ends, times] {
            columns.push(time_column(values, fields[columns.len()].data_type())?);
        }
        out.emit(Batch::new(RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?));
        numbers.iter().for_each(|number| self.release(*number));
        self.changed.touch_all(&slots, self.keys.slots_len());
        self.forget(&slots);
        Ok(())
    }

    fn listed(&self, numbers: &[u32]) -> Listed {
        let of = || numbers.iter().map(|number| self.sessions.get(*number));
        Listed {
            slots: of().map(|session| session.slot).collect(),
            starts: of().map(|session| session.span.start).collect(),
            ends: of().map(|session| session.span.end).collect(),
        }
    }
}

/// Of each of some sessions the slot of the key and the bounds.
struct Listed {
    slots: Vec<u32>,
    starts: Vec<Millis>,
    ends: Vec<Millis>,
}

impl Operator for SessionAggregate {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "session window")?;
        let times = to_millis(batch.column(self.spec.time))?;
        let name = self.spec.input_schema.field(self.spec.time).name().clone();
        let keys = batch.columns(&self.spec.keys);
        let slots = self.slots(&keys, batch.num_rows())?;
        // Only to set rows aside.
        let mut aside = Admission::<()>::new();
        // Rows that are not in their accumulators yet, and the sessions that they are in.
        let (mut rows, mut of) = (vec![], vec![]);
        let mut joined = vec![];
        for (row, slot) in slots.iter().enumerate() {
            let time = times.is_valid(row).then(|| times.value(row));
            if let Some(reason) = unusable(time, &name) {
                aside.reject(row, reason);
                continue;
            }
            let clock = self.spec.clock;
            let time = clock.of_row(times.value(row), self.now);
            let watermark = clock.row_now(&batch, row, self.now);
            let time_shown = clock.shown(time);
            let Some(whole) = self.whole(*slot, time_shown, watermark, &mut joined) else {
                aside.late(row, time, watermark);
                continue;
            };
            let number = match joined.as_slice() {
                [] => self.sessions.open(*slot, whole),
                [one] => {
                    self.sessions.extend(*one, whole);
                    *one
                }
                [first, ..] => {
                    self.add(batch.rows(), &mut rows, &mut of)?;
                    self.merge(&joined)?;
                    self.sessions.extend(*first, whole);
                    *first
                }
            };
            rows.push(row as u32);
            of.push(number);
        }
        self.add(batch.rows(), &mut rows, &mut of)?;
        aside.finish(&batch, out)?;
        self.changed.touch_all(&slots, self.keys.slots_len());
        self.forget(&slots);
        Ok(())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let Some(now) = self.spec.clock.progress(time) else { return Ok(()) };
        let clock = self.spec.clock;
        for numbers in self.sessions.over(|end| clock.is_over(end, now)).chunks(EMIT_ROWS_MAX) {
            self.emit(numbers, out)?;
        }
        self.now = self.now.max(now);
        Ok(())
    }

    fn waiting(&self) -> Option<Millis> {
        self.sessions.first_end().and_then(|end| self.spec.clock.awaits(end))
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let bytes = self.state_bytes().unwrap_or(0);
        saved::table_of(STATE, &self.sessions.sorted(), bytes, |sessions| self.saved(sessions))
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        let bytes = self.state_bytes().unwrap_or(0);
        let Some(since) = self.changed.barrier(epoch, since, &self.keys, bytes) else {
            return Ok(None);
        };
        let key = saved::names("key_", self.spec.keys.len());
        let numbers = since.slots.iter().flat_map(|slot| self.sessions.of_key(*slot));
        let rows = self.saved(&numbers.collect::<Vec<_>>())?;
        let gone = self.changed.gone(&since, &key, &every(&key), &self.keys)?;
        let name = STATE.to_owned();
        Ok(Some(vec![TableChanges::Since(StateChanges { name, key, rows, gone })]))
    }

    fn state_bytes(&self) -> Option<usize> {
        let states: usize = self.accumulators.iter().map(|held| held.bytes()).sum();
        Some(self.keys.memory() + self.sessions.bytes() + states + self.changed.bytes())
    }

    fn blank(&self) -> Result<Vec<StateTable>> {
        let mut fresh = Self::new(self.spec.clone())?;
        saved::blank(STATE, &["window_start", "window_end"], &self.keys, &mut fresh.accumulators)
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.changed.loaded();
        let expected = self.saved(&[])?.schema();
        for table in tables {
            saved::check(&table, &expected)?;
            let columns = table.rows.columns();
            let starts = columns[1].as_primitive::<Int64Type>().values();
            let ends = columns[2].as_primitive::<Int64Type>().values();
            let (keys, mut states) = columns[3..].split_at(self.spec.keys.len());
            let slots = self.slots(keys, table.rows.num_rows())?;
            let mut numbers = Vec::with_capacity(slots.len());
            for (row, slot) in slots.into_iter().enumerate() {
                let whole = Span { start: starts[row], end: ends[row] };
                numbers.push(self.sessions.open(slot, whole));
            }
            for accumulator in &mut self.accumulators {
                let (own, rest) = states.split_at(accumulator.save(&[])?.len());
                accumulator.resize(self.sessions.numbers_len());
                accumulator.merge(&numbers, own)?;
                states = rest;
            }
        }
        Ok(())
    }
}

impl SessionAggregate {
    /// Key groups, bounds, keys and states of sessions.
    fn saved(&self, numbers: &[u32]) -> Result<RecordBatch> {
        let Listed { slots, starts, ends } = self.listed(numbers);
        let mut columns: Columns =
            vec![saved::key_groups(&self.keys, self.spec.keys.len(), &slots)];
        for (name, times) in [("window_start", starts), ("window_end", ends)] {
            columns.push((name.to_owned(), Arc::new(Int64Array::from(times))));
        }
        columns.extend(saved::named("key_", self.keys.columns(&slots)?));
        for (nth, accumulator) in self.accumulators.iter().enumerate() {
            columns.extend(saved::named(&format!("state_{nth}_"), accumulator.save(numbers)?));
        }
        saved::rows(columns)
    }
}
