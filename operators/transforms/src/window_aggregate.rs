//! GROUP BY over a window table function.
//!
//! Rows are aggregated into slices that do not overlap (HOP: the slide, CUMULATE: the step), so a
//! row updates one slice however many windows it is in. When a window is over, its slices are
//! merged, many of them in blocks: see [`Merged`].

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use nowcast_engine::operator::TableChanges;
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{Batch, Epoch, Millis, Operator, Output, Result, StateTable, Time};

use crate::admission::{Admission, inserts_only};
use crate::aggregate::AggregateCall;
use crate::clock::WindowClock;
use crate::groups::{Arriving, GroupPlan, Groups, groups_of};
use crate::merged::Merged;
use crate::saved;
use crate::window::{Window, WindowKind, unusable};

/// The output columns are the keys, the aggregates, `window_start`, `window_end`, `window_time`.
#[derive(Debug, Clone)]
pub struct WindowAggregateSpec {
    pub window: Window,
    /// What the windows go by.
    pub clock: WindowClock,
    /// The time column of the input.
    pub time: usize,
    /// Rows are exchanged by these columns in this order.
    pub keys: Vec<usize>,
    pub aggregates: Vec<AggregateCall>,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// Emits a window when time has passed `window_end - 1`: one row for every key with a row
/// in it, windows in order of their end, keys in order of arrival (by slice, then within it).
///
/// A row is late for the windows that had ended at its own watermark; by the wall clock none is. It counts in its other
/// windows; where there are none it is set aside as late.
///
/// Aggregates that depend on order see slices by time and the rows of a slice by arrival.
pub struct WindowAggregate {
    spec: WindowAggregateSpec,
    plan: GroupPlan,
    slices: BTreeMap<Slice, Groups>,
    merged: Merged,
    now: Millis,
}

/// Rows of the same windows: those that end at `first`, at `last`, or a slice's length apart
/// between them. `first` moves on as windows fire, so it also says what has fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Slice {
    first: Millis,
    last: Millis,
}

/// Neighbouring times whose rows are all of one slice while its first window is open: most rows are in
/// the same as the row before.
struct Cell {
    times: Range<Millis>,
    /// When the first window is over.
    over_at: Millis,
    slice: Slice,
}

impl Cell {
    fn holds(&self, time: Millis, watermark: Millis) -> bool {
        watermark < self.over_at && self.times.contains(&time)
    }
}

const STATE: &str = "slices";

/// Slices that have a table each, so that it can be told what has changed in one and that one has gone. More
/// of them lie in one table: files are few.
const TABLES_MAX: usize = 8;
/// The same of windows that have no slices in common, as they are open under rows that come late. Those of
/// the others are named anew with each window that is over, and written whole then.
const TUMBLE_TABLES_MAX: usize = 32;

impl Slice {
    /// Columns that say which one it is.
    fn columns(self) -> [(&'static str, Millis); 2] {
        [("first_end", self.first), ("last_end", self.last)]
    }

    fn table(self) -> String {
        format!("{STATE}@{}@{}", self.first, self.last)
    }
}

impl WindowAggregate {
    pub fn new(spec: WindowAggregateSpec) -> Result<Self> {
        spec.window.check()?;
        let plan = GroupPlan::new(&spec.keys, &spec.aggregates, &spec.input_schema, &spec.schema)?;
        let merged = Merged::new(spec.window.step_ms());
        Ok(Self { spec, plan, slices: BTreeMap::new(), merged, now: TIME_MIN })
    }

    /// The slice of a row whose windows end at `first` to `last`, without those that had ended at
    /// `watermark`; `None`: all had.
    fn slice(&self, (mut first, last): (Millis, Millis), watermark: Millis) -> Option<Slice> {
        let clock = &self.spec.clock;
        if clock.is_over(last, watermark) {
            return None;
        }
        if clock.is_over(first, watermark) {
            let step = self.spec.window.step_ms();
            // Windows end in order: the first that is not over lies above `over`, up to `open`.
            let (mut over, mut open) = (0, (last - first) / step);
            while over + 1 < open {
                let middle = over + (open - over) / 2;
                match clock.is_over(first + middle * step, watermark) {
                    true => over = middle,
                    false => open = middle,
                }
            }
            first += open * step;
        }
        Some(Slice { first, last })
    }

    /// The times around `shown`, whose windows end at `first` to `last`.
    fn cell(&self, shown: Millis, (first, last): (Millis, Millis)) -> Cell {
        Cell {
            times: self.spec.window.alike(shown),
            over_at: self.spec.clock.over_at(first),
            slice: Slice { first, last },
        }
    }

    fn tables_max(&self) -> usize {
        match self.spec.window.kind {
            WindowKind::Tumble { .. } => TUMBLE_TABLES_MAX,
            _ => TABLES_MAX,
        }
    }

    fn fire(&mut self, end: Millis, out: &mut Output) -> Result<()> {
        let covering: Vec<Slice> = self
            .slices
            .range(Slice { first: end, last: TIME_MIN }..)
            .map(|(slice, _)| *slice)
            .take_while(|slice| slice.first == end)
            .collect();
        let span = self.spec.window.window_ending(end);
        let time = self.spec.clock.instant(end - 1);
        if let [one] = covering.as_slice() {
            self.slices[one].emit(&self.plan, span, time, out)?;
        } else {
            // The earliest slice goes with this window: the others are added to it.
            let ends = covering.first().filter(|slice| slice.last == end);
            let mut whole = match ends.and_then(|slice| self.slices.remove(slice)) {
                Some(groups) => groups,
                None => Groups::new(&self.plan)?,
            };
            let others = covering.iter().skip(usize::from(ends.is_some()));
            let others: Vec<_> = others.map(|slice| (slice.last, &self.slices[slice])).collect();
            self.merged.merge(&self.plan, end, &others, &mut whole)?;
            whole.emit(&self.plan, span, time, out)?;
        }
        for slice in covering {
            let Some(mut groups) = self.slices.remove(&slice).filter(|_| slice.last > end) else {
                continue;
            };
            let next = Slice { first: end + self.spec.window.step_ms(), last: slice.last };
            if let Some(later) = self.slices.remove(&next) {
                groups.merge(&later)?;
                self.merged.touch(next.last);
            }
            groups.forget_changes();
            self.slices.insert(next, groups);
        }
        Ok(())
    }
}

impl Operator for WindowAggregate {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "window aggregate")?;
        let times = to_millis(batch.column(self.spec.time))?;
        let name = self.spec.input_schema.field(self.spec.time).name();
        let mut admission = Admission::new();
        let mut last: Option<Cell> = None;
        for row in 0..times.len() {
            let time = times.is_valid(row).then(|| times.value(row));
            if let Some(reason) = unusable(time, name) {
                admission.reject(row, reason);
                continue;
            }
            let clock = &self.spec.clock;
            let time = clock.of_row(times.value(row), self.now);
            let watermark = clock.row_now(&batch, row, self.now);
            let shown = clock.shown(time);
            if let Some(cell) = last.as_ref().filter(|cell| cell.holds(shown, watermark)) {
                admission.admit(row, cell.slice);
                continue;
            }
            let Some(ends) = self.spec.window.ends_of(shown) else { continue };
            match self.slice(ends, watermark) {
                Some(slice) => {
                    admission.admit(row, slice);
                    last = Some(self.cell(shown, ends));
                }
                None => admission.late(row, time, watermark),
            }
        }
        let arriving = Arriving::new(&self.plan, batch.rows())?;
        for (slice, rows) in admission.finish(&batch, out)? {
            self.merged.touch(slice.last);
            groups_of(&mut self.slices, slice, &self.plan)?.update(&self.plan, &arriving, rows)?;
        }
        Ok(())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let Some(now) = self.spec.clock.progress(time) else { return Ok(()) };
        while let Some((slice, _)) = self.slices.first_key_value()
            && self.spec.clock.is_over(slice.first, now)
        {
            self.fire(slice.first, out)?;
        }
        self.now = self.now.max(now);
        Ok(())
    }

    fn waiting(&self) -> Option<Millis> {
        self.slices.keys().next().and_then(|slice| self.spec.clock.awaits(slice.first))
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let several = self.slices.len() <= self.tables_max();
        let tables = self.slices.iter().map(|(slice, groups)| {
            let name = if several { slice.table() } else { STATE.to_owned() };
            groups.save(&self.plan, &name, &slice.columns())
        });
        Ok(tables.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        if self.slices.len() > self.tables_max() {
            self.slices.values_mut().for_each(Groups::forget_changes);
            return Ok(None);
        }
        if since.is_none() {
            self.slices.values_mut().for_each(|groups| groups.barrier(epoch));
            return Ok(None);
        }
        let tables = self.slices.iter_mut().map(|(slice, groups)| {
            groups.changes(&self.plan, slice.table(), &slice.columns(), (epoch, since))
        });
        Ok(Some(tables.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect()))
    }

    fn loads_pieces(&self) -> bool {
        true
    }

    fn state_bytes(&self) -> Option<usize> {
        Some(self.slices.values().map(Groups::bytes).sum::<usize>() + self.merged.bytes())
    }

    fn blank(&self) -> Result<Vec<StateTable>> {
        Groups::new(&self.plan)?.blank(STATE, &["first_end", "last_end"])
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        let expected =
            Groups::new(&self.plan)?.saved(&self.plan, &[("", 0), ("", 0)], &[])?.schema();
        for table in tables {
            saved::check(&table, &expected)?;
            let firsts = table.rows.column(1).as_primitive::<Int64Type>().values();
            let lasts = table.rows.column(2).as_primitive::<Int64Type>().values();
            let mut admission = Admission::new();
            for (row, (first, last)) in firsts.iter().zip(lasts).enumerate() {
                admission.admit(row, Slice { first: *first, last: *last });
            }
            for (slice, rows) in admission.into_rows() {
                let rows = take_record_batch(&table.rows, &rows)?;
                let groups = groups_of(&mut self.slices, slice, &self.plan)?;
                if table.name == slice.table() {
                    groups.loaded();
                }
                groups.load(&self.plan, &rows.columns()[3..], rows.num_rows())?;
            }
        }
        Ok(())
    }
}
