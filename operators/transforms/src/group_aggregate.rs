//! GROUP BY without a window: each group as it stands now, as a changelog.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use hashbrown::HashSet;
use nowcast_engine::keys::Keys;
use nowcast_engine::{
    Batch, Epoch, Error, Operator, Output, Result, StateChanges, StateTable, TableChanges, Time,
};

use crate::admission::inserts_only;
use crate::aggregate::{Accumulator, AggregateCall, Rows, as_type};
use crate::changed::{Changed, every};
use crate::changes::{self, Change, is_deletion};
use crate::expiry::Expiry;
use crate::saved;

/// The output columns are the keys and the aggregates. Without aggregates it is `DISTINCT`.
#[derive(Debug, Clone)]
pub struct GroupAggregateSpec {
    /// Rows are exchanged by these columns in this order.
    pub keys: Vec<usize>,
    pub aggregates: Vec<AggregateCall>,
    /// Whether rows are taken back.
    pub retracts: bool,
    /// How long a group is kept after its last row, by the wall clock; `None`: forever.
    pub ttl_ms: Option<i64>,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// At the end of each batch, one change for each group that the batch has changed: a new group is
/// an insert, a group whose last row was taken back a delete. Groups change in the order in which
/// the batch first names them.
///
/// A row that is taken back from a group which is not there, as after its TTL, is ignored.
pub struct GroupAggregate {
    spec: GroupAggregateSpec,
    keys: Keys,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// Rows of each slot.
    counts: Vec<i64>,
    expiry: Expiry,
    changed: Changed,
    /// Whether rows are added and taken back one by one, in their order.
    in_order: bool,
}

const STATE: &str = "groups";

impl GroupAggregate {
    pub fn new(spec: GroupAggregateSpec) -> Result<Self> {
        let types: Vec<DataType> =
            spec.input_schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let (given, wanted) = (spec.schema.fields().len(), spec.keys.len() + spec.aggregates.len());
        if given != wanted {
            return Err(Error::bug(format!("group aggregate: {given} columns, not {wanted}")));
        }
        let key_types: Vec<DataType> = spec.keys.iter().map(|key| types[*key].clone()).collect();
        let rows = match spec.retracts {
            true => Rows::Changing,
            false => Rows::Inserted,
        };
        let accumulators = spec.aggregates.iter().map(|call| call.accumulator(&types, rows));
        Ok(Self {
            keys: Keys::new(&key_types)?,
            accumulators: accumulators.collect::<Result<_>>()?,
            counts: vec![],
            expiry: Expiry::new(spec.ttl_ms),
            changed: Changed::default(),
            in_order: spec.aggregates.iter().any(AggregateCall::depends_on_order),
            spec,
        })
    }

    /// The rows of slots, as the output has them.
    fn columns(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut columns = self.keys.columns(slots)?;
        for accumulator in &self.accumulators {
            columns.push(accumulator.evaluate(slots)?);
        }
        for (column, field) in columns.iter_mut().zip(self.spec.schema.fields()) {
            *column = as_type(column, field.data_type())?;
        }
        Ok(columns)
    }

    /// Adds rows to their slots, or takes them back.
    fn apply(&mut self, batch: &Batch, slots: &[u32], rows: &[u32], deletion: bool) -> Result<()> {
        if rows.is_empty() || self.accumulators.is_empty() {
            return Ok(());
        }
        let all = rows.len() == batch.num_rows();
        let taken = match all {
            true => batch.rows().clone(),
            false => take_record_batch(batch.rows(), &UInt32Array::from(rows.to_vec()))?,
        };
        let slots: Vec<u32> = rows.iter().map(|row| slots[*row as usize]).collect();
        for (call, accumulator) in self.spec.aggregates.iter().zip(&mut self.accumulators) {
            let args: Vec<ArrayRef> =
                call.args.iter().map(|arg| taken.column(*arg).clone()).collect();
            let filter: Option<&BooleanArray> =
                call.filter.map(|filter| taken.column(filter).as_boolean());
            match deletion {
                true => accumulator.retract(&slots, &args, filter)?,
                false => accumulator.update(&slots, &args, filter)?,
            }
        }
        Ok(())
    }

    /// Makes the changes of a batch. Additions may go before deletions: what is left is the same,
    /// unless an aggregate depends on the order of changes.
    fn change(&mut self, batch: &Batch, slots: &[u32]) -> Result<()> {
        let (mut added, mut taken_back) = (vec![], vec![]);
        for (row, slot) in slots.iter().enumerate() {
            let count = &mut self.counts[*slot as usize];
            if !is_deletion(batch, row) {
                *count += 1;
                added.push(row as u32);
            } else if *count > 0 {
                *count -= 1;
                taken_back.push(row as u32);
            }
            if self.in_order {
                self.apply(batch, slots, &std::mem::take(&mut added), false)?;
                self.apply(batch, slots, &std::mem::take(&mut taken_back), true)?;
            }
        }
        self.apply(batch, slots, &added, false)?;
        self.apply(batch, slots, &taken_back, true)
    }

    fn remove(&mut self, slot: u32) {
        for accumulator in &mut self.accumulators {
            accumulator.clear(slot);
        }
        self.counts[slot as usize] = 0;
        self.changed.remove(slot, self.keys.key(slot));
        self.keys.remove(slot);
    }

    /// Key group, rows and time of writing, keys and states of slots.
    fn saved(&self, slots: &[u32]) -> Result<RecordBatch> {
        let counts = slots.iter().map(|slot| self.counts[*slot as usize]);
        let written = slots.iter().map(|slot| self.expiry.written(*slot));
        let mut columns = vec![
            saved::key_groups(&self.keys, self.spec.keys.len(), slots),
            ("rows".to_owned(), Arc::new(Int64Array::from_iter_values(counts)) as ArrayRef),
            ("written".to_owned(), Arc::new(Int64Array::from_iter_values(written)) as ArrayRef),
        ];
        columns.extend(saved::named("key_", self.keys.columns(slots)?));
        for (nth, accumulator) in self.accumulators.iter().enumerate() {
            columns.extend(saved::named(&format!("state_{nth}_"), accumulator.save(slots)?));
        }
        saved::rows(columns)
    }

    fn resize(&mut self) {
        let slots = self.keys.slots_len();
        self.counts.resize(slots, 0);
        for accumulator in &mut self.accumulators {
            accumulator.resize(slots);
        }
    }
}

impl Operator for GroupAggregate {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        if !self.spec.retracts {
            inserts_only(&batch, "group aggregate")?;
        }
        let keys = batch.columns(&self.spec.keys);
        let slots = self.keys.intern(&keys, batch.num_rows())?;
        self.resize();
        let touched = each_once(&slots);
        let there: Vec<u32> =
            touched.iter().copied().filter(|slot| self.counts[*slot as usize] > 0).collect();
        let old = self.columns(&there)?;
        self.change(&batch, &slots)?;
        let left: Vec<u32> =
            touched.iter().copied().filter(|slot| self.counts[*slot as usize] > 0).collect();
        let new = self.columns(&left)?;
        let (mut there, mut left) = (there.iter().peekable(), left.iter().peekable());
        let (mut olds, mut news) = (0.., 0..);
        let changes: Vec<Change> = touched
            .iter()
            .map(|slot| Change {
                old: there.next_if_eq(&slot).and_then(|_| olds.next()),
                new: left.next_if_eq(&slot).and_then(|_| news.next()),
            })
            .collect();
        changes::emit(&changes, &old, &new, &self.spec.schema, out)?;
        for (slot, change) in touched.iter().zip(&changes) {
            match change.new {
                Some(_) => {
                    self.expiry.touch(*slot);
                    self.changed.touch(*slot);
                }
                None => {
                    self.remove(*slot);
                    self.expiry.forget(*slot);
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
        let key = saved::names("key_", self.spec.keys.len());
        let (name, rows) = (STATE.to_owned(), self.saved(&since.slots)?);
        let gone = self.changed.gone(&since, &key, &every(&key), &self.keys)?;
        Ok(Some(vec![TableChanges::Since(StateChanges { name, key, rows, gone })]))
    }

    fn loads_pieces(&self) -> bool {
        true
    }

    fn state_bytes(&self) -> Option<usize> {
        let states: usize = self.accumulators.iter().map(|held| held.bytes()).sum();
        let counts = size_of_val(self.counts.as_slice());
        Some(self.keys.memory() + states + counts + self.expiry.bytes() + self.changed.bytes())
    }

    fn blank(&self) -> Result<Vec<StateTable>> {
        let mut fresh = Self::new(self.spec.clone())?;
        saved::blank(STATE, &["rows", "written"], &self.keys, &mut fresh.accumulators)
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.changed.loaded();
        for table in tables {
            let keys = self.spec.keys.len();
            let states = self.accumulators.iter().map(|held| held.save(&[]));
            let states: Vec<Vec<ArrayRef>> = states.collect::<Result<_>>()?;
            let wanted: Vec<DataType> =
                states.iter().flatten().map(|column| column.data_type().clone()).collect();
            let columns = table.rows.columns();
            let given = columns.iter().skip(3 + keys).map(|column| column.data_type());
            if columns.len() < 3 + keys || !given.eq(wanted.iter()) {
                return Err(saved::changed(&table.name));
            }
            let slots = self.keys.intern(&columns[3..3 + keys], table.rows.num_rows())?;
            self.resize();
            let counts = columns[1].as_primitive::<Int64Type>().values();
            let written = columns[2].as_primitive::<Int64Type>().values();
            for (row, slot) in slots.iter().enumerate() {
                self.counts[*slot as usize] += counts[row];
                self.expiry.touch_at(*slot, written[row]);
            }
            let mut rest = &columns[3 + keys..];
            for (accumulator, own) in self.accumulators.iter_mut().zip(&states) {
                let (own, others) = rest.split_at(own.len());
                accumulator.merge(&slots, own)?;
                rest = others;
            }
        }
        Ok(())
    }
}

/// The slots in the order in which they are first named.
pub(crate) fn each_once(slots: &[u32]) -> Vec<u32> {
    let mut seen = HashSet::with_capacity(slots.len());
    slots.iter().copied().filter(|slot| seen.insert(*slot)).collect()
}
