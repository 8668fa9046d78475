//! Window joins: rows of the same window, once it is over.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch};
use arrow::record_batch::RecordBatchOptions;
use nowcast_engine::keys::Keys;
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{
    Batch, Epoch, Millis, Operator, Output, Result, StateTable, TableChanges, Time,
};

use super::pairs::{Condition, Made, Port};
use super::regular::{JoinKind, JoinSpec, STATES};
use super::side::Side;
use crate::admission::{Admission, inserts_only, picked_rows};
use crate::clock::{Clock, WindowClock};
use crate::groups::EMIT_ROWS_MAX;
use crate::window::unusable;

/// A join whose keys hold the window.
#[derive(Clone)]
pub struct WindowJoinSpec {
    pub join: JoinSpec,
    /// What the windows go by.
    pub clock: WindowClock,
    /// The columns of the window's end, left and right.
    pub window_ends: [usize; 2],
}

/// Takes new rows and gives new rows: a window is joined when the watermark has passed
/// `window_end - 1`, windows in order of their end. A row of a window that had ended at its own
/// watermark is set aside as late.
pub struct WindowJoin {
    spec: WindowJoinSpec,
    condition: Condition,
    windows: BTreeMap<Millis, Window>,
    now: Millis,
}

struct Window {
    keys: Keys,
    sides: [Side; 2],
}

impl Window {
    fn new(spec: &JoinSpec) -> Result<Self> {
        Ok(Self { keys: spec.keys()?, sides: spec.sides(false)? })
    }

    fn add(&mut self, port: Port, rows: &RecordBatch) -> Result<()> {
        let side = &mut self.sides[port.index()];
        let keys = self.keys.intern(&side.key_columns(rows), rows.num_rows())?;
        let encoded = side.encode(rows)?;
        for (row, key) in keys.iter().enumerate() {
            side.add(encoded.row(row), *key, 1, 0, TIME_MIN);
        }
        Ok(())
    }

    /// Joins all rows of the window.
    fn join(mut self, spec: &JoinSpec, condition: &Condition, out: &mut Output) -> Result<()> {
        let [left, right] = &mut self.sides;
        let lefts: Vec<u32> = left.numbers().collect();
        let options = RecordBatchOptions::new().with_row_count(Some(lefts.len()));
        let columns = left.columns(&lefts)?;
        let schema = left.schema().clone();
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let joinable = left.joinable(&batch);
        let mut made = Made::new(Port::Left, spec.kind.left_only());
        let mut first = 0;
        while first < lefts.len() {
            let (mut rows, mut numbers) = (vec![], vec![]);
            let mut end = first;
            while end < lefts.len() && numbers.len() < EMIT_ROWS_MAX {
                if joinable[end] {
                    let partners = right.of_key(left.key_of(lefts[end]));
                    rows.extend(partners.iter().map(|_| end as u32));
                    numbers.extend_from_slice(partners);
                }
                end += 1;
            }
            let matching = condition.of(Port::Left, (&batch, &rows), (&*right, &numbers), out)?;
            let mut pair = 0;
            for (row, number) in lefts.iter().enumerate().take(end).skip(first) {
                let count = left.count(*number);
                let mut matches = 0;
                while rows.get(pair).is_some_and(|of| *of as usize == row) {
                    if matching.has(pair) {
                        matches += 1;
                        right.add_matches(numbers[pair], 1);
                        if !spec.kind.left_only() {
                            let times = count * right.count(numbers[pair]);
                            made.push(Some(row as u32), Some(numbers[pair]), times);
                        }
                    }
                    pair += 1;
                }
                let stays = match spec.kind {
                    JoinKind::Semi => matches > 0,
                    JoinKind::Anti => matches == 0,
                    kind => matches == 0 && kind.keeps(Port::Left),
                };
                if stays {
                    made.push(Some(row as u32), None, count);
                }
            }
            made.emit(&spec.schema, &batch, right, out)?;
            first = end;
        }
        if spec.kind.keeps(Port::Right) {
            for number in right.numbers().filter(|number| right.matches(*number) == 0) {
                made.push(None, Some(number), right.count(number));
            }
            made.emit(&spec.schema, &batch, right, out)?;
        }
        Ok(())
    }
}

/// Windows that have tables of their own, so that it can be told what has changed in one and that one has
/// gone. More of them lie in one table a side: files are few.
const TABLES_MAX: usize = 8;

/// The table of a side's rows in a window.
fn table(side: &str, end: Millis) -> String {
    format!("{side}@{end}")
}

impl WindowJoin {
    pub fn new(spec: WindowJoinSpec) -> Result<Self> {
        spec.join.check()?;
        Window::new(&spec.join)?;
        let condition = spec.join.condition();
        Ok(Self { spec, condition, windows: BTreeMap::new(), now: TIME_MIN })
    }

    fn has_tables(&self) -> bool {
        self.windows.len() <= TABLES_MAX
    }

    fn window(&mut self, end: Millis) -> Result<&mut Window> {
        Ok(match self.windows.entry(end) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(Window::new(&self.spec.join)?)
            }
        })
    }
}

impl Operator for WindowJoin {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "window join")?;
        let port = Port::of(port)?;
        let ends = to_millis(batch.column(self.spec.window_ends[port.index()]))?;
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
            self.window(end)?.add(port, &picked_rows(batch.rows(), rows)?)?;
        }
        Ok(())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let Some(now) = self.spec.clock.progress(time) else { return Ok(()) };
        while let Some((end, _)) = self.windows.first_key_value()
            && self.spec.clock.is_over(*end, now)
        {
            let (_, window) = self.windows.pop_first().expect("it was just seen");
            window.join(&self.spec.join, &self.condition, out)?;
        }
        self.now = self.now.max(now);
        Ok(())
    }

    fn waiting(&self) -> Option<Millis> {
        let end = *self.windows.keys().next()?;
        (self.spec.clock.clock == Clock::Watermark).then(|| self.spec.clock.instant(end))
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let mut tables = vec![];
        for (port, name) in STATES.iter().enumerate() {
            for (end, window) in &self.windows {
                let name = if self.has_tables() { table(name, *end) } else { (*name).to_owned() };
                tables.extend(window.sides[port].save(&name, &window.keys)?);
            }
        }
        Ok(tables)
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        let has_tables = self.has_tables();
        let mut tables = vec![];
        for (end, window) in &mut self.windows {
            for (side, name) in window.sides.iter_mut().zip(STATES) {
                if !has_tables {
                    side.forget_changes();
                    continue;
                }
                let name = table(name, *end);
                match side.barrier(epoch, since) {
                    Some(since) => {
                        let changes = side.changes(&name, &since, &window.keys)?;
                        tables.push(TableChanges::Since(changes));
                    }
                    None if since.is_none() => {}
                    None => {
                        let all = side.save(&name, &window.keys)?;
                        tables.extend(all.into_iter().map(TableChanges::All));
                    }
                }
            }
        }
        Ok(since.filter(|_| has_tables).map(|_| tables))
    }

    fn state_bytes(&self) -> Option<usize> {
        let of_window = |window: &Window| {
            window.keys.memory() + window.sides.iter().map(Side::bytes).sum::<usize>()
        };
        Some(self.windows.values().map(of_window).sum())
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        for table in tables {
            let whole = table.name.split('@').next();
            let port = STATES.iter().position(|name| Some(*name) == whole);
            let port = port.ok_or_else(|| crate::saved::changed(&table.name))?;
            let column = Side::FIRST_COLUMN + self.spec.window_ends[port];
            let ends = table.rows.columns().get(column);
            let ends = ends.ok_or_else(|| crate::saved::changed(&table.name))?;
            let ends = to_millis(ends).map_err(|_| crate::saved::changed(&table.name))?;
            let mut admission = Admission::new();
            for (row, end) in ends.values().iter().enumerate() {
                admission.admit(row, *end);
            }
            for (end, members) in admission.into_rows() {
                let rows = arrow::compute::take_record_batch(&table.rows, &members)?;
                let part = StateTable { name: table.name.clone(), rows };
                let window = self.window(end)?;
                window.sides[port].load(&part, &mut window.keys)?;
                if table.name == STATES[port] {
                    window.sides[port].forget_changes();
                }
            }
        }
        Ok(())
    }
}
