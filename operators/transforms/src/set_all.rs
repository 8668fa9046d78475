//! `INTERSECT ALL` and `EXCEPT ALL`: how often a row stands on either side decides how often it comes.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use nowcast_engine::keys::Keys;
use nowcast_engine::{
    Batch, Epoch, Error, Operator, Output, Result, StateChanges, StateTable, TableChanges, Time,
};

use crate::changed::{Changed, every};
use crate::expiry::Expiry;
use crate::group_aggregate::each_once;
use crate::groups::EMIT_ROWS_MAX;
use crate::saved;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// A row comes as often as it stands on both sides.
    Intersect,
    /// A row comes as often as it stands more often on the left.
    Except,
}

/// Rows are exchanged by all columns.
#[derive(Debug, Clone)]
pub struct SetAllSpec {
    pub kind: SetKind,
    /// How long a row is kept after its last change, by the wall clock; `None`: forever.
    pub ttl_ms: Option<i64>,
    /// Of both inputs and the output.
    pub schema: SchemaRef,
}

/// Takes changelogs on the left (port 0) and the right (port 1); at the end of each batch rows are
/// taken back or come. Equal rows are one: nulls are equal here.
pub struct SetAll {
    spec: SetAllSpec,
    rows: Keys,
    /// By slot: how often the row stands on the left and on the right.
    counts: Vec<[i64; 2]>,
    expiry: Expiry,
    changed: Changed,
}

const STATE: &str = "counts";

impl SetAll {
    pub fn new(spec: SetAllSpec) -> Result<Self> {
        let types: Vec<DataType> =
            spec.schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let expiry = Expiry::new(spec.ttl_ms);
        let (rows, changed) = (Keys::new(&types)?, Changed::default());
        Ok(Self { rows, counts: vec![], expiry, changed, spec })
    }

    /// How often the row comes.
    fn times(&self, slot: u32) -> i64 {
        let [left, right] = self.counts[slot as usize];
        match self.spec.kind {
            SetKind::Intersect => left.min(right).max(0),
            SetKind::Except => (left - right.max(0)).max(0),
        }
    }

    fn emit(&self, changes: &[(u32, i64)], out: &mut Output) -> Result<()> {
        let each = |(slot, times): &(u32, i64)| {
            std::iter::repeat_n((*slot, times.signum()), times.unsigned_abs() as usize)
        };
        let changes: Vec<(u32, i64)> = changes.iter().flat_map(each).collect();
        for changes in changes.chunks(EMIT_ROWS_MAX) {
            let slots: Vec<u32> = changes.iter().map(|(slot, _)| *slot).collect();
            let schema = Arc::clone(&self.spec.schema);
            let rows = RecordBatch::try_new(schema, self.rows.columns(&slots)?)?;
            let weights = Int64Array::from_iter_values(changes.iter().map(|(_, weight)| *weight));
            out.emit(Batch::new(rows).with_weights(Some(weights)));
        }
        Ok(())
    }

    fn saved(&self, slots: &[u32]) -> Result<RecordBatch> {
        let count = |side: usize| {
            let counts = slots.iter().map(|slot| self.counts[*slot as usize][side]);
            Arc::new(Int64Array::from_iter_values(counts)) as ArrayRef
        };
        let written = slots.iter().map(|slot| self.expiry.written(*slot));
        let mut columns = vec![
            saved::key_groups(&self.rows, self.spec.schema.fields().len(), slots),
            ("written".to_owned(), Arc::new(Int64Array::from_iter_values(written)) as ArrayRef),
            ("left".to_owned(), count(0)),
            ("right".to_owned(), count(1)),
        ];
        columns.extend(saved::named("column_", self.rows.columns(slots)?));
        saved::rows(columns)
    }

    fn forget(&mut self, slot: u32) {
        self.counts[slot as usize] = [0, 0];
        self.expiry.forget(slot);
        self.changed.remove(slot, self.rows.key(slot));
        self.rows.remove(slot);
    }
}

impl Operator for SetAll {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let slots = self.rows.intern(batch.rows().columns(), batch.num_rows())?;
        self.counts.resize(self.rows.slots_len(), [0, 0]);
        let changed = each_once(&slots);
        let before: Vec<i64> = changed.iter().map(|slot| self.times(*slot)).collect();
        for (row, slot) in slots.iter().enumerate() {
            let weight = batch.weights().map_or(1, |weights| weights.value(row));
            self.counts[*slot as usize][port] += weight;
            self.expiry.touch(*slot);
            self.changed.touch(*slot);
        }
        let after =
            changed.iter().zip(before).map(|(slot, before)| (*slot, self.times(*slot) - before));
        // What is taken back goes first.
        let mut changes: Vec<(u32, i64)> = after.filter(|(_, times)| *times != 0).collect();
        changes.sort_by_key(|(_, times)| *times > 0);
        self.emit(&changes, out)?;
        for slot in changed {
            if self.counts[slot as usize] == [0, 0] {
                self.forget(slot);
            }
        }
        Ok(())
    }

    fn on_time(&mut self, time: Time, _out: &mut Output) -> Result<()> {
        if let Time::Processing(now) = time {
            for slot in self.expiry.advance(now) {
                self.forget(slot);
            }
        }
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let slots: Vec<u32> = self.rows.slots().collect();
        let bytes = self.state_bytes().unwrap_or(0);
        saved::table_of(STATE, &slots, bytes, |slots| self.saved(slots))
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        let bytes = self.state_bytes().unwrap_or(0);
        let Some(since) = self.changed.barrier(epoch, since, &self.rows, bytes) else {
            return Ok(None);
        };
        let key = saved::names("column_", self.spec.schema.fields().len());
        let (name, rows) = (STATE.to_owned(), self.saved(&since.slots)?);
        let gone = self.changed.gone(&since, &key, &every(&key), &self.rows)?;
        Ok(Some(vec![TableChanges::Since(StateChanges { name, key, rows, gone })]))
    }

    fn loads_pieces(&self) -> bool {
        true
    }

    fn state_bytes(&self) -> Option<usize> {
        let counts = size_of_val(self.counts.as_slice());
        Some(self.rows.memory() + counts + self.expiry.bytes() + self.changed.bytes())
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.changed.loaded();
        for table in tables {
            let columns = table.rows.columns();
            if table.name != STATE || columns.len() != self.spec.schema.fields().len() + 4 {
                return Err(saved::changed(&table.name));
            }
            let number = |column: usize| {
                let numbers = columns[column].as_primitive_opt::<Int64Type>();
                numbers.ok_or_else(|| Error::bug("counts of another type"))
            };
            let (written, left, right) = (number(1)?, number(2)?, number(3)?);
            let slots = self.rows.intern(&columns[4..], table.rows.num_rows())?;
            self.counts.resize(self.rows.slots_len(), [0, 0]);
            for (row, slot) in slots.iter().enumerate() {
                self.counts[*slot as usize] = [left.value(row), right.value(row)];
                self.expiry.touch_at(*slot, written.value(row));
            }
        }
        Ok(())
    }
}
