//! Regular joins: every row of one input meets every row of the other that stands.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use nowcast_engine::keys::Keys;
use nowcast_engine::time::TIME_MIN;
use nowcast_engine::{
    Batch, Epoch, Error, Evaluate, Millis, Operator, Output, Result, StateTable, TableChanges, Time,
};

use super::pairs::{Condition, Made, Port};
use super::side::Side;
use crate::groups::EMIT_ROWS_MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// The left rows with a partner, once each.
    Semi,
    /// The left rows without a partner.
    Anti,
}

impl JoinKind {
    /// Whether rows of this side stay, padded with nulls, when they have no partner.
    pub(crate) fn keeps(self, port: Port) -> bool {
        match port {
            Port::Left => matches!(self, Self::Left | Self::Full),
            Port::Right => matches!(self, Self::Right | Self::Full),
        }
    }

    /// Whether the output has the columns of the left input alone.
    pub fn left_only(self) -> bool {
        matches!(self, Self::Semi | Self::Anti)
    }
}

/// Two inputs and which of their rows belong together.
#[derive(Clone)]
pub struct JoinSpec {
    pub kind: JoinKind,
    /// Key columns of each side, of the same types: both inputs are exchanged by them.
    pub left_keys: Vec<usize>,
    pub right_keys: Vec<usize>,
    /// For each pair of keys, whether null equals null; else a null key has no partner.
    pub null_safe: Vec<bool>,
    /// What else must be true, over the columns of the left and then of the right.
    pub condition: Option<Arc<dyn Evaluate>>,
    pub left: SchemaRef,
    pub right: SchemaRef,
    /// Of the output.
    pub schema: SchemaRef,
}

impl JoinSpec {
    /// # Errors
    /// Where the keys do not fit each other or the output has other columns: a bug of the planner.
    pub(crate) fn check(&self) -> Result<()> {
        let of = |schema: &SchemaRef, keys: &[usize]| -> Vec<_> {
            keys.iter().map(|key| schema.field(*key).data_type().clone()).collect()
        };
        let (left, right) = (of(&self.left, &self.left_keys), of(&self.right, &self.right_keys));
        if left != right || left.len() != self.null_safe.len() {
            return Err(Error::bug(format!("join: keys {left:?} and {right:?}")));
        }
        let rights = if self.kind.left_only() { 0 } else { self.right.fields().len() };
        let (given, wanted) = (self.schema.fields().len(), self.left.fields().len() + rights);
        match given == wanted {
            true => Ok(()),
            false => Err(Error::bug(format!("join: {given} columns, not {wanted}"))),
        }
    }

    pub(crate) fn condition(&self) -> Condition {
        Condition::new(self.condition.clone(), &self.left, &self.right)
    }

    pub(crate) fn sides(&self, expires: bool) -> Result<[Side; 2]> {
        Ok([
            Side::new(&self.left, &self.left_keys, &self.null_safe, expires)?,
            Side::new(&self.right, &self.right_keys, &self.null_safe, expires)?,
        ])
    }

    pub(crate) fn keys(&self) -> Result<Keys> {
        let types: Vec<_> =
            self.left_keys.iter().map(|key| self.left.field(*key).data_type().clone()).collect();
        Keys::new(&types)
    }
}

/// What has changed of each side.
pub(crate) fn changes_of(
    sides: &mut [Side; 2],
    keys: &Keys,
    epoch: Epoch,
    since: Option<Epoch>,
) -> Result<Option<Vec<TableChanges>>> {
    let mut tables = vec![];
    for (side, name) in sides.iter_mut().zip(STATES) {
        match side.barrier(epoch, since) {
            Some(since) => tables.push(TableChanges::Since(side.changes(name, &since, keys)?)),
            None if since.is_none() => {}
            None => {
                let all = side.save(name, keys)?;
                tables.extend(all.into_iter().map(TableChanges::All));
            }
        }
    }
    Ok(since.map(|_| tables))
}

/// Names of the state tables, by port.
pub(crate) const STATES: [&str; 2] = ["left", "right"];

/// Takes inserts and deletes on both ports and gives a changelog. A row that stays without a partner
/// is emitted padded with nulls and taken back when one comes; the last partner's leaving brings it
/// back. With `ttl_ms`, a row is forgotten, without a word, when it was last written that long ago.
pub struct Join {
    spec: JoinSpec,
    condition: Condition,
    keys: Keys,
    sides: [Side; 2],
    ttl_ms: Option<i64>,
    now: Millis,
}

impl Join {
    pub fn new(spec: JoinSpec, ttl_ms: Option<i64>) -> Result<Self> {
        spec.check()?;
        Ok(Self {
            condition: spec.condition(),
            keys: spec.keys()?,
            sides: spec.sides(ttl_ms.is_some())?,
            spec,
            ttl_ms,
            now: TIME_MIN,
        })
    }

    /// Joins rows of one input, whose partners are few enough to be looked at together.
    fn join(
        &mut self,
        port: Port,
        batch: &Arrived,
        range: std::ops::Range<usize>,
        made: &mut Made,
        out: &mut Output,
    ) -> Result<()> {
        let kind = self.spec.kind;
        let (first, second) = self.sides.split_at_mut(1);
        let (own, other) = match port {
            Port::Left => (&mut first[0], &mut second[0]),
            Port::Right => (&mut second[0], &mut first[0]),
        };
        let (mut rows, mut numbers) = (vec![], vec![]);
        for row in range.clone().filter(|row| batch.joinable[*row]) {
            let partners = other.of_key(batch.keys[row]);
            rows.extend(partners.iter().map(|_| row as u32));
            numbers.extend_from_slice(partners);
        }
        let matching = self.condition.of(port, (&batch.rows, &rows), (&*other, &numbers), out)?;
        let mut pair = 0;
        for row in range {
            let weight = batch.weight(row);
            let at = Some(row as u32);
            let begin = pair;
            while rows.get(pair).is_some_and(|of| *of as usize == row) {
                pair += 1;
            }
            let partners = (begin..pair).filter(|pair| matching.has(*pair));
            let mut matches = 0;
            for pair in partners {
                let number = numbers[pair];
                let count = other.count(number);
                matches += count;
                let (before, after) = match port {
                    Port::Right if kind.left_only() => other.add_matches(number, weight),
                    _ if kind.keeps(port.other()) => other.add_matches(number, weight),
                    _ => (1, 1),
                };
                match kind {
                    JoinKind::Semi | JoinKind::Anti => {
                        let sign = if kind == JoinKind::Semi { count } else { -count };
                        if before <= 0 && after > 0 {
                            made.push(None, Some(number), sign);
                        } else if before > 0 && after <= 0 {
                            made.push(None, Some(number), -sign);
                        }
                    }
                    _ => {
                        if before <= 0 && after > 0 {
                            made.push(None, Some(number), -count);
                        }
                        made.push(at, Some(number), weight * count);
                        if before > 0 && after <= 0 {
                            made.push(None, Some(number), count);
                        }
                    }
                }
            }
            let alone = matches == 0;
            let stays = match kind {
                JoinKind::Semi => port == Port::Left && !alone,
                JoinKind::Anti => port == Port::Left && alone,
                _ => alone && kind.keeps(port),
            };
            if stays {
                made.push(at, None, weight);
            }
            if batch.joinable[row] {
                own.add(batch.encoded.row(row), batch.keys[row], weight, matches, self.now);
            }
        }
        Ok(())
    }

    /// Gives back the slots of keys that no row has any more.
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

/// A batch with what a join needs to know of each of its rows.
struct Arrived {
    rows: RecordBatch,
    weights: Option<arrow::array::Int64Array>,
    keys: Vec<u32>,
    joinable: Vec<bool>,
    encoded: super::side::Encoded,
}

impl Arrived {
    fn weight(&self, row: usize) -> i64 {
        self.weights.as_ref().map_or(1, |weights| weights.value(row))
    }
}

impl Operator for Join {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let port = Port::of(port)?;
        let own = &self.sides[port.index()];
        let rows = batch.rows().clone();
        let arrived = Arrived {
            keys: self.keys.intern(&own.key_columns(&rows), rows.num_rows())?,
            joinable: own.joinable(&rows),
            encoded: own.encode(&rows)?,
            weights: batch.weights().cloned(),
            rows,
        };
        let mut made = Made::new(port, self.spec.kind.left_only());
        let mut first = 0;
        while first < arrived.keys.len() {
            let other = &self.sides[port.other().index()];
            let (mut end, mut pairs) = (first, 0);
            while end < arrived.keys.len() && pairs < EMIT_ROWS_MAX {
                pairs += other.of_key(arrived.keys[end]).len();
                end += 1;
            }
            self.join(port, &arrived, first..end, &mut made, out)?;
            let other = &self.sides[port.other().index()];
            if made.len() >= EMIT_ROWS_MAX || end == arrived.keys.len() {
                made.emit(&self.spec.schema, &arrived.rows, other, out)?;
            }
            first = end;
        }
        self.release(arrived.keys);
        Ok(())
    }

    fn on_time(&mut self, time: Time, _out: &mut Output) -> Result<()> {
        let (Time::Processing(now), Some(ttl_ms)) = (time, self.ttl_ms) else { return Ok(()) };
        if self.now == TIME_MIN {
            self.sides.iter_mut().for_each(|side| side.start_clock(now));
        }
        // A clock that steps back would bring times out of order.
        self.now = self.now.max(now);
        let until = self.now.saturating_sub(ttl_ms);
        let keys: Vec<u32> = self.sides.iter_mut().flat_map(|side| side.expire(until)).collect();
        self.release(keys);
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let tables = self.sides.iter().zip(STATES).map(|(side, name)| side.save(name, &self.keys));
        Ok(tables.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn changes(&mut self, epoch: Epoch, since: Option<Epoch>) -> Result<Option<Vec<TableChanges>>> {
        changes_of(&mut self.sides, &self.keys, epoch, since)
    }

    fn loads_pieces(&self) -> bool {
        true
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
            let side = STATES.iter().position(|name| *name == table.name);
            let side = side.ok_or_else(|| crate::saved::changed(&table.name))?;
            self.sides[side].load(&table, &mut self.keys)?;
        }
        Ok(())
    }
}
