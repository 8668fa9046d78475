//! Checkpoints that build on those before: what is restored is what stood, files are made one of many
//! and go when nobody names them, and a broken one is noticed.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt16Array};
use arrow::datatypes::{Int64Type, UInt16Type};
use futures::TryStreamExt;
use nowcast_engine::checkpoint::{
    Checkpoints, SavedState, StageTables, TableFile, WorkerState, Writer,
};
use nowcast_engine::keys::{key_group, key_hash, owner};
use nowcast_engine::operator::KEY_GROUP;
use nowcast_engine::{ErrorKind, StateChanges, StateTable, TableChanges};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

/// Of each key its values: several rows have one key.
type State = BTreeMap<i64, Vec<i64>>;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn groups(keys: &[i64]) -> ArrayRef {
    let groups = keys.iter().map(|key| key_group(key_hash(&key.to_be_bytes())));
    Arc::new(UInt16Array::from_iter_values(groups))
}

fn rows<'a>(keys: impl Iterator<Item = (&'a i64, &'a Vec<i64>)>) -> RecordBatch {
    let all: Vec<(i64, i64)> =
        keys.flat_map(|(key, values)| values.iter().map(|value| (*key, *value))).collect();
    let keys: Vec<i64> = all.iter().map(|(key, _)| *key).collect();
    let wide = all.iter().map(|(key, value)| format!("{key} {value}"));
    batch(vec![
        (KEY_GROUP, groups(&keys)),
        ("value", ints(all.iter().map(|(_, value)| *value))),
        ("key_0", ints(keys)),
        ("text", Arc::new(StringArray::from_iter_values(wide))),
    ])
}

fn changes(state: &State, changed: &BTreeSet<i64>) -> TableChanges {
    let gone: Vec<i64> = changed.iter().filter(|key| !state.contains_key(key)).copied().collect();
    TableChanges::Since(StateChanges {
        name: "rows".into(),
        key: vec!["key_0".into()],
        rows: rows(state.iter().filter(|(key, _)| changed.contains(key))),
        gone: batch(vec![(KEY_GROUP, groups(&gone)), ("key_0", ints(gone))]),
    })
}

/// A job whose one stage has so many workers, told what they save.
struct Job {
    store: Arc<InMemory>,
    checkpoints: Checkpoints,
    epoch: u64,
}

const WORKERS: usize = 2;

impl Job {
    fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let checkpoints = Checkpoints::new(store.clone(), "job");
        Self { store, checkpoints, epoch: 0 }
    }

    async fn write(
        &mut self,
        of: impl Fn(usize) -> SavedState,
    ) -> Result<usize, nowcast_engine::Error> {
        let stage =
            |worker| StageTables { name: "sum".into(), worker, watermark: 0, state: of(worker) };
        let states =
            (0..WORKERS).map(|worker| WorkerState { sources: vec![], stages: vec![stage(worker)] });
        let epoch = self.epoch + 1;
        let (writer, of) = (Writer::default(), (Default::default(), self.epoch));
        let written =
            self.checkpoints.write(&writer, epoch, WORKERS, false, of, states.collect()).await?;
        self.epoch = epoch;
        Ok(written)
    }

    async fn write_all(&mut self, state: &State) -> usize {
        let all = |worker| {
            SavedState::All(vec![StateTable {
                name: "rows".into(),
                rows: rows(of(state, worker).iter()),
            }])
        };
        self.write(all).await.unwrap()
    }

    async fn write_changes(&mut self, state: &State, changed: &BTreeSet<i64>) -> usize {
        let since = self.epoch;
        let changes = |worker| {
            let mine = |key: &&i64| owner_of(**key, WORKERS) == worker;
            let changed = changed.iter().filter(mine).copied().collect();
            SavedState::Changes { since, tables: vec![changes(&of(state, worker), &changed)] }
        };
        self.write(changes).await.unwrap()
    }

    /// What so many workers get of a checkpoint, in all; each key by its owner.
    async fn read(&self, epoch: u64, workers: usize) -> State {
        let restored = self.checkpoints.read(epoch).await.unwrap();
        let mut state = State::new();
        for worker in 0..workers {
            for table in restored.tables("sum", worker, workers).await.unwrap() {
                let column = |at: usize| table.rows.column(at).as_primitive::<Int64Type>().values();
                let groups = table.rows.column(0).as_primitive::<UInt16Type>().values();
                assert!(groups.iter().all(|group| owner(*group, workers) == worker));
                for (value, key) in column(1).iter().zip(column(2)) {
                    state.entry(*key).or_default().push(*value);
                }
            }
        }
        state
    }

    async fn chains(&self, epoch: u64) -> Vec<Vec<TableFile>> {
        let manifest = self.checkpoints.manifest(epoch).await.unwrap();
        manifest.stages.into_iter().map(|stage| stage.tables).collect()
    }

    async fn files(&self) -> Vec<Path> {
        let files: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        files.into_iter().map(|file| file.location).collect()
    }

    /// Turns over a byte of a file.
    async fn alter(&self, file: &Path) {
        let bytes = self.store.get(file).await.unwrap().bytes().await.unwrap();
        let mut bytes = Vec::from(bytes);
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        self.store.put(file, bytes.into()).await.unwrap();
    }

    async fn base(&self) -> Path {
        let file = self.chains(self.epoch).await[0][0].rows.clone();
        Path::from(format!("job/epoch-{:010}/{}", file.epoch, file.file))
    }
}

fn owner_of(key: i64, workers: usize) -> usize {
    owner(key_group(key_hash(&key.to_be_bytes())), workers)
}

fn of(state: &State, worker: usize) -> State {
    let mine = state.iter().filter(|(key, _)| owner_of(**key, WORKERS) == worker);
    mine.map(|(key, values)| (*key, values.clone())).collect()
}

/// Changes some keys of a state: values more, values anew, gone, there again.
fn change(state: &mut State, round: i64) -> BTreeSet<i64> {
    let keys: BTreeSet<i64> = (0..40).map(|nth| (nth * 7_919 + round * 104_729) % 3_000).collect();
    for key in &keys {
        match (key + round) % 4 {
            0 => {
                state.remove(key);
            }
            1 => {
                state.insert(*key, vec![round]);
            }
            _ => state.entry(*key).or_default().push(round),
        }
    }
    keys
}

fn state() -> State {
    (0..2_000).map(|key| (key, vec![key, -key])).collect()
}

#[tokio::test]
async fn what_stood_is_restored_from_changes_on_any_number_of_workers() {
    let (mut job, mut state) = (Job::new(), state());
    let all = job.write_all(&state).await;
    let (mut folded, mut longest) = (0, 0);
    for round in 0..120 {
        let changed = change(&mut state, round);
        let written = job.write_changes(&state, &changed).await;
        let chains = job.chains(job.epoch).await;
        let length = chains.iter().map(Vec::len).max().unwrap();
        let new_base = chains.iter().any(|chain| chain[0].rows.epoch == job.epoch);
        folded += usize::from(new_base);
        assert!(new_base || written < all / 3, "{written} of {all}");
        longest = longest.max(length);
        let workers = [1, 2, 4][round as usize % 3];
        assert_eq!(job.read(job.epoch, workers).await, state, "round {round}");
    }
    assert!(folded >= 2 && longest >= 5, "{folded} times one file was made, {longest} at most");
    // Those that are kept are whole, and nothing else is there.
    let mut named = BTreeSet::new();
    for epoch in job.checkpoints.epochs().await.unwrap() {
        job.checkpoints.read(epoch).await.unwrap();
        let manifest = job.checkpoints.manifest(epoch).await.unwrap();
        let path = |epoch: u64, file: &str| Path::from(format!("job/epoch-{epoch:010}/{file}"));
        named.extend(manifest.files().map(|file| path(file.epoch, &file.file)));
        named.insert(path(epoch, "manifest.json"));
    }
    assert_eq!(job.files().await.into_iter().collect::<BTreeSet<_>>(), named);
}

#[tokio::test]
async fn without_changes_nothing_is_written_and_nothing_is_lost() {
    let (mut job, state) = (Job::new(), state());
    job.write_all(&state).await;
    let before = job.files().await.len();
    for _ in 0..10 {
        job.write_changes(&state, &BTreeSet::new()).await;
    }
    assert_eq!(job.read(job.epoch, 1).await, state);
    // The manifests of the three that are kept, instead of the first.
    assert_eq!(job.files().await.len(), before - 1 + 3);
}

#[tokio::test]
async fn a_copy_has_all_files_and_goes_on_as_the_newest() {
    let (mut job, mut state) = (Job::new(), state());
    job.write_all(&state).await;
    for round in 0..3 {
        let changed = change(&mut state, round);
        job.write_changes(&state, &changed).await;
    }
    let elsewhere = Job::new();
    let number = job.checkpoints.copy(job.epoch, &elsewhere.checkpoints).await.unwrap();
    assert_eq!(elsewhere.read(number, 4).await, state);
    let again = Job::new();
    let number = elsewhere.checkpoints.copy(number, &again.checkpoints).await.unwrap();
    assert_eq!(again.read(number, 1).await, state);
}

#[tokio::test]
async fn a_broken_file_breaks_those_that_name_it_and_is_replaced() {
    let (mut job, mut state) = (Job::new(), state());
    job.write_all(&state).await;
    let changed = change(&mut state, 0);
    job.write_changes(&state, &changed).await;
    job.alter(&job.base().await).await;
    for epoch in [1, 2] {
        let error = job.checkpoints.read(epoch).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        assert!(error.to_string().contains("torn or altered"), "{error}");
    }
    // Nothing is made of it when many changes have come, and the next checkpoint is whole again.
    let changed: BTreeSet<i64> = state.keys().copied().collect();
    let since = job.epoch;
    let tables = |worker| {
        let changed = changed.iter().filter(|key| owner_of(**key, WORKERS) == worker).copied();
        vec![changes(&of(&state, worker), &changed.collect())]
    };
    let error = job.write(|worker| SavedState::Changes { since, tables: tables(worker) }).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Outside, "{error}");
    assert!(error.to_string().contains("torn or altered"), "{error}");
    job.write_all(&state).await;
    assert_eq!(job.read(job.epoch, 2).await, state);
}
