//! State that outgrows its bound: the job says which operator has it and ends behind a last checkpoint,
//! from which a start with more room goes on.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

mod faulty;

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, UInt16Array};
use arrow::datatypes::{DataType, Int64Type};
use faulty::{Faulty, Write};
use nowcast_engine::aside::Discard;
use nowcast_engine::graph::SourceNode;
use nowcast_engine::keys::Keys;
use nowcast_engine::operator::KEY_GROUP;
use nowcast_engine::testing::{Collected, RowsSource, world};
use nowcast_engine::time::TIME_MAX;
use nowcast_engine::{
    Batch, Epoch, Error, ErrorKind, Graph, Input, Job, JobOptions, Node, NodeKind, Operator,
    Output, Result, Route, StateTable, Time, World,
};

const ROWS: i64 = 20_000;

/// What it says of each row.
const ROW_BYTES: usize = 1_000;

/// Keeps each number until the input ends.
struct Hoard(Keys);

impl Operator for Hoard {
    fn on_batch(&mut self, _port: usize, batch: Batch, _out: &mut Output) -> Result<()> {
        self.0.intern(batch.rows().columns(), batch.num_rows()).map(|_| ())
    }

    fn on_time(&mut self, time: Time, out: &mut Output) -> Result<()> {
        if time == Time::Event(TIME_MAX) {
            let slots: Vec<u32> = self.0.slots().collect();
            let numbers = self.0.columns(&slots)?.remove(0);
            out.emit(Batch::new(RecordBatch::try_from_iter([("n", numbers)])?));
        }
        Ok(())
    }

    fn save(&mut self, _since: Epoch) -> Result<Vec<StateTable>> {
        let slots: Vec<u32> = self.0.slots().collect();
        let groups =
            UInt16Array::from_iter_values(slots.iter().map(|slot| self.0.key_group(*slot)));
        let groups = Arc::new(groups) as Arc<dyn Array>;
        let numbers = self.0.columns(&slots)?.remove(0);
        let rows = RecordBatch::try_from_iter([(KEY_GROUP, groups), ("n", numbers)])?;
        Ok(vec![StateTable { name: "numbers".into(), rows }])
    }

    fn state_bytes(&self) -> Option<usize> {
        Some(self.0.len() * ROW_BYTES)
    }

    fn loads_pieces(&self) -> bool {
        true
    }

    fn load(&mut self, tables: Vec<StateTable>) -> Result<()> {
        for table in tables {
            self.0.intern(&table.rows.columns()[1..], table.rows.num_rows())?;
        }
        Ok(())
    }
}

fn graph(sink: &Collected) -> Graph {
    let rows: Arc<dyn Array> = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let rows = RecordBatch::try_from_iter([("n", rows)]).unwrap();
    let schema = rows.schema();
    let source = SourceNode {
        factory: Arc::new(RowsSource { schema: schema.clone(), splits: vec![rows] }),
        computed: None,
        watermark: None,
        idle_timeout: None,
        alignment: None,
    };
    let make = |_| Ok(Box::new(Hoard(Keys::new(&[DataType::Int64])?)) as Box<dyn Operator>);
    let node =
        |name: &str, kind, inputs| Node { name: name.into(), kind, inputs, schema: schema.clone() };
    let from = |from, route| vec![Input { from, route }];
    Graph {
        nodes: vec![
            node("numbers", NodeKind::Source(source), vec![]),
            node("hoard", NodeKind::Operator(Arc::new(make)), from(0, Route::Hash(vec![0]))),
            node("out", NodeKind::Sink(Arc::new(sink.clone())), from(1, Route::Forward)),
        ],
    }
}

/// Runs the job, a row a turn, with so much room.
async fn run(store: &Faulty, sink: &Collected, mb: u64) -> Result<(), Error> {
    let world = World { store: Some(Arc::new(store.clone())), ..world(Arc::new(Discard)) };
    let state_bytes_max = Some(mb << 20);
    let options = JobOptions { rows_max: 1, state_bytes_max, ..JobOptions::default() };
    Job::start(graph(sink), options, world).await?.wait().await
}

#[tokio::test]
async fn a_job_ends_by_the_name_of_its_largest_operator_and_goes_on_with_more() {
    let (store, sink) = (Faulty::new(|_, _| Write::Works), Collected::default());
    let error = run(&store, &sink, 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    let error = error.to_string();
    for words in ["'state.memory.max' = 2 mb", "`hoard` has 3 mb", "goes on from checkpoint 2"] {
        assert!(error.contains(words), "{error}");
    }
    // Less than it has already is found while it is loaded.
    let error = run(&store, &sink, 1).await.unwrap_err();
    assert!(error.to_string().contains("'state.memory.max' = 1 mb"), "{error}");
    assert!(sink.batches().is_empty());
    run(&store, &sink, 100).await.unwrap();
    let numbers = |batch: &Batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    let mut numbers: Vec<i64> = sink.batches().iter().flat_map(numbers).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..ROWS).collect::<Vec<_>>());
}

#[tokio::test]
async fn that_the_last_checkpoint_failed_is_said() {
    let store =
        Faulty::new(|_, path| match path.to_string().ends_with("0000000001/manifest.json") {
            true => Write::Works,
            false => Write::Fails,
        });
    let error = run(&store, &Collected::default(), 2).await.unwrap_err().to_string();
    assert!(error.contains("the last checkpoint failed"), "{error}");
    assert!(error.contains("no room left"), "{error}");
}
