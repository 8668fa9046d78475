//! OVER aggregates: each row with what its partition has had up to it.

mod answered;
mod bounded;
mod forecast;
mod forgetting;
mod lag;
mod nowcast;
mod running;
mod series;
mod sorted;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use nowcast_engine::keys::Keys;
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{
    Batch, Epoch, Error, Millis, Operator, Output, Result, StateChanges, StateTable, TableChanges,
    Time,
};

use crate::admission::{Admission, inserts_only, picked_rows, row_watermark};
use crate::aggregate::{AggregateCall, as_type};
use crate::changed::{Changed, every};
use crate::held::{Held, Taken};
use crate::rounds::{Rounds, RoundsBuilder};
use crate::saved;
use crate::window::unusable;
use answered::{Answered, behind};
use forgetting::Forgetting;

pub use sorted::{SortedFunction, SortedOver, SortedOverSpec, UpTo};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverOrder {
    /// By this event-time column: rows are held until the watermark has passed them.
    EventTime(usize),
    /// By arrival: rows are answered at once. No two are peers.
    ProcessingTime,
}

/// From `preceding` (`None`: the beginning) up to the current row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    Rows { preceding: Option<u64> },
    Range { preceding_ms: Option<i64> },
}

#[derive(Debug, Clone, PartialEq)]
pub enum OverFunction {
    Aggregate(AggregateCall),
    /// The value `offset` rows before, null where there is none; whatever the frame.
    Lag {
        arg: usize,
        offset: u64,
    },
    Forecast(ForecastCall),
    Nowcast(NowcastCall),
}

/// `ML_FORECAST`: a list of the periods ahead, each a struct of `timestamp`, `forecast_value`,
/// `lower_bound`, `upper_bound`.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastCall {
    pub value: usize,
    pub time: usize,
    pub regressors: Vec<usize>,
    pub options: serde_json::Value,
}

/// `ML_NOWCAST`: a struct of `nowcast`, `lower_bound`, `upper_bound`, `completion`, `is_final`.
#[derive(Debug, Clone, PartialEq)]
pub struct NowcastCall {
    pub value: usize,
    pub window_start: usize,
    pub window_end: usize,
    pub regressors: Vec<usize>,
    pub options: serde_json::Value,
}

/// The output columns are those of the input and one a function.
#[derive(Debug, Clone)]
pub struct OverSpec {
    pub order: OverOrder,
    /// Rows are exchanged by these columns in this order.
    pub partition: Vec<usize>,
    pub frame: Frame,
    pub functions: Vec<OverFunction>,
    /// How long a partition is kept after its last row, by the wall clock; `None`: forever. Aggregates over a stretch
    /// of time need no such: their partitions go when that has passed.
    pub ttl_ms: Option<i64>,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// In event time, rows come out when the watermark has passed them, by time and then by arrival. In
/// processing time they come out at once.
///
/// A row whose time its own watermark had passed is late. It is set aside, except from a bounded
/// frame where it is after all that its partition had answered at that watermark: it comes out when
/// the watermark moves on, and is as late for what follows.
///
/// With RANGE, rows of one partition and one time are peers: each is answered with the value after
/// all of them. With ROWS every row has its own.
///
/// A bounded frame keeps the rows in it, an unbounded one only what its functions need. What is kept of a
/// partition goes when it has been quiet: see [`Forgetting`].
pub struct Over {
    spec: OverSpec,
    keys: Keys,
    held: Held,
    parts: Vec<Part>,
    rounds: RoundsBuilder,
    /// Of bounded frames in event time.
    answered: Option<Answered>,
    changed: Changed,
    forgetting: Forgetting,
    /// By slot, whether rows of it were answered: the parts know nothing of others, whose rows wait.
    known: Vec<bool>,
    event_time: Millis,
}

/// Functions that share their state.
struct Part {
    /// Name of its state.
    name: String,
    /// Which of the functions these are.
    functions: Vec<usize>,
    state: Box<dyn Functions>,
}

/// Rows in order, and the partition of each.
struct Ordered<'a> {
    rows: &'a RecordBatch,
    slots: &'a [u32],
    /// One more than the greatest slot.
    slots_len: usize,
    /// By row; empty in processing time, unless the frame is a stretch of time.
    times: &'a [Millis],
    rounds: &'a Rounds,
}

/// What some OVER functions keep, by slot.
trait Functions: Send {
    /// One column a function, one value a row.
    fn evaluate(&mut self, ordered: &Ordered<'_>) -> Result<Vec<ArrayRef>>;

    /// Rows of state: the slot of each, and columns.
    fn save(&self, slots: &[u32]) -> Result<(Vec<u32>, Vec<ArrayRef>)>;

    /// Takes back what [`Functions::save`] made: the rows of a slot come in their order.
    fn load(&mut self, slots: &[u32], slots_len: usize, columns: &[ArrayRef]) -> Result<()>;

    /// Forgets the rows of a slot, for whoever gets it next.
    fn clear(&mut self, slot: u32);

    /// Bytes of memory that it takes, about.
    fn bytes(&self) -> usize;
}

const HELD: &str = "held";
const ANSWERED: &str = "answered";
const WRITTEN: &str = "written";

impl Over {
    pub fn new(spec: OverSpec) -> Result<Self> {
        let types: Vec<DataType> =
            spec.input_schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let (given, wanted) = (spec.schema.fields().len(), types.len() + spec.functions.len());
        if given != wanted {
            return Err(Error::bug(format!("over: {given} output columns, not {wanted}")));
        }
        let key_types: Vec<DataType> =
            spec.partition.iter().map(|column| types[*column].clone()).collect();
        Ok(Self {
            keys: Keys::new(&key_types)?,
            held: Held::new(&spec.input_schema),
            parts: parts(&spec, &types)?,
            rounds: RoundsBuilder::new(
                matches!(spec.frame, Frame::Range { .. })
                    && matches!(spec.order, OverOrder::EventTime(_)),
            ),
            answered: match (spec.order, spec.frame) {
                (OverOrder::ProcessingTime, _)
                | (_, Frame::Rows { preceding: None } | Frame::Range { preceding_ms: None }) => {
                    None
                }
                _ => Some(Answered::default()),
            },
            changed: Changed::default(),
            forgetting: Forgetting::new(&spec),
            known: vec![],
            event_time: TIME_MIN,
            spec,
        })
    }

    /// The output columns for rows in order.
    fn answer(&mut self, rows: &RecordBatch, times: &[Millis]) -> Result<RecordBatch> {
        let keys: Vec<ArrayRef> =
            self.spec.partition.iter().map(|column| rows.column(*column).clone()).collect();
        let slots = self.keys.intern(&keys, rows.num_rows())?;
        let slots_len = self.keys.slots_len();
        self.known.resize(slots_len, false);
        slots.iter().for_each(|slot| self.known[*slot as usize] = true);
        if let Some(answered) = &mut self.answered {
            slots.iter().zip(times).for_each(|(slot, time)| answered.answer(*slot, *time));
        }
        slots.iter().for_each(|slot| self.changed.touch(*slot));
        match self.spec.order {
            OverOrder::EventTime(_) => self.forgetting.answered(&slots),
            OverOrder::ProcessingTime => self.forgetting.came(&slots, times),
        }
        let rounds = &self.rounds.cut(&slots, slots_len, times);
        let ordered = Ordered { rows, slots: &slots, slots_len, times, rounds };
        let inputs = rows.num_columns();
        let mut columns = rows.columns().to_vec();
        columns.resize(inputs + self.spec.functions.len(), rows.column(0).clone());
        for part in &mut self.parts {
            for (function, column) in part.functions.iter().zip(part.state.evaluate(&ordered)?) {
                let ty = self.spec.schema.field(inputs + function).data_type();
                columns[inputs + function] = as_type(&column, ty)?;
            }
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?)
    }

    /// The times of rows that come now, where a frame asks for them. The clock does not step back.
    fn arrived(&mut self, batch: &Batch, out: &Output) -> Vec<Millis> {
        let Frame::Range { preceding_ms: Some(_) } = self.spec.frame else { return vec![] };
        self.event_time = self.event_time.max(out.now());
        vec![self.event_time; batch.num_rows()]
    }

    fn hold(&mut self, time: usize, batch: &Batch, out: &mut Output) -> Result<()> {
        let times = to_millis(batch.column(time))?;
        let name = self.spec.input_schema.field(time).name();
        let mut slots = vec![];
        if self.answered.is_some() || self.forgetting.forgets() {
            slots = self.keys.intern(&batch.columns(&self.spec.partition), batch.num_rows())?;
            // What cannot be used does not say how old its partition is.
            let usable = |row: usize| {
                times.is_valid(row) && unusable(Some(times.value(row)), name).is_none()
            };
            let time = |row| if usable(row) { times.value(row) } else { self.event_time };
            let times: Vec<Millis> = (0..times.len()).map(time).collect();
            self.forgetting.came(&slots, &times);
            for slot in &slots {
                if self.knows(*slot) {
                    self.changed.touch(*slot);
                }
            }
        }
        if let Some(answered) = &mut self.answered {
            answered.resize(self.keys.slots_len());
        }
        let mut admission = Admission::new();
        for row in 0..times.len() {
            let time = times.is_valid(row).then(|| times.value(row));
            if let Some(reason) = unusable(time, name) {
                admission.reject(row, reason);
                continue;
            }
            let watermark = row_watermark(batch, row, self.event_time);
            let time = times.value(row);
            let admitted = match &mut self.answered {
                None => time > watermark,
                Some(answered) => {
                    slots.get(row).is_some_and(|slot| answered.admit(*slot, time, watermark))
                }
            };
            match admitted {
                true => {
                    if let Some(slot) = slots.get(row) {
                        self.forgetting.waits(*slot);
                    }
                    admission.admit(row, behind(time, watermark));
                }
                false => admission.late(row, time, watermark),
            }
        }
        for (behind, rows) in admission.finish(batch, out)? {
            let rows = picked_rows(batch.rows(), rows)?;
            self.held.push(&rows, to_millis(rows.column(time))?.values(), behind)?;
        }
        Ok(())
    }
}

impl Over {
    /// What the functions keep of slots, by table.
    fn saved(&self, slots: &[u32]) -> Result<Vec<(String, RecordBatch)>> {
        let partition = self.spec.partition.len();
        let mut tables = vec![];
        for part in &self.parts {
            let (slots, columns) = part.state.save(slots)?;
            let mut named = vec![saved::key_groups(&self.keys, partition, &slots)];
            named.extend(saved::named("key_", self.keys.columns(&slots)?));
            named.extend(saved::named("state_", columns));
            tables.push((part.name.clone(), saved::rows(named)?));
        }
        if let Some(answered) = &self.answered {
            let until = slots.iter().map(|slot| answered.until(*slot));
            let until = Int64Array::from_iter_values(until);
            let mut named = vec![saved::key_groups(&self.keys, partition, slots)];
            named.extend(saved::named("key_", self.keys.columns(slots)?));
            named.push(("until".to_owned(), Arc::new(until)));
            tables.push((ANSWERED.to_owned(), saved::rows(named)?));
        }
        tables.extend(self.saved_written(slots)?.map(|rows| (WRITTEN.to_owned(), rows)));
        Ok(tables)
    }

    fn knows(&self, slot: u32) -> bool {
        self.known.get(slot as usize).is_some_and(|known| *known)
    }

    /// Lets go of partitions that can be forgotten as of now.
    fn forget(&mut self, now: Millis) {
        let (over, anew) = self.forgetting.over(now);
        for slot in anew {
            if self.knows(slot) {
                self.changed.touch(slot);
            }
        }
        for slot in over {
            if self.knows(slot) {
                self.parts.iter_mut().for_each(|part| part.state.clear(slot));
                self.known[slot as usize] = false;
            }
            if let Some(answered) = &mut self.answered {
                answered.clear(slot);
            }
            self.changed.remove(slot, self.keys.key(slot));
            self.keys.remove(slot);
        }
    }

    /// When slots were written, where that decides how long they are kept.
    fn saved_written(&self, slots: &[u32]) -> Result<Option<RecordBatch>> {
        if !self.forgetting.forgets() {
            return Ok(None);
        }
        let written = slots.iter().map(|slot| self.forgetting.written(*slot));
        let written = Int64Array::from_iter_values(written);
        let mut named = vec![saved::key_groups(&self.keys, self.spec.partition.len(), slots)];
        named.extend(saved::named("key_", self.keys.columns(slots)?));
        named.push(("written".to_owned(), Arc::new(written)));
        saved::rows(named).map(Some)
    }

    fn load_written(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some((written, keys)) = columns.split_last() else {
            return Err(Error::bug("no times of writing"));
        };
        let written = written.as_primitive_opt::<Int64Type>();
        let written = written.ok_or_else(|| Error::bug("times of another type"))?.values();
        if keys.len() != self.spec.partition.len() {
            return Err(Error::bug("times of writing by other keys"));
        }
        let slots = self.keys.intern(keys, written.len())?;
        slots.iter().zip(written).for_each(|(slot, at)| self.forgetting.was_written(*slot, *at));
        Ok(())
    }

    /// The rows that wait for the watermark.
    /// Bytes of memory that the state takes, about.
    fn bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| part.state.bytes()).sum();
        let answered = self.answered.as_ref().map_or(0, Answered::bytes);
        let beside = answered + self.changed.bytes() + self.forgetting.bytes();
        self.keys.memory() + self.held.bytes() + parts + beside
    }

    fn saved_held(&self) -> Result<Vec<StateTable>> {
        let mut pieces = vec![];
        for (rows, behind) in self.held.pieces()? {
            let keys = self.spec.partition.iter().map(|column| rows.column(*column).clone());
            let groups = saved::key_groups_of(&keys.collect::<Vec<_>>(), rows.num_rows())?;
            let mut named = vec![groups];
            named.extend(saved::named("column_", rows.columns().to_vec()));
            named.push(("behind".to_owned(), Arc::new(Int64Array::from(behind))));
            pieces.push(saved::rows(named)?);
        }
        Ok(saved::table(HELD, pieces))
    }

    fn load_held(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (Some((behind, columns)), OverOrder::EventTime(time)) =
            (columns.split_last(), self.spec.order)
        else {
            return Err(Error::bug("held rows without an order"));
        };
        let behind = behind.as_primitive_opt::<Int64Type>();
        let behind = behind.ok_or_else(|| Error::bug("watermarks of another type"))?.values();
        let schema = Arc::clone(&self.spec.input_schema);
        let rows = RecordBatch::try_new(schema, columns.to_vec())?;
        let mut admission = Admission::new();
        behind.iter().enumerate().for_each(|(row, behind)| admission.admit(row, *behind));
        for (behind, members) in admission.into_rows() {
            let rows = take_record_batch(&rows, &members)?;
            let times = to_millis(rows.column(time))?;
            if self.answered.is_some() || self.forgetting.forgets() {
                let keys = self.spec.partition.iter().map(|column| rows.column(*column).clone());
                let slots = self.keys.intern(&keys.collect::<Vec<_>>(), rows.num_rows())?;
                self.forgetting.had_come(&slots, times.values());
                slots.iter().for_each(|slot| self.forgetting.waits(*slot));
                if let Some(answered) = &mut self.answered {
                    answered.resize(self.keys.slots_len());
                    let rows = slots.iter().zip(times.values());
                    rows.for_each(|(slot, time)| answered.wait(*slot, *time, behind));
                }
            }
            self.held.push(&rows, times.values(), behind)?;
        }
        Ok(())
    }

    fn load_answered(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (Some((until, keys)), Some(answered)) = (columns.split_last(), &mut self.answered)
        else {
            return Err(Error::bug("answers of a frame without a bound"));
        };
        let until = until.as_primitive_opt::<Int64Type>();
        let until = until.ok_or_else(|| Error::bug("times of another type"))?.values();
        if keys.len() != self.spec.partition.len() {
            return Err(Error::bug("answers by other keys"));
        }
        let slots = self.keys.intern(keys, until.len())?;
        answered.resize(self.keys.slots_len());
        // Rows that wait are after these.
        slots.iter().zip(until).for_each(|(slot, until)| answered.answer(*slot, *until));
        self.forgetting.had_come(&slots, until);
        Ok(())
    }
}

/// The functions of a query by what they keep.
fn parts(spec: &OverSpec, types: &[DataType]) -> Result<Vec<Part>> {
    let mut parts = vec![];
    let (mut positions, mut calls) = (vec![], vec![]);
    for (nth, function) in spec.functions.iter().enumerate() {
        let output = spec.schema.field(types.len() + nth).data_type();
        let state: Box<dyn Functions> = match function {
            OverFunction::Aggregate(call) => {
                positions.push(nth);
                calls.push(call.clone());
                continue;
            }
            OverFunction::Lag { arg, offset } => Box::new(lag::Lag::new(*arg, *offset, types)),
            OverFunction::Forecast(call) => Box::new(forecast::Forecasts::new(call, output)?),
            OverFunction::Nowcast(call) => Box::new(nowcast::Nowcasts::new(call, output)?),
        };
        parts.push(Part { name: format!("function_{nth}"), functions: vec![nth], state });
    }
    if !calls.is_empty() {
        let state: Box<dyn Functions> = match spec.frame {
            Frame::Rows { preceding: None } | Frame::Range { preceding_ms: None } => {
                Box::new(running::Running::new(&calls, types)?)
            }
            frame => Box::new(bounded::Bounded::new(frame, &calls, types)?),
        };
        parts.push(Part { name: "aggregates".to_owned(), functions: positions, state });
    }
    Ok(parts)
}

impl Operator for Over {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "over")?;
        match self.spec.order {
            OverOrder::EventTime(time) => self.hold(time, &batch, out),
            OverOrder::ProcessingTime if batch.num_rows() == 0 => Ok(()),
            OverOrder::ProcessingTime => {
                let times = self.arrived(&batch, out);
                let rows = self.answer(batch.rows(), &times)?;
                out.emit(batch.with_rows(rows));
                Ok(())
            }
        }
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let watermark = match time {
            // Rows by arrival have nothing to do with it.
            Time::Event(_) if self.spec.order == OverOrder::ProcessingTime => return Ok(()),
            Time::Event(watermark) => watermark,
            Time::Processing(now) => {
                if !self.forgetting.goes_by_watermark() {
                    self.forget(now);
                }
                return Ok(());
            }
        };
        while let Some(Taken { rows, times, behind }) = self.held.take_until(watermark)? {
            let late = behind.iter().any(|watermark| *watermark > TIME_MIN);
            let bounds = late.then(|| Int64Array::from(behind));
            out.emit(Batch::new(self.answer(&rows, &times)?).with_bounds(bounds));
        }
        self.event_time = self.event_time.max(watermark);
        if self.forgetting.goes_by_watermark() {
            self.forget(watermark);
        }
        Ok(())
    }

    fn waiting(&self) -> Option<Millis> {
        self.held.earliest()
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let mut tables = vec![];
        let all: Vec<u32> = self.keys.slots().filter(|slot| self.knows(*slot)).collect();
        for slots in saved::pieces(&all, self.bytes()) {
            for (name, rows) in self.saved(slots)? {
                tables.extend(saved::table(&name, [rows]));
            }
        }
        // The pieces of a table one after another.
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables.extend(self.saved_held()?);
        Ok(tables)
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        let Some(since) = self.changed.barrier(epoch, since, &self.keys, self.bytes()) else {
            return Ok(None);
        };
        let key = saved::names("key_", self.spec.partition.len());
        // A key may have nothing left of one of the functions.
        let mut gone = vec![saved::key_groups(&self.keys, key.len(), &since.slots)];
        gone.extend(saved::named("key_", self.keys.columns(&since.slots)?));
        let (gone, left) =
            (saved::rows(gone)?, self.changed.gone(&since, &key, &every(&key), &self.keys)?);
        let gone = concat_batches(&gone.schema(), [&gone, &left])?;
        let mut tables = vec![];
        for (name, rows) in self.saved(&since.slots)? {
            let (key, gone) = (key.clone(), gone.clone());
            tables.push(TableChanges::Since(StateChanges { name, key, rows, gone }));
        }
        tables.extend(self.saved_held()?.into_iter().map(TableChanges::All));
        Ok(Some(tables))
    }

    fn state_bytes(&self) -> Option<usize> {
        Some(self.bytes())
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.changed.loaded();
        let of_rows = |table: &StateTable| [HELD, ANSWERED, WRITTEN].contains(&&*table.name);
        let (of_rows, of_parts): (Vec<_>, Vec<_>) = tables.into_iter().partition(of_rows);
        for mut table in of_parts {
            // Of its own: what is kept of a piece would keep the whole of what was read with it.
            let all = UInt32Array::from_iter_values(0..table.rows.num_rows() as u32);
            table.rows = take_record_batch(&table.rows, &all)?;
            let columns = &table.rows.columns()[1..];
            let part = self.parts.iter_mut().find(|part| part.name == table.name);
            let Some(part) = part else { return Err(saved::changed(&table.name)) };
            let (_, expected) = part.state.save(&[])?;
            let keys = self.spec.partition.len();
            let known = columns.iter().skip(keys).map(|column| column.data_type());
            if !known.eq(expected.iter().map(|column| column.data_type())) {
                return Err(saved::changed(&table.name));
            }
            let slots = self.keys.intern(&columns[..keys], table.rows.num_rows())?;
            part.state.load(&slots, self.keys.slots_len(), &columns[keys..])?;
        }
        let slots_len = self.keys.slots_len();
        self.known.resize(slots_len, true);
        for part in &mut self.parts {
            // Room for slots that only others know.
            let (none, columns) = part.state.save(&[])?;
            part.state.load(&none, slots_len, &columns)?;
        }
        for table in of_rows {
            let columns = &table.rows.columns()[1..];
            let loaded = match table.name.as_str() {
                HELD => self.load_held(columns),
                WRITTEN => self.load_written(columns),
                _ => self.load_answered(columns),
            };
            loaded.map_err(|_| saved::changed(&table.name))?;
        }
        for slot in self.forgetting.loaded(self.keys.slots()) {
            if self.knows(slot) {
                self.changed.touch(slot);
            }
        }
        Ok(())
    }
}
