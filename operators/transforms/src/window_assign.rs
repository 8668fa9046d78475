//! Window table functions on their own: each row once for every window it belongs to.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{Batch, Error, Millis, Operator, Output, Result, Time};

use crate::clock::WindowClock;
use crate::groups::EMIT_ROWS_MAX;
use crate::window::{Window, time_column, unusable};

/// The output columns are those of the input and `window_start`, `window_end` (`Timestamp(ms)`),
/// `window_time` (of the type of the time column).
#[derive(Debug, Clone)]
pub struct WindowAssignSpec {
    pub window: Window,
    /// What the windows go by.
    pub clock: WindowClock,
    /// The time column.
    pub time: usize,
    /// Of the output.
    pub schema: SchemaRef,
}

/// Passes every row on at once, windows by ascending end; weights and bounds stay with their rows.
/// Nothing is late here: what comes after decides by `window_end`.
pub struct WindowAssign {
    spec: WindowAssignSpec,
    now: Millis,
}

impl WindowAssign {
    pub fn new(spec: WindowAssignSpec) -> Result<Self> {
        spec.window.check()?;
        if spec.schema.fields().len() < 4 {
            return Err(Error::bug("window assign: an output without columns of the input"));
        }
        Ok(Self { spec, now: TIME_MIN })
    }
}

impl Operator for WindowAssign {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let times = to_millis(batch.column(self.spec.time))?;
        let schema = batch.schema();
        let name = schema.field(self.spec.time).name();
        let mut rejected = vec![];
        let mut made = Made::default();
        for row in 0..times.len() {
            let time = times.is_valid(row).then(|| times.value(row));
            if let Some(reason) = unusable(time, name) {
                rejected.push((row, reason));
                continue;
            }
            let clock = &self.spec.clock;
            let time = clock.of_row(times.value(row), self.now);
            for span in self.spec.window.windows_of(clock.shown(time)) {
                made.rows.push(row as u32);
                made.starts.push(span.start);
                made.ends.push(span.end);
            }
            if made.rows.len() >= EMIT_ROWS_MAX {
                self.emit(&batch, std::mem::take(&mut made), out)?;
            }
        }
        out.reject(batch.rows(), rejected)?;
        self.emit(&batch, made, out)
    }

    fn on_time(&mut self, time: Time, _out: &mut Output) -> Result<()> {
        self.now = self.now.max(self.spec.clock.progress(time).unwrap_or(TIME_MIN));
        Ok(())
    }
}

/// Output rows: which input row, in which window.
#[derive(Default)]
struct Made {
    rows: Vec<u32>,
    starts: Vec<i64>,
    ends: Vec<i64>,
}

impl WindowAssign {
    fn emit(&self, batch: &Batch, made: Made, out: &mut Output) -> Result<()> {
        if made.rows.is_empty() {
            return Ok(());
        }
        let taken = batch.take(&UInt32Array::from(made.rows))?;
        let fields = self.spec.schema.fields();
        let mut columns = taken.rows().columns().to_vec();
        let times = made.ends.iter().map(|end| self.spec.clock.instant(end - 1)).collect();
        for values in [made.starts, made.ends, times] {
            columns.push(time_column(values, fields[columns.len()].data_type())?);
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?;
        out.emit(taken.with_rows(rows));
        Ok(())
    }
}
