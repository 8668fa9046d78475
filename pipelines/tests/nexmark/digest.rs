//! Runs a SQL file and says how many rows each of its sinks has at the end, and a digest of them: the same as
//! `bench/peers/flink/src/Digest.java`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use nowcast_connectors::{Environment, Registry};
use nowcast_engine::aside::{DeadLetter, Discard};
use nowcast_engine::testing::world;
use nowcast_engine::{
    Batch, ChangelogMode, Connectors, Job, JobOptions, Lookup, Result, Sink, SinkContext,
    SinkFactory, SourceFactory, TableDefinition, World,
};
use nowcast_onnx::OnnxProvider;
use nowcast_planner::Planner;
use serde_json::Value;

use crate::rows::rows;

/// How many rows there are, and a number that they all change, whatever their order: the sum of
/// their hashes.
#[derive(Debug, Default)]
pub struct Digest {
    count: i64,
    sum: u64,
    /// Hashes of the rows there are, where a table has a primary key.
    by_key: HashMap<String, u64>,
}

impl Digest {
    /// Takes a batch of changes; `key` are the positions of the primary key's columns.
    fn take(&mut self, batch: &Batch, key: &[usize]) {
        for (at, row) in rows(batch.rows()).into_iter().enumerate() {
            let weight = batch.weights().map_or(1, |weights| weights.value(at));
            let hash = hash(&row.to_string());
            if key.is_empty() {
                self.add(hash, weight);
                continue;
            }
            let of_key: Value = key.iter().map(|column| row[*column].clone()).collect();
            let of_key = of_key.to_string();
            let before = match weight > 0 {
                true => self.by_key.insert(of_key, hash),
                false => self.by_key.remove(&of_key),
            };
            if let Some(before) = before {
                self.add(before, -1);
            }
            if weight > 0 {
                self.add(hash, 1);
            }
        }
    }

    fn add(&mut self, hash: u64, times: i64) {
        self.count += times;
        self.sum = self.sum.wrapping_add(hash.wrapping_mul(times.cast_unsigned()));
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {:016x}", self.count, self.sum)
    }
}

/// FNV-1a, then SplitMix64's last step, so that each bit changes all.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, part: &u8| (hash ^ u64::from(*part)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Real sources; sinks that keep a digest, whatever their connector.
struct Digests {
    real: Registry,
    sinks: Mutex<BTreeMap<String, DigestSink>>,
}

#[derive(Clone)]
struct DigestSink {
    digest: Arc<Mutex<Digest>>,
    key: Vec<usize>,
}

impl Connectors for Digests {
    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceFactory>> {
        self.real.source(table)
    }

    fn lookup(&self, table: &TableDefinition, keys: &[usize]) -> Result<Arc<dyn Lookup>> {
        self.real.lookup(table, keys)
    }

    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkFactory>> {
        let sink = DigestSink { digest: Arc::default(), key: table.primary_key.clone() };
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::new(sinks.entry(table.name.clone()).or_insert(sink).clone()))
    }
}

#[async_trait]
impl SinkFactory for DigestSink {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    async fn open(&self, _: SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Sink for DigestSink {
    async fn write(&mut self, batch: &Batch, _: &mut Vec<DeadLetter>) -> Result<()> {
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        digest.take(batch, &self.key);
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Runs a SQL file to its end: `COUNT DIGEST` of each sink, or why it does not run.
pub async fn digests(sql: &str, workers: usize) -> Result<BTreeMap<String, String>, String> {
    let real = Registry::new(Environment::default());
    let connectors = Arc::new(Digests { real, sinks: Mutex::default() });
    let mut planner =
        Planner::new(connectors.clone(), Arc::new(OnnxProvider::default()), BTreeMap::new());
    let job = planner.plan(sql).map_err(|error| error.to_string())?;
    let world = World { store: None, ..world(Arc::new(Discard)) };
    let options = JobOptions { workers, ..JobOptions::default() };
    let running = Job::start(job.graph, options, world).await.map_err(|error| error.to_string())?;
    running.wait().await.map_err(|error| error.to_string())?;
    let sinks = connectors.sinks.lock().unwrap_or_else(PoisonError::into_inner);
    let text =
        |sink: &DigestSink| sink.digest.lock().unwrap_or_else(PoisonError::into_inner).to_string();
    Ok(sinks.iter().map(|(table, sink)| (table.clone(), text(sink))).collect())
}
