//! One input of a join as state: its rows by join key, each with how often it stands there.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use nowcast_engine::keys::{KeyCodec, Keys};
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{Epoch, Millis, Result, StateChanges, StateTable};

use crate::changed::{Changed, Since};
use crate::groups::EMIT_ROWS_MAX;
use crate::saved::{self, Columns};

/// Rows of equal columns share a number, which is dense and given out again.
pub(crate) struct Side {
    schema: SchemaRef,
    keys: Vec<usize>,
    /// Whether null equals null in each key column; else null equals nothing.
    null_safe: Vec<bool>,
    codec: KeyCodec,
    rows: Keys,
    /// By slot of the join key: the numbers of its rows.
    by_key: Vec<Vec<u32>>,
    /// By number: where the row stands in `by_key`.
    homes: Vec<Home>,
    /// By number: how often the row stands.
    counts: Vec<i64>,
    /// By number: how many rows of the other side it is joined with.
    matches: Vec<i64>,
    /// By number: when the row was last written.
    written: Vec<Millis>,
    /// Writes in order of their time, for [`Side::expire`]; some are outdated.
    writes: VecDeque<(Millis, u32)>,
    /// Whether they were loaded, and are in any order.
    unsorted: bool,
    expires: bool,
    /// By number.
    changed: Changed,
}

#[derive(Debug, Clone, Copy, Default)]
struct Home {
    key: u32,
    position: u32,
}

/// The columns of a batch as a side stores them.
pub(crate) struct Encoded {
    rows: Option<arrow::row::Rows>,
}

impl Encoded {
    pub fn row(&self, row: usize) -> &[u8] {
        self.rows.as_ref().map_or(&[], |rows| rows.row(row).data())
    }
}

impl Side {
    pub fn new(
        schema: &SchemaRef,
        keys: &[usize],
        null_safe: &[bool],
        expires: bool,
    ) -> Result<Self> {
        let types: Vec<DataType> =
            schema.fields().iter().map(|field| field.data_type().clone()).collect();
        Ok(Self {
            schema: Arc::clone(schema),
            keys: keys.to_vec(),
            null_safe: null_safe.to_vec(),
            codec: KeyCodec::new(&types)?,
            rows: Keys::new(&types)?,
            by_key: vec![],
            homes: vec![],
            counts: vec![],
            matches: vec![],
            written: vec![],
            writes: VecDeque::new(),
            unsorted: false,
            expires,
            changed: Changed::default(),
        })
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The key columns of a batch.
    pub fn key_columns(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.keys.iter().map(|key| rows.column(*key).clone()).collect()
    }

    /// Which rows have a key that can equal another.
    pub fn joinable(&self, rows: &RecordBatch) -> Vec<bool> {
        let mut joinable = vec![true; rows.num_rows()];
        for (key, null_safe) in self.keys.iter().zip(&self.null_safe) {
            let column = rows.column(*key);
            if *null_safe || column.null_count() == 0 {
                continue;
            }
            joinable.iter_mut().enumerate().for_each(|(row, can)| *can &= column.is_valid(row));
        }
        joinable
    }

    pub fn encode(&self, rows: &RecordBatch) -> Result<Encoded> {
        let rows = match rows.num_columns() {
            0 => None,
            _ => Some(self.codec.encode(rows.columns())?),
        };
        Ok(Encoded { rows })
    }

    /// The numbers of the rows with a key.
    pub fn of_key(&self, key: u32) -> &[u32] {
        self.by_key.get(key as usize).map_or(&[], Vec::as_slice)
    }

    /// The number of a row that stands.
    pub fn find(&self, row: &[u8]) -> Option<u32> {
        self.rows
            .find(row)
            .filter(|number| self.counts.get(*number as usize).is_some_and(|count| *count > 0))
    }

    pub fn count(&self, number: u32) -> i64 {
        self.counts[number as usize]
    }

    pub fn matches(&self, number: u32) -> i64 {
        self.matches[number as usize]
    }

    /// Adds to the matches of a row; those before and after.
    pub fn add_matches(&mut self, number: u32, matches: i64) -> (i64, i64) {
        let held = &mut self.matches[number as usize];
        let before = *held;
        *held += matches;
        self.changed.touch(number);
        (before, *held)
    }

    /// Adds `weight` times a row, which has `matches` now; its number, where it stands still.
    pub fn add(
        &mut self,
        row: &[u8],
        key: u32,
        weight: i64,
        matches: i64,
        now: Millis,
    ) -> Option<u32> {
        let number = self.rows.intern_bytes(row);
        let at = number as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
            self.homes.resize(at + 1, Home::default());
            self.matches.resize(at + 1, 0);
            self.written.resize(at + 1, TIME_MIN);
        }
        let fresh = self.counts[at] == 0;
        if fresh {
            if self.by_key.len() <= key as usize {
                self.by_key.resize_with(key as usize + 1, Vec::new);
            }
            let of_key = &mut self.by_key[key as usize];
            self.homes[at] = Home { key, position: of_key.len() as u32 };
            of_key.push(number);
        }
        self.counts[at] += weight;
        self.matches[at] = matches;
        self.changed.touch(number);
        // What was never there cannot be taken back: it has expired.
        if self.counts[at] <= 0 {
            self.remove(number);
            return None;
        }
        if self.expires && (fresh || self.written[at] != now) {
            self.written[at] = now;
            self.writes.push_back((now, number));
        }
        Some(number)
    }

    pub fn remove(&mut self, number: u32) {
        let at = number as usize;
        let Home { key, position } = self.homes[at];
        let of_key = &mut self.by_key[key as usize];
        of_key.swap_remove(position as usize);
        if let Some(moved) = of_key.get(position as usize) {
            self.homes[*moved as usize].position = position;
        }
        self.counts[at] = 0;
        self.matches[at] = 0;
        self.written[at] = TIME_MIN;
        self.changed.remove(number, self.rows.key(number));
        self.rows.remove(number);
    }

    /// The slot of a row's join key.
    pub fn key_of(&self, number: u32) -> u32 {
        self.homes[number as usize].key
    }

    /// Forgets the rows last written at or before `until`; the slots of their keys.
    pub fn expire(&mut self, until: Millis) -> Vec<u32> {
        if std::mem::take(&mut self.unsorted) {
            self.writes.make_contiguous().sort_unstable();
        }
        let mut keys = vec![];
        while let Some((written, number)) = self.writes.front().copied()
            && written <= until
        {
            self.writes.pop_front();
            let at = number as usize;
            if self.counts[at] > 0 && self.written[at] == written {
                keys.push(self.homes[at].key);
                self.remove(number);
            }
        }
        keys
    }

    /// The clock had not been seen until `now`: what was written before counts as written now.
    pub fn start_clock(&mut self, now: Millis) {
        for (written, number) in &mut self.writes {
            if *written == TIME_MIN {
                *written = now;
                self.written[*number as usize] = now;
            }
        }
    }

    /// Bytes of memory that the rows take, about.
    pub fn bytes(&self) -> usize {
        let vectors = size_of_val(self.homes.as_slice())
            + size_of_val(self.counts.as_slice())
            + size_of_val(self.matches.as_slice())
            + size_of_val(self.written.as_slice());
        // Each row has its number in the list of its key, which is full to three quarters on average.
        let lists = size_of_val(self.by_key.as_slice()) + self.rows.len() * 4 * 4 / 3;
        let writes = self.writes.capacity() * size_of::<(Millis, u32)>();
        self.rows.memory() + vectors + lists + writes + self.changed.bytes()
    }

    /// The columns of rows by their numbers.
    pub fn columns(&self, numbers: &[u32]) -> Result<Vec<ArrayRef>> {
        self.rows.columns(numbers)
    }

    /// The numbers of all rows, and what each has in this column of times.
    pub fn times(&self, column: usize) -> Result<Vec<(u32, Millis)>> {
        let numbers: Vec<u32> = self.numbers().collect();
        let mut times = Vec::with_capacity(numbers.len());
        // All columns come of a row: those of some at a time.
        for numbers in numbers.chunks(EMIT_ROWS_MAX) {
            let of_rows = to_millis(&self.columns(numbers)?[column])?;
            times.extend(numbers.iter().copied().zip(of_rows.values().iter().copied()));
        }
        Ok(times)
    }

    /// The numbers of all rows.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.by_key.iter().flatten().copied()
    }

    /// Where the columns of the rows begin in [`Side::save`].
    pub const FIRST_COLUMN: usize = 4;

    /// All rows with their counts, matches and times of writing.
    pub fn save(&self, name: &str, join_keys: &Keys) -> Result<Vec<StateTable>> {
        let numbers: Vec<u32> = self.numbers().collect();
        saved::table_of(name, &numbers, self.bytes(), |numbers| self.saved(numbers, join_keys))
    }

    /// The barrier of a checkpoint; see [`Changed::barrier`].
    pub fn barrier(&mut self, epoch: Epoch, since: Option<Epoch>) -> Option<Since> {
        self.changed.barrier(epoch, since, &self.rows, self.bytes())
    }

    /// The next checkpoint has all of it: the one before knows it by another name.
    pub fn forget_changes(&mut self) {
        self.changed = Changed::default();
    }

    /// What has changed of [`Side::save`]: each row is a key of its own.
    pub fn changes(&self, name: &str, since: &Since, join_keys: &Keys) -> Result<StateChanges> {
        let key = saved::names("column_", self.schema.fields().len());
        let rows = self.saved(&since.slots, join_keys)?;
        let gone = self.changed.gone(since, &key, &self.keys, &self.rows)?;
        Ok(StateChanges { name: name.to_owned(), key, rows, gone })
    }

    fn saved(&self, numbers: &[u32], join_keys: &Keys) -> Result<RecordBatch> {
        let of: Vec<u32> = numbers.iter().map(|number| self.key_of(*number)).collect();
        let side = |values: &[i64]| -> ArrayRef {
            let of_row = numbers.iter().map(|number| values[*number as usize]);
            Arc::new(Int64Array::from_iter_values(of_row))
        };
        let mut columns: Columns = vec![
            saved::key_groups(join_keys, self.keys.len(), &of),
            ("count".to_owned(), side(&self.counts)),
            ("matches".to_owned(), side(&self.matches)),
            ("written".to_owned(), side(&self.written)),
        ];
        columns.extend(saved::named("column_", self.columns(numbers)?));
        saved::rows(columns)
    }

    /// The columns of [`Side::save`], without rows.
    pub fn blank(&self, name: &str, join_keys: &Keys) -> Result<StateTable> {
        let none = || Arc::new(Int64Array::from(Vec::<i64>::new())) as ArrayRef;
        let mut columns: Columns = vec![saved::key_groups(join_keys, self.keys.len(), &[])];
        columns.extend(["count", "matches", "written"].map(|name| (name.to_owned(), none())));
        columns.extend(saved::named("column_", self.columns(&[])?));
        Ok(StateTable { name: name.to_owned(), rows: saved::rows(columns)? })
    }

    pub fn load(&mut self, table: &StateTable, join_keys: &mut Keys) -> Result<()> {
        let types = |schema: &SchemaRef| -> Vec<DataType> {
            schema.fields().iter().map(|field| field.data_type().clone()).collect()
        };
        let mut wanted = vec![DataType::UInt16, DataType::Int64, DataType::Int64, DataType::Int64];
        wanted.extend(types(&self.schema));
        if types(&table.rows.schema()) != wanted {
            return Err(saved::changed(&table.name));
        }
        let ints = |column: usize| table.rows.column(column).as_primitive::<Int64Type>();
        let (counts, matches, written) = (ints(1), ints(2), ints(3));
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(table.rows.num_rows()));
        let rows = RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            table.rows.columns()[Self::FIRST_COLUMN..].to_vec(),
            &options,
        )?;
        let keys = join_keys.intern(&self.key_columns(&rows), rows.num_rows())?;
        let encoded = self.encode(&rows)?;
        // What is loaded is no change.
        let changed = std::mem::take(&mut self.changed);
        for (row, key) in keys.iter().enumerate() {
            let (count, matches) = (counts.value(row), matches.value(row));
            self.add(encoded.row(row), *key, count, matches, written.value(row));
        }
        self.changed = changed;
        self.changed.loaded();
        self.unsorted = true;
        Ok(())
    }
}
