//! Driving one operator by hand: rows cut into batches, watermarks between them, output as text.
#![allow(dead_code, reason = "every test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

pub mod changes;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use nowcast_engine::keys::owner;
use nowcast_engine::{Batch, Operator, Output, StateTable, Time};

pub const MS: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// Batch sizes that everything is tried in.
pub const SIZES: [usize; 3] = [1, 7, 1024];

pub fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields: Vec<Field> =
        fields.iter().map(|(name, ty)| Field::new(*name, ty.clone(), true)).collect();
    Arc::new(Schema::new(fields))
}

pub fn times(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(values))
}

/// Each row as its values between bars; timestamps as ms since the epoch.
pub fn text(rows: &RecordBatch) -> Vec<String> {
    let columns: Vec<ArrayRef> = rows
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Timestamp(..) => Arc::new(nowcast_engine::time::to_millis(column).unwrap()),
            _ => column.clone(),
        })
        .collect();
    let options = FormatOptions::default().with_null("null");
    let columns: Vec<ArrayFormatter<'_>> = columns
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    (0..rows.num_rows())
        .map(|row| {
            let values: Vec<String> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            values.join("|")
        })
        .collect()
}

/// Rows with the bound each carries, and the watermark after them.
pub struct Feed {
    pub rows: RecordBatch,
    pub bounds: Vec<i64>,
}

impl Feed {
    /// Bounds as a source with one split sets them: the greatest time before the row less `delay`.
    pub fn new(rows: RecordBatch, times: &[Option<i64>], delay: i64) -> Self {
        let mut running = i64::MIN;
        let mut bounds = vec![];
        for time in times {
            bounds.push(running);
            running = running.max(time.map_or(i64::MIN, |time| time - delay));
        }
        bounds.push(running);
        Self { rows, bounds }
    }

    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn batch(&self, first: usize, length: usize) -> Batch {
        let bounds = Int64Array::from(self.bounds[first..first + length].to_vec());
        Batch::new(self.rows.slice(first, length)).with_bounds(Some(bounds))
    }

    /// Feeds rows `first..end` in batches, each followed by its watermark.
    pub fn run(
        &self,
        operator: &mut dyn Operator,
        range: std::ops::Range<usize>,
        size: usize,
        out: &mut Output,
    ) {
        let mut first = range.start;
        while first < range.end {
            let length = size.min(range.end - first);
            operator.on_batch(0, self.batch(first, length), out).unwrap();
            first += length;
            let watermark = self.bounds[first];
            if watermark > i64::MIN {
                operator.on_time(Time::Event(watermark), out).unwrap();
            }
        }
    }
}

/// Everything an operator has put out, as text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    pub rows: Vec<String>,
    pub late: Vec<String>,
    pub rejected: Vec<String>,
}

impl Seen {
    pub fn take(out: &mut Output) -> Self {
        Self {
            rows: out.take_batches().iter().flat_map(|batch| text(batch.rows())).collect(),
            late: out
                .take_late()
                .iter()
                .flat_map(|late| {
                    text(&late.rows)
                        .into_iter()
                        .zip(late.times.iter().zip(&late.watermarks))
                        .map(|(row, (time, mark))| format!("{row} at {time} after {mark}"))
                })
                .collect(),
            rejected: out.take_rejected().into_iter().map(|letter| letter.error).collect(),
        }
    }

    pub fn sorted(mut self) -> Self {
        self.rows.sort();
        self.late.sort();
        self.rejected.sort();
        self
    }

    pub fn and(mut self, other: Self) -> Self {
        self.rows.extend(other.rows);
        self.late.extend(other.late);
        self.rejected.extend(other.rejected);
        self
    }
}

/// Runs all rows and the end of the input.
pub fn whole(operator: &mut dyn Operator, feed: &Feed, size: usize) -> Seen {
    let mut out = Output::default();
    feed.run(operator, 0..feed.len(), size, &mut out);
    operator.on_time(Time::Event(i64::MAX), &mut out).unwrap();
    Seen::take(&mut out)
}

/// Runs half, saves, loads into a fresh operator and goes on there.
pub fn resumed<O: Operator>(make: impl Fn() -> O, feed: &Feed, half: usize) -> Seen {
    let mut out = Output::default();
    let mut first = make();
    feed.run(&mut first, 0..half, 7, &mut out);
    let saved = first.save(0).unwrap();
    assert_eq!(format!("{saved:?}"), format!("{:?}", first.save(0).unwrap()), "save changed state");
    let mut second = make();
    second.load(saved).unwrap();
    if feed.bounds[half] > i64::MIN {
        second.on_time(Time::Event(feed.bounds[half]), &mut out).unwrap();
    }
    feed.run(&mut second, half..feed.len(), 7, &mut out);
    second.on_time(Time::Event(i64::MAX), &mut out).unwrap();
    Seen::take(&mut out)
}

/// Runs half, saves, and ends two fresh operators that share the state by key group.
/// `worker` says which of them each row belongs to.
pub fn split<O: Operator>(
    make: impl Fn() -> O,
    feed: &Feed,
    half: usize,
    worker: impl Fn(&RecordBatch) -> Vec<usize>,
) -> Seen {
    let mut out = Output::default();
    let mut first = make();
    feed.run(&mut first, 0..half, 7, &mut out);
    let saved = first.save(0).unwrap();
    let workers = worker(&feed.rows);
    for part in 0..2 {
        let mut operator = make();
        operator.load(owned(&saved, part)).unwrap();
        if feed.bounds[half] > i64::MIN {
            operator.on_time(Time::Event(feed.bounds[half]), &mut out).unwrap();
        }
        for (row, of) in workers.iter().enumerate().skip(half) {
            if *of == part {
                operator.on_batch(0, feed.batch(row, 1), &mut out).unwrap();
            }
            operator.on_time(Time::Event(feed.bounds[row + 1]), &mut out).unwrap();
        }
        operator.on_time(Time::Event(i64::MAX), &mut out).unwrap();
    }
    Seen::take(&mut out)
}

/// The rows of state tables that belong to one of two workers.
pub fn owned(tables: &[StateTable], worker: usize) -> Vec<StateTable> {
    let keep = |table: &StateTable| {
        assert_eq!(table.rows.schema().field(0).name(), "key_group");
        let groups = table.rows.column(0).as_any().downcast_ref::<arrow::array::UInt16Array>();
        let mask: arrow::array::BooleanArray =
            groups.unwrap().values().iter().map(|group| Some(owner(*group, 2) == worker)).collect();
        StateTable {
            name: table.name.clone(),
            rows: filter_record_batch(&table.rows, &mask).unwrap(),
        }
    };
    tables.iter().map(keep).collect()
}

/// Which of two workers owns each row, by key columns.
pub fn by_key(keys: Vec<usize>) -> impl Fn(&RecordBatch) -> Vec<usize> {
    move |rows| {
        let columns: Vec<ArrayRef> = keys.iter().map(|key| rows.column(*key).clone()).collect();
        let types: Vec<DataType> =
            columns.iter().map(|column| column.data_type().clone()).collect();
        let mut interned = nowcast_engine::keys::Keys::new(&types).unwrap();
        let slots = interned.intern(&columns, rows.num_rows()).unwrap();
        slots.iter().map(|slot| owner(interned.key_group(*slot), 2)).collect()
    }
}
