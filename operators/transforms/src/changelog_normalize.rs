//! Behind a table of upserts: the last row of each key, so that each change is told with whole rows.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Int64Type, SchemaRef};
use nowcast_engine::{Batch, Epoch, Operator, Output, Result, StateTable, TableChanges, Time};

use crate::changes::is_deletion;
use crate::group_aggregate::each_once;
use crate::keyed_rows::{KeyedRows, Row};

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
    schema: SchemaRef,
    rows: KeyedRows<Option<Row>>,
}

impl ChangelogNormalize {
    pub fn new(spec: ChangelogNormalizeSpec) -> Result<Self> {
        let rows = KeyedRows::new(&spec.schema, &spec.keys, spec.ttl_ms)?;
        Ok(Self { schema: spec.schema, rows })
    }
}

impl Operator for ChangelogNormalize {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let slots = self.rows.slots(&batch)?;
        let encoded = self.rows.codec.encode(batch.rows().columns())?;
        let (mut rows, mut weights, mut causes) = (vec![], vec![], vec![]);
        for (cause, slot) in slots.iter().enumerate() {
            let held = self.rows.standing_mut(*slot);
            let new = match is_deletion(&batch, cause) {
                true => None,
                false => Some(Row::from(encoded.row(cause).data())),
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
            self.rows.changed(slot);
        }
        let columns = self.rows.codec.decode(rows.iter().map(|row| &**row))?;
        let weights = weights.iter().any(|weight| *weight != 1).then(|| Int64Array::from(weights));
        let bounds = match batch.bounds() {
            Some(bounds) => {
                let bounds = take(bounds, &UInt32Array::from(causes), None)?;
                Some(bounds.as_primitive::<Int64Type>().clone())
            }
            None => None,
        };
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        out.emit(Batch::new(rows).with_weights(weights).with_bounds(bounds));
        Ok(())
    }

    fn on_time(&mut self, time: Time, _out: &mut Output) -> Result<()> {
        self.rows.on_time(time);
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        self.rows.save()
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        self.rows.changes(epoch, since)
    }

    fn loads_pieces(&self) -> bool {
        true
    }

    fn state_bytes(&self) -> Option<usize> {
        Some(self.rows.bytes())
    }

    fn blank(&self) -> Result<Vec<StateTable>> {
        self.rows.blank()
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.rows.load(tables)
    }
}
