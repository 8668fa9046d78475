//! Window Top-N: the first rows of each partition of a window, once the window is over.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use nowcast_engine::keys::Keys;
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{Batch, Epoch, Error, Millis, Operator, Output, Result, StateTable, Time};

use crate::admission::{Admission, inserts_only, picked_rows};
use crate::aggregate::{Place, Values};
use crate::clock::WindowClock;
use crate::groups::EMIT_ROWS_MAX;
use crate::saved;
use crate::sort_key::{Order, SortKey, Sorted, Ties};
use crate::window::unusable;

/// `ROW_NUMBER() OVER (PARTITION BY window_start, window_end, … ORDER BY …) BETWEEN first AND last`.
#[derive(Debug, Clone)]
pub struct WindowTopNSpec {
    /// What the windows go by.
    pub clock: WindowClock,
    pub window_end: usize,
    /// With the window columns.
    pub partition: Vec<usize>,
    /// The partition without the window columns: rows are exchanged by these in this order, so that
    /// all windows of a partition leave from one worker, the earlier one first.
    pub keys: Vec<usize>,
    pub order: Vec<SortKey>,
    pub ties: Ties,
    /// Row numbers, from 1.
    pub first: usize,
    pub last: usize,
    /// Whether the row number is appended as a last column (`Int64`).
    pub rank: bool,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// Emits a window when the watermark has passed `window_end - 1`: windows in order of their end,
/// partitions in order of arrival, rows by row number. Which of the rows that sort equal came first
/// is not fixed behind an exchange (nor is it in Flink). A row of a window that had ended at its own
/// watermark is set aside as late.
pub struct WindowTopN {
    spec: WindowTopNSpec,
    input_types: Vec<DataType>,
    order: Order,
    windows: BTreeMap<Millis, Window>,
    now: Millis,
}

/// The best rows so far of all partitions whose windows end together.
struct Window {
    partitions: Keys,
    /// By slot, best first.
    best: Vec<Vec<Held>>,
    held: usize,
    rows: Values,
}

/// A row and what it sorts by.
struct Held {
    order: Box<[u8]>,
    place: Place,
}

const STATE: &str = "rows";

/// What a column of the order takes in a row's key, about.
const ORDER_BYTES: usize = 16;

impl WindowTopN {
    pub fn new(spec: WindowTopNSpec) -> Result<Self> {
        let input_types: Vec<DataType> =
            spec.input_schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let given = spec.schema.fields().len();
        let wanted = input_types.len() + usize::from(spec.rank);
        if given != wanted {
            return Err(Error::bug(format!("window top n: {given} columns, not {wanted}")));
        }
        if spec.order.is_empty() || spec.first == 0 || spec.last < spec.first {
            return Err(Error::user(
                "window top n: it needs an ORDER BY, and row numbers from 1 on",
            ));
        }
        let order = Order::new(&spec.order, &input_types)?;
        Ok(Self { spec, input_types, order, windows: BTreeMap::new(), now: TIME_MIN })
    }

    fn insert(&mut self, end: Millis, rows: &RecordBatch) -> Result<()> {
        let columns = |of: &[usize]| -> Vec<ArrayRef> {
            of.iter().map(|column| rows.column(*column).clone()).collect()
        };
        let order = self.order.of_rows(rows)?;
        let window = match self.windows.entry(end) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let types: Vec<DataType> = self
                    .spec
                    .partition
                    .iter()
                    .map(|column| self.input_types[*column].clone())
                    .collect();
                entry.insert(Window {
                    partitions: Keys::new(&types)?,
                    best: vec![],
                    held: 0,
                    rows: Values::new(&self.input_types),
                })
            }
        };
        let slots = window.partitions.intern(&columns(&self.spec.partition), rows.num_rows())?;
        window.insert(&slots, &order, rows, &self.spec)
    }

    fn emit(&self, window: &Window, out: &mut Output) -> Result<()> {
        let mut places = Vec::with_capacity(window.held);
        let mut ranks = Vec::with_capacity(window.held);
        for best in &window.best {
            places.extend(best.iter().skip(self.spec.first - 1).map(|held| held.place));
            ranks.extend(self.spec.first as i64..=best.len() as i64);
        }
        for (places, ranks) in places.chunks(EMIT_ROWS_MAX).zip(ranks.chunks(EMIT_ROWS_MAX)) {
            let mut columns = window.rows.gather_all(places)?;
            if self.spec.rank {
                columns.push(Arc::new(Int64Array::from(ranks.to_vec())));
            }
            out.emit(Batch::new(RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?));
        }
        Ok(())
    }

    /// Bytes of memory that a window takes, about.
    fn bytes_of(&self, window: &Window) -> usize {
        let lists = size_of_val(window.best.as_slice());
        let held = window.held * (size_of::<Held>() + self.order.len() * ORDER_BYTES);
        window.partitions.memory() + window.rows.bytes() + lists + held
    }
}

impl Window {
    fn insert(
        &mut self,
        slots: &[u32],
        order: &Sorted,
        rows: &RecordBatch,
        spec: &WindowTopNSpec,
    ) -> Result<()> {
        self.best.resize_with(self.partitions.slots_len(), Vec::new);
        let place = self.rows.push(rows.columns());
        for (row, slot) in slots.iter().enumerate() {
            let best = &mut self.best[*slot as usize];
            let key = order.row(row);
            let before = |held: &Held| match spec.ties {
                Ties::EarlierFirst => &*held.order <= key,
                Ties::LaterFirst => &*held.order < key,
            };
            // Most rows come behind the last of a full list.
            if best.len() == spec.last && best.last().is_some_and(before) {
                continue;
            }
            let at = best.partition_point(before);
            best.insert(at, Held { order: key.into(), place: place(row) });
            self.held += 1;
            if best.len() > spec.last {
                best.pop();
                self.held -= 1;
            }
        }
        match self.rows.should_compact(self.held) {
            true => self.compact(),
            false => Ok(()),
        }
    }

    fn compact(&mut self) -> Result<()> {
        let live: Vec<Place> = self.best.iter().flatten().map(|held| held.place).collect();
        let place = self.rows.compact(&live)?;
        let held = self.best.iter_mut().flatten();
        held.enumerate().for_each(|(nth, held)| held.place = place(nth));
        Ok(())
    }
}

impl Operator for WindowTopN {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "window top n")?;
        let ends = to_millis(batch.column(self.spec.window_end))?;
        let mut admission = Admission::new();
        for row in 0..ends.len() {
            let end = ends.is_valid(row).then(|| ends.value(row));
            if let Some(reason) = unusable(end, "window_end") {
                admission.reject(row, reason);
                continue;
            }
            let end = ends.value(row);
            let clock = &self.spec.clock;
            let watermark = clock.row_now(&batch, row, self.now);
            match clock.is_over(end, watermark) {
                true => admission.late(row, clock.instant(end - 1), watermark),
                false => admission.admit(row, end),
            }
        }
        for (end, rows) in admission.finish(&batch, out)? {
            self.insert(end, &picked_rows(batch.rows(), rows)?)?;
        }
        Ok(())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let Some(now) = self.spec.clock.progress(time) else { return Ok(()) };
        while let Some((end, _)) = self.windows.first_key_value()
            && self.spec.clock.is_over(*end, now)
        {
            let (_, window) = self.windows.pop_first().expect("it was just seen");
            self.emit(&window, out)?;
        }
        self.now = self.now.max(now);
        Ok(())
    }

    fn waiting(&self) -> Option<Millis> {
        self.windows.keys().next().and_then(|end| self.spec.clock.awaits(*end))
    }

    fn state_bytes(&self) -> Option<usize> {
        Some(self.windows.values().map(|window| self.bytes_of(window)).sum())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let mut parts = vec![];
        for window in self.windows.values() {
            let slots: Vec<u32> = window.partitions.slots().collect();
            let best = slots.into_iter().flat_map(|slot| &window.best[slot as usize]);
            let places: Vec<Place> = best.map(|held| held.place).collect();
            for places in saved::pieces(&places, self.bytes_of(window)) {
                let rows = window.rows.gather_all(places)?;
                let keys: Vec<ArrayRef> =
                    self.spec.keys.iter().map(|key| rows[*key].clone()).collect();
                let mut columns = vec![saved::key_groups_of(&keys, places.len())?];
                columns.extend(saved::named("column_", rows));
                parts.push(saved::rows(columns)?);
            }
        }
        Ok(saved::table(STATE, parts))
    }

    /// Saved rows are best first: inserting them again, where the later of equals is first in
    /// reverse, gives the same order.
    fn load(&mut self, mut tables: Vec<StateTable>) -> Result<()> {
        if self.spec.ties == Ties::LaterFirst {
            tables.reverse();
        }
        for table in tables {
            let columns = table.rows.columns()[1..].to_vec();
            let rows = RecordBatch::try_new(Arc::clone(&self.spec.input_schema), columns)
                .map_err(|_| saved::changed(&table.name))?;
            let ends = to_millis(rows.column(self.spec.window_end))?;
            let mut admission = Admission::new();
            let mut again: Vec<usize> = (0..ends.len()).collect();
            if self.spec.ties == Ties::LaterFirst {
                again.reverse();
            }
            for row in again {
                admission.admit(row, ends.value(row));
            }
            for (end, members) in admission.into_rows() {
                self.insert(end, &arrow::compute::take_record_batch(&rows, &members)?)?;
            }
        }
        Ok(())
    }
}
