//! What MATCH_RECOGNIZE keeps, as tables: the rows that wait, and of each partition the rows of its
//! runs, the steps that took them, and the runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, UInt64Array,
};
use arrow::datatypes::{Int64Type, Schema, UInt32Type, UInt64Type};
use hashbrown::HashMap;
use nowcast_engine::time::{TIME_MIN, to_millis};
use nowcast_engine::{Millis, Result, StateChanges, StateTable, TableChanges};
use std::cmp::Reverse;

use super::MatchRecognize;
use super::paths::StepId;
use super::runs::{Partition, Run, Taken};
use crate::aggregate::Place;
use crate::changed::{Since, every};
use crate::saved::{self, Columns};

const HELD: &str = "held";
const ROWS: &str = "rows";
const STEPS: &str = "steps";
const RUNS: &str = "runs";

/// Rows of runs: slot, number in the partition, place.
#[derive(Default)]
struct SavedRows {
    slots: Vec<u32>,
    arrivals: Vec<u64>,
    places: Vec<Place>,
}

/// Steps are numbered by partition: the ones before a step come before it.
#[derive(Default)]
struct SavedSteps {
    slots: Vec<u32>,
    befores: Vec<Option<u32>>,
    variables: Vec<u32>,
    arrivals: Vec<u64>,
}

#[derive(Default)]
struct SavedRuns {
    slots: Vec<u32>,
    states: Vec<u32>,
    complete: Vec<bool>,
    lasts: Vec<Option<u32>>,
    arrivals: Vec<Option<u64>>,
    times: Vec<Option<Millis>>,
}

impl MatchRecognize {
    pub(super) fn tables(&self) -> Result<Vec<StateTable>> {
        let slots: Vec<u32> = self.keys.slots().collect();
        let bytes = self.bytes();
        let tables = [
            self.held_tables()?,
            saved::table_of(ROWS, &slots, bytes, |slots| self.rows_table(slots))?,
            saved::table_of(STEPS, &slots, bytes, |slots| self.steps_table(slots))?,
            saved::table_of(RUNS, &slots, bytes, |slots| self.runs_table(slots))?,
        ];
        Ok(tables.into_iter().flatten().collect())
    }

    /// Of a partition that has changed all is told again; rows that wait are few, and told as they are.
    pub(super) fn table_changes(&self, since: &Since) -> Result<Vec<TableChanges>> {
        let held = self.held_tables()?;
        let mut tables: Vec<TableChanges> = held.into_iter().map(TableChanges::All).collect();
        let partition = &self.spec.partition;
        let of_rows = partition.iter().map(|column| format!("column_{column}")).collect();
        let of_runs = saved::names("key_", partition.len());
        for (name, key, rows) in [
            (ROWS, of_rows, self.rows_table(&since.slots)?),
            (STEPS, of_runs.clone(), self.steps_table(&since.slots)?),
            (RUNS, of_runs, self.runs_table(&since.slots)?),
        ] {
            let gone = self.changed.gone(since, &key, &every(&key), &self.keys)?;
            let name = name.to_owned();
            tables.push(TableChanges::Since(StateChanges { name, key, rows, gone }));
        }
        Ok(tables)
    }

    fn held_tables(&self) -> Result<Vec<StateTable>> {
        let pieces = self.held.pieces()?;
        let pieces = pieces.iter().map(|(rows, _)| self.held_table(rows));
        Ok(saved::table(HELD, pieces.collect::<Result<Vec<_>>>()?))
    }

    fn held_table(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let keys = self.spec.partition.iter().map(|column| rows.column(*column).clone());
        let groups = saved::key_groups_of(&keys.collect::<Vec<_>>(), rows.num_rows())?;
        let mut named = vec![groups];
        named.extend(saved::named("column_", rows.columns().to_vec()));
        saved::rows(named)
    }

    fn rows_table(&self, slots: &[u32]) -> Result<RecordBatch> {
        let mut rows = SavedRows::default();
        for slot in slots {
            let mut of_slot: Vec<(u64, Place)> = self
                .steps_of(*slot)
                .into_iter()
                .map(|step| (self.paths.step(step).arrival, self.paths.step(step).place))
                .collect();
            of_slot.sort_unstable();
            of_slot.dedup();
            for (arrival, place) in of_slot {
                rows.slots.push(*slot);
                rows.arrivals.push(arrival);
                rows.places.push(place);
            }
        }
        let partition = self.spec.partition.len();
        let mut named = vec![saved::key_groups(&self.keys, partition, &rows.slots)];
        named.extend(saved::named("column_", self.values.gather_all(&rows.places)?));
        named.push(("arrival".to_owned(), Arc::new(UInt64Array::from(rows.arrivals))));
        saved::rows(named)
    }

    fn steps_table(&self, slots: &[u32]) -> Result<RecordBatch> {
        let mut saved = SavedSteps::default();
        for slot in slots {
            let steps = self.steps_of(*slot);
            let numbers = numbers(&steps);
            for step in steps.iter().map(|step| self.paths.step(*step)) {
                saved.slots.push(*slot);
                saved.befores.push(step.before().map(|before| numbers[&before]));
                saved.variables.push(step.variable as u32);
                saved.arrivals.push(step.arrival);
            }
        }
        self.keyed(
            &saved.slots,
            vec![
                ("before".to_owned(), Arc::new(UInt32Array::from(saved.befores))),
                ("variable".to_owned(), Arc::new(UInt32Array::from(saved.variables))),
                ("arrival".to_owned(), Arc::new(UInt64Array::from(saved.arrivals))),
            ],
        )
    }

    fn runs_table(&self, slots: &[u32]) -> Result<RecordBatch> {
        let mut saved = SavedRuns::default();
        for slot in slots {
            let numbers = numbers(&self.steps_of(*slot));
            let partition = &self.partitions[*slot as usize];
            let partial = partition.partial().map(|run| (run, false));
            for (run, complete) in partial.chain(partition.complete().map(|run| (run, true))) {
                saved.slots.push(*slot);
                saved.states.push(run.state);
                saved.complete.push(complete);
                saved.lasts.push(run.taken.map(|taken| numbers[&taken.last]));
                saved.arrivals.push(run.taken.map(|taken| taken.arrival));
                saved.times.push(run.taken.map(|taken| taken.time));
            }
        }
        self.keyed(
            &saved.slots,
            vec![
                ("state".to_owned(), Arc::new(UInt32Array::from(saved.states))),
                ("complete".to_owned(), Arc::new(BooleanArray::from(saved.complete))),
                ("last".to_owned(), Arc::new(UInt32Array::from(saved.lasts))),
                ("arrival".to_owned(), Arc::new(UInt64Array::from(saved.arrivals))),
                ("time".to_owned(), Arc::new(Int64Array::from(saved.times))),
            ],
        )
    }

    fn keyed(&self, slots: &[u32], columns: Columns) -> Result<RecordBatch> {
        let mut named = vec![saved::key_groups(&self.keys, self.spec.partition.len(), slots)];
        named.extend(saved::named("key_", self.keys.columns(slots)?));
        named.extend(columns);
        saved::rows(named)
    }

    /// The steps of a partition's runs, each once and after the one before it.
    fn steps_of(&self, slot: u32) -> Vec<StepId> {
        let partition = &self.partitions[slot as usize];
        let mut seen = hashbrown::HashSet::new();
        let mut steps = vec![];
        for run in partition.partial().chain(partition.complete()) {
            let first = steps.len();
            let mut next = run.last();
            while let Some(step) = next
                && seen.insert(step)
            {
                steps.push(step);
                next = self.paths.step(step).before();
            }
            steps[first..].reverse();
        }
        steps
    }

    pub(super) fn restore(&mut self, tables: Vec<StateTable>) -> Result<()> {
        self.changed.loaded();
        let of = |name: &str| -> Vec<StateTable> {
            tables.iter().filter(|table| table.name == name).cloned().collect()
        };
        let known = [HELD, ROWS, STEPS, RUNS];
        if let Some(other) = tables.iter().find(|table| !known.contains(&table.name.as_str())) {
            return Err(saved::changed(&other.name));
        }
        for table in of(HELD) {
            let rows = self.rows_of(&table, 0)?;
            let times = to_millis(rows.column(self.spec.time))?;
            self.held.push(&rows, times.values(), TIME_MIN)?;
        }
        let mut places = HashMap::new();
        for table in of(ROWS) {
            self.restore_rows(&table, &mut places)?;
        }
        let mut steps: HashMap<u32, Vec<StepId>> = HashMap::new();
        for table in of(STEPS) {
            self.restore_steps(&table, &places, &mut steps)?;
        }
        let mut runs = HashMap::new();
        for table in of(RUNS) {
            self.restore_runs(&table, &steps, &mut runs)?;
        }
        let mut arrived: HashMap<u32, u64> = HashMap::new();
        for (slot, arrival) in places.keys() {
            let next = arrived.entry(*slot).or_default();
            *next = (*next).max(arrival + 1);
        }
        for (slot, [partial, complete]) in runs {
            let arrived = arrived.get(&slot).copied().unwrap_or_default();
            self.partitions[slot as usize] = Partition::restored(partial, complete, arrived);
        }
        // A run's steps one after another, those of all runs together.
        let mut by_length: BTreeMap<usize, Vec<StepId>> = BTreeMap::new();
        let mut lengths: HashMap<StepId, usize> = HashMap::new();
        for step in self.paths.take_added() {
            let before = self.paths.step(step).before();
            let length = before.map_or(0, |before| lengths.get(&before).map_or(0, |it| it + 1));
            lengths.insert(step, length);
            by_length.entry(length).or_default().push(step);
        }
        for steps in by_length.values() {
            self.running.extend(steps, &self.paths, &self.values)?;
        }
        Ok(())
    }

    /// The rows of a table without its key groups and the last `extra` columns.
    fn rows_of(&self, table: &StateTable, extra: usize) -> Result<RecordBatch> {
        let all = table.rows.columns();
        let columns = all.get(1..all.len().saturating_sub(extra)).unwrap_or_default().to_vec();
        RecordBatch::try_new(Arc::clone(&self.spec.input_schema), columns)
            .map_err(|_| saved::changed(&table.name))
    }

    fn restore_rows(
        &mut self,
        table: &StateTable,
        places: &mut HashMap<(u32, u64), Place>,
    ) -> Result<()> {
        saved::check(table, &self.rows_table(&[])?.schema())?;
        let rows = self.rows_of(table, 1)?;
        let arrivals = last(table).as_primitive::<UInt64Type>().values().to_vec();
        let slots = self.intern(&rows)?;
        let place = self.values.push(rows.columns());
        for (row, key) in slots.into_iter().zip(arrivals).enumerate() {
            places.insert(key, place(row));
        }
        Ok(())
    }

    fn restore_steps(
        &mut self,
        table: &StateTable,
        places: &HashMap<(u32, u64), Place>,
        steps: &mut HashMap<u32, Vec<StepId>>,
    ) -> Result<()> {
        let changed = || saved::changed(&table.name);
        let (slots, columns) = self.keyed_rows(table, &self.steps_table(&[])?.schema())?;
        let befores = columns[0].as_primitive::<UInt32Type>();
        let variables = columns[1].as_primitive::<UInt32Type>();
        let arrivals = columns[2].as_primitive::<UInt64Type>();
        for (row, slot) in slots.into_iter().enumerate() {
            let of_slot = steps.entry(slot).or_default();
            let before = match befores.is_valid(row) {
                true => Some(*of_slot.get(befores.value(row) as usize).ok_or_else(changed)?),
                false => None,
            };
            let arrival = arrivals.value(row);
            let place = *places.get(&(slot, arrival)).ok_or_else(changed)?;
            let variable = variables.value(row) as usize;
            of_slot.push(self.paths.add(before, variable, arrival, place));
        }
        Ok(())
    }

    fn restore_runs(
        &mut self,
        table: &StateTable,
        steps: &HashMap<u32, Vec<StepId>>,
        runs: &mut HashMap<u32, [Vec<Run>; 2]>,
    ) -> Result<()> {
        let changed = || saved::changed(&table.name);
        let (slots, columns) = self.keyed_rows(table, &self.runs_table(&[])?.schema())?;
        let states = columns[0].as_primitive::<UInt32Type>();
        let complete = columns[1].as_boolean();
        let lasts = columns[2].as_primitive::<UInt32Type>();
        let arrivals = columns[3].as_primitive::<UInt64Type>();
        let times = columns[4].as_primitive::<Int64Type>();
        for (row, slot) in slots.into_iter().enumerate() {
            let taken = match lasts.is_valid(row) {
                true => {
                    let of_slot = steps.get(&slot).ok_or_else(changed)?;
                    let last = *of_slot.get(lasts.value(row) as usize).ok_or_else(changed)?;
                    self.paths.hold(last);
                    let (arrival, time) = (arrivals.value(row), times.value(row));
                    if let Some(within_ms) = self.spec.within_ms {
                        self.ends.push(Reverse((time.saturating_add(within_ms), slot)));
                    }
                    Some(Taken { last, arrival, time })
                }
                false => None,
            };
            if !self.rules.automaton.knows(states.value(row)) {
                return Err(changed());
            }
            let run = Run { state: states.value(row), taken };
            runs.entry(slot).or_default()[usize::from(complete.value(row))].push(run);
        }
        Ok(())
    }

    /// The slots of a table's rows, and its columns behind the keys.
    fn keyed_rows(
        &mut self,
        table: &StateTable,
        expected: &Schema,
    ) -> Result<(Vec<u32>, Vec<ArrayRef>)> {
        saved::check(table, expected)?;
        let (keys, columns) = table.rows.columns()[1..].split_at(self.spec.partition.len());
        Ok((self.intern_keys(keys, table.rows.num_rows())?, columns.to_vec()))
    }
}

fn numbers(steps: &[StepId]) -> HashMap<StepId, u32> {
    steps.iter().enumerate().map(|(number, step)| (*step, number as u32)).collect()
}

fn last(table: &StateTable) -> &ArrayRef {
    table.rows.columns().last().expect("a table was checked to have columns")
}
