//! SESSION windows: rows of a key with no pause as long as the gap between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use nowcast_engine::keys::{KeyCodec, Keys};
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{Batch, Epoch, Error, Millis, Operator, Output, Result, StateTable, Time};

use crate::admission::{Admission, inserts_only};
use crate::clock::WindowClock;
use crate::groups::EMIT_ROWS_MAX;
use crate::saved::{self, Columns};
use crate::window::{Span, TIME_LIMIT, time_column, unusable};

/// The output columns are those of the input and `window_start`, `window_end` (`Timestamp(ms)`),
/// `window_time` (of the type of the time column).
#[derive(Debug, Clone)]
pub struct SessionAssignSpec {
    pub gap_ms: i64,
    /// What the windows go by.
    pub clock: WindowClock,
    /// The time column.
    pub time: usize,
    /// Each key has sessions of its own. Rows are exchanged by these columns in this order.
    pub keys: Vec<usize>,
    pub input_schema: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

/// A row opens the session `[time, time + gap)`; sessions of a key that overlap or touch become one.
/// A session's rows leave when the watermark has passed `window_end - 1`, sessions in order of their
/// end and start, rows by arrival within what was one session first.
///
/// A row whose session, with all that it joins, had ended at its own watermark is set aside as late.
pub struct SessionAssign {
    spec: SessionAssignSpec,
    rows: KeyCodec,
    keys: Keys,
    /// By slot of the key, then start: a session that has ended may overlap one that has not.
    sessions: Vec<BTreeMap<(Millis, Millis), Session>>,
    /// End, start and slot of every session.
    ends: BTreeSet<(Millis, Millis, u32)>,
    /// What the rows of all sessions take.
    bytes: usize,
    now: Millis,
}

/// The encoded rows of one session.
type Session = Vec<Box<[u8]>>;

const STATE: &str = "sessions";

/// What a session takes besides its rows, about: its place in two trees.
const SESSION_BYTES: usize = 100;

/// What an encoded row takes.
fn bytes_of(row: &[u8]) -> usize {
    row.len() + size_of::<Box<[u8]>>()
}

impl SessionAssign {
    /// # Errors
    /// Of the user, where the gap is not positive or too long.
    pub fn new(spec: SessionAssignSpec) -> Result<Self> {
        if spec.gap_ms <= 0 || spec.gap_ms > TIME_LIMIT / 4 {
            let gap_ms = spec.gap_ms;
            return Err(Error::user(format!("SESSION: gap {gap_ms} ms must be positive")));
        }
        let (given, wanted) = (spec.schema.fields().len(), spec.input_schema.fields().len() + 3);
        if given != wanted {
            return Err(Error::bug(format!("session: an output of {given} columns, not {wanted}")));
        }
        let types = column_types(&spec.input_schema);
        let key_types: Vec<_> = spec.keys.iter().map(|key| types[*key].clone()).collect();
        Ok(Self {
            rows: KeyCodec::new(&types)?,
            keys: Keys::new(&key_types)?,
            sessions: vec![],
            ends: BTreeSet::new(),
            bytes: 0,
            now: TIME_MIN,
            spec,
        })
    }

    fn slots(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let keys: Vec<_> = self.spec.keys.iter().map(|key| columns[*key].clone()).collect();
        let slots = self.keys.intern(&keys, rows)?;
        self.sessions.resize_with(self.keys.slots_len(), BTreeMap::new);
        Ok(slots)
    }

    /// The session that a row of `time` is in, joined from those that it connects; `None` where
    /// that had ended at `watermark`.
    fn session(&mut self, slot: u32, time: Millis, watermark: Millis) -> Option<&mut Session> {
        let clock = self.spec.clock;
        let alone = Span { start: time, end: time + self.spec.gap_ms };
        let sessions = &mut self.sessions[slot as usize];
        let open = |(start, end): &(Millis, Millis)| {
            !clock.is_over(*end, watermark) && *start <= alone.end && *end >= alone.start
        };
        let joined: Vec<_> = sessions.keys().copied().filter(open).collect();
        let whole = joined.iter().fold(alone, |whole, (start, end)| Span {
            start: whole.start.min(*start),
            end: whole.end.max(*end),
        });
        if clock.is_over(whole.end, watermark) {
            return None;
        }
        if joined != [(whole.start, whole.end)] {
            let mut rows = vec![];
            for (start, end) in joined {
                rows.append(&mut sessions.remove(&(start, end)).unwrap_or_default());
                self.ends.remove(&(end, start, slot));
            }
            sessions.insert((whole.start, whole.end), rows);
            self.ends.insert((whole.end, whole.start, slot));
        }
        sessions.get_mut(&(whole.start, whole.end))
    }

    /// Forgets a key without sessions.
    fn forget(&mut self, slot: u32) {
        if self.sessions[slot as usize].is_empty() {
            self.keys.remove(slot);
        }
    }

    fn emit(&self, made: &mut Made, out: &mut Output) -> Result<()> {
        if made.rows.is_empty() {
            return Ok(());
        }
        let made = std::mem::take(made);
        let mut columns = self.rows.decode(made.rows.iter().map(AsRef::as_ref))?;
        let fields = self.spec.schema.fields();
        let times = made.ends.iter().map(|end| self.spec.clock.instant(end - 1)).collect();
        for values in [made.starts, made.ends, times] {
            columns.push(time_column(values, fields[columns.len()].data_type())?);
        }
        out.emit(Batch::new(RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)?));
        Ok(())
    }
}

/// Output rows, and the session of each.
#[derive(Default)]
struct Made {
    rows: Vec<Box<[u8]>>,
    starts: Vec<Millis>,
    ends: Vec<Millis>,
}

impl Operator for SessionAssign {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        inserts_only(&batch, "session window")?;
        let times = to_millis(batch.column(self.spec.time))?;
        let name = self.spec.input_schema.field(self.spec.time).name().clone();
        let slots = self.slots(batch.rows().columns(), batch.num_rows())?;
        let encoded = self.rows.encode(batch.rows().columns())?;
        // Only to set rows aside: those admitted are held already.
        let mut aside = Admission::<()>::new();
        for (row, slot) in slots.iter().enumerate() {
            let time = times.is_valid(row).then(|| times.value(row));
            if let Some(reason) = unusable(time, &name) {
                aside.reject(row, reason);
                continue;
            }
            let clock = self.spec.clock;
            let time = clock.of_row(times.value(row), self.now);
            let watermark = clock.row_now(&batch, row, self.now);
            match self.session(*slot, clock.shown(time), watermark) {
                Some(session) => {
                    let row = encoded.row(row);
                    session.push(row.as_ref().into());
                    self.bytes += bytes_of(row.as_ref());
                }
                None => aside.late(row, time, watermark),
            }
        }
        aside.finish(&batch, out)?;
        let touched: BTreeSet<u32> = slots.into_iter().collect();
        touched.into_iter().for_each(|slot| self.forget(slot));
        Ok(())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        let Some(now) = self.spec.clock.progress(time) else { return Ok(()) };
        let mut made = Made::default();
        while let Some((end, start, slot)) = self.ends.first().copied()
            && self.spec.clock.is_over(end, now)
        {
            self.ends.pop_first();
            let session = self.sessions[slot as usize].remove(&(start, end));
            for row in session.unwrap_or_default() {
                self.bytes -= bytes_of(&row);
                made.rows.push(row);
                made.starts.push(start);
                made.ends.push(end);
                if made.rows.len() == EMIT_ROWS_MAX {
                    self.emit(&mut made, out)?;
                }
            }
            self.forget(slot);
        }
        self.emit(&mut made, out)?;
        self.now = self.now.max(now);
        Ok(())
    }

    fn waiting(&self) -> Option<Millis> {
        self.ends.first().and_then(|(end, _, _)| self.spec.clock.awaits(*end))
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let mut made = Made::default();
        let mut slots = vec![];
        for (end, start, slot) in &self.ends {
            for row in &self.sessions[*slot as usize][&(*start, *end)] {
                made.rows.push(row.clone());
                made.starts.push(*start);
                made.ends.push(*end);
                slots.push(*slot);
            }
        }
        let mut columns: Columns =
            vec![saved::key_groups(&self.keys, self.spec.keys.len(), &slots)];
        for (name, times) in [("window_start", made.starts), ("window_end", made.ends)] {
            columns.push((name.to_owned(), Arc::new(Int64Array::from(times))));
        }
        let rows = self.rows.decode(made.rows.iter().map(AsRef::as_ref))?;
        columns.extend(saved::named("column_", rows));
        Ok(saved::table(STATE, [saved::rows(columns)?]))
    }

    fn state_bytes(&self) -> Option<usize> {
        let sessions = self.ends.len() * SESSION_BYTES + size_of_val(self.sessions.as_slice());
        Some(self.keys.memory() + sessions + self.bytes)
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        let types = column_types(&self.spec.input_schema);
        for table in tables {
            let columns = table.rows.columns();
            let given = columns.iter().skip(3).map(|column| column.data_type());
            let bounds = columns.get(1..3).is_some_and(|bounds| {
                bounds.iter().all(|column| *column.data_type() == DataType::Int64)
            });
            if !bounds || !given.eq(types.iter()) {
                return Err(saved::changed(&table.name));
            }
            let starts = columns[1].as_primitive::<Int64Type>().values();
            let ends = columns[2].as_primitive::<Int64Type>().values();
            let slots = self.slots(&columns[3..], table.rows.num_rows())?;
            let encoded = self.rows.encode(&columns[3..])?;
            for (row, slot) in slots.into_iter().enumerate() {
                let (start, end) = (starts[row], ends[row]);
                self.ends.insert((end, start, slot));
                let session = self.sessions[slot as usize].entry((start, end)).or_default();
                let row = encoded.row(row);
                session.push(row.as_ref().into());
                self.bytes += bytes_of(row.as_ref());
            }
        }
        Ok(())
    }
}

fn column_types(schema: &SchemaRef) -> Vec<DataType> {
    schema.fields().iter().map(|field| field.data_type().clone()).collect()
}
