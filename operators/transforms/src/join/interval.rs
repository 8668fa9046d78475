//! Interval joins: rows whose times lie within bounds of each other.

use std::collections::BTreeMap;

use arrow::array::{Array, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use nowcast_engine::keys::Keys;
use nowcast_engine::time::{TIME_MAX, TIME_MIN, to_millis};
use nowcast_engine::{Batch, Epoch, Error, LateRows, Millis, Operator, Output, Result};
use nowcast_engine::{StateTable, TableChanges, Time};

use super::pairs::{Condition, Made, Port};
use super::regular::{JoinSpec, STATES, changes_of};
use super::side::Side;
use crate::admission::inserts_only;
use crate::clock::Clock;
use crate::groups::EMIT_ROWS_MAX;

/// A join whose condition says `lower_ms <= right time - left time <= upper_ms`.
#[derive(Clone)]
pub struct IntervalJoinSpec {
    /// Of kind inner, left, right or full.
    pub join: JoinSpec,
    /// The time columns of the left and of the right.
    pub times: [usize; 2],
    pub lower_ms: i64,
    pub upper_ms: i64,
    pub clock: Clock,
}

/// Takes new rows and gives new rows. A row is kept until no row that may still come can be its
/// partner; if it stays without one it is then emitted padded with nulls, where the kind of the join
/// keeps it. A row that comes too late to be kept meets the rows that are there; if there are none
/// and it is not padded, it is set aside as late.
///
/// Event time behind the join lags by the length of the interval, so that what it emits is not late.
pub struct IntervalJoin {
    spec: IntervalJoinSpec,
    condition: Condition,
    keys: Keys,
    sides: [Side; 2],
    /// By port and number: the time of the row.
    times: [Vec<Millis>; 2],
    /// By port and the time from which a row has no partners to come: the numbers.
    due: [BTreeMap<Millis, Vec<u32>>; 2],
    now: Millis,
}

impl IntervalJoin {
    pub fn new(spec: IntervalJoinSpec) -> Result<Self> {
        spec.join.check()?;
        if spec.join.kind.left_only() {
            return Err(Error::bug("interval join: semi and anti joins have none"));
        }
        Ok(Self {
            condition: spec.join.condition(),
            keys: spec.join.keys()?,
            sides: spec.join.sides(false)?,
            spec,
            times: [vec![], vec![]],
            due: [BTreeMap::new(), BTreeMap::new()],
            now: TIME_MIN,
        })
    }

    /// When the last partner of a row may come.
    fn last(&self, port: Port, time: Millis) -> Millis {
        match port {
            Port::Left => time.saturating_add(self.spec.upper_ms),
            Port::Right => time.saturating_sub(self.spec.lower_ms),
        }
    }

    /// Whether a row whose key is null waits for its time to be padded, as in Flink: by the watermark
    /// it does not matter when it leaves, by the wall clock it may be after the end of input.
    fn waits_alone(&self, port: Port) -> bool {
        self.spec.clock == Clock::Wall && self.spec.join.kind.keeps(port)
    }

    fn near(&self, port: Port, own: Millis, other: Millis) -> bool {
        let apart = match port {
            Port::Left => other.saturating_sub(own),
            Port::Right => own.saturating_sub(other),
        };
        (self.spec.lower_ms..=self.spec.upper_ms).contains(&apart)
    }

    fn keep(&mut self, port: Port, number: u32, time: Millis) {
        let times = &mut self.times[port.index()];
        if times.len() <= number as usize {
            times.resize(number as usize + 1, TIME_MIN);
        }
        times[number as usize] = time;
        let last = self.last(port, time);
        self.due[port.index()].entry(last).or_default().push(number);
    }

    fn join(
        &mut self,
        port: Port,
        batch: &Arrived,
        (rows, numbers): (&[u32], &[u32]),
        made: &mut Made,
        late: &mut Vec<u32>,
        out: &mut Output,
    ) -> Result<()> {
        let kind = self.spec.join.kind;
        let other = &self.sides[port.other().index()];
        let matching = self.condition.of(port, (&batch.rows, rows), (other, numbers), out)?;
        let mut pair = 0;
        for row in batch.range.clone() {
            let mut matches = 0;
            while rows.get(pair).is_some_and(|of| *of as usize == row) {
                if matching.has(pair) {
                    let other = &mut self.sides[port.other().index()];
                    let count = other.count(numbers[pair]);
                    other.add_matches(numbers[pair], 1);
                    matches += count;
                    made.push(Some(row as u32), Some(numbers[pair]), count);
                }
                pair += 1;
            }
            let time = batch.times.is_valid(row).then(|| batch.times.value(row));
            let held = batch.joinable[row] || self.waits_alone(port);
            match time.filter(|time| held && self.last(port, *time) > self.now) {
                Some(time) => {
                    let (key, row) = (batch.keys[row], batch.encoded.row(row));
                    let own = &mut self.sides[port.index()];
                    // An equal row has its time already.
                    if let Some(number) = own.add(row, key, 1, matches, TIME_MIN)
                        && own.count(number) == 1
                    {
                        self.keep(port, number, time);
                    }
                }
                None if matches == 0 && kind.keeps(port) => made.push(Some(row as u32), None, 1),
                None if matches == 0 && batch.joinable[row] && time.is_some() => {
                    late.push(row as u32);
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Lets go of the rows for which no partner can come any more.
    fn evict(&mut self, out: &mut Output) -> Result<()> {
        let mut keys = vec![];
        for port in [Port::Left, Port::Right] {
            let empty = RecordBatch::new_empty(self.sides[port.other().index()].schema().clone());
            let mut gone = vec![];
            let mut made = Made::new(port.other(), false);
            while let Some(due) = self.due[port.index()].first_entry()
                && *due.key() <= self.now
            {
                gone.extend(due.remove());
            }
            let side = &mut self.sides[port.index()];
            if self.spec.join.kind.keeps(port) {
                for number in &gone {
                    if side.matches(*number) == 0 {
                        made.push(None, Some(*number), side.count(*number));
                    }
                }
                made.emit(&self.spec.join.schema, &empty, side, out)?;
            }
            for number in gone {
                keys.push(side.key_of(number));
                side.remove(number);
            }
        }
        self.release(keys);
        Ok(())
    }

    fn release(&mut self, mut keys: Vec<u32>) {
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            if self.sides.iter().all(|side| side.of_key(key).is_empty()) {
                self.keys.remove(key);
            }
        }
    }
}

/// So many times are searched for a row without a partner, for people; behind them none is told of.
const WAITING_TIMES_MAX: usize = 1_000;

/// A batch with what the join needs to know of each of its rows; `range` is at hand.
struct Arrived {
    rows: RecordBatch,
    times: Int64Array,
    keys: Vec<u32>,
    joinable: Vec<bool>,
    encoded: super::side::Encoded,
    range: std::ops::Range<usize>,
}

impl Operator for IntervalJoin {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "interval join")?;
        let port = Port::of(port)?;
        let own = &self.sides[port.index()];
        let rows = batch.rows().clone();
        let mut arrived = Arrived {
            times: to_millis(rows.column(self.spec.times[port.index()]))?,
            keys: self.keys.intern(&own.key_columns(&rows), rows.num_rows())?,
            joinable: own.joinable(&rows),
            encoded: own.encode(&rows)?,
            range: 0..0,
            rows,
        };
        let mut made = Made::new(port, false);
        let mut late = vec![];
        let count = arrived.keys.len();
        while arrived.range.end < count {
            let other = port.other().index();
            let (mut rows, mut numbers) = (vec![], vec![]);
            let mut end = arrived.range.end;
            arrived.range.start = end;
            while end < count && numbers.len() < EMIT_ROWS_MAX {
                if arrived.joinable[end] && arrived.times.is_valid(end) {
                    let time = arrived.times.value(end);
                    for number in self.sides[other].of_key(arrived.keys[end]) {
                        if self.near(port, time, self.times[other][*number as usize]) {
                            rows.push(end as u32);
                            numbers.push(*number);
                        }
                    }
                }
                end += 1;
            }
            arrived.range.end = end;
            self.join(port, &arrived, (&rows, &numbers), &mut made, &mut late, out)?;
            made.emit(&self.spec.join.schema, &arrived.rows, &self.sides[other], out)?;
        }
        if !late.is_empty() {
            let times = late.iter().map(|row| arrived.times.value(*row as usize)).collect();
            out.late(LateRows {
                times,
                watermarks: vec![self.now; late.len()],
                rows: take_record_batch(&arrived.rows, &UInt32Array::from(late))?,
            });
        }
        self.release(arrived.keys);
        Ok(())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let now = match (time, self.spec.clock) {
            (Time::Event(now), Clock::Watermark) => {
                let lag = self.spec.upper_ms.max(self.spec.lower_ms.saturating_neg()).max(0);
                if now != TIME_MAX {
                    out.advance_to(now.saturating_sub(lag));
                }
                now
            }
            (Time::Processing(now), Clock::Wall) => now,
            _ => return Ok(()),
        };
        self.now = self.now.max(now);
        self.evict(out)
    }

    /// The time at which the next row without a partner is padded. Nothing else waits for time.
    fn waiting(&self) -> Option<Millis> {
        if self.spec.clock == Clock::Wall {
            return None;
        }
        let kept = [Port::Left, Port::Right].into_iter();
        let kept = kept.filter(|port| self.spec.join.kind.keeps(*port));
        let earliest = |port: Port| {
            let side = &self.sides[port.index()];
            let mut due = self.due[port.index()].iter().take(WAITING_TIMES_MAX);
            due.find(|(_, numbers)| numbers.iter().any(|number| side.matches(*number) == 0))
        };
        kept.filter_map(earliest).map(|(time, _)| *time).min()
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let tables = self.sides.iter().zip(STATES).map(|(side, name)| side.save(name, &self.keys));
        Ok(tables.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        changes_of(&mut self.sides, &self.keys, epoch, since)
    }

    fn state_bytes(&self) -> Option<usize> {
        let sides: usize = self.sides.iter().map(Side::bytes).sum();
        Some(self.keys.memory() + sides)
    }

    fn blank(&self) -> Result<Vec<StateTable>> {
        self.sides.iter().zip(STATES).map(|(side, name)| side.blank(name, &self.keys)).collect()
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        for table in tables {
            let port = STATES.iter().position(|name| *name == table.name);
            let port = port.ok_or_else(|| crate::saved::changed(&table.name))?;
            self.sides[port].load(&table, &mut self.keys)?;
        }
        for port in [Port::Left, Port::Right] {
            let side = &self.sides[port.index()];
            let times = side.times(self.spec.times[port.index()])?;
            times.into_iter().for_each(|(number, time)| self.keep(port, number, time));
        }
        Ok(())
    }
}
