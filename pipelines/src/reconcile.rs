//! `nowcast reconcile`: what a store has lost is written anew from a checkpoint.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use clap::Subcommand;
use nowcast_connectors::{Environment, Registry};
use nowcast_engine::checkpoint::{Checkpoints, Restored};
use nowcast_engine::{Batch, Graph, KeptRows, NodeKind, TableDefinition};

use crate::check::planned;
use crate::checkpoint_store;
use crate::options::Common;
use crate::pipeline::{job_name, read_sql, table_of};

#[derive(Subcommand)]
pub enum Reconcile {
    /// Writes the rows of a job's `redis` tables with 'sink.reconcile' = 'true', as its newest
    /// checkpoint has them, but for those that the job has written since.
    Redis {
        /// The job's SQL file.
        file: PathBuf,
        #[command(flatten)]
        common: Common,
    },
}

pub async fn reconcile(command: Reconcile) -> Result<()> {
    let Reconcile::Redis { file, common } = command;
    let plan = planned(&file, &read_sql(&file, &common.sets()?)?)?;
    let name = job_name(&file, &plan.settings);
    let registry = Registry::new(Environment::default());
    let mut tables = vec![];
    for table in &plan.tables {
        if registry.keeps_rows(table)? {
            tables.push(table);
        }
    }
    if tables.is_empty() {
        bail!("{}: no redis table has 'sink.reconcile' = 'true'", file.display());
    }
    let place = common.checkpoints.as_deref();
    let store = checkpoint_store::open(place, &plan.settings, &common.data_dir)?;
    let newest = Checkpoints::new(store, &name).latest(None).await?;
    let checkpoint = newest.ok_or_else(|| anyhow!("job {name}: no checkpoint to read"))?;
    let epoch = checkpoint.manifest.epoch;
    for table in tables {
        let (sink, kept) = rows(&checkpoint, table, &file).await?;
        let rows = as_written(&plan.graph, sink, kept.clone())?;
        let done = registry.reconcile(table, &name, epoch, rows.rows()).await?;
        let (written, newer, removed) = (done.written, done.newer, done.removed);
        say!(
            "{}: {written} rows written as of checkpoint {epoch}, {newer} newer ones left, \
             {removed} removed",
            table.name
        );
        let rejected = done.rejected + kept.num_rows() - rows.num_rows();
        if rejected > 0 {
            say!("{}: {rejected} rows cannot be written", table.name);
        }
    }
    Ok(())
}

/// What the job's sink of this name makes of kept rows.
fn as_written(graph: &Graph, sink: &str, rows: RecordBatch) -> Result<Batch> {
    let node = graph.nodes.iter().find(|node| node.name == sink);
    match node.map(|node| &node.kind) {
        Some(NodeKind::Sink(factory)) => Ok(factory.as_written(Batch::new(rows))?),
        _ => bail!("the file has no sink `{sink}` any more"),
    }
}

/// The last rows of a table, before nulls and lengths are looked at, and the sink they belong to.
async fn rows<'a>(
    checkpoint: &'a Restored,
    table: &TableDefinition,
    file: &Path,
) -> Result<(&'a str, RecordBatch)> {
    let stages = checkpoint.manifest.stages.iter().map(|stage| stage.name.as_str());
    let of_table = stages.filter(|stage| {
        let kept = stage.rsplit_once('/').filter(|(_, kind)| table_of(kind) == KeptRows::STAGE);
        kept.is_some_and(|(sink, _)| table_of(sink) == table.name)
    });
    let stages: BTreeSet<&str> = of_table.collect();
    let epoch = checkpoint.manifest.epoch;
    let name = &table.name;
    let stage = match Vec::from_iter(stages)[..] {
        [stage] => stage,
        [] => bail!(
            "{}: checkpoint {epoch} keeps no rows of `{name}`: 'sink.reconcile' was not set yet, or \
             nothing is inserted",
            file.display()
        ),
        _ => bail!(
            "{}: several INSERTs write `{name}`, and which row of a key is the last one is not kept",
            file.display()
        ),
    };
    let fields = table.schema.fields().iter();
    let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut parts = vec![];
    for state in checkpoint.tables(stage, 0, 1).await? {
        // Before the row's own columns: its key group, and when it was written.
        let columns = state.rows.columns().iter().skip(2).cloned().collect();
        parts.push(RecordBatch::try_new(Arc::clone(&schema), columns)?);
    }
    let sink = stage.rsplit_once('/').map_or(stage, |(sink, _)| sink);
    Ok((sink, arrow::compute::concat_batches(&schema, &parts)?))
}
