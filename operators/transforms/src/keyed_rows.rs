//! Rows by key as state: of each key the rows that stand, and when it was last written.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use nowcast_engine::keys::{KeyCodec, Keys};
use nowcast_engine::{Batch, Epoch, Result, StateChanges, StateTable, TableChanges, Time};

use crate::changed::{Changed, every};
use crate::expiry::Expiry;
use crate::group_aggregate::each_once;
use crate::saved;

/// A row, encoded.
pub(crate) type Row = Arc<[u8]>;

/// The rows of one key that stand: one at most, or all in the order in which they came.
pub(crate) trait Standing: Clone + Default {
    fn rows(&self) -> &[Row];

    fn push(&mut self, row: Row);
}

impl Standing for Option<Row> {
    fn rows(&self) -> &[Row] {
        self.as_slice()
    }

    fn push(&mut self, row: Row) {
        *self = Some(row);
    }
}

impl Standing for Vec<Row> {
    fn rows(&self) -> &[Row] {
        self
    }

    fn push(&mut self, row: Row) {
        Self::push(self, row);
    }
}

/// By slot of the key, what stands of it. A slot that is let go of is free for another key.
pub(crate) struct KeyedRows<S> {
    /// The key's columns.
    columns: Vec<usize>,
    pub codec: KeyCodec,
    keys: Keys,
    standing: Vec<S>,
    /// By slot, the bytes of what stands; and of all slots.
    sizes: Vec<u32>,
    bytes: usize,
    expiry: Expiry,
    changed: Changed,
}

/// What a row takes besides its bytes: its counters and its allocation.
const ROW_BYTES: usize = 48;

const STATE: &str = "rows";

impl<S: Standing> KeyedRows<S> {
    /// `ttl_ms`: how long a key is kept after its last change, by the wall clock; `None`: forever.
    pub fn new(schema: &SchemaRef, columns: &[usize], ttl_ms: Option<i64>) -> Result<Self> {
        let types: Vec<DataType> =
            schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let keys: Vec<DataType> = columns.iter().map(|key| types[*key].clone()).collect();
        Ok(Self {
            columns: columns.to_vec(),
            codec: KeyCodec::new(&types)?,
            keys: Keys::new(&keys)?,
            standing: vec![],
            sizes: vec![],
            bytes: 0,
            expiry: Expiry::new(ttl_ms),
            changed: Changed::default(),
        })
    }

    /// The slots of the rows of a batch.
    pub fn slots(&mut self, batch: &Batch) -> Result<Vec<u32>> {
        let slots = self.keys.intern(&batch.columns(&self.columns), batch.num_rows())?;
        self.standing.resize(self.keys.slots_len(), S::default());
        Ok(slots)
    }

    pub fn standing(&self, slot: u32) -> &S {
        &self.standing[slot as usize]
    }

    pub fn standing_mut(&mut self, slot: u32) -> &mut S {
        &mut self.standing[slot as usize]
    }

    /// The slot has been changed: it is written now, or free where nothing stands.
    pub fn changed(&mut self, slot: u32) {
        self.measure(slot);
        if self.standing(slot).rows().is_empty() {
            self.remove(slot);
            self.expiry.forget(slot);
        } else {
            self.expiry.touch(slot);
            self.changed.touch(slot);
        }
    }

    /// Takes in how many bytes stand of a slot.
    fn measure(&mut self, slot: u32) {
        let rows = self.standing[slot as usize].rows();
        let size = rows.iter().map(|row| row.len() + ROW_BYTES).sum::<usize>();
        self.sizes.resize(self.standing.len(), 0);
        let held = &mut self.sizes[slot as usize];
        self.bytes = self.bytes + size - *held as usize;
        *held = size as u32;
    }

    /// Bytes of memory that keys and rows take, about.
    pub fn bytes(&self) -> usize {
        let slots = size_of_val(self.standing.as_slice()) + size_of_val(self.sizes.as_slice());
        let beside = self.expiry.bytes() + self.changed.bytes();
        self.keys.memory() + self.bytes + slots + beside
    }

    /// Lets go of the keys that have been quiet for too long.
    pub fn on_time(&mut self, time: Time) {
        let Time::Processing(now) = time else { return };
        for slot in self.expiry.advance(now) {
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: u32) {
        self.standing[slot as usize] = S::default();
        self.measure(slot);
        self.changed.remove(slot, self.keys.key(slot));
        self.keys.remove(slot);
    }

    /// Key group, when the key was written, and a row of it.
    fn saved(&self, slots: &[u32]) -> Result<RecordBatch> {
        let rows = |slot: &u32| self.standing(*slot).rows().iter();
        let of = slots.iter().flat_map(|slot| std::iter::repeat_n(*slot, rows(slot).len()));
        let of: Vec<u32> = of.collect();
        let written = of.iter().map(|slot| self.expiry.written(*slot));
        let mut columns = vec![
            saved::key_groups(&self.keys, self.columns.len(), &of),
            ("written".to_owned(), Arc::new(Int64Array::from_iter_values(written)) as ArrayRef),
        ];
        let rows = self.codec.decode(slots.iter().flat_map(rows).map(|row| &**row))?;
        columns.extend(saved::named("column_", rows));
        saved::rows(columns)
    }

    pub fn save(&self) -> Result<Vec<StateTable>> {
        let slots: Vec<u32> = self.keys.slots().collect();
        saved::table_of(STATE, &slots, self.bytes(), |slots| self.saved(slots))
    }

    /// As [`nowcast_engine::Operator::changes`].
    pub fn changes(
        &mut self,
        epoch: Epoch,
        since: Option<Epoch>,
    ) -> Result<Option<Vec<TableChanges>>> {
        let bytes = self.bytes();
        let Some(since) = self.changed.barrier(epoch, since, &self.keys, bytes) else {
            return Ok(None);
        };
        let key: Vec<String> =
            self.columns.iter().map(|column| format!("column_{column}")).collect();
        let (name, rows) = (STATE.to_owned(), self.saved(&since.slots)?);
        let gone = self.changed.gone(&since, &key, &every(&key), &self.keys)?;
        Ok(Some(vec![TableChanges::Since(StateChanges { name, key, rows, gone })]))
    }

    /// The columns of the state, without rows.
    pub fn blank(&self) -> Result<Vec<StateTable>> {
        Ok(vec![StateTable { name: STATE.to_owned(), rows: self.saved(&[])? }])
    }

    /// The rows of a key were saved in their order.
    pub fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.changed.loaded();
        for table in tables {
            saved::check(&table, &self.saved(&[])?.schema())?;
            let written = table.rows.column(1).as_primitive::<Int64Type>().values();
            let columns = &table.rows.columns()[2..];
            let keys: Vec<ArrayRef> =
                self.columns.iter().map(|key| columns[*key].clone()).collect();
            let slots = self.keys.intern(&keys, table.rows.num_rows())?;
            self.standing.resize(self.keys.slots_len(), S::default());
            let rows = self.codec.encode(columns)?;
            for (row, slot) in slots.iter().enumerate() {
                self.standing[*slot as usize].push(rows.row(row).data().into());
                self.expiry.touch_at(*slot, written[row]);
            }
            for slot in each_once(&slots) {
                self.measure(slot);
            }
        }
        Ok(())
    }
}
