//! `nowcast plan diff`: what becomes of state when a file changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use nowcast_engine::checkpoint::{Checkpoints, Restored};
use nowcast_engine::evolve::{Change, Fate, Held, compare};
use nowcast_engine::{NodeKind, TableDefinition};
use nowcast_planner::{Job, text_table};

use crate::check::planned;
use crate::checkpoint_store;
use crate::pipeline::{job_name, read_sql, table_of};

#[derive(Subcommand)]
pub enum Plan {
    /// Says of each operator whether its state is kept, converted, rebuilt or lost; exit code 1 if
    /// some is lost. Connects to nothing but the checkpoints.
    Diff(Diff),
}

#[derive(Args)]
pub struct Diff {
    old: PathBuf,
    new: PathBuf,
    /// A checkpoint to start from: its folder, `…/JOB/epoch-0000000007`.
    #[arg(long, conflicts_with_all = ["checkpoints", "job", "epoch"])]
    checkpoint: Option<PathBuf>,
    /// Where checkpoints are kept: a folder, or s3://bucket/path [with --job: `checkpoints` beneath the
    /// data folder].
    #[arg(long)]
    checkpoints: Option<String>,
    /// Whose checkpoint [with --checkpoints: the job of the old file].
    #[arg(long)]
    job: Option<String>,
    /// Which one [default: the newest].
    #[arg(long)]
    epoch: Option<u64>,
    #[arg(long, default_value = "nowcast-data", env = "NOWCAST_DATA_DIR")]
    data_dir: PathBuf,
    /// Fills in `${KEY:-default}` in both files; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

pub async fn plan(command: Plan) -> Result<()> {
    let Plan::Diff(command) = command;
    let sets: BTreeMap<String, String> =
        command.sets.iter().map(|text| crate::options::pair(text)).collect::<Result<_>>()?;
    let old = planned(&command.old, &read_sql(&command.old, &sets)?)?;
    let new = planned(&command.new, &read_sql(&command.new, &sets)?)?;
    let restored = command.restored(&old).await?;
    let held = match &restored {
        Some(restored) => of_checkpoint(restored, &old),
        None => of_plan(&old)?,
    };
    let blanks = |name: &str| new.graph.blank(name);
    let changes = compare(&held, &new.stages, &blanks)?;
    let known: BTreeSet<String> = match &restored {
        Some(restored) => {
            restored.manifest.sources.iter().map(|source| table_of(&source.name).into()).collect()
        }
        None => sources(&old),
    };
    let counted = restored.is_some();
    let mut rows = vec![];
    for table in sources(&new).difference(&known) {
        let back = how_far_back(&new.tables, table);
        rows.push(row(table, "Source", &[], None, "new", &format!("is read from {back}")));
    }
    for table in known.intersection(&sources(&new)) {
        rows.push(row(table, "Source", &[], None, "kept", "goes on at its positions"));
    }
    for table in known.difference(&sources(&new)) {
        rows.push(row(table, "Source", &[], None, "gone", "is read no more"));
    }
    for change in changes.iter().filter(|change| change.keeps) {
        let (becomes, note) = words(change, &known, &new.tables);
        let count = counted.then_some(change.rows);
        rows.push(row(&change.name, &change.does, &change.key, count, becomes, &note));
    }
    let head = ["operator", "does", "key", "rows", "state", "note"].map(str::to_owned);
    say!("{}", text_table(&head, &rows).trim_end());
    match changes.iter().filter(|change| change.loses).count() {
        0 => {
            say!("no state is lost");
            Ok(())
        }
        losing => bail!(
            "{losing} operators lose state: `nowcast run --allow-state-loss` goes on without it, \
             `--fresh` reads everything again"
        ),
    }
}

impl Diff {
    /// The checkpoint that is asked for; `None` where plans alone are compared.
    async fn restored(&self, old: &Job) -> Result<Option<Restored>> {
        let (place, job, epoch) = match (&self.checkpoint, &self.checkpoints, &self.job) {
            (None, None, None) => return Ok(None),
            (Some(folder), ..) => {
                let (place, job, epoch) = place_of(folder)?;
                (Some(place), job, Some(epoch))
            }
            (None, place, job) => {
                let own = || job_name(&self.old, &old.settings);
                (place.clone(), job.clone().unwrap_or_else(own), self.epoch)
            }
        };
        let store = checkpoint_store::open(place.as_deref(), &old.settings, &self.data_dir)?;
        let checkpoints = Checkpoints::new(store, &job);
        let epoch = match epoch {
            Some(epoch) => epoch,
            None => {
                let newest = checkpoints.epochs().await?.last().copied();
                newest.with_context(|| format!("job {job}: no checkpoint there"))?
            }
        };
        Ok(Some(checkpoints.read(epoch).await?))
    }
}

/// Store, job and epoch of a checkpoint's folder.
fn place_of(folder: &Path) -> Result<(String, String, u64)> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let epoch = name(folder).and_then(|name| name.strip_prefix("epoch-")?.parse().ok());
    let job = folder.parent().and_then(name);
    let store = folder.parent().and_then(Path::parent).map(|store| store.display().to_string());
    match (store, job, epoch) {
        (Some(store), Some(job), Some(epoch)) => {
            let here = Some(store).filter(|store| !store.is_empty());
            Ok((here.unwrap_or_else(|| ".".to_owned()), job, epoch))
        }
        _ => bail!(
            "--checkpoint {}: not the folder of a checkpoint, such as checkpoints/JOB/epoch-0000000007",
            folder.display()
        ),
    }
}

/// What a checkpoint holds. One of an earlier version knows names alone: the old file says the rest.
fn of_checkpoint(restored: &Restored, old: &Job) -> Vec<Held> {
    let mut held = restored.held();
    for held in held.iter_mut().filter(|held| held.plan.is_none()) {
        held.plan = old.stages.iter().find(|stage| stage.name == held.name).cloned();
    }
    held
}

/// What the operators of a file may hold.
fn of_plan(old: &Job) -> Result<Vec<Held>> {
    let held = old.stages.iter().filter(|stage| stage.keeps).map(|stage| {
        let tables = old.graph.blank(&stage.name)?.into_iter();
        Ok(Held {
            name: stage.name.clone(),
            plan: Some(stage.clone()),
            rows: 1,
            tables: tables.map(|table| (table.name, table.rows.schema())).collect(),
        })
    });
    held.collect()
}

/// The tables that a job reads.
fn sources(job: &Job) -> BTreeSet<String> {
    let nodes = job.graph.nodes.iter();
    let sources = nodes.filter(|node| matches!(node.kind, NodeKind::Source(_)));
    sources.map(|node| table_of(&node.name).to_owned()).collect()
}

/// What becomes of an operator's state, in a word and in several.
fn words(
    change: &Change,
    known: &BTreeSet<String>,
    tables: &[TableDefinition],
) -> (&'static str, String) {
    let rebuilt = !change.reads.is_empty() && change.reads.iter().all(|it| !known.contains(it));
    let notes = change.notes.join("; ");
    match change.fate {
        Fate::Kept => ("kept", notes),
        Fate::Converted => ("converted", notes),
        Fate::New if rebuilt => {
            let tables = change
                .reads
                .iter()
                .map(|table| format!("{table} from {}", how_far_back(tables, table)));
            ("rebuilt", tables.collect::<Vec<_>>().join(", "))
        }
        Fate::New => ("new", "begins empty where the checkpoint ends".to_owned()),
        Fate::Lost if change.loses => ("lost", notes),
        Fate::Lost => ("begins anew", notes),
    }
}

/// Where reading a table begins that has no positions yet.
fn how_far_back(tables: &[TableDefinition], name: &str) -> String {
    let Some(table) = tables.iter().find(|table| table.name == name) else {
        return "its beginning".to_owned();
    };
    let option = |key: &str| table.options.get(key).map(String::as_str);
    let kept = "as far back as the topic keeps messages";
    match (option("connector"), option("scan.startup.mode")) {
        (Some("upsert-kafka"), _) => format!("its beginning, {kept}"),
        (Some("kafka"), mode) => match mode.unwrap_or("group-offsets") {
            "earliest-offset" => format!("earliest-offset, {kept}"),
            "timestamp" => {
                let since = option("scan.startup.timestamp-millis").unwrap_or("?");
                format!("{since} ms, at most {kept}")
            }
            mode => mode.to_owned(),
        },
        _ => "its beginning".to_owned(),
    }
}

fn row(
    name: &str,
    does: &str,
    key: &[String],
    rows: Option<usize>,
    becomes: &str,
    note: &str,
) -> Vec<Option<String>> {
    let rows = rows.map_or_else(String::new, |rows| rows.to_string());
    [name, does, &key.join(", "), &rows, becomes, note].map(|cell| Some(cell.to_owned())).to_vec()
}
