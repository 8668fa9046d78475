//! Top-N without a window: the rows of each partition that have the wanted row numbers now, as a
//! changelog.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use hashbrown::HashMap;
use nowcast_engine::keys::{KeyCodec, Keys};
use nowcast_engine::{
    Batch, Epoch, Error, Operator, Output, Result, StateChanges, StateTable, TableChanges, Time,
};

use crate::admission::inserts_only;
use crate::changed::{Changed, every};
use crate::changes::is_deletion;
use crate::expiry::Expiry;
use crate::group_aggregate::each_once;
use crate::groups::EMIT_ROWS_MAX;
use crate::saved;
use crate::sort_key::{Order, SortKey, Ties};

/// `ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) BETWEEN first AND last`.
#[derive(Debug, Clone)]
pub struct RankSpec {
    /// Rows are exchanged by these columns in this order.
    pub partition: Vec<usize>,
    /// Without any, rows are numbered by their arrival.
    pub order: Vec<SortKey>,
    pub ties: Ties,
    /// Row numbers, from 1.
    pub first: usize,
    pub last: usize,
    /// Whether the row number is appended as a last column (`Int64`).
    pub numbered: bool,
    /// Whether rows are taken back.
    pub retracts: bool,
    /// How long a partition is kept after its last change, by the wall clock; `None`: forever.
    pub ttl_ms: Option<i64>,
    /// So many first columns of the input go out, the others are there for partition and order.
    pub kept: usize,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// At the end of each batch and for each partition that it has changed: the rows that have lost
/// their number are taken back, then those that have got one come. Without the number in the output
/// a row that keeps a wanted number, be it another one, is no change.
///
/// Of inserts alone only the first `last` rows of a partition are held, of a changelog all. A row
/// that is taken back and is not there, as after its partition's TTL, is ignored.
pub struct Rank {
    spec: RankSpec,
    order: Order,
    codec: KeyCodec,
    partitions: Keys,
    /// By slot.
    rows: Vec<BTreeMap<Position, Row>>,
    /// Of the rows, with what the map needs for each.
    bytes: usize,
    /// Rows that have come so far.
    arrived: i64,
    expiry: Expiry,
    changed: Changed,
}

/// What a row sorts by, and what decides between rows that sort equal.
type Position = (Box<[u8]>, i64);

/// The kept columns, encoded.
type Row = Arc<[u8]>;

const STATE: &str = "rows";

impl Rank {
    pub fn new(spec: RankSpec) -> Result<Self> {
        let types: Vec<DataType> =
            spec.input_schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let given = spec.schema.fields().len();
        let wanted = spec.kept + usize::from(spec.numbered);
        if given != wanted || spec.kept == 0 || spec.kept > types.len() {
            return Err(Error::bug(format!("top n: {given} columns, not {wanted}")));
        }
        if spec.first == 0 || spec.last < spec.first {
            let (first, last) = (spec.first, spec.last);
            return Err(Error::user(format!("top n: no row has a number from {first} to {last}")));
        }
        let keys: Vec<DataType> = spec.partition.iter().map(|key| types[*key].clone()).collect();
        Ok(Self {
            order: Order::new(&spec.order, &types)?,
            codec: KeyCodec::new(&types[..spec.kept])?,
            partitions: Keys::new(&keys)?,
            rows: vec![],
            bytes: 0,
            arrived: 0,
            expiry: Expiry::new(spec.ttl_ms),
            changed: Changed::default(),
            spec,
        })
    }

    /// Whether the row can change what is held: of inserts only the first rows are.
    fn counts(&self, slot: u32, order: &[u8]) -> bool {
        let held = &self.rows[slot as usize];
        if self.spec.retracts || held.len() < self.spec.last {
            return true;
        }
        held.last_key_value().is_none_or(|((last, _), _)| match self.spec.ties {
            Ties::EarlierFirst => order < &**last,
            Ties::LaterFirst => order <= &**last,
        })
    }

    fn add(&mut self, slot: u32, order: &[u8], row: &[u8]) {
        self.arrived += 1;
        let turn = match self.spec.ties {
            Ties::EarlierFirst => self.arrived,
            Ties::LaterFirst => -self.arrived,
        };
        let held = &mut self.rows[slot as usize];
        held.insert((order.into(), turn), row.into());
        self.bytes += taken_by(order, row);
        if !self.spec.retracts
            && held.len() > self.spec.last
            && let Some(((order, _), row)) = held.pop_last()
        {
            self.bytes -= taken_by(&order, &row);
        }
    }

    fn take_back(&mut self, slot: u32, order: &[u8], row: &[u8]) {
        let held = &mut self.rows[slot as usize];
        let (from, to) = ((order.into(), i64::MIN), (order.into(), i64::MAX));
        let found = held.range::<Position, _>(from..=to).find(|(_, held)| &***held == row);
        if let Some(position) = found.map(|(position, _)| position.clone()) {
            held.remove(&position);
            self.bytes -= taken_by(order, row);
        }
    }

    /// The rows that have wanted numbers, in their order.
    fn wanted(&self, slot: u32) -> Vec<Row> {
        let wanted = self.spec.last - self.spec.first + 1;
        let rows = self.rows[slot as usize].values().skip(self.spec.first - 1);
        rows.take(wanted).cloned().collect()
    }

    fn send(&self, changes: &mut Vec<Change>, out: &mut Output) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut columns = self.codec.decode(changes.iter().map(|change| &*change.row))?;
        if self.spec.numbered {
            let numbers = changes.iter().map(|change| change.number);
            columns.push(Arc::new(Int64Array::from_iter_values(numbers)));
        }
        let weights = Int64Array::from_iter_values(changes.iter().map(|change| change.weight));
        let weights = weights.values().iter().any(|weight| *weight != 1).then_some(weights);
        let rows = RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?;
        out.emit(Batch::new(rows).with_weights(weights));
        changes.clear();
        Ok(())
    }

    fn remove(&mut self, slot: u32) {
        let rows = std::mem::take(&mut self.rows[slot as usize]);
        self.bytes -= rows.iter().map(|((order, _), row)| taken_by(order, row)).sum::<usize>();
        self.changed.remove(slot, self.partitions.key(slot));
        self.partitions.remove(slot);
    }

    /// The rows of slots: key group, when the partition was written, its columns, the sort columns,
    /// the kept columns.
    fn saved(&self, slots: &[u32]) -> Result<RecordBatch> {
        let held = |slot: &u32| self.rows[*slot as usize].iter();
        let of = slots.iter().flat_map(|slot| std::iter::repeat_n(*slot, held(slot).count()));
        let of: Vec<u32> = of.collect();
        let written = of.iter().map(|slot| self.expiry.written(*slot));
        let order = slots.iter().flat_map(held).map(|((order, _), _)| &**order);
        let rows = slots.iter().flat_map(held).map(|(_, row)| &**row);
        let mut columns = vec![
            saved::key_groups(&self.partitions, self.spec.partition.len(), &of),
            ("written".to_owned(), Arc::new(Int64Array::from_iter_values(written)) as ArrayRef),
        ];
        columns.extend(saved::named("key_", self.partitions.columns(&of)?));
        columns.extend(saved::named("order_", self.order.decode(order)?));
        columns.extend(saved::named("column_", self.codec.decode(rows)?));
        saved::rows(columns)
    }
}

impl Operator for Rank {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        if !self.spec.retracts {
            inserts_only(&batch, "top n")?;
        }
        let keys = batch.columns(&self.spec.partition);
        let slots = self.partitions.intern(&keys, batch.num_rows())?;
        self.rows.resize_with(self.partitions.slots_len(), BTreeMap::new);
        let order = self.order.of_rows(batch.rows())?;
        let counting: Vec<u32> = (0..batch.num_rows() as u32)
            .filter(|row| self.counts(slots[*row as usize], order.row(*row as usize)))
            .collect();
        if counting.is_empty() {
            return Ok(());
        }
        let indices = UInt32Array::from(counting.clone());
        let kept = batch.rows().columns()[..self.spec.kept].iter();
        let kept = kept.map(|column| take(column, &indices, None));
        let encoded = self.codec.encode(&kept.collect::<std::result::Result<Vec<_>, _>>()?)?;
        let of: Vec<u32> = counting.iter().map(|row| slots[*row as usize]).collect();
        let touched = each_once(&of);
        let old: Vec<Vec<Row>> = touched.iter().map(|slot| self.wanted(*slot)).collect();
        for ((row, slot), encoded) in counting.iter().zip(of).zip(encoded.iter()) {
            let row = *row as usize;
            match is_deletion(&batch, row) {
                true => self.take_back(slot, order.row(row), encoded.data()),
                false => self.add(slot, order.row(row), encoded.data()),
            }
        }
        let mut changes = vec![];
        for (slot, old) in touched.iter().zip(&old) {
            let new = self.wanted(*slot);
            match self.spec.numbered {
                true => by_number(old, &new, self.spec.first, &mut changes),
                false => by_row(old, &new, &mut changes),
            }
            if changes.len() >= EMIT_ROWS_MAX {
                self.send(&mut changes, out)?;
            }
        }
        self.send(&mut changes, out)?;
        for slot in touched {
            match self.rows[slot as usize].is_empty() {
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
        let slots: Vec<u32> = self.partitions.slots().collect();
        let bytes = self.state_bytes().unwrap_or(0);
        saved::table_of(STATE, &slots, bytes, |slots| self.saved(slots))
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        let bytes = self.state_bytes().unwrap_or(0);
        let Some(since) = self.changed.barrier(epoch, since, &self.partitions, bytes) else {
            return Ok(None);
        };
        let key = saved::names("key_", self.spec.partition.len());
        let (name, rows) = (STATE.to_owned(), self.saved(&since.slots)?);
        let gone = self.changed.gone(&since, &key, &every(&key), &self.partitions)?;
        Ok(Some(vec![TableChanges::Since(StateChanges { name, key, rows, gone })]))
    }

    fn loads_pieces(&self) -> bool {
        true
    }

    fn state_bytes(&self) -> Option<usize> {
        let slots = size_of_val(self.rows.as_slice());
        let beside = self.expiry.bytes() + self.changed.bytes();
        Some(self.partitions.memory() + self.bytes + slots + beside)
    }

    fn blank(&self) -> Result<Vec<StateTable>> {
        Ok(vec![StateTable { name: STATE.to_owned(), rows: self.saved(&[])? }])
    }

    /// Saved rows are in order, which is kept: of rows that sort equal, those that come later are
    /// after all of them or before all of them.
    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.changed.loaded();
        for table in tables {
            saved::check(&table, &self.saved(&[])?.schema())?;
            let (keys, order) = (2 + self.spec.partition.len(), self.order.len());
            let columns = table.rows.columns();
            let slots = self.partitions.intern(&columns[2..keys], table.rows.num_rows())?;
            self.rows.resize_with(self.partitions.slots_len(), BTreeMap::new);
            let written = columns[1].as_primitive::<Int64Type>().values();
            let rows = self.codec.encode(&columns[keys + order..])?;
            let order = self.order.encode(&columns[keys..keys + order])?;
            for (row, slot) in slots.iter().enumerate() {
                self.arrived += 1;
                let position = (order.row(row).into(), self.arrived);
                self.bytes += taken_by(order.row(row), rows.row(row).data());
                self.rows[*slot as usize].insert(position, rows.row(row).data().into());
                self.expiry.touch_at(*slot, written[row]);
            }
        }
        Ok(())
    }
}

/// Bytes that a row takes in its map, about.
fn taken_by(order: &[u8], row: &[u8]) -> usize {
    order.len() + row.len() + 112
}

struct Change {
    row: Row,
    /// The row's number, where it is in the output.
    number: i64,
    weight: i64,
}

/// Which numbers have another row.
fn by_number(old: &[Row], new: &[Row], first: usize, changes: &mut Vec<Change>) {
    for (from, to, weight) in [(old, new, -1), (new, old, 1)] {
        for (nth, row) in from.iter().enumerate().filter(|(nth, row)| to.get(*nth) != Some(*row)) {
            changes.push(Change { row: Arc::clone(row), number: (first + nth) as i64, weight });
        }
    }
}

/// Which rows have gone and which have come, whatever their numbers.
fn by_row(old: &[Row], new: &[Row], changes: &mut Vec<Change>) {
    let mut left: HashMap<&[u8], i64> = HashMap::with_capacity(old.len());
    old.iter().for_each(|row| *left.entry(row).or_default() -= 1);
    new.iter().for_each(|row| *left.entry(row).or_default() += 1);
    for (rows, weight) in [(old, -1), (new, 1)] {
        for row in rows {
            let left = left.get_mut(&**row).expect("all rows were counted");
            if *left * weight > 0 {
                *left -= weight;
                changes.push(Change { row: Arc::clone(row), number: 0, weight });
            }
        }
    }
}
