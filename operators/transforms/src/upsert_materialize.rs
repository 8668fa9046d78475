//! Before a table with a key, where several rows of a key may stand: which of them is written.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use nowcast_engine::keys::{KeyCodec, Keys};
use nowcast_engine::{Batch, Epoch, Operator, Output, Result, StateTable, Time};

use crate::changes::{self, Change, is_deletion};
use crate::expiry::Expiry;
use crate::group_aggregate::each_once;
use crate::saved;

/// Of the rows of a key that stand, the one that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    First,
    Last,
}

#[derive(Debug, Clone)]
pub struct UpsertMaterializeSpec {
    /// The table's key. Rows are exchanged by these columns in this order.
    pub keys: Vec<usize>,
    pub written: Written,
    /// How long a key is kept after its last change, by the wall clock; `None`: forever.
    pub ttl_ms: Option<i64>,
    /// Of input and output.
    pub schema: SchemaRef,
}

/// At the end of each batch, one change for each key whose written row is another one now. When it
/// is taken back, the one that came next to it takes its place. A row that is taken back and does
/// not stand, as after its key's TTL, is ignored.
pub struct UpsertMaterialize {
    spec: UpsertMaterializeSpec,
    codec: KeyCodec,
    keys: Keys,
    /// By slot: the rows that stand, encoded, in the order in which they came.
    rows: Vec<Vec<Arc<[u8]>>>,
    expiry: Expiry,
}

const STATE: &str = "rows";

impl UpsertMaterialize {
    pub fn new(spec: UpsertMaterializeSpec) -> Result<Self> {
        let types: Vec<DataType> =
            spec.schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let keys: Vec<DataType> = spec.keys.iter().map(|key| types[*key].clone()).collect();
        Ok(Self {
            codec: KeyCodec::new(&types)?,
            keys: Keys::new(&keys)?,
            rows: vec![],
            expiry: Expiry::new(spec.ttl_ms),
            spec,
        })
    }

    fn written(&self, slot: u32) -> Option<Arc<[u8]>> {
        let rows = &self.rows[slot as usize];
        match self.spec.written {
            Written::First => rows.first().cloned(),
            Written::Last => rows.last().cloned(),
        }
    }

    fn remove(&mut self, slot: u32) {
        self.rows[slot as usize].clear();
        self.keys.remove(slot);
    }

    /// Key group, when the key was written, and a row of it.
    fn saved(&self, slots: &[u32]) -> Result<RecordBatch> {
        let rows = |slot: &u32| self.rows[*slot as usize].iter();
        let of = slots.iter().flat_map(|slot| std::iter::repeat_n(*slot, rows(slot).len()));
        let of: Vec<u32> = of.collect();
        let written = of.iter().map(|slot| self.expiry.written(*slot));
        let mut columns = vec![
            saved::key_groups(&self.keys, self.spec.keys.len(), &of),
            ("written".to_owned(), Arc::new(Int64Array::from_iter_values(written)) as ArrayRef),
        ];
        let rows = self.codec.decode(slots.iter().flat_map(rows).map(|row| &**row))?;
        columns.extend(saved::named("column_", rows));
        saved::rows(columns)
    }
}

impl Operator for UpsertMaterialize {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let slots = self.keys.intern(&batch.columns(&self.spec.keys), batch.num_rows())?;
        self.rows.resize_with(self.keys.slots_len(), Vec::new);
        let encoded = self.codec.encode(batch.rows().columns())?;
        let touched = each_once(&slots);
        let before: Vec<_> = touched.iter().map(|slot| self.written(*slot)).collect();
        for (row, slot) in slots.iter().enumerate() {
            let standing = &mut self.rows[*slot as usize];
            let encoded = encoded.row(row);
            if !is_deletion(&batch, row) {
                standing.push(encoded.data().into());
            } else if let Some(at) = standing.iter().rposition(|held| **held == *encoded.data()) {
                standing.remove(at);
            }
        }
        let after: Vec<_> = touched.iter().map(|slot| self.written(*slot)).collect();
        let (mut olds, mut news) = (0.., 0..);
        let changes: Vec<Change> = before
            .iter()
            .zip(&after)
            .map(|(old, new)| Change {
                old: old.as_ref().and_then(|_| olds.next()),
                new: new.as_ref().and_then(|_| news.next()),
            })
            .collect();
        let old = self.codec.decode(before.iter().flatten().map(|row| &**row))?;
        let new = self.codec.decode(after.iter().flatten().map(|row| &**row))?;
        changes::emit(&changes, &old, &new, &self.spec.schema, out)?;
        for (slot, after) in touched.into_iter().zip(after) {
            match after {
                Some(_) => self.expiry.touch(slot),
                None => {
                    self.remove(slot);
                    self.expiry.forget(slot);
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
        Ok(saved::table(STATE, &[self.saved(&slots)?])?.into_iter().collect())
    }

    /// The rows of a key were saved in their order.
    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        for table in tables {
            saved::check(&table, &self.saved(&[])?.schema())?;
            let written = table.rows.column(1).as_primitive::<Int64Type>().values();
            let columns = &table.rows.columns()[2..];
            let keys: Vec<ArrayRef> =
                self.spec.keys.iter().map(|key| columns[*key].clone()).collect();
            let slots = self.keys.intern(&keys, table.rows.num_rows())?;
            self.rows.resize_with(self.keys.slots_len(), Vec::new);
            let rows = self.codec.encode(columns)?;
            for (row, slot) in slots.iter().enumerate() {
                self.rows[*slot as usize].push(rows.row(row).data().into());
                self.expiry.touch_at(*slot, written[row]);
            }
        }
        Ok(())
    }
}
