//! What lies where checkpoints are kept: whatever it holds, a start goes on from it or from the one before, or
//! says why it cannot.
//!
//! The first byte chooses what the rest is: a manifest; a file of state, as its manifest says or not.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, UInt16Array};
use arrow::datatypes::Int32Type;
use nowcast_engine::checkpoint::{
    Checkpoints, Manifest, Run, SavedState, SourceState, StageTables, WorkerState, Writer,
};
use nowcast_engine::operator::{KEY_GROUP, StateTable};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;
use xxhash_rust::xxh3::xxh3_64;

const JOB: &str = "j";
const STAGE: &str = "counts";
/// A checkpoint as it was written, and the one behind it whose parts are replaced.
const WHOLE: u64 = 1;
const CHANGED: u64 = 2;

pub const WORDS: &[&[u8]] = &[
    b"\"format\":2",
    b"\"epoch\":0",
    b"\"epoch\":18446744073709551615",
    b"\"since\":9",
    b"\"follows\":",
    b"\"transactions\":true",
    b"\"stages\":[]",
    b"\"tables\":[]",
    b"\"replaces\":{\"key\":[\"k\"]}",
    b"\"rows\":0",
    b"\"../",
    b"null",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"-1",
    b"ARROW1\x00\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x00",
    b"\x00\x00\x00\x80",
    b"\x10\x00\x00\x00",
];

struct Files {
    runtime: Runtime,
    manifest: (Path, Vec<u8>),
    state: (Path, Vec<u8>),
    all: Vec<(Path, Vec<u8>)>,
}

/// Two checkpoints as the engine writes them.
static FILES: LazyLock<Files> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = Arc::new(InMemory::new());
    let all = runtime.block_on(async {
        let checkpoints = Checkpoints::new(store.clone(), JOB);
        let writer = Writer { by: "run".into(), generation: 1 };
        for epoch in [WHOLE, CHANGED] {
            let run = Run { since: WHOLE, transactions: false };
            let states = vec![worker(epoch as i64)];
            let written =
                checkpoints.write(&writer, epoch, 1, false, (run, epoch - 1), states).await;
            written.expect("a checkpoint");
        }
        let mut all = vec![];
        let listed = store.list_with_delimiter(Some(&Path::from(JOB))).await.expect("listed");
        let mut folders = listed.common_prefixes;
        let mut paths: Vec<Path> =
            listed.objects.into_iter().map(|object| object.location).collect();
        while let Some(folder) = folders.pop() {
            let listed = store.list_with_delimiter(Some(&folder)).await.expect("listed");
            folders.extend(listed.common_prefixes);
            paths.extend(listed.objects.into_iter().map(|object| object.location));
        }
        for path in paths {
            let bytes = store.get(&path).await.expect("read").bytes().await.expect("read");
            all.push((path, bytes.to_vec()));
        }
        all
    });
    let of_changed = |manifest: bool| {
        let is = |(path, bytes): &&(Path, Vec<u8>)| {
            path.as_ref().contains(&format!("{CHANGED:010}"))
                && bytes.starts_with(b"ARROW1") != manifest
        };
        all.iter().find(is).expect("a file of the second checkpoint").clone()
    };
    Files { runtime, manifest: of_changed(true), state: of_changed(false), all: all.clone() }
});

fn worker(counted: i64) -> WorkerState {
    let words = [Some(vec![Some(1), None]), None, Some(vec![])];
    let columns: Vec<(&str, ArrayRef)> = vec![
        (KEY_GROUP, Arc::new(UInt16Array::from(vec![0, 7, 255]))),
        (
            "k",
            Arc::new(StringArray::from(vec![Some("a"), None, Some("a longer word than the rest")])),
        ),
        ("n", Arc::new(Int64Array::from(vec![counted, 2, -3]))),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(words))),
    ];
    let rows = RecordBatch::try_from_iter(columns).expect("rows");
    let state = SavedState::All(vec![StateTable { name: "groups".into(), rows }]);
    WorkerState {
        sources: vec![SourceState {
            name: "clicks".into(),
            positions: vec![],
            watermarks: [("0".to_owned(), 1_000)].into(),
        }],
        stages: vec![StageTables { name: STAGE.into(), worker: 0, watermark: 1_000, state }],
    }
}

/// What was written, each behind the byte that says what it is.
pub fn seeds() -> Vec<Vec<u8>> {
    let file = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    let Files { manifest, state, .. } = &*FILES;
    vec![file(0, &manifest.1), file(1, &state.1), file(2, &state.1)]
}

pub fn run(bytes: &[u8]) {
    let [kind, rest @ ..] = bytes else { return };
    let (rest, files) = (rest.to_vec(), &*FILES);
    let as_it_was = rest == files.state.1;
    let (replaced, checked) = match kind % 3 {
        0 => (vec![(files.manifest.0.clone(), rest)], false),
        1 => (vec![(files.state.0.clone(), rest)], true),
        // The manifest says that this is what was written.
        _ => {
            let mut manifest: Manifest = serde_json::from_slice(&files.manifest.1).expect("JSON");
            let file = &mut manifest.stages[0].tables[0].rows;
            (file.bytes, file.checksum) = (rest.len(), format!("{:016x}", xxh3_64(&rest)));
            let manifest = serde_json::to_vec(&manifest).expect("JSON");
            (vec![(files.state.0.clone(), rest), (files.manifest.0.clone(), manifest)], false)
        }
    };
    files.runtime.block_on(async {
        let store = InMemory::new();
        for (path, bytes) in files.all.iter().cloned().chain(replaced) {
            store.put(&path, bytes.into()).await.expect("written");
        }
        let checkpoints = Checkpoints::new(Arc::new(store), JOB);
        let latest = checkpoints.latest(None).await;
        if checked {
            let epoch = latest.as_ref().expect("a torn file is passed over").as_ref();
            let epoch = epoch.map(|restored| restored.manifest.epoch);
            assert_eq!(epoch, Some(if as_it_was { CHANGED } else { WHOLE }));
        }
        let Ok(Some(restored)) = latest else { return };
        let stages: Vec<_> =
            restored.manifest.stages.iter().map(|stage| stage.name.clone()).take(4).collect();
        restored.held();
        for stage in stages {
            restored.watermark(&stage);
            for (worker, workers) in [(0, 1), (0, 2), (1, 2)] {
                let _ = restored.tables(&stage, worker, workers).await;
            }
        }
    });
}
