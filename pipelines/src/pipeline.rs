//! One SQL file as a running job.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use arrow::array::RecordBatch;
use nowcast_engine::evolve::LOSS;
use nowcast_engine::lease::Lease;
use nowcast_engine::world::{SystemClock, Tap};
use nowcast_engine::{Batch, Job, JobOptions, TableDefinition, World};
use nowcast_planner::{Settings, SqlError};
use nowcast_serve::Feeds;
use tokio::task::JoinHandle;

use crate::checkpoint_store;
use crate::home::Home;
use crate::letters_to::LettersTo;
use crate::memory;
use crate::set_aside::SetAside;
use crate::status::PlanFacts;

/// A source that has been quiet this long holds the watermark back no longer, unless the file says
/// otherwise: long enough for a broker's hiccup, short enough not to look stuck.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

const TOLERABLE: &str = "execution.checkpointing.tolerable-failed-checkpoints";

const INCREMENTAL: &str = "execution.checkpointing.incremental";

const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// What the command line says about running.
#[derive(Debug, Clone)]
pub struct RunOptions {
    pub workers: usize,
    pub sets: BTreeMap<String, String>,
    pub resume: bool,
    /// Whether operators begin without state that has changed, or is no one's any more.
    pub allow_state_loss: bool,
    pub rows_max: usize,
    /// Over what the SQL says.
    pub checkpoint_interval: Option<Duration>,
    /// Where checkpoints are kept, over what the SQL says.
    pub checkpoints: Option<String>,
    /// Whether to wait until no other run has the job.
    pub standby: bool,
    /// How long the run that has a job may give no sign of life.
    pub lease_timeout: Duration,
    /// How long a stop may take.
    pub stop_timeout: Duration,
}

/// A planned file.
pub struct Pipeline {
    pub name: String,
    pub plan: nowcast_planner::Job,
}

/// A job with its name and tables.
pub struct Running {
    pub name: String,
    pub job: Job,
    pub tables: Vec<TableDefinition>,
    pub facts: PlanFacts,
    /// Gives signs of life, where one that stands by can see them.
    pub alive: Option<Alive>,
}

/// Signs of life of a run; they end with it.
pub struct Alive {
    lease: Lease,
    run: String,
    beats: JoinHandle<()>,
}

impl Alive {
    fn new(lease: Lease, run: &str, job: &Job) -> Self {
        let (beating, by, stop) = (lease.clone(), run.to_owned(), job.stopper());
        let beats = tokio::spawn(async move {
            beating.keep(&by).await;
            // Its checkpoint finds its number taken: the job ends, and says why.
            stop();
        });
        Self { lease, run: run.to_owned(), beats }
    }

    /// The job has ended: one that stands by need not wait.
    pub async fn leave(self) {
        self.beats.abort();
        self.lease.leave(&self.run).await;
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

/// Reads a file and fills in its variables.
pub fn read_sql(path: &Path, sets: &BTreeMap<String, String>) -> Result<String> {
    let text = read_text(path)?;
    let sql = nowcast_planner::substitute(&text, sets, |name| std::env::var(name).ok());
    sql.map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// A file as it is.
pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))
}

/// What is wrong with a file.
pub fn place_error(path: &Path, error: &SqlError) -> anyhow::Error {
    anyhow!("{}: {error}", path.display())
}

/// Whether some table of these files lives on the embedded broker.
pub fn wants_broker(sqls: &[String]) -> bool {
    sqls.iter().any(|sql| {
        let servers = sql.split("bootstrap.servers'").skip(1);
        servers
            .filter_map(|rest| rest.split('\'').nth(1))
            .any(|value| value.starts_with(crate::home::EMBEDDED))
    })
}

/// Plans a file.
pub fn plan(home: &Home, path: &Path, sql: &str) -> Result<Pipeline> {
    let mut planner = home.planner();
    let plan = planner.plan(sql).map_err(|error| place_error(path, &error))?;
    for warning in &plan.warnings {
        tracing::warn!(file = %path.display(), "{warning}");
    }
    Ok(Pipeline { name: job_name(path, &plan.settings), plan })
}

/// What the job of a file is called.
pub fn job_name(path: &Path, settings: &Settings) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    settings.get("pipeline.name").cloned().or(stem).unwrap_or_else(|| "job".into())
}

/// Starts a planned file.
pub async fn start(
    home: &Home,
    pipeline: Pipeline,
    options: &RunOptions,
    feeds: &Arc<Feeds>,
) -> Result<Running> {
    let Pipeline { name, plan } = pipeline;
    let setting = |key: &str| plan.settings.get(key).map(String::as_str);
    let interval = match options.checkpoint_interval {
        Some(interval) => interval,
        None => duration_setting(setting("execution.checkpointing.interval"), CHECKPOINT_INTERVAL)?,
    };
    let idle = idle_timeout(&plan.settings)?;
    let store = checkpoint_store::open(options.checkpoints.as_deref(), &plan.settings, &home.data)?;
    let run = uuid::Uuid::new_v4().to_string();
    let elsewhere = checkpoint_store::is_elsewhere(options.checkpoints.as_deref(), &plan.settings);
    let lease = (elsewhere || options.standby).then(|| {
        Lease::new(Arc::clone(&store), &name, options.lease_timeout, Arc::new(SystemClock))
    });
    if let (Some(lease), true) = (&lease, options.standby) {
        lease.vacant().await.with_context(|| format!("job {name}: standing by"))?;
    }
    for table in &plan.tables {
        let key = table.primary_key.iter().map(|column| table.schema.field(*column).name().clone());
        feeds.declare(&table.name, &key.collect::<Vec<_>>());
    }
    let letters = LettersTo::read(&plan, home.bootstrap().as_deref())?;
    let aside = SetAside::open(&home.data, &name, letters.as_ref()).await;
    let aside = aside.with_context(|| format!("job {name}"))?;
    let world = World {
        clock: Arc::new(SystemClock),
        store: Some(store),
        aside: Arc::new(aside),
        tap: Arc::new(FeedTap(Arc::clone(feeds))),
    };
    let job = JobOptions {
        name: name.clone(),
        workers: options.workers,
        rows_max: options.rows_max,
        idle_timeout: idle,
        checkpoint_interval: Some(interval).filter(|interval| !interval.is_zero()),
        checkpoint_timeout: duration_setting(
            setting("execution.checkpointing.timeout"),
            JobOptions::default().checkpoint_timeout,
        )?,
        tolerable_failed_checkpoints: tolerable(setting(TOLERABLE))?,
        incremental_checkpoints: switch(INCREMENTAL, setting(INCREMENTAL))?,
        state_bytes_max: memory::state_bytes_max(setting("state.memory.max"))?,
        resume: options.resume,
        run: run.clone(),
        errors: plan.errors,
        plan: plan.stages,
        allow_state_loss: options.allow_state_loss,
    };
    if let Some(bytes) = job.state_bytes_max {
        tracing::info!(job = name, "its state may take {} mb ('state.memory.max')", bytes >> 20);
    }
    let facts = PlanFacts {
        notes: plan.notes,
        idle_timeout_ms: job.idle_timeout.map(|idle| idle.as_millis() as u64),
    };
    let job = match Job::start(plan.graph, job, world).await {
        Ok(job) => job,
        Err(error) if error.to_string().contains(LOSS) && !options.allow_state_loss => {
            let hint = "(hint: `nowcast plan diff` shows all that becomes of state; --allow-state-loss \
                        goes on without it, --fresh reads everything again)";
            return Err(anyhow!("job {name}: {error}\n{hint}"));
        }
        Err(error) => return Err(error).with_context(|| format!("job {name}")),
    };
    if job.restored() > 0 {
        tracing::info!(job = name, epoch = job.restored(), "goes on from its checkpoint");
    }
    crate::reloads::watch(&home.models, !interval.is_zero());
    let alive = lease.map(|lease| Alive::new(lease, &run, &job));
    Ok(Running { name, job, tables: plan.tables, facts, alive })
}

/// How long a split is quiet until it is idle; `None`: never.
pub fn idle_timeout(settings: &Settings) -> Result<Option<Duration>> {
    let setting = settings.get("table.exec.source.idle-timeout").map(String::as_str);
    let idle = duration_setting(setting, IDLE_TIMEOUT)?;
    Ok(Some(idle).filter(|idle| !idle.is_zero()))
}

fn duration_setting(text: Option<&str>, default: Duration) -> Result<Duration> {
    match text {
        Some(text) => Ok(nowcast_engine::parse_duration(text)?),
        None => Ok(default),
    }
}

/// A setting that is on unless it says otherwise.
fn switch(key: &str, setting: Option<&str>) -> Result<bool> {
    match setting.map(str::to_ascii_lowercase).as_deref() {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(anyhow!("'{key}' = '{other}': neither true nor false")),
    }
}

/// How many checkpoints may fail in a row; `None`: any number.
fn tolerable(setting: Option<&str>) -> Result<Option<u64>> {
    let number = |text: &str| {
        let parsed = text.trim().parse::<u64>();
        parsed.with_context(|| format!("'{TOLERABLE}' = '{text}': no number of failures"))
    };
    setting.map(number).transpose()
}

/// Gives what sinks have written to the live feeds, by the table's name.
struct FeedTap(Arc<Feeds>);

impl Tap for FeedTap {
    fn rows(&self, sink: &str, batch: &Batch) {
        let rows: &RecordBatch = batch.rows();
        if let Err(error) = self.0.publish(table_of(sink), 0, rows) {
            tracing::warn!(%error, table = sink, "rows not shown in the live feed");
        }
    }
}

/// The table behind a sink stage: stages of further INSERTs into one table are numbered.
pub fn table_of(stage: &str) -> &str {
    stage.split('#').next().unwrap_or(stage)
}
