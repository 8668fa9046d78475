//! Before a table with a key, where several rows of a key may stand: which of them is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use nowcast_engine::aside::rows_as_json;
use nowcast_engine::{
    Batch, Epoch, Error, Operator, Output, Result, StateTable, TableChanges, Time,
};

use crate::changes::{self, Change, is_deletion};
use crate::group_aggregate::each_once;
use crate::keyed_rows::{KeyedRows, Row};

/// Of the rows of a key that stand, the one that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    First,
    Last,
    /// That there are several is an error, unless but one is left when the watermark moves on, a
    /// checkpoint begins or the input ends.
    Only,
}

#[derive(Debug, Clone)]
pub struct UpsertMaterializeSpec {
    /// The table's key. Rows are exchanged by these columns in this order.
    pub keys: Vec<usize>,
    pub written: Written,
    /// Its name.
    pub table: String,
    /// How long a key is kept after its last change, by the wall clock; `None`: forever.
    pub ttl_ms: Option<i64>,
    /// Of input and output.
    pub schema: SchemaRef,
}

/// At the end of each batch, one change for each key whose written row is another one now. When it
/// is taken back, the one that came next to it takes its place. A row that is taken back and does
/// not stand, as after its key's TTL, is ignored.
pub struct UpsertMaterialize {
    written: Written,
    table: String,
    keys: Vec<usize>,
    schema: SchemaRef,
    /// Where [`Written::Only`] has found several since it was last looked at.
    several: BTreeSet<u32>,
    /// All rows of a key that stand.
    rows: KeyedRows<Vec<Row>>,
}

impl UpsertMaterialize {
    pub fn new(spec: UpsertMaterializeSpec) -> Result<Self> {
        let rows = KeyedRows::new(&spec.schema, &spec.keys, spec.ttl_ms)?;
        let UpsertMaterializeSpec { keys, written, table, schema, .. } = spec;
        Ok(Self { written, table, keys, schema, several: BTreeSet::new(), rows })
    }

    fn written(&self, slot: u32) -> Option<Row> {
        let rows = self.rows.standing(slot);
        match self.written {
            Written::First => rows.first().cloned(),
            Written::Last | Written::Only => rows.last().cloned(),
        }
    }

    /// # Errors
    /// Where several rows of a key stand and one alone may.
    fn check(&mut self) -> Result<()> {
        let several = std::mem::take(&mut self.several);
        let mut standing = several.iter().map(|slot| self.rows.standing(*slot));
        let Some(rows) = standing.find(|rows| rows.len() > 1) else { return Ok(()) };
        let row = self.rows.codec.decode(rows.iter().take(1).map(|row| &**row))?;
        let fields = self.keys.iter().map(|key| self.schema.field(*key).clone());
        let key = self.keys.iter().map(|key| Arc::clone(&row[*key])).collect();
        let key = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), key)?;
        let key = rows_as_json(&key).pop().unwrap_or_default();
        Err(Error::user(format!(
            "table \"{}\": several rows have the primary key {}, and the statement says ON CONFLICT DO \
             ERROR",
            self.table,
            String::from_utf8_lossy(&key)
        )))
    }
}

impl Operator for UpsertMaterialize {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let slots = self.rows.slots(&batch)?;
        let encoded = self.rows.codec.encode(batch.rows().columns())?;
        let touched = each_once(&slots);
        let before: Vec<_> = touched.iter().map(|slot| self.written(*slot)).collect();
        for (row, slot) in slots.iter().enumerate() {
            let standing = self.rows.standing_mut(*slot);
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
        let old = self.rows.codec.decode(before.iter().flatten().map(|row| &**row))?;
        let new = self.rows.codec.decode(after.iter().flatten().map(|row| &**row))?;
        changes::emit(&changes, &old, &new, &self.schema, out)?;
        for slot in touched {
            if self.written == Written::Only && self.rows.standing(slot).len() > 1 {
                self.several.insert(slot);
            }
            self.rows.changed(slot);
        }
        Ok(())
    }

    fn on_time(&mut self, time: Time, _out: &mut Output) -> Result<()> {
        if let Time::Event(_) = time {
            self.check()?;
        }
        self.rows.on_time(time);
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        self.check()?;
        self.rows.save()
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        self.check()?;
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
