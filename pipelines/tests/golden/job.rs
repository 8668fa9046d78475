//! A SQL text run in one thread from a seed, and the rows that stand in its sinks at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use nowcast_connectors::{EmbeddedStore, Environment, Registry};
use nowcast_engine::aside::Aside;
use nowcast_engine::testing::{Collected, FixedClock, Until, simulate, world};
use nowcast_engine::{
    Connectors, JobOptions, Lookup, Result, SinkFactory, SourceFactory, TableDefinition, World,
};
use nowcast_onnx::OnnxProvider;
use nowcast_planner::Planner;
use nowcast_udf_host::Libraries;
use serde_json::Value;

use crate::rows;

/// Real sources; sinks that keep their rows.
struct Kept {
    real: Registry,
    sinks: Mutex<BTreeMap<String, Collected>>,
}

impl Connectors for Kept {
    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceFactory>> {
        self.real.source(table)
    }

    fn lookup(&self, table: &TableDefinition, keys: &[usize]) -> Result<Arc<dyn Lookup>> {
        self.real.lookup(table, keys)
    }

    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkFactory>> {
        let mut sinks = self.sinks.lock().unwrap();
        Ok(Arc::new(sinks.entry(table.name.clone()).or_default().clone()))
    }
}

/// What the clock says: in the year 2026.
const NOW: i64 = 1_790_000_000_000;

/// How a job is run.
pub struct How {
    pub workers: usize,
    pub rows_max: usize,
    /// Whether it crashes after its first checkpoint and goes on from there.
    pub crash: bool,
    /// Which worker takes the next turn and when checkpoints begin follow from it.
    pub seed: u64,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { workers, rows_max, crash, seed } = self;
        write!(f, "{workers} workers, {rows_max} rows a batch, crash {crash}, seed {seed}")
    }
}

/// The rows of each table that was written to; an error in words.
pub async fn standing_rows(
    sql: &str,
    how: &How,
    aside: Arc<dyn Aside>,
) -> std::result::Result<BTreeMap<String, Vec<Value>>, String> {
    let environment = Environment {
        embedded_bootstrap: None,
        store: Arc::new(EmbeddedStore::in_memory()),
        ..Environment::default()
    };
    let kept = Arc::new(Kept { real: Registry::new(environment), sinks: Mutex::default() });
    let world = World { clock: Arc::new(FixedClock(NOW)), ..world(aside) };
    let How { workers, rows_max, crash, seed } = *how;
    let options = JobOptions { workers, rows_max, ..JobOptions::default() };
    let plan = || {
        let mut planner =
            Planner::new(kept.clone(), Arc::new(OnnxProvider::default()), BTreeMap::new());
        planner.set_functions(Arc::new(Libraries));
        planner.plan(sql).map_err(|error| error.to_string())
    };
    let failed = |error: nowcast_engine::Error| error.to_string();
    if crash {
        let until = Until::CrashAfterCheckpoint { turns: 5 };
        simulate(&plan()?.graph, &options, &world, seed, until).await.map_err(failed)?;
    }
    let job = plan()?;
    simulate(&job.graph, &options, &world, seed + 1, Until::End).await.map_err(failed)?;
    let sinks = kept.sinks.lock().unwrap();
    let standing = sinks.iter().map(|(name, collected)| {
        let table = job.tables.iter().find(|table| table.name == *name);
        let key = table.map_or(&[][..], |table| &table.primary_key);
        Ok((name.clone(), rows::materialised(&collected.batches(), key)?))
    });
    standing.collect()
}
