//! OVER in the order of columns that are no time attribute: as rows come and go anywhere in the order,
//! the answers to those after them change.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use nowcast_engine::keys::{KeyCodec, Keys};
use nowcast_engine::{
    Batch, Epoch, Error, Operator, Output, Result, StateChanges, StateTable, TableChanges, Time,
};

use super::running::Running;
use super::{Functions, Ordered};
use crate::aggregate::{AggregateCall, as_type};
use crate::changed::{Changed, every};
use crate::changes::is_deletion;
use crate::expiry::Expiry;
use crate::group_aggregate::each_once;
use crate::groups::EMIT_ROWS_MAX;
use crate::rounds::RoundsBuilder;
use crate::saved;
use crate::sort_key::{Order, SortKey};

/// Up to which row a function goes, from the first one of the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpTo {
    /// The row itself (`ROWS`). Of rows that sort equal the one that came earlier is first.
    Row,
    /// The last row that sorts equal (`RANGE`): all of them have one answer.
    Peers,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SortedFunction {
    Aggregate(AggregateCall),
    RowNumber,
    /// The row number of the first row that sorts equal.
    Rank,
    /// The same, where rows that sort equal count as one.
    DenseRank,
}

/// The output columns are those of the input and one a function (`Int64` for numbers and ranks).
#[derive(Debug, Clone)]
pub struct SortedOverSpec {
    /// Rows are exchanged by these columns in this order.
    pub partition: Vec<usize>,
    pub order: Vec<SortKey>,
    pub up_to: UpTo,
    pub functions: Vec<SortedFunction>,
    /// How long a partition is kept after its last change, by the wall clock; `None`: forever.
    pub ttl_ms: Option<i64>,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// Takes changes and gives changes: after each batch the rows that have gone are taken back, then
/// each row that has another answer is, and comes with the new one.
///
/// All rows are held, each with its answer. Rows after the last one of their partition cost what they
/// cost in a running aggregate; a change further up reads the partition once a batch, and answers
/// anew from there on. A row that is taken back and is not there, as after its partition's TTL, is
/// ignored.
pub struct SortedOver {
    spec: SortedOverSpec,
    keys: Keys,
    order: Order,
    rows: KeyCodec,
    answers: KeyCodec,
    /// By slot.
    partitions: Vec<Partition>,
    /// The aggregates after the last row of each slot; `None` where there are none.
    running: Option<Running>,
    rounds: RoundsBuilder,
    /// Rows that have come so far.
    arrived: i64,
    /// Of the rows, about.
    bytes: usize,
    expiry: Expiry,
    changed: Changed,
}

/// What a row sorts by, and when it came.
type Position = (Box<[u8]>, i64);

/// Columns, encoded.
type Bytes = Arc<[u8]>;

#[derive(Default)]
struct Partition {
    rows: BTreeMap<Position, Held>,
    /// After the last row.
    counted: Counted,
}

struct Held {
    row: Bytes,
    /// `None` until it has been sent.
    answer: Option<Bytes>,
}

/// The numbers of a row.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    row: i64,
    /// Of the first row that sorts equal.
    rank: i64,
    dense_rank: i64,
}

impl Counted {
    /// Those of the next row.
    fn next(self, sorts_equal: bool) -> Self {
        let row = self.row + 1;
        match sorts_equal {
            true => Self { row, ..self },
            false => Self { row, rank: row, dense_rank: self.dense_rank + 1 },
        }
    }
}

/// The first change of a batch in the order of a partition.
struct Touched {
    slot: u32,
    from: Position,
    /// Whether all changes are rows after the last one there was.
    appends: bool,
}

/// Rows of several partitions, by partition and in order.
#[derive(Default)]
struct Listed {
    slots: Vec<u32>,
    rows: Vec<Bytes>,
    counted: Vec<Counted>,
}

struct Change {
    row: Bytes,
    answer: Bytes,
    weight: i64,
}

const STATE: &str = "rows";

/// What a row takes besides what it sorts by and itself: its place, its allocations and its answer.
const ROW_BYTES: usize = 160;

impl SortedOver {
    /// # Errors
    /// Where a function does not take its arguments, or rows cannot be sorted or kept.
    pub fn new(spec: SortedOverSpec) -> Result<Self> {
        let types: Vec<DataType> =
            spec.input_schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let output = spec.schema.fields();
        if output.len() != types.len() + spec.functions.len() || spec.functions.is_empty() {
            return Err(Error::bug(format!("sorted over: {} output columns", output.len())));
        }
        if spec.up_to == UpTo::Peers && spec.functions.contains(&SortedFunction::RowNumber) {
            return Err(Error::bug("sorted over: rows that sort equal have several numbers"));
        }
        let keys: Vec<DataType> = spec.partition.iter().map(|key| types[*key].clone()).collect();
        let answers: Vec<DataType> =
            output[types.len()..].iter().map(|field| field.data_type().clone()).collect();
        let calls: Vec<AggregateCall> = spec.functions.iter().filter_map(aggregate).collect();
        let running = (!calls.is_empty()).then(|| Running::new(&calls, &types));
        Ok(Self {
            keys: Keys::new(&keys)?,
            order: Order::new(&spec.order, &types)?,
            rows: KeyCodec::new(&types)?,
            answers: KeyCodec::new(&answers)?,
            partitions: vec![],
            running: running.transpose()?,
            rounds: RoundsBuilder::new(spec.up_to == UpTo::Peers),
            arrived: 0,
            bytes: 0,
            expiry: Expiry::new(spec.ttl_ms),
            changed: Changed::default(),
            spec,
        })
    }

    /// Takes a batch in; the slot of each row, and where slots have changed. Rows that have gone and
    /// had been sent become changes.
    fn take(&mut self, batch: &Batch, gone: &mut Vec<Change>) -> Result<(Vec<u32>, Vec<Touched>)> {
        let slots = self.keys.intern(&batch.columns(&self.spec.partition), batch.num_rows())?;
        self.partitions.resize_with(self.keys.slots_len(), Partition::default);
        let order = self.order.of_rows(batch.rows())?;
        let rows = self.rows.encode(batch.rows().columns())?;
        let mut touched: BTreeMap<u32, Touched> = BTreeMap::new();
        for (row, slot) in slots.iter().enumerate() {
            let (sorts_by, bytes) = (order.row(row), rows.row(row).data());
            let change = match is_deletion(batch, row) {
                false => Some(self.add(*slot, sorts_by, bytes)),
                true => self.take_back(*slot, sorts_by, bytes, gone),
            };
            let Some((from, appends)) = change else { continue };
            touched
                .entry(*slot)
                .and_modify(|touched| {
                    touched.appends &= appends;
                    if from < touched.from {
                        touched.from = from.clone();
                    }
                })
                .or_insert_with(|| Touched { slot: *slot, from, appends });
        }
        Ok((slots, touched.into_values().collect()))
    }

    /// Where the row is now, and whether it is the last one.
    fn add(&mut self, slot: u32, sorts_by: &[u8], row: &[u8]) -> (Position, bool) {
        self.arrived += 1;
        let position: Position = (sorts_by.into(), self.arrived);
        let rows = &mut self.partitions[slot as usize].rows;
        let last = rows.last_key_value().is_none_or(|(last, _)| *last < position);
        self.bytes += size_of_row(sorts_by, row);
        rows.insert(position.clone(), Held { row: row.into(), answer: None });
        (position, last)
    }

    /// Where the row was, if it was there: of equal ones the first.
    fn take_back(
        &mut self,
        slot: u32,
        sorts_by: &[u8],
        row: &[u8],
        gone: &mut Vec<Change>,
    ) -> Option<(Position, bool)> {
        let rows = &mut self.partitions[slot as usize].rows;
        let (from, to) = ((sorts_by.into(), i64::MIN), (sorts_by.into(), i64::MAX));
        let found = rows.range::<Position, _>(from..=to).find(|(_, held)| *held.row == *row);
        let position = found?.0.clone();
        let Held { row, answer } = rows.remove(&position)?;
        self.bytes -= size_of_row(sorts_by, &row);
        gone.extend(answer.map(|answer| Change { row, answer, weight: -1 }));
        Some((position, false))
    }

    /// Answers anew from the first change on; answers that differ from those sent become changes.
    fn answer(&mut self, touched: &[Touched], changes: &mut Vec<Change>) -> Result<()> {
        let (before, listed) = self.list(touched);
        if let Some(running) = &mut self.running {
            running.resize(self.keys.slots_len());
            touched.iter().filter(|of| !of.appends).for_each(|of| running.clear(of.slot));
            let rows = decode(&self.rows, &self.spec.input_schema, &before.rows)?;
            running.add(&rows, &before.slots)?;
        }
        if listed.rows.is_empty() {
            return Ok(());
        }
        let columns = self.evaluate(&listed)?;
        let answers = self.answers.encode(&columns)?;
        let answers: Vec<Bytes> = answers.iter().map(|answer| answer.data().into()).collect();
        let mut next = 0;
        for of in touched {
            let partition = &mut self.partitions[of.slot as usize];
            if of.appends && self.spec.up_to == UpTo::Peers {
                // Those that had come already have the answer of the new ones now.
                let from = (of.from.0.clone(), i64::MIN);
                for (_, held) in partition.rows.range_mut(from..of.from.clone()) {
                    held.answer(&answers[next], changes);
                }
            }
            for (_, held) in partition.rows.range_mut(self.spec.up_to.first_answered(of)..) {
                held.answer(&answers[next], changes);
                next += 1;
            }
        }
        Ok(())
    }

    /// The rows before the first change, where they must be added up again, and those to answer.
    fn list(&mut self, touched: &[Touched]) -> (Listed, Listed) {
        let (mut before, mut listed) = (Listed::default(), Listed::default());
        for of in touched {
            let partition = &mut self.partitions[of.slot as usize];
            let first = self.spec.up_to.first_answered(of);
            let (mut counted, mut last) = (Counted::default(), None);
            match of.appends {
                true => {
                    counted = partition.counted;
                    let mut earlier = partition.rows.range(..first.clone());
                    last = earlier.next_back().map(|((sorts_by, _), _)| sorts_by);
                }
                false => {
                    for ((sorts_by, _), held) in partition.rows.range(..first.clone()) {
                        counted = counted.next(last == Some(sorts_by));
                        last = Some(sorts_by);
                        before.push(of.slot, held, counted);
                    }
                }
            }
            for ((sorts_by, _), held) in partition.rows.range(first..) {
                counted = counted.next(last == Some(sorts_by));
                last = Some(sorts_by);
                listed.push(of.slot, held, counted);
            }
            partition.counted = counted;
        }
        (before, listed)
    }

    /// One column a function, one value a row.
    fn evaluate(&mut self, listed: &Listed) -> Result<Vec<ArrayRef>> {
        let inputs = self.spec.input_schema.fields().len();
        let slots_len = self.keys.slots_len();
        let mut aggregates = match &mut self.running {
            None => vec![],
            Some(running) => {
                let times: Vec<i64> =
                    listed.counted.iter().map(|counted| counted.dense_rank).collect();
                running.evaluate(&Ordered {
                    rows: &decode(&self.rows, &self.spec.input_schema, &listed.rows)?,
                    slots: &listed.slots,
                    slots_len,
                    times: &times,
                    rounds: &self.rounds.cut(&listed.slots, slots_len, &times),
                })?
            }
        }
        .into_iter();
        let numbers = |of: fn(&Counted) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(listed.counted.iter().map(of)))
        };
        let columns = self.spec.functions.iter().enumerate().map(|(nth, function)| {
            let column = match function {
                SortedFunction::Aggregate(_) => {
                    aggregates.next().expect("one column comes for each aggregate")
                }
                SortedFunction::RowNumber => numbers(|counted| counted.row),
                SortedFunction::Rank => numbers(|counted| counted.rank),
                SortedFunction::DenseRank => numbers(|counted| counted.dense_rank),
            };
            as_type(&column, self.spec.schema.field(inputs + nth).data_type())
        });
        columns.collect()
    }

    fn send(&self, changes: &[Change], out: &mut Output) -> Result<()> {
        let mut rest = changes;
        while !rest.is_empty() {
            let mut end = rest.len().min(EMIT_ROWS_MAX);
            // The two rows of an update go out together.
            if end < rest.len() && rest[end - 1].weight < 0 {
                end += 1;
            }
            let changes = &rest[..end];
            rest = &rest[end..];
            let mut columns = self.rows.decode(changes.iter().map(|change| &*change.row))?;
            columns.extend(self.answers.decode(changes.iter().map(|change| &*change.answer))?);
            let rows = RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?;
            let weights = Int64Array::from_iter_values(changes.iter().map(|change| change.weight));
            let weights = weights.values().iter().any(|weight| *weight != 1).then_some(weights);
            out.emit(Batch::new(rows).with_weights(weights));
        }
        Ok(())
    }

    fn remove(&mut self, slot: u32) {
        let gone = std::mem::take(&mut self.partitions[slot as usize]);
        let sizes = gone.rows.iter().map(|((sorts_by, _), held)| size_of_row(sorts_by, &held.row));
        self.bytes -= sizes.sum::<usize>();
        self.changed.remove(slot, self.keys.key(slot));
        if let Some(running) = &mut self.running {
            running.clear(slot);
        }
        self.keys.remove(slot);
    }

    /// Key group, when the partition was written, and a row of it.
    fn saved(&self, slots: &[u32]) -> Result<RecordBatch> {
        let held = |slot: &u32| self.partitions[*slot as usize].rows.values();
        let of: Vec<u32> =
            slots.iter().flat_map(|slot| std::iter::repeat_n(*slot, held(slot).len())).collect();
        let written = of.iter().map(|slot| self.expiry.written(*slot));
        let rows = self.rows.decode(slots.iter().flat_map(held).map(|held| &*held.row))?;
        let mut columns = vec![
            saved::key_groups(&self.keys, self.spec.partition.len(), &of),
            ("written".to_owned(), Arc::new(Int64Array::from_iter_values(written)) as ArrayRef),
        ];
        columns.extend(saved::named("column_", rows));
        saved::rows(columns)
    }
}

impl UpTo {
    /// Where the rows begin that have to be answered.
    fn first_answered(self, of: &Touched) -> Position {
        match self {
            Self::Peers if !of.appends => (of.from.0.clone(), i64::MIN),
            _ => of.from.clone(),
        }
    }
}

impl Held {
    /// The row has this answer now.
    fn answer(&mut self, answer: &Bytes, changes: &mut Vec<Change>) {
        if self.answer.as_ref() == Some(answer) {
            return;
        }
        let change = |answer, weight| Change { row: Arc::clone(&self.row), answer, weight };
        let before = self.answer.take();
        changes.extend(before.map(|before| change(before, -1)));
        changes.push(change(Arc::clone(answer), 1));
        self.answer = Some(Arc::clone(answer));
    }
}

impl Listed {
    fn push(&mut self, slot: u32, held: &Held, counted: Counted) {
        self.slots.push(slot);
        self.rows.push(Arc::clone(&held.row));
        self.counted.push(counted);
    }
}

fn size_of_row(sorts_by: &[u8], row: &[u8]) -> usize {
    sorts_by.len() + row.len() + ROW_BYTES
}

fn aggregate(function: &SortedFunction) -> Option<AggregateCall> {
    match function {
        SortedFunction::Aggregate(call) => Some(call.clone()),
        _ => None,
    }
}

fn decode(codec: &KeyCodec, schema: &SchemaRef, rows: &[Bytes]) -> Result<RecordBatch> {
    let columns = codec.decode(rows.iter().map(|row| &**row))?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

impl Operator for SortedOver {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let mut changes = vec![];
        let (slots, touched) = self.take(&batch, &mut changes)?;
        self.answer(&touched, &mut changes)?;
        self.send(&changes, out)?;
        for slot in each_once(&slots) {
            match self.partitions[slot as usize].rows.is_empty() {
                true => {
                    self.remove(slot);
                    self.expiry.forget(slot);
                }
                false => {
                    self.expiry.touch(slot);
                    self.changed.touch(slot);
                }
            }
        }
        Ok(())
    }

    fn on_time(&mut self, time: Time, _out: &mut Output) -> Result<()> {
        let Time::Processing(now) = time else { return Ok(()) };
        for slot in self.expiry.advance(now) {
            self.remove(slot);
        }
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let slots: Vec<u32> = self.keys.slots().collect();
        let bytes = self.state_bytes().unwrap_or(0);
        saved::table_of(STATE, &slots, bytes, |slots| self.saved(slots))
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        let bytes = self.state_bytes().unwrap_or(0);
        let Some(since) = self.changed.barrier(epoch, since, &self.keys, bytes) else {
            return Ok(None);
        };
        let key: Vec<String> =
            self.spec.partition.iter().map(|column| format!("column_{column}")).collect();
        let (name, rows) = (STATE.to_owned(), self.saved(&since.slots)?);
        let gone = self.changed.gone(&since, &key, &every(&key), &self.keys)?;
        Ok(Some(vec![TableChanges::Since(StateChanges { name, key, rows, gone })]))
    }

    fn state_bytes(&self) -> Option<usize> {
        let slots = size_of_val(self.partitions.as_slice());
        let beside = self.expiry.bytes() + self.changed.bytes();
        Some(self.keys.memory() + slots + self.bytes + beside)
    }

    fn blank(&self) -> Result<Vec<StateTable>> {
        Ok(vec![StateTable { name: STATE.to_owned(), rows: self.saved(&[])? }])
    }

    /// Saved rows are in order. Their answers follow from them.
    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.changed.loaded();
        for table in tables {
            saved::check(&table, &self.saved(&[])?.schema())?;
            let written = table.rows.column(1).as_primitive::<Int64Type>().values();
            let columns = table.rows.columns()[2..].to_vec();
            let rows = RecordBatch::try_new(Arc::clone(&self.spec.input_schema), columns)?;
            let (slots, touched) = self.take(&Batch::new(rows), &mut vec![])?;
            self.answer(&touched, &mut vec![])?;
            for (slot, written) in slots.iter().zip(written) {
                self.expiry.touch_at(*slot, *written);
            }
        }
        Ok(())
    }
}
