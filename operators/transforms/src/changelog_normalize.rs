//! Behind a table of upserts: the last row of each key, so that each change is told with whole rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use nowcast_engine::keys::{KeyCodec, Keys};
use nowcast_engine::{Batch, Epoch, Operator, Output, Result, StateTable, Time};

use crate::changes::is_deletion;
use crate::expiry::Expiry;
use crate::group_aggregate::each_once;
use crate::saved;

#[derive(Debug, Clone)]
pub struct ChangelogNormalizeSpec {
    /// The primary key. Rows are exchanged by these columns in this order.
    pub keys: Vec<usize>,
    /// How long a key is kept after its last row, by the wall clock; `None`: forever.
    pub ttl_ms: Option<i64>,
    /// Of input and output.
    pub schema: SchemaRef,
}

/// An insert takes the row of its key back, if there is another one, and comes; a delete, of which
/// the key alone counts, takes the row back. Every row is a change of its own, so that none of the
/// versions of a key is lost, and keeps its bound.
pub struct ChangelogNormalize {
    spec: ChangelogNormalizeSpec,
    codec: KeyCodec,
    keys: Keys,
    /// By slot, encoded.
    rows: Vec<Option<Arc<[u8]>>>,
    expiry: Expiry,
}

const STATE: &str = "rows";

impl ChangelogNormalize {
    pub fn new(spec: ChangelogNormalizeSpec) -> Result<Self> {
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

    fn remove(&mut self, slot: u32) {
        self.rows[slot as usize] = None;
        self.keys.remove(slot);
    }

    /// Key group, when the key was written, its row.
    fn saved(&self, slots: &[u32]) -> Result<RecordBatch> {
        let written = slots.iter().map(|slot| self.expiry.written(*slot));
        let rows = slots.iter().filter_map(|slot| self.rows[*slot as usize].as_deref());
        let mut columns = vec![
            saved::key_groups(&self.keys, self.spec.keys.len(), slots),
            ("written".to_owned(), Arc::new(Int64Array::from_iter_values(written)) as ArrayRef),
        ];
        columns.extend(saved::named("column_", self.codec.decode(rows)?));
        saved::rows(columns)
    }
}

impl Operator for ChangelogNormalize {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let slots = self.keys.intern(&batch.columns(&self.spec.keys), batch.num_rows())?;
        self.rows.resize(self.keys.slots_len(), None);
        let encoded = self.codec.encode(batch.rows().columns())?;
        let (mut rows, mut weights, mut causes) = (vec![], vec![], vec![]);
        for (cause, slot) in slots.iter().enumerate() {
            let held = &mut self.rows[*slot as usize];
            let new = match is_deletion(&batch, cause) {
                true => None,
                false => Some(Arc::<[u8]>::from(encoded.row(cause).data())),
            };
            if *held == new {
                continue;
            }
            let old = std::mem::replace(held, new.clone());
            for (row, weight) in [(old, -1), (new, 1)] {
                if let Some(row) = row {
                    rows.push(row);
                    weights.push(weight);
                    causes.push(cause as u32);
                }
            }
        }
        for slot in each_once(&slots) {
            match self.rows[slot as usize].is_some() {
                true => self.expiry.touch(slot),
                false => {
                    self.remove(slot);
                    self.expiry.forget(slot);
                }
            }
        }
        let columns = self.codec.decode(rows.iter().map(|row| &**row))?;
        let weights = weights.iter().any(|weight| *weight != 1).then(|| Int64Array::from(weights));
        let bounds = match batch.bounds() {
            Some(bounds) => {
                let bounds = take(bounds, &UInt32Array::from(causes), None)?;
                Some(bounds.as_primitive::<Int64Type>().clone())
            }
            None => None,
        };
        let rows = RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?;
        out.emit(Batch::new(rows).with_weights(weights).with_bounds(bounds));
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

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        for table in tables {
            saved::check(&table, &self.saved(&[])?.schema())?;
            let written = table.rows.column(1).as_primitive::<Int64Type>().values();
            let columns = &table.rows.columns()[2..];
            let keys: Vec<ArrayRef> =
                self.spec.keys.iter().map(|key| columns[*key].clone()).collect();
            let slots = self.keys.intern(&keys, table.rows.num_rows())?;
            self.rows.resize(self.keys.slots_len(), None);
            let rows = self.codec.encode(columns)?;
            for (row, slot) in slots.iter().enumerate() {
                self.rows[*slot as usize] = Some(rows.row(row).data().into());
                self.expiry.touch_at(*slot, written[row]);
            }
        }
        Ok(())
    }
}
