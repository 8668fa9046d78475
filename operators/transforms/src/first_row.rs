//! Deduplication: the first row of each key alone, by event time or as rows arrive.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use hashbrown::HashMap;
use nowcast_engine::keys::{KeyCodec, Keys};
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{
    Batch, Epoch, Error, Millis, Operator, Output, Result, StateChanges, StateTable, TableChanges,
    Time,
};

use crate::admission::{Admission, inserts_only, row_watermark};
use crate::changed::{Changed, every};
use crate::expiry::Expiry;
use crate::group_aggregate::each_once;
use crate::groups::EMIT_ROWS_MAX;
use crate::saved;
use crate::window::unusable;

/// `ROW_NUMBER() OVER (PARTITION BY keys ORDER BY time ASC) = 1` over inserts.
#[derive(Debug, Clone)]
pub struct FirstRowSpec {
    /// Rows are exchanged by these columns in this order.
    pub keys: Vec<usize>,
    /// Event time; `None`: rows are first as they arrive.
    pub time: Option<usize>,
    /// How long a key is kept after its first row, by the wall clock; `None`: forever.
    pub ttl_ms: Option<i64>,
    /// So many first columns of the input go out, the others are there for keys and time.
    pub kept: usize,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// Emits inserts. By event time a row leaves when the watermark has passed it, of rows of one time
/// the one that came first; a late row is set aside, unless its key's first row has left: then it
/// is one of the many that are not first.
pub struct FirstRow {
    spec: FirstRowSpec,
    codec: KeyCodec,
    keys: Keys,
    /// By slot: the least time so far; `None` where the slot is free.
    times: Vec<Option<Millis>>,
    /// By slot: the row of that time, encoded; `None` when it has left.
    rows: Vec<Option<Box<[u8]>>>,
    /// Times and slots of the rows that have not left.
    waiting: BTreeSet<(Millis, u32)>,
    /// Of the rows.
    bytes: usize,
    event_time: Millis,
    expiry: Expiry,
    changed: Changed,
}

const WAITING: &str = "waiting";
const LEFT: &str = "left";

impl FirstRow {
    pub fn new(spec: FirstRowSpec) -> Result<Self> {
        let types: Vec<DataType> =
            spec.input_schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let given = spec.schema.fields().len();
        if given != spec.kept || given == 0 || given > types.len() {
            return Err(Error::bug(format!("first row: {given} columns, not {}", spec.kept)));
        }
        let keys: Vec<DataType> = spec.keys.iter().map(|key| types[*key].clone()).collect();
        Ok(Self {
            codec: KeyCodec::new(&types[..spec.kept])?,
            keys: Keys::new(&keys)?,
            times: vec![],
            rows: vec![],
            waiting: BTreeSet::new(),
            bytes: 0,
            event_time: TIME_MIN,
            expiry: Expiry::new(spec.ttl_ms),
            changed: Changed::default(),
            spec,
        })
    }

    fn resize(&mut self) {
        self.times.resize(self.keys.slots_len(), None);
        self.rows.resize(self.keys.slots_len(), None);
    }

    /// Holds a row, or none; the one before.
    fn put(&mut self, slot: u32, row: Option<Box<[u8]>>) -> Option<Box<[u8]>> {
        let length = |row: &Option<Box<[u8]>>| row.as_ref().map_or(0, |row| row.len());
        self.bytes += length(&row);
        let before = std::mem::replace(&mut self.rows[slot as usize], row);
        self.bytes -= length(&before);
        before
    }

    fn kept(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let columns = rows.columns()[..self.spec.kept].to_vec();
        Ok(RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?)
    }

    /// The first rows leave as they arrive.
    fn at_once(&mut self, batch: Batch, slots: &[u32], out: &mut Output) -> Result<()> {
        let mut first: Vec<u32> = vec![];
        for (row, slot) in slots.iter().enumerate() {
            let time = &mut self.times[*slot as usize];
            if time.is_none() {
                *time = Some(TIME_MIN);
                self.expiry.touch(*slot);
                self.changed.touch(*slot);
                first.push(row as u32);
            }
        }
        let first = batch.take(&UInt32Array::from(first))?;
        let rows = self.kept(first.rows())?;
        out.emit(first.with_rows(rows));
        Ok(())
    }

    /// The first rows so far wait for the watermark.
    fn wait(&mut self, time: usize, batch: &Batch, slots: &[u32], out: &mut Output) -> Result<()> {
        let times = to_millis(batch.column(time))?;
        let name = self.spec.input_schema.field(time).name();
        let mut admission = Admission::<()>::new();
        let mut first: HashMap<u32, u32> = HashMap::new();
        for (row, slot) in slots.iter().enumerate() {
            let time = times.is_valid(row).then(|| times.value(row));
            if let Some(reason) = unusable(time, name) {
                admission.reject(row, reason);
                continue;
            }
            let (time, held) = (times.value(row), self.times[*slot as usize]);
            let watermark = row_watermark(batch, row, self.event_time);
            if held.is_some_and(|held| held <= watermark.max(time)) {
                continue;
            }
            if time <= watermark {
                admission.late(row, time, watermark);
                continue;
            }
            if let Some(held) = held {
                self.waiting.remove(&(held, *slot));
            }
            self.times[*slot as usize] = Some(time);
            first.insert(*slot, row as u32);
        }
        admission.finish(batch, out)?;
        let mut first: Vec<(u32, u32)> = first.into_iter().collect();
        first.sort_unstable();
        let rows: Vec<u32> = first.iter().map(|(_, row)| *row).collect();
        let rows = batch.take(&UInt32Array::from(rows))?;
        let encoded = self.codec.encode(&rows.rows().columns()[..self.spec.kept])?;
        for ((slot, _), row) in first.iter().zip(encoded.iter()) {
            let time = self.times[*slot as usize].expect("it was just set");
            self.put(*slot, Some(row.data().into()));
            self.waiting.insert((time, *slot));
            self.expiry.touch(*slot);
            self.changed.touch(*slot);
        }
        // Of late and unusable rows nothing is kept.
        for slot in each_once(slots) {
            if self.times[slot as usize].is_none() {
                self.keys.remove(slot);
            }
        }
        Ok(())
    }

    fn remove(&mut self, slot: u32) {
        if let Some(time) = self.times[slot as usize].take() {
            self.waiting.remove(&(time, slot));
        }
        self.put(slot, None);
        self.changed.remove(slot, self.keys.key(slot));
        self.keys.remove(slot);
    }

    /// Key group, when the key was written, its time and its columns.
    fn saved_keys(&self, slots: &[u32]) -> Result<saved::Columns> {
        let written = slots.iter().map(|slot| self.expiry.written(*slot));
        let times = slots.iter().map(|slot| self.times[*slot as usize]);
        let mut columns = vec![
            saved::key_groups(&self.keys, self.spec.keys.len(), slots),
            ("written".to_owned(), Arc::new(Int64Array::from_iter_values(written)) as ArrayRef),
            ("time".to_owned(), Arc::new(Int64Array::from_iter(times)) as ArrayRef),
        ];
        columns.extend(saved::named("key_", self.keys.columns(slots)?));
        Ok(columns)
    }

    fn saved_waiting(&self, slots: &[u32]) -> Result<RecordBatch> {
        let mut columns = self.saved_keys(slots)?;
        let rows = slots.iter().filter_map(|slot| self.rows[*slot as usize].as_deref());
        columns.extend(saved::named("column_", self.codec.decode(rows)?));
        saved::rows(columns)
    }
}

impl Operator for FirstRow {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "first row")?;
        let keys = batch.columns(&self.spec.keys);
        let slots = self.keys.intern(&keys, batch.num_rows())?;
        self.resize();
        match self.spec.time {
            None => self.at_once(batch, &slots, out),
            Some(time) => self.wait(time, &batch, &slots, out),
        }
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let watermark = match time {
            Time::Event(watermark) => watermark,
            Time::Processing(now) => {
                for slot in self.expiry.advance(now) {
                    self.remove(slot);
                }
                return Ok(());
            }
        };
        self.event_time = self.event_time.max(watermark);
        let mut leaving: Vec<Box<[u8]>> = vec![];
        while let Some((time, slot)) = self.waiting.first().copied()
            && time <= watermark
        {
            self.waiting.pop_first();
            leaving.extend(self.put(slot, None));
            self.changed.touch(slot);
        }
        for rows in leaving.chunks(EMIT_ROWS_MAX) {
            let columns = self.codec.decode(rows.iter().map(|row| &**row))?;
            out.emit(Batch::new(RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?));
        }
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let (waiting, left): (Vec<u32>, Vec<u32>) =
            self.keys.slots().partition(|slot| self.rows[*slot as usize].is_some());
        let bytes = self.state_bytes().unwrap_or(0);
        let saved_left = |left: &[u32]| saved::rows(self.saved_keys(left)?);
        let mut tables =
            saved::table_of(WAITING, &waiting, bytes, |waiting| self.saved_waiting(waiting))?;
        tables.extend(saved::table_of(LEFT, &left, bytes, saved_left)?);
        Ok(tables)
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        let bytes = self.state_bytes().unwrap_or(0);
        let Some(since) = self.changed.barrier(epoch, since, &self.keys, bytes) else {
            return Ok(None);
        };
        let key = saved::names("key_", self.spec.keys.len());
        let gone = self.changed.gone(&since, &key, &every(&key), &self.keys)?;
        let (waiting, left): (Vec<u32>, Vec<u32>) =
            since.slots.iter().partition(|slot| self.rows[**slot as usize].is_some());
        // What is in one of the tables now has gone from the other.
        let gone_and = |others: &[u32]| -> Result<RecordBatch> {
            let mut columns = vec![saved::key_groups(&self.keys, key.len(), others)];
            columns.extend(saved::named("key_", self.keys.columns(others)?));
            Ok(concat_batches(&gone.schema(), [&gone, &saved::rows(columns)?])?)
        };
        let table = |name: &str, rows, gone| {
            let (name, key) = (name.to_owned(), key.clone());
            TableChanges::Since(StateChanges { name, key, rows, gone })
        };
        Ok(Some(vec![
            table(WAITING, self.saved_waiting(&waiting)?, gone_and(&left)?),
            table(LEFT, saved::rows(self.saved_keys(&left)?)?, gone_and(&waiting)?),
        ]))
    }

    fn loads_pieces(&self) -> bool {
        true
    }

    fn state_bytes(&self) -> Option<usize> {
        let slots = size_of_val(self.times.as_slice()) + size_of_val(self.rows.as_slice());
        let waiting = self.waiting.len() * 2 * size_of::<(Millis, u32)>();
        let beside = self.expiry.bytes() + self.changed.bytes();
        Some(self.keys.memory() + self.bytes + slots + waiting + beside)
    }

    fn blank(&self) -> Result<Vec<StateTable>> {
        let table = |name: &str, rows| StateTable { name: name.to_owned(), rows };
        let left = saved::rows(self.saved_keys(&[])?)?;
        Ok(vec![table(WAITING, self.saved_waiting(&[])?), table(LEFT, left)])
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.changed.loaded();
        for table in tables {
            let expected = match table.name.as_str() {
                WAITING => self.saved_waiting(&[])?,
                _ => saved::rows(self.saved_keys(&[])?)?,
            };
            saved::check(&table, &expected.schema())?;
            let columns = table.rows.columns();
            let (keys, rows) = columns[3..].split_at(self.spec.keys.len());
            let slots = self.keys.intern(keys, table.rows.num_rows())?;
            self.resize();
            let written = columns[1].as_primitive::<Int64Type>().values();
            let times = columns[2].as_primitive::<Int64Type>().values();
            let rows = match rows.is_empty() {
                true => None,
                false => Some(self.codec.encode(rows)?),
            };
            for (row, slot) in slots.iter().enumerate() {
                self.times[*slot as usize] = Some(times[row]);
                self.expiry.touch_at(*slot, written[row]);
                if let Some(rows) = &rows {
                    self.put(*slot, Some(rows.row(row).data().into()));
                    self.waiting.insert((times[row], *slot));
                }
            }
        }
        Ok(())
    }
}
