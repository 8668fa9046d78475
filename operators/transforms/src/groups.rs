//! Groups of a GROUP BY: keys and, beside them, one accumulator an aggregate.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use nowcast_engine::keys::{EncodedKeys, KeyCodec, Keys};
use nowcast_engine::operator::{Epoch, StateChanges, TableChanges};
use nowcast_engine::{Batch, Error, Millis, Output, Result, StateTable};

use crate::aggregate::{Accumulator, AggregateCall, AggregateFunction, Rows, as_type};
use crate::changed::{Changed, every};
use crate::saved::{self, Columns};
use crate::window::{Span, time_column};

/// Rows of one emitted batch at most: a batch should fit the cache, and queues count batches.
pub(crate) const EMIT_ROWS_MAX: usize = 8192;

/// What to group by and what to compute.
#[derive(Clone)]
pub(crate) struct GroupPlan {
    pub keys: Vec<usize>,
    pub calls: Vec<AggregateCall>,
    codec: Arc<KeyCodec>,
    input_types: Vec<DataType>,
    /// Of the output: keys, aggregates, window_start, window_end, window_time.
    schema: SchemaRef,
}

impl GroupPlan {
    /// # Errors
    /// Where an aggregate cannot take its arguments or the output has other columns.
    pub fn new(
        keys: &[usize],
        calls: &[AggregateCall],
        input: &SchemaRef,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let input_types: Vec<DataType> =
            input.fields().iter().map(|field| field.data_type().clone()).collect();
        let key_types: Vec<DataType> = keys.iter().map(|key| input_types[*key].clone()).collect();
        let plan = Self {
            keys: keys.to_vec(),
            calls: calls.to_vec(),
            codec: Arc::new(KeyCodec::new(&key_types)?),
            input_types,
            schema: Arc::clone(schema),
        };
        let (given, wanted) = (schema.fields().len(), keys.len() + calls.len() + 3);
        if given != wanted {
            return Err(Error::bug(format!(
                "window aggregate: an output of {given} columns, not {wanted}"
            )));
        }
        Groups::new(&plan)?;
        Ok(plan)
    }

    /// Whether the state of a group is of one size, however many rows it has seen.
    pub fn is_small(&self) -> bool {
        use AggregateFunction::{ApproxCountDistinct, Avg, Count, Max, Min, Spread, Sum};
        let small = |call: &AggregateCall| {
            let function = &call.function;
            !call.distinct
                && matches!(
                    function,
                    ApproxCountDistinct | Avg | Count | Max | Min | Spread(_) | Sum
                )
        };
        self.calls.iter().all(small)
    }

    fn key_types(&self) -> Vec<DataType> {
        self.keys.iter().map(|key| self.input_types[*key].clone()).collect()
    }
}

/// A batch whose keys are encoded once for all groups that its rows go to.
pub(crate) struct Arriving<'a> {
    batch: &'a RecordBatch,
    keys: EncodedKeys,
}

impl<'a> Arriving<'a> {
    pub fn new(plan: &GroupPlan, batch: &'a RecordBatch) -> Result<Self> {
        let keys: Vec<ArrayRef> = plan.keys.iter().map(|key| batch.column(*key).clone()).collect();
        Ok(Self { batch, keys: plan.codec.hashed(&keys, batch.num_rows())? })
    }
}

/// The groups that lie at `id`, empty where there were none.
pub(crate) fn groups_of<'a, Id: Ord>(
    held: &'a mut BTreeMap<Id, Groups>,
    id: Id,
    plan: &GroupPlan,
) -> Result<&'a mut Groups> {
    Ok(match held.entry(id) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(Groups::new(plan)?),
    })
}

/// The groups of one slice or window. Slots are dense, in order of first arrival.
pub(crate) struct Groups {
    keys: Keys,
    accumulators: Vec<Box<dyn Accumulator>>,
    changed: Changed,
}

impl Groups {
    pub fn new(plan: &GroupPlan) -> Result<Self> {
        let accumulators =
            plan.calls.iter().map(|call| call.accumulator(&plan.input_types, Rows::Inserted));
        Ok(Self {
            keys: Keys::new(&plan.key_types())?,
            accumulators: accumulators.collect::<Result<_>>()?,
            changed: Changed::default(),
        })
    }

    /// Adds the rows at `picked` (ascending) to their groups.
    pub fn update(&mut self, plan: &GroupPlan, rows: &Arriving, picked: Vec<u32>) -> Result<()> {
        let slots = self.keys.intern_rows(&rows.keys, &picked);
        self.changed.touch_all(&slots, self.keys.slots_len());
        let picked = (picked.len() < rows.keys.len()).then(|| UInt32Array::from(picked));
        let mut taken: Vec<Option<ArrayRef>> = vec![None; rows.batch.num_columns()];
        let mut column = |at: usize| -> Result<ArrayRef> {
            if let Some(column) = &taken[at] {
                return Ok(column.clone());
            }
            let column = match &picked {
                Some(picked) => take(rows.batch.column(at), picked, None)?,
                None => rows.batch.column(at).clone(),
            };
            taken[at] = Some(column.clone());
            Ok(column)
        };
        for (call, accumulator) in plan.calls.iter().zip(&mut self.accumulators) {
            let args = call.args.iter().map(|arg| column(*arg)).collect::<Result<Vec<_>>>()?;
            let filter = call.filter.map(&mut column).transpose()?;
            accumulator.resize(self.keys.slots_len());
            accumulator.update(&slots, &args, filter.as_ref().map(|filter| filter.as_boolean()))?;
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Adds the groups of `other`, whose rows count as later ones.
    pub fn merge(&mut self, other: &Groups) -> Result<()> {
        let theirs: Vec<u32> = other.keys.slots().collect();
        self.keys.reserve(theirs.len());
        let ours = self.keys.intern_slots(&other.keys, &theirs);
        for (accumulator, from) in self.accumulators.iter_mut().zip(&other.accumulators) {
            accumulator.resize(self.keys.slots_len());
            accumulator.merge_from(&ours, from.as_ref(), &theirs)?;
        }
        Ok(())
    }

    /// Emits one row a group, in order of first arrival; `time` is the last of the window.
    pub fn emit(&self, plan: &GroupPlan, span: Span, time: Millis, out: &mut Output) -> Result<()> {
        let all: Vec<u32> = self.keys.slots().collect();
        for slots in all.chunks(EMIT_ROWS_MAX) {
            let mut columns = self.keys.columns(slots)?;
            for accumulator in &self.accumulators {
                columns.push(accumulator.evaluate(slots)?);
            }
            let fields = plan.schema.fields();
            for (column, field) in columns.iter_mut().zip(fields) {
                *column = as_type(column, field.data_type())?;
            }
            for time in [span.start, span.end, time] {
                let ty = fields[columns.len()].data_type();
                columns.push(time_column(vec![time; slots.len()], ty)?);
            }
            out.emit(Batch::new(RecordBatch::try_new(Arc::clone(&plan.schema), columns)?));
        }
        Ok(())
    }

    /// Bytes of memory that they take, about.
    pub fn bytes(&self) -> usize {
        let states: usize = self.accumulators.iter().map(|held| held.bytes()).sum();
        self.keys.memory() + states + self.changed.bytes()
    }

    /// Key groups, `extra` columns of one value, keys and states.
    pub fn save(
        &self,
        plan: &GroupPlan,
        name: &str,
        extra: &[(&str, i64)],
    ) -> Result<Vec<StateTable>> {
        let slots: Vec<u32> = self.keys.slots().collect();
        saved::table_of(name, &slots, self.bytes(), |slots| self.saved(plan, extra, slots))
    }

    pub fn saved(
        &self,
        plan: &GroupPlan,
        extra: &[(&str, i64)],
        slots: &[u32],
    ) -> Result<RecordBatch> {
        let mut columns: Columns = vec![saved::key_groups(&self.keys, plan.keys.len(), slots)];
        for (name, value) in extra {
            let column = Int64Array::from_value(*value, slots.len());
            columns.push(((*name).to_owned(), Arc::new(column)));
        }
        columns.extend(saved::named("key_", self.keys.columns(slots)?));
        for (nth, accumulator) in self.accumulators.iter().enumerate() {
            columns.extend(saved::named(&format!("state_{nth}_"), accumulator.save(slots)?));
        }
        saved::rows(columns)
    }

    /// As [`Groups::save`], what has changed since checkpoint `since`, as of the barrier of `epoch`; all where
    /// that is not known, or as good. Groups do not go.
    pub fn changes(
        &mut self,
        plan: &GroupPlan,
        name: String,
        extra: &[(&str, i64)],
        (epoch, since): (Epoch, Option<Epoch>),
    ) -> Result<Vec<TableChanges>> {
        let bytes = self.bytes();
        let Some(since) = self.changed.barrier(epoch, since, &self.keys, bytes) else {
            let all = self.save(plan, &name, extra)?;
            return Ok(all.into_iter().map(TableChanges::All).collect());
        };
        let key = saved::names("key_", plan.keys.len());
        let rows = self.saved(plan, extra, &since.slots)?;
        let gone = self.changed.gone(&since, &key, &every(&key), &self.keys)?;
        Ok(vec![TableChanges::Since(StateChanges { name, key, rows, gone })])
    }

    /// As [`Groups::changes`] for a checkpoint that has all state anyway.
    pub fn barrier(&mut self, epoch: Epoch) {
        self.changed.barrier(epoch, None, &self.keys, 0);
    }

    /// What is there was loaded from a checkpoint that has it under a name of its own.
    pub fn loaded(&mut self) {
        self.changed.loaded();
    }

    /// The next checkpoint has all of it: the one before knows it by another name, or not at all.
    pub fn forget_changes(&mut self) {
        self.changed = Changed::default();
    }

    /// What [`Groups::save`] makes of one key that has seen no rows; `extra` as there.
    pub fn blank(mut self, name: &str, extra: &[&str]) -> Result<Vec<StateTable>> {
        saved::blank(name, extra, &self.keys, &mut self.accumulators)
    }

    /// Takes back rows that [`Groups::save`] made, without key groups and `extra`.
    pub fn load(&mut self, plan: &GroupPlan, columns: &[ArrayRef], rows: usize) -> Result<()> {
        let (keys, mut states) = columns.split_at(plan.keys.len());
        let slots = self.keys.intern(keys, rows)?;
        for accumulator in &mut self.accumulators {
            let (own, rest) = states.split_at(accumulator.save(&[])?.len());
            accumulator.resize(self.keys.slots_len());
            accumulator.merge(&slots, own)?;
            states = rest;
        }
        Ok(())
    }
}
