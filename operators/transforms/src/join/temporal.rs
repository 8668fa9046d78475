//! Temporal joins: each row meets the version of a table that held at the row's own time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatchOptions;
use nowcast_engine::keys::Keys;
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{
    Batch, Epoch, Error, Millis, Operator, Output, Result, StateTable, TableChanges, Time,
};

use super::pairs::{Condition, Made, Port};
use super::regular::{JoinKind, JoinSpec, STATES, changes_of};
use super::side::Side;
use crate::admission::inserts_only;
use crate::groups::EMIT_ROWS_MAX;
use crate::saved::{self, Columns};

/// A join of rows (left) with the versions of a table (right), by the table's key.
#[derive(Clone)]
pub struct TemporalJoinSpec {
    /// Of kind inner or left.
    pub join: JoinSpec,
    /// The time columns: of the row, and from when the version holds.
    pub times: [usize; 2],
    /// Whether a version that is older than the newest one of its key is passed over.
    pub newest: bool,
}

/// Takes new rows on the left and a changelog by key on the right; gives new rows. A row waits until
/// the watermark has reached its time, then meets the last version at or before it. Of the versions
/// behind the watermark the last one of each key is kept.
///
/// On the right an insert is a version from its time on, also as the second half of an update; a
/// delete alone ends the versions of its key from its time on.
pub struct TemporalJoin {
    spec: TemporalJoinSpec,
    condition: Condition,
    keys: Keys,
    sides: [Side; 2],
    /// Rows that wait, by their time.
    waiting: BTreeMap<Millis, Vec<u32>>,
    /// By slot of the key: from when each version holds; `None` where there is none from then on.
    versions: Vec<BTreeMap<Millis, Option<u32>>>,
    /// Keys of which some versions may be let go.
    several: BTreeSet<u32>,
}

/// Positions of the sides.
const LEFT: usize = 0;
const RIGHT: usize = 1;

const DELETED: &str = "deleted";

/// What the versions of a key take, however few they are.
const VERSIONS_BYTES: usize = 200;

impl TemporalJoin {
    pub fn new(spec: TemporalJoinSpec) -> Result<Self> {
        spec.join.check()?;
        if !matches!(spec.join.kind, JoinKind::Inner | JoinKind::Left) {
            return Err(Error::bug("temporal join: it is inner or left"));
        }
        Ok(Self {
            condition: spec.join.condition(),
            keys: spec.join.keys()?,
            sides: spec.join.sides(false)?,
            spec,
            waiting: BTreeMap::new(),
            versions: vec![],
            several: BTreeSet::new(),
        })
    }

    fn wait(&mut self, batch: &Batch, out: &mut Output) -> Result<()> {
        inserts_only(batch, "temporal join")?;
        let rows = batch.rows();
        let times = to_millis(rows.column(self.spec.times[0]))?;
        let keys = self.keys.intern(&self.sides[LEFT].key_columns(rows), rows.num_rows())?;
        let encoded = self.sides[LEFT].encode(rows)?;
        let mut rejected = vec![];
        for (row, key) in keys.iter().enumerate() {
            if times.is_null(row) {
                rejected.push((row, "the time of the row is null".to_owned()));
                continue;
            }
            if let Some(number) = self.sides[LEFT].add(encoded.row(row), *key, 1, 0, TIME_MIN)
                && self.sides[LEFT].count(number) == 1
            {
                self.waiting.entry(times.value(row)).or_default().push(number);
            }
        }
        out.reject(rows, rejected)?;
        self.release(keys);
        Ok(())
    }

    fn change(&mut self, batch: &Batch, out: &mut Output) -> Result<()> {
        let rows = batch.rows();
        let times = to_millis(rows.column(self.spec.times[1]))?;
        let keys = self.keys.intern(&self.sides[RIGHT].key_columns(rows), rows.num_rows())?;
        let joinable = self.sides[RIGHT].joinable(rows);
        let encoded = self.sides[RIGHT].encode(rows)?;
        let weight = |row: usize| batch.weights().map_or(1, |weights| weights.value(row));
        let mut rejected = vec![];
        for (row, key) in keys.iter().enumerate() {
            if times.is_null(row) {
                rejected.push((row, "the time of the version is null".to_owned()));
                continue;
            }
            let time = times.value(row);
            // The old row of an update, which is a version as it is held, says nothing that the new
            // one does not.
            let updated = row + 1 < keys.len() && keys[row + 1] == *key && weight(row + 1) > 0;
            if !joinable[row]
                || (weight(row) < 0 && updated && self.is_version(*key, time, encoded.row(row)))
            {
                continue;
            }
            match weight(row) > 0 {
                true => self.version(*key, time, Some(encoded.row(row))),
                false => self.version(*key, time, None),
            }
        }
        out.reject(rows, rejected)?;
        self.release(keys);
        Ok(())
    }

    fn is_version(&self, key: u32, time: Millis, row: &[u8]) -> bool {
        let held = self.versions.get(key as usize).and_then(|versions| versions.get(&time));
        held.copied().flatten().is_some_and(|held| self.sides[RIGHT].find(row) == Some(held))
    }

    fn version(&mut self, key: u32, time: Millis, row: Option<&[u8]>) {
        if self.versions.len() <= key as usize {
            self.versions.resize_with(key as usize + 1, BTreeMap::new);
        }
        let versions = &mut self.versions[key as usize];
        let newest = versions.last_key_value().map(|(time, _)| *time);
        if self.spec.newest && newest.is_some_and(|newest| time < newest) {
            return;
        }
        let number = row.and_then(|row| self.sides[RIGHT].add(row, key, 1, 0, TIME_MIN));
        let replaced = versions.insert(time, number).flatten();
        if let Some(replaced) = replaced
            && Some(replaced) != number
        {
            self.sides[RIGHT].remove(replaced);
        }
        if versions.len() > 1 || number.is_none() {
            self.several.insert(key);
        }
    }

    /// Joins the rows at or before the watermark, in order of their time.
    fn join(&mut self, watermark: Millis, out: &mut Output) -> Result<()> {
        let mut due = vec![];
        while let Some(first) = self.waiting.first_entry()
            && *first.key() <= watermark
        {
            let (time, numbers) = first.remove_entry();
            due.extend(numbers.into_iter().map(|number| (time, number)));
        }
        let kind = self.spec.join.kind;
        for due in due.chunks(EMIT_ROWS_MAX) {
            let numbers: Vec<u32> = due.iter().map(|(_, number)| *number).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(due.len()));
            let columns = self.sides[LEFT].columns(&numbers)?;
            let schema = self.sides[LEFT].schema().clone();
            let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
            let joinable = self.sides[LEFT].joinable(&batch);
            let version = |time: Millis, number: u32| {
                let versions = self.versions.get(self.sides[LEFT].key_of(number) as usize)?;
                versions.range(..=time).next_back().and_then(|(_, version)| *version)
            };
            let (mut rows, mut partners) = (vec![], vec![]);
            for (row, (time, number)) in due.iter().enumerate() {
                if let Some(version) = version(*time, *number).filter(|_| joinable[row]) {
                    rows.push(row as u32);
                    partners.push(version);
                }
            }
            let left = (&batch, &rows[..]);
            let matching =
                self.condition.of(Port::Left, left, (&self.sides[RIGHT], &partners), out)?;
            let mut made = Made::new(Port::Left, false);
            let mut pair = 0;
            for (row, number) in numbers.iter().enumerate() {
                let count = self.sides[LEFT].count(*number);
                let met = rows.get(pair).is_some_and(|of| *of as usize == row);
                match met && matching.has(pair) {
                    true => made.push(Some(row as u32), Some(partners[pair]), count),
                    false if kind.keeps(Port::Left) => made.push(Some(row as u32), None, count),
                    false => {}
                }
                pair += usize::from(met);
            }
            made.emit(&self.spec.join.schema, &batch, &self.sides[RIGHT], out)?;
        }
        let mut keys = vec![];
        for (_, number) in due {
            keys.push(self.sides[LEFT].key_of(number));
            self.sides[LEFT].remove(number);
        }
        keys.extend(self.forget(watermark));
        self.release(keys);
        Ok(())
    }

    /// Lets go of the versions that no row after the watermark can meet; their keys.
    fn forget(&mut self, watermark: Millis) -> Vec<u32> {
        let mut keys = vec![];
        for key in std::mem::take(&mut self.several) {
            let versions = &mut self.versions[key as usize];
            let Some(last) = versions.range(..=watermark).next_back().map(|(time, _)| *time) else {
                self.several.insert(key);
                continue;
            };
            let mut kept = versions.split_off(&last);
            // Without a version there is nothing to keep, but a later one may be passed over by it.
            if kept[&last].is_none() && !self.spec.newest {
                kept.remove(&last);
            }
            let gone = std::mem::replace(versions, kept);
            gone.into_values().flatten().for_each(|number| self.sides[RIGHT].remove(number));
            if self.versions[key as usize].len() > 1 {
                self.several.insert(key);
            }
            keys.push(key);
        }
        keys
    }

    /// From when there is no version of a key.
    fn deleted(&self) -> Result<Vec<StateTable>> {
        let (mut keys, mut times) = (vec![], vec![]);
        // A key with such a version is among those of which some may be let go.
        for key in &self.several {
            let versions = self.versions[*key as usize].iter();
            for (time, _) in versions.filter(|(_, version)| version.is_none()) {
                keys.push(*key);
                times.push(*time);
            }
        }
        let count = self.spec.join.right_keys.len();
        let mut columns: Columns = vec![
            saved::key_groups(&self.keys, count, &keys),
            ("time".to_owned(), Arc::new(Int64Array::from(times))),
        ];
        columns.extend(saved::named("key_", self.keys.columns(&keys)?));
        Ok(saved::table(DELETED, [saved::rows(columns)?]))
    }

    fn release(&mut self, mut keys: Vec<u32>) {
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let versions = self.versions.get(key as usize);
            if self.sides[LEFT].of_key(key).is_empty() && versions.is_none_or(BTreeMap::is_empty) {
                self.keys.remove(key);
            }
        }
    }
}

impl Operator for TemporalJoin {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        match Port::of(port)? {
            Port::Left => self.wait(&batch, out),
            Port::Right => self.change(&batch, out),
        }
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        match time {
            Time::Event(watermark) => self.join(watermark, out),
            Time::Processing(_) => Ok(()),
        }
    }

    fn waiting(&self) -> Option<Millis> {
        self.waiting.keys().next().copied()
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let sides = self.sides.iter().zip(STATES).map(|(side, name)| side.save(name, &self.keys));
        let mut tables = sides.collect::<Result<Vec<_>>>()?;
        tables.push(self.deleted()?);
        Ok(tables.into_iter().flatten().collect())
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        let changes = changes_of(&mut self.sides, &self.keys, epoch, since)?;
        let Some(mut tables) = changes else { return Ok(None) };
        // Few versions end, and they are let go of soon.
        tables.extend(self.deleted()?.into_iter().map(TableChanges::All));
        Ok(Some(tables))
    }

    fn state_bytes(&self) -> Option<usize> {
        let sides: usize = self.sides.iter().map(Side::bytes).sum();
        let versions = size_of_val(self.versions.as_slice()) + self.keys.len() * VERSIONS_BYTES;
        Some(self.keys.memory() + sides + versions)
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        for table in tables {
            match table.name.as_str() {
                "left" => self.sides[LEFT].load(&table, &mut self.keys)?,
                "right" => self.sides[RIGHT].load(&table, &mut self.keys)?,
                DELETED => {
                    let keys =
                        self.keys.intern(&table.rows.columns()[2..], table.rows.num_rows())?;
                    let times = table.rows.column(1).as_primitive::<Int64Type>();
                    for (key, time) in keys.into_iter().zip(times.values()) {
                        self.version(key, *time, None);
                    }
                }
                _ => return Err(saved::changed(&table.name)),
            }
        }
        for (number, time) in self.sides[LEFT].times(self.spec.times[LEFT])? {
            self.waiting.entry(time).or_default().push(number);
        }
        for (number, time) in self.sides[RIGHT].times(self.spec.times[RIGHT])? {
            let key = self.sides[RIGHT].key_of(number);
            if self.versions.len() <= key as usize {
                self.versions.resize_with(key as usize + 1, BTreeMap::new);
            }
            self.versions[key as usize].insert(time, Some(number));
            self.several.insert(key);
        }
        Ok(())
    }
}
