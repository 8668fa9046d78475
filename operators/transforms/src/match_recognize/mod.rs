//! MATCH_RECOGNIZE: rows in order that follow a pattern, one row a match.

mod paths;
mod pattern;
mod queue;
mod reference;
mod running;
mod runs;
mod state;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use nowcast_engine::keys::Keys;
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{
    Batch, Epoch, Error, Evaluate, Millis, Operator, Output, Result, StateTable, TableChanges, Time,
};

use crate::admission::{Admission, inserts_only, picked_rows, row_watermark};
use crate::aggregate::{Place, Values, as_type};
use crate::calc::tested;
use crate::changed::Changed;
use crate::groups::EMIT_ROWS_MAX;
use crate::held::{Held, Taken};
use crate::rounds::RoundsBuilder;
use crate::sort_key::{Order, SortKey};
use crate::window::unusable;
use paths::Paths;
use pattern::{Automaton, Truth};
pub use pattern::{COUNTED_MAX, Quantifier, VARIABLES_MAX};
use reference::{Candidate, Reader};
pub use reference::{End, Reference};
use running::Running;
pub use runs::Skip;
use runs::{Found, Partition, Row, Rules};

/// When a variable takes a row.
#[derive(Clone)]
pub struct Condition {
    /// Read of the row itself.
    pub columns: Vec<usize>,
    /// Read of the rows taken so far and this one.
    pub references: Vec<Reference>,
    /// The columns, then the references.
    pub schema: SchemaRef,
    pub condition: Arc<dyn Evaluate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchClock {
    /// Rows are held until the watermark has passed them.
    EventTime,
    /// Rows are taken as they come; their time says when they came.
    ProcessingTime,
}

#[derive(Clone)]
pub struct MatchRecognizeSpec {
    pub clock: MatchClock,
    pub time: usize,
    /// Sorts rows of one event time; then they are by arrival.
    pub order: Vec<SortKey>,
    /// Rows are exchanged by these columns in this order.
    pub partition: Vec<usize>,
    /// The pattern: its variables in order, and for each when it takes a row (`None`: always).
    pub quantifiers: Vec<Quantifier>,
    pub conditions: Vec<Option<Condition>>,
    /// A match is shorter than this, from its first row to its last.
    pub within_ms: Option<i64>,
    pub skip: Skip,
    /// The columns of the output.
    pub measures: Vec<Reference>,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// In event time rows are matched when the watermark has passed them, by time, then by the other sort keys, then
/// by arrival. A row that its own watermark had passed is set aside as late. A row for which a
/// condition has no value is rejected, and the rows before and after it are neighbours.
///
/// Matches come out in the order in which they come to count, as Flink's do: when no run that began
/// earlier goes on. Kept are the rows of runs alone; a partition without any is forgotten.
pub struct MatchRecognize {
    spec: MatchRecognizeSpec,
    types: Vec<DataType>,
    rules: Rules,
    order: Order,
    held: Held,
    keys: Keys,
    /// By slot.
    partitions: Vec<Partition>,
    paths: Paths,
    running: Running,
    values: Values,
    rounds: RoundsBuilder,
    /// When runs end, and of which slot; some have ended before.
    ends: BinaryHeap<Reverse<(Millis, u32)>>,
    /// By partition.
    changed: Changed,
    event_time: Millis,
}

/// Rows of different partitions, and what holds of them for each run of their partition.
#[derive(Default)]
struct Hand {
    /// With the slot of the partition.
    rows: Vec<(u32, Row)>,
    /// By row, the position of its first run.
    firsts: Vec<usize>,
    /// By run.
    truths: Vec<Truth>,
}

impl Hand {
    fn push(&mut self, slot: u32, row: Row, truth: Truth, runs: usize) {
        self.rows.push((slot, row));
        self.firsts.push(self.truths.len());
        self.truths.resize(self.truths.len() + runs, truth);
    }

    fn truths_of(&self, row: usize) -> &[Truth] {
        let end = self.firsts.get(row + 1).copied().unwrap_or(self.truths.len());
        &self.truths[self.firsts[row]..end]
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.firsts.clear();
        self.truths.clear();
    }
}

impl MatchRecognize {
    pub fn new(spec: MatchRecognizeSpec) -> Result<Self> {
        let types: Vec<DataType> =
            spec.input_schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let (given, wanted) = (spec.schema.fields().len(), spec.measures.len());
        if given != wanted || spec.conditions.len() != spec.quantifiers.len() {
            return Err(Error::bug(format!("match recognize: {given} columns, not {wanted}")));
        }
        let key_types: Vec<DataType> =
            spec.partition.iter().map(|column| types[*column].clone()).collect();
        let automaton = Automaton::new(&spec.quantifiers)?;
        let reads_runs =
            spec.conditions.iter().flatten().any(|condition| !condition.references.is_empty());
        let earliest_counts = spec.skip == Skip::PastLastRow
            && spec.within_ms.is_none()
            && !reads_runs
            && automaton.is_exclusive();
        let (skip, within_ms) = (spec.skip, spec.within_ms);
        Ok(Self {
            rules: Rules { automaton, skip, within_ms, earliest_counts },
            order: Order::new(&spec.order, &types)?,
            held: Held::new(&spec.input_schema),
            keys: Keys::new(&key_types)?,
            partitions: vec![],
            paths: Paths::default(),
            running: Running::new(spec.conditions.iter().flatten(), &types)?,
            values: Values::new(&types),
            rounds: RoundsBuilder::new(false),
            ends: BinaryHeap::new(),
            changed: Changed::default(),
            event_time: TIME_MIN,
            types,
            spec,
        })
    }

    /// Matches rows that are in order of time, and lets time pass up to the last of them.
    fn take(&mut self, taken: Taken, out: &mut Output) -> Result<()> {
        let Taken { rows, times, .. } = taken;
        let rows = self.sorted(rows, &times)?;
        let mut rejected = BTreeMap::new();
        let truths = self.truths(&rows, &mut rejected)?;
        let slots = self.intern(&rows)?;
        let place = self.values.push(rows.columns());
        let rounds = self.rounds.cut(&slots, self.keys.slots_len(), &[]);
        let mut found = vec![];
        let mut hand = Hand::default();
        for round in rounds.iter() {
            hand.clear();
            for position in round {
                let row = *position as usize;
                let (slot, time) = (slots[row], times[row]);
                self.expire(slot, time, &mut found)?;
                let runs = self.partitions[slot as usize].partial().count();
                let at = Row { place: place(row), time, position: *position };
                hand.push(slot, at, truths[row], runs);
            }
            self.decide(&rows, &mut hand, &mut rejected)?;
            for (nth, (slot, row)) in hand.rows.iter().enumerate() {
                if !rejected.contains_key(&(row.position as usize)) {
                    self.advance(*slot, *row, hand.truths_of(nth), &mut found)?;
                }
            }
            self.running.extend(&self.paths.take_added(), &self.paths, &self.values)?;
        }
        let ended = self.pass(times.last().copied().unwrap_or(TIME_MIN), &mut found)?;
        out.reject(&rows, rejected.into_iter().collect())?;
        self.emit(found, out)?;
        self.changed.touch_all(&slots, self.keys.slots_len());
        self.forget(slots.into_iter().chain(ended).collect());
        Ok(())
    }

    /// Rows of one time by the other sort keys.
    fn sorted(&self, rows: RecordBatch, times: &[Millis]) -> Result<RecordBatch> {
        if self.order.len() == 0 {
            return Ok(rows);
        }
        let by = self.order.of_rows(&rows)?;
        let mut sorted: Vec<u32> = (0..times.len() as u32).collect();
        sorted.sort_by(|left, right| {
            let key = |row: &u32| (times[*row as usize], by.row(*row as usize));
            key(left).cmp(&key(right))
        });
        Ok(take_record_batch(&rows, &UInt32Array::from(sorted))?)
    }

    fn intern(&mut self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let keys: Vec<ArrayRef> =
            self.spec.partition.iter().map(|column| rows.column(*column).clone()).collect();
        self.intern_keys(&keys, rows.num_rows())
    }

    fn intern_keys(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let slots = self.keys.intern(keys, rows)?;
        let start = self.rules.automaton.start;
        self.partitions.resize_with(self.keys.slots_len(), || Partition::new(start));
        Ok(slots)
    }

    /// For each row the conditions that need no other row.
    fn truths(
        &self,
        rows: &RecordBatch,
        rejected: &mut BTreeMap<usize, String>,
    ) -> Result<Vec<Truth>> {
        let mut always = 0;
        let mut truths = vec![0; rows.num_rows()];
        for (variable, condition) in self.spec.conditions.iter().enumerate() {
            let Some(condition) = condition else {
                always |= 1 << variable;
                continue;
            };
            if !condition.references.is_empty() {
                continue;
            }
            let columns = condition.columns.iter().map(|column| rows.column(*column).clone());
            let (mask, failed) = condition.test(columns.collect(), rows.num_rows())?;
            for row in mask.values().set_indices() {
                truths[row] |= 1 << variable;
            }
            rejected.extend(failed);
        }
        truths.iter_mut().for_each(|truth| *truth |= always);
        Ok(truths)
    }

    /// Adds the conditions that read rows of runs. The rows are of different partitions.
    fn decide(
        &mut self,
        rows: &RecordBatch,
        hand: &mut Hand,
        rejected: &mut BTreeMap<usize, String>,
    ) -> Result<()> {
        for (variable, condition) in self.spec.conditions.iter().enumerate() {
            let Some(condition) = condition else { continue };
            if condition.references.is_empty() {
                continue;
            }
            // Positions of the rows, and of the runs among all of the hand.
            let (mut positions, mut asked) = (vec![], vec![]);
            let mut candidates = vec![];
            for (nth, (slot, row)) in hand.rows.iter().enumerate() {
                for (run, of) in self.partitions[*slot as usize].partial().enumerate() {
                    if self.rules.automaton.asks(of.state) & (1 << variable) == 0 {
                        continue;
                    }
                    positions.push(row.position);
                    asked.push(hand.firsts[nth] + run);
                    let next = Some((variable, row.place));
                    candidates.push(Candidate { last: of.last(), next, time: row.time });
                }
            }
            if asked.is_empty() {
                continue;
            }
            let positions = UInt32Array::from(positions);
            let mut columns = vec![];
            for column in &condition.columns {
                columns.push(take(rows.column(*column), &positions, None)?);
            }
            let fields = condition.schema.fields()[columns.len()..].iter();
            let (paths, values) = (&self.paths, &self.values);
            let reader = Reader { paths, values, types: &self.types };
            for (reference, field) in condition.references.iter().zip(fields) {
                let ty = field.data_type();
                columns.push(match self.running.find(reference) {
                    Some(nth) => {
                        let column = self.running.evaluate(nth, &candidates, paths, values)?;
                        as_type(&column, ty)?
                    }
                    None => reader.column(reference, &candidates, ty)?,
                });
            }
            let (mask, failed) = condition.test(columns, asked.len())?;
            for at in mask.values().set_indices() {
                hand.truths[asked[at]] |= 1 << variable;
            }
            let failed = failed.into_iter().map(|(at, why)| (positions.value(at) as usize, why));
            rejected.extend(failed);
        }
        Ok(())
    }

    fn advance(
        &mut self,
        slot: u32,
        row: Row,
        truths: &[Truth],
        found: &mut Vec<Found>,
    ) -> Result<()> {
        let partition = &mut self.partitions[slot as usize];
        let began = partition.advance(row, truths, &self.rules, &mut self.paths, found)?;
        if let (true, Some(within_ms)) = (began, self.spec.within_ms) {
            self.ends.push(Reverse((row.time.saturating_add(within_ms), slot)));
        }
        Ok(())
    }

    /// Ends the runs of a partition that have become too long at `time`.
    fn expire(&mut self, slot: u32, time: Millis, found: &mut Vec<Found>) -> Result<()> {
        self.partitions[slot as usize].expire(time, &self.rules, &mut self.paths, found)
    }

    /// Ends the runs of all partitions that have become too long at `time`; their slots.
    fn pass(&mut self, time: Millis, found: &mut Vec<Found>) -> Result<Vec<u32>> {
        let mut ended = vec![];
        while let Some(Reverse((end, slot))) = self.ends.peek().copied()
            && end <= time
        {
            self.ends.pop();
            if self.keys.has(slot) {
                self.expire(slot, end, found)?;
                self.changed.touch(slot);
                ended.push(slot);
            }
        }
        Ok(ended)
    }

    fn emit(&mut self, mut found: Vec<Found>, out: &mut Output) -> Result<()> {
        found.sort_by_key(|found| (found.time, found.row));
        for found in found.chunks(EMIT_ROWS_MAX) {
            let candidates: Vec<Candidate> = found
                .iter()
                .map(|found| Candidate { last: Some(found.last), next: None, time: found.time })
                .collect();
            let fields = self.spec.schema.fields().iter();
            let reader = Reader { paths: &self.paths, values: &self.values, types: &self.types };
            let columns = self
                .spec
                .measures
                .iter()
                .zip(fields)
                .map(|(measure, field)| reader.column(measure, &candidates, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            out.emit(Batch::new(batch(&self.spec.schema, columns, found.len())?));
        }
        found.iter().for_each(|found| self.paths.release(Some(found.last)));
        if self.values.should_compact(self.paths.len()) {
            self.compact()?;
        }
        Ok(())
    }

    fn compact(&mut self) -> Result<()> {
        let places = self.paths.places();
        let place = self.values.compact(&places)?;
        let nth = |of: Place| places.binary_search(&of).expect("the place of a step that is held");
        self.paths.move_to(|of| place(nth(of)));
        Ok(())
    }

    /// Forgets those of the partitions that keep nothing.
    fn forget(&mut self, mut slots: Vec<u32>) {
        slots.retain(|slot| self.partitions[*slot as usize].is_idle());
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            self.partitions[slot as usize] = Partition::new(self.rules.automaton.start);
            self.changed.remove(slot, self.keys.key(slot));
            self.keys.remove(slot);
        }
    }

    /// Bytes of memory that the state takes, about.
    fn bytes(&self) -> usize {
        let rows = self.held.bytes() + self.values.bytes() + self.paths.bytes();
        let partitions = size_of_val(self.partitions.as_slice()) + self.changed.bytes();
        let ends = self.ends.len() * size_of::<(Millis, u32)>();
        self.keys.memory() + rows + partitions + ends
    }
}

impl Condition {
    /// For each row whether the condition is true, and the rows for which it has no value.
    fn test(
        &self,
        columns: Vec<ArrayRef>,
        rows: usize,
    ) -> Result<(BooleanArray, Vec<(usize, String)>)> {
        tested(self.condition.as_ref(), &batch(&self.schema, columns, rows)?)
    }
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

impl Operator for MatchRecognize {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "match recognize")?;
        let times = to_millis(batch.column(self.spec.time))?;
        if self.spec.clock == MatchClock::ProcessingTime {
            let (rows, times) = (batch.rows().clone(), times.values().to_vec());
            return self.take(Taken { rows, times, behind: vec![] }, out);
        }
        let name = self.spec.input_schema.field(self.spec.time).name();
        let mut admission = Admission::new();
        for row in 0..times.len() {
            let time = times.is_valid(row).then(|| times.value(row));
            if let Some(reason) = unusable(time, name) {
                admission.reject(row, reason);
                continue;
            }
            let watermark = row_watermark(&batch, row, self.event_time);
            match times.value(row) > watermark {
                true => admission.admit(row, ()),
                false => admission.late(row, times.value(row), watermark),
            }
        }
        for ((), rows) in admission.finish(&batch, out)? {
            let rows = picked_rows(batch.rows(), rows)?;
            let times = to_millis(rows.column(self.spec.time))?;
            self.held.push(&rows, times.values(), TIME_MIN)?;
        }
        Ok(())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let (Time::Event(watermark), MatchClock::EventTime) = (time, self.spec.clock) else {
            return Ok(());
        };
        while let Some(taken) = self.held.take_until(watermark)? {
            self.take(taken, out)?;
        }
        let mut found = vec![];
        let ended = self.pass(watermark, &mut found)?;
        self.emit(found, out)?;
        self.forget(ended);
        self.event_time = self.event_time.max(watermark);
        Ok(())
    }

    fn waiting(&self) -> Option<Millis> {
        self.held.earliest()
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        self.tables()
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        let bytes = self.bytes();
        match self.changed.barrier(epoch, since, &self.keys, bytes) {
            Some(since) => self.table_changes(&since).map(Some),
            None => Ok(None),
        }
    }

    fn state_bytes(&self) -> Option<usize> {
        Some(self.bytes())
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.restore(tables)
    }
}
