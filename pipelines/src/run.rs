//! `nowcast run`: SQL files as jobs, until their input ends or a signal comes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use futures::future::select_all;
use nowcast_serve::Feeds;
use serde::{Deserialize, Serialize};

use crate::behind::Waiting;
use crate::doors::Doors;
use crate::home::Home;
use crate::options::{Common, Serve};
use crate::pipeline::{Running, plan, read_sql, start, wants_broker};
use crate::status::Jobs;

#[derive(Args)]
pub struct Run {
    /// Flink SQL files; each becomes a job.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Starts from the tables' startup modes instead of the newest checkpoint.
    #[arg(long)]
    fresh: bool,
    /// Goes on from a checkpoint although some of its state has no operator any more, or is that of
    /// an operator that has changed: those begin without it. `nowcast plan diff` shows which.
    #[arg(long)]
    allow_state_loss: bool,
    /// Waits until no other run gives signs of life, and then goes on from its checkpoint, which must
    /// lie where both can reach it (`--checkpoints`).
    #[arg(long)]
    standby: bool,
    /// Prints rows read, CPU-seconds and peak memory as one JSON line at the end.
    #[arg(long)]
    usage: bool,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    serve: Serve,
}

/// What a run has cost.
#[derive(Debug, Serialize, Deserialize)]
pub struct Usage {
    pub rows_read: u64,
    pub cpu_s: f64,
    pub wall_s: f64,
    pub rss_peak_bytes: u64,
}

pub async fn run(command: Run) -> Result<()> {
    let started = Instant::now();
    let mut options = command.common.run_options(!command.fresh)?;
    options.allow_state_loss = command.allow_state_loss;
    options.standby = command.standby;
    let sqls = command
        .files
        .iter()
        .map(|file| read_sql(file, &options.sets))
        .collect::<Result<Vec<_>>>()?;
    let doors = Doors::open(&command.serve).await?;
    let home = Home::open(&command.common.data_dir, wants_broker(&sqls)).await?;
    let feeds = Arc::new(Feeds::new(command.serve.feed_clients_max));
    let mut planned = vec![];
    for (file, sql) in command.files.iter().zip(&sqls) {
        let pipeline = plan(&home, file, sql)?;
        for text in &pipeline.plan.explain {
            say!("{text}");
        }
        // A file of DDL and EXPLAIN alone has nothing to run.
        if !pipeline.plan.graph.nodes.is_empty() {
            planned.push(pipeline);
        }
    }
    if planned.is_empty() {
        return Ok(());
    }
    let waiting = if options.standby { Waiting::StandsBy } else { Waiting::Starts };
    let serving = doors.map(|doors| doors.serve(Arc::clone(&feeds), waiting)).transpose()?;
    if let (Some(serving), Waiting::StandsBy) = (&serving, waiting) {
        tracing::info!("probes on {}", serving.url);
    }
    let mut running = vec![];
    for pipeline in planned {
        running.push(start(&home, pipeline, &options, &feeds).await?);
    }
    let jobs = Arc::new(Jobs::of(&running));
    if let Some(serving) = &serving {
        let store = crate::store::serving_store(&home, &running).await?;
        serving.open(store, Arc::clone(&jobs));
        tracing::info!("serving on {}", serving.url);
    }
    let result = until_end(running, &jobs, command.common.stop_timeout).await;
    say_aside(&jobs);
    if let Some(serving) = serving {
        serving.stop().await?;
    }
    if let Some(broker) = home.broker {
        broker.shutdown().await;
    }
    if command.usage {
        let cpu = nowcast_bench::cpu::own()?;
        let usage = Usage {
            rows_read: jobs.jobs.iter().map(|(_, stats)| stats.rows_read()).sum(),
            cpu_s: cpu.cpu_s,
            wall_s: started.elapsed().as_secs_f64(),
            rss_peak_bytes: cpu.rss_peak_bytes,
        };
        say!("{}", serde_json::to_string(&usage)?);
    }
    result
}

/// Says at the end which rows could not be processed, and what became of them.
fn say_aside(jobs: &Jobs) {
    for (job, stats) in &jobs.jobs {
        for stage in stats.read() {
            let (name, last) = (&stage.name, stage.last_error.as_deref().unwrap_or("unknown"));
            if stage.skipped > 0 {
                let rows = stage.skipped;
                tracing::warn!(
                    "job {job}: {rows} rows of `{name}` passed over, the last one: {last}"
                );
            }
            if stage.dead_letters > 0 {
                let rows = stage.dead_letters;
                tracing::warn!(
                    "job {job}: {rows} rows of `{name}` are dead letters, the last one: {last} \
                     (nowcast dlq show {job})"
                );
            }
        }
    }
}

/// Waits for all jobs; a signal, or the failure of one, stops the others with a checkpoint.
pub async fn until_end(running: Vec<Running>, jobs: &Jobs, stop_timeout: Duration) -> Result<()> {
    let stoppers: Vec<_> = running.iter().map(|running| running.job.stopper()).collect();
    let mut waits: Vec<_> = running
        .into_iter()
        .map(|running| {
            Box::pin(async move {
                let ended = running.job.wait().await;
                if let Some(alive) = running.alive {
                    alive.leave().await;
                }
                ended.map_err(|error| error.context(format_args!("job {}", running.name)))
            })
        })
        .collect();
    let mut result = Ok(());
    let mut signal = Box::pin(crate::signal::asked_to_stop(stop_timeout));
    while !waits.is_empty() {
        tokio::select! {
            (ended, at, _) = select_all(&mut waits) => {
                drop(waits.swap_remove(at));
                if let Err(error) = ended {
                    stoppers.iter().for_each(|stop| stop());
                    result = result.and(Err(error.into()));
                }
            }
            () = &mut signal, if !jobs.stopping.load(Ordering::Relaxed) => {
                jobs.stopping.store(true, Ordering::Relaxed);
                stoppers.iter().for_each(|stop| stop());
            }
        }
    }
    result
}
