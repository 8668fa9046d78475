//! The keyed state of a simulated job: sums by window and key, of which checkpoints write changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt16Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::job::{column, events, key_groups, schema, window_end};
use crate::batch::Batch;
use crate::error::Result;
use crate::operator::{Epoch, KEY_GROUP, Operator, Output, StateChanges, StateTable, TableChanges};
use crate::time::{TIME_MAX, Time};

/// The end of a window and a key.
type Window = (i64, i64);

/// Sums numbers by window and key, and emits a window when the watermark has passed it.
#[derive(Default)]
pub(super) struct WindowSum {
    sums: BTreeMap<Window, i64>,
    /// The windows that have changed or gone, and how many barriers there had been then.
    changed: BTreeMap<Window, usize>,
    barriers: usize,
    /// Barriers there had been with the one of each checkpoint; epoch 0 is the one that was loaded.
    marks: BTreeMap<Epoch, usize>,
}

impl WindowSum {
    fn add(&mut self, window: Window, number: i64) {
        *self.sums.entry(window).or_default() += number;
    }

    fn saved<'a>(&self, windows: impl Iterator<Item = &'a Window> + Clone) -> Result<RecordBatch> {
        let sums = windows.clone().map(|window| self.sums[window]);
        let (groups, ends, keys) = columns(windows)?;
        let rows = vec![groups, ends, keys, column(sums)];
        Ok(RecordBatch::try_new(of_groups(&["end", "key", "sum"]), rows)?)
    }
}

/// Key groups, ends and keys.
fn columns<'a>(
    windows: impl Iterator<Item = &'a Window> + Clone,
) -> Result<(ArrayRef, ArrayRef, ArrayRef)> {
    let keys = column(windows.clone().map(|(_, key)| *key));
    let groups = Arc::new(UInt16Array::from(key_groups(&keys)?));
    Ok((groups, column(windows.map(|(end, _)| *end)), keys))
}

fn of_groups(names: &[&str]) -> Arc<Schema> {
    let mut fields = vec![Arc::new(Field::new(KEY_GROUP, DataType::UInt16, false))];
    fields.extend(schema(names).fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

impl Operator for WindowSum {
    fn on_batch(&mut self, _port: usize, batch: Batch, _out: &mut Output) -> Result<()> {
        for event in events(batch.rows(), 0) {
            let window = (window_end(event.time), event.key);
            self.add(window, event.number);
            self.changed.insert(window, self.barriers);
        }
        Ok(())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let Time::Event(watermark) = time else { return Ok(()) };
        let ready = |(end, _): &Window| *end <= watermark || watermark == TIME_MAX;
        let closed: Vec<_> = self.sums.extract_if(.., |window, _| ready(window)).collect();
        if closed.is_empty() {
            return Ok(());
        }
        self.changed.extend(closed.iter().map(|(window, _)| (*window, self.barriers)));
        let columns = vec![
            column(closed.iter().map(|((_, key), _)| *key)),
            column(closed.iter().map(|((end, _), _)| *end)),
            column(closed.iter().map(|(_, sum)| *sum)),
        ];
        out.emit(Batch::new(RecordBatch::try_new(schema(&["key", "end", "sum"]), columns)?));
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        Ok(vec![StateTable { name: "sums".into(), rows: self.saved(self.sums.keys())? }])
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        self.barriers += 1;
        let mark = since.and_then(|since| self.marks.range(..=since).next_back());
        let from = mark.filter(|(epoch, _)| **epoch == 0 || Some(**epoch) == since);
        let from = from.map(|(_, barriers)| *barriers);
        self.marks.insert(epoch, self.barriers);
        let Some(from) = from else { return Ok(None) };
        self.marks.retain(|_, barriers| *barriers >= from);
        self.changed.retain(|_, barriers| *barriers >= from);
        let there = self.changed.keys().filter(|window| self.sums.contains_key(window));
        let gone = self.changed.keys().filter(|window| !self.sums.contains_key(window));
        let (groups, ends, keys) = columns(gone)?;
        let gone = RecordBatch::try_new(of_groups(&["end", "key"]), vec![groups, ends, keys])?;
        let (name, key) = ("sums".to_owned(), vec!["end".to_owned(), "key".to_owned()]);
        let rows = self.saved(there)?;
        Ok(Some(vec![TableChanges::Since(StateChanges { name, key, rows, gone })]))
    }

    fn loads_pieces(&self) -> bool {
        true
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.barriers = 1;
        self.marks = BTreeMap::from([(0, 1)]);
        for table in tables {
            let column = |at: usize| table.rows.column(at).as_primitive::<Int64Type>();
            let (ends, keys, sums) = (column(1), column(2), column(3));
            for row in 0..table.rows.num_rows() {
                self.add((ends.value(row), keys.value(row)), sums.value(row));
            }
        }
        Ok(())
    }
}
