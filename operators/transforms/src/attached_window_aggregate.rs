//! GROUP BY window_start, window_end over rows that carry them already.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{Batch, Epoch, Millis, Operator, Output, Result, StateTable, Time};

use crate::admission::{Admission, inserts_only};
use crate::aggregate::AggregateCall;
use crate::clock::WindowClock;
use crate::groups::{Arriving, GroupPlan, Groups, groups_of};
use crate::saved;
use crate::window::{Span, unusable};

/// The output columns are the keys, the aggregates, `window_start`, `window_end`, `window_time`.
#[derive(Debug, Clone)]
pub struct AttachedWindowAggregateSpec {
    /// What the windows go by.
    pub clock: WindowClock,
    pub window_start: usize,
    pub window_end: usize,
    /// Without the window columns. Rows are exchanged by these columns in this order.
    pub keys: Vec<usize>,
    pub aggregates: Vec<AggregateCall>,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// Emits a window when the watermark has passed `window_end - 1`: one row a key, windows in order
/// of their end and start, keys in order of arrival. A row of a window that had ended at its own
/// watermark is set aside as late.
pub struct AttachedWindowAggregate {
    spec: AttachedWindowAggregateSpec,
    plan: GroupPlan,
    /// By end, then start.
    windows: BTreeMap<(Millis, Millis), Groups>,
    now: Millis,
}

const STATE: &str = "windows";

impl AttachedWindowAggregate {
    pub fn new(spec: AttachedWindowAggregateSpec) -> Result<Self> {
        let plan = GroupPlan::new(&spec.keys, &spec.aggregates, &spec.input_schema, &spec.schema)?;
        Ok(Self { spec, plan, windows: BTreeMap::new(), now: TIME_MIN })
    }
}

impl Operator for AttachedWindowAggregate {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "window aggregate")?;
        let starts = to_millis(batch.column(self.spec.window_start))?;
        let ends = to_millis(batch.column(self.spec.window_end))?;
        let mut admission = Admission::new();
        for row in 0..batch.num_rows() {
            let window = [(&starts, "window_start"), (&ends, "window_end")];
            let reason = window.iter().find_map(|(times, name)| {
                unusable(times.is_valid(row).then(|| times.value(row)), name)
            });
            if let Some(reason) = reason {
                admission.reject(row, reason);
                continue;
            }
            let (start, end) = (starts.value(row), ends.value(row));
            let clock = &self.spec.clock;
            let watermark = clock.row_now(&batch, row, self.now);
            match clock.is_over(end, watermark) {
                true => admission.late(row, clock.instant(end - 1), watermark),
                false => admission.admit(row, (end, start)),
            }
        }
        let arriving = Arriving::new(&self.plan, batch.rows())?;
        for (window, rows) in admission.finish(&batch, out)? {
            groups_of(&mut self.windows, window, &self.plan)?
                .update(&self.plan, &arriving, rows)?;
        }
        Ok(())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let Some(now) = self.spec.clock.progress(time) else { return Ok(()) };
        while let Some(window) = self.windows.first_entry()
            && self.spec.clock.is_over(window.key().0, now)
        {
            let ((end, start), groups) = window.remove_entry();
            let time = self.spec.clock.instant(end - 1);
            groups.emit(&self.plan, Span { start, end }, time, out)?;
        }
        self.now = self.now.max(now);
        Ok(())
    }

    fn waiting(&self) -> Option<Millis> {
        self.windows.keys().next().and_then(|(end, _)| self.spec.clock.awaits(*end))
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let parts = self.windows.iter().map(|((end, start), groups)| {
            groups.save(&self.plan, STATE, &[("window_end", *end), ("window_start", *start)])
        });
        Ok(parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn loads_pieces(&self) -> bool {
        true
    }

    fn state_bytes(&self) -> Option<usize> {
        Some(self.windows.values().map(Groups::bytes).sum())
    }

    fn blank(&self) -> Result<Vec<StateTable>> {
        Groups::new(&self.plan)?.blank(STATE, &["window_end", "window_start"])
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        let expected =
            Groups::new(&self.plan)?.saved(&self.plan, &[("", 0), ("", 0)], &[])?.schema();
        for table in tables {
            saved::check(&table, &expected)?;
            let ends = table.rows.column(1).as_primitive::<Int64Type>().values();
            let starts = table.rows.column(2).as_primitive::<Int64Type>().values();
            let mut admission = Admission::new();
            for (row, (end, start)) in ends.iter().zip(starts).enumerate() {
                admission.admit(row, (*end, *start));
            }
            for (window, rows) in admission.into_rows() {
                let rows = take_record_batch(&table.rows, &rows)?;
                let groups = groups_of(&mut self.windows, window, &self.plan)?;
                groups.load(&self.plan, &rows.columns()[3..], rows.num_rows())?;
            }
        }
        Ok(())
    }
}
