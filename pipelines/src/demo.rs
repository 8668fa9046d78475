//! `nowcast demo`: events, the shipped pipelines and HTTP in this process, with nothing to install.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nowcast_bench::replay::Speed;
use nowcast_connectors::Store;
use nowcast_engine::stats::JobStats;
use nowcast_serve::Feeds;

use crate::behind::Waiting;
use crate::doors::Doors;
use crate::events::{Feed, Input};
use crate::home::Home;
use crate::options::Serve;
use crate::pipeline::{RunOptions, plan, start};
use crate::producer::{Events, ensure_topic};
use crate::run::until_end;
use crate::shipped;
use crate::status::Jobs;

#[derive(Args)]
pub struct Demo {
    /// Ends by itself after so long, such as `60s` or `5m`.
    #[arg(long = "for", value_name = "TIME")]
    run_for: Option<String>,
    /// Folder of the real data sets (UCI bike sharing, Globo clicks); without it events are generated.
    #[arg(long, env = "NOWCAST_DATA")]
    data: Option<PathBuf>,
    /// Event time a second of the clickstream: `600x`, or `max`.
    #[arg(long, default_value = "600x")]
    speed: Speed,
    /// Generated clicks a second of event time.
    #[arg(long, default_value_t = 10.0)]
    clicks_per_s: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keeps the broker's topics, the features and the checkpoints in this folder, and goes on from
    /// them at the next start. Without it the demo leaves nothing behind.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Worker threads a job.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    #[command(flatten)]
    serve: Serve,
}

/// What to look up in the summary: a table's rows and when its first one came.
struct Milestone {
    what: &'static str,
    table: &'static str,
    reached: Option<Duration>,
}

pub async fn demo(command: Demo) -> Result<()> {
    let started = Instant::now();
    let run_for = command.run_for.as_deref().map(nowcast_engine::parse_duration).transpose()?;
    let doors = Doors::open(&command.serve).await?;
    let temporary = match &command.data_dir {
        Some(_) => None,
        None => Some(TemporaryFolder::make()?),
    };
    let folder = command.data_dir.clone().or(temporary.as_ref().map(|folder| folder.0.clone()));
    let folder = folder.context("no data folder")?;
    let home = Home::open(&folder, true).await?;
    let bootstrap = home.bootstrap().context("the demo needs its broker")?;

    let input = match &command.data {
        Some(folder) => Input::Real(folder.clone()),
        None => Input::Synthetic { seed: command.seed, clicks_per_s: command.clicks_per_s },
    };
    say!("{}", input.describe());
    let mut feeds_in = vec![];
    for feed in Feed::ALL {
        ensure_topic(&bootstrap, feed.topic(), feed.partitions()).await?;
        feeds_in.push((feed, Arc::new(crate::feed::Progress::default())));
    }

    let models = shipped::write_models(&folder)?;
    let sets = BTreeMap::from([("MODELS".to_owned(), models.display().to_string())]);
    let options = RunOptions {
        workers: command.workers.max(1),
        sets,
        allow_state_loss: false,
        standby: false,
        lease_timeout: Duration::from_secs(10),
        resume: true,
        rows_max: 4_096,
        checkpoint_interval: None,
        checkpoints: None,
        stop_timeout: crate::signal::STOP_TIMEOUT,
    };
    let feeds = Arc::new(Feeds::new(command.serve.feed_clients_max));
    let mut running = vec![];
    for (name, text) in shipped::PIPELINES {
        let sql = nowcast_planner::substitute(text, &options.sets, |_| None)
            .map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let pipeline = plan(&home, name.as_ref(), &sql)?;
        running.push(start(&home, pipeline, &options, &feeds).await?);
    }
    let jobs = Arc::new(Jobs::of(&running));
    let stoppers: Vec<_> = running.iter().map(|running| running.job.stopper()).collect();
    let serving = match doors {
        Some(doors) => {
            let store: Arc<dyn Store> = Arc::clone(&home.store) as _;
            let serving = doors.serve(feeds, Waiting::Starts)?;
            serving.open(store, Arc::clone(&jobs));
            say!("serving on {}   (Ctrl-C ends)", serving.url);
            Some(serving)
        }
        None => None,
    };

    let mut sending = vec![];
    for (feed, progress) in &feeds_in {
        let (feed, progress, input) = (*feed, Arc::clone(progress), input.clone());
        let (bootstrap, speed) = (bootstrap.clone(), command.speed);
        let already = home.messages(feed.topic());
        sending.push(tokio::task::spawn_blocking(move || {
            let producer = Events::connect(&bootstrap)?;
            feed.send(&producer, &input, speed, already, &progress)
        }));
    }

    let mut milestones = [
        Milestone { what: "first features", table: "title_country_features", reached: None },
        Milestone { what: "first nowcast", table: "nowcasts", reached: None },
        Milestone { what: "first forecast", table: "forecasts", reached: None },
        Milestone { what: "first recommendation", table: "next_titles", reached: None },
    ];
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}")?);
    if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let watch = {
        let (jobs, home_store) = (Arc::clone(&jobs), Arc::clone(&home.store));
        let progress: Vec<_> =
            feeds_in.iter().map(|(feed, progress)| (*feed, Arc::clone(progress))).collect();
        let bar = bar.clone();
        async move {
            let mut last_line = Instant::now();
            let mut seen = 0;
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                for milestone in &mut milestones {
                    if milestone.reached.is_none() && written(&jobs, milestone.table) > 0 {
                        milestone.reached = Some(started.elapsed());
                        bar.suspend(|| {
                            say!(
                                "{} after {:.1} s",
                                milestone.what,
                                started.elapsed().as_secs_f64()
                            )
                        });
                    }
                }
                if last_line.elapsed() >= Duration::from_secs(1) {
                    let sent: u64 =
                        progress.iter().map(|(_, p)| p.sent.load(Ordering::Relaxed)).sum();
                    let rate = (sent - seen) as f64 / last_line.elapsed().as_secs_f64();
                    (seen, last_line) = (sent, Instant::now());
                    bar.set_message(line(&jobs, home_store.len(), sent, rate));
                    bar.tick();
                }
                if run_for.is_some_and(|limit| started.elapsed() >= limit) {
                    return milestones;
                }
            }
        }
    };
    let ends = until_end(running, &jobs, crate::signal::STOP_TIMEOUT);
    tokio::pin!(ends);
    let mut ended = None;
    let reached = tokio::select! {
        reached = watch => Some(reached),
        result = &mut ends => {
            ended = Some(result);
            None
        }
    };
    for (_, progress) in &feeds_in {
        progress.stop.store(true, Ordering::Relaxed);
    }
    bar.finish_and_clear();
    jobs.stopping.store(true, Ordering::Relaxed);
    stoppers.iter().for_each(|stop| stop());
    let result = match ended {
        Some(result) => result,
        None => ends.await,
    };
    for sent in sending {
        sent.await??;
    }
    summary(&jobs, &home, started.elapsed(), &feeds_in);
    if let Some(serving) = serving {
        serving.stop().await?;
    }
    if let Some(broker) = home.broker {
        broker.shutdown().await;
    }
    result?;
    let missing: Vec<&str> = reached
        .iter()
        .flatten()
        .filter(|milestone| milestone.reached.is_none())
        .map(|milestone| milestone.what)
        .collect();
    if !missing.is_empty() {
        bail!("the demo ended without its {}", missing.join(", "));
    }
    Ok(())
}

/// Rows that all jobs have written to a table.
fn written(jobs: &Jobs, table: &str) -> u64 {
    let stages = jobs.jobs.iter().flat_map(|(_, stats)| &stats.stages);
    let sinks = stages
        .filter(|stage| stage.kind == "sink" && crate::pipeline::table_of(&stage.name) == table);
    sinks.map(|sink| sink.rows_out.load(Ordering::Relaxed)).sum()
}

fn line(jobs: &Jobs, keys: usize, sent: u64, rate: f64) -> String {
    let sum =
        |count: fn(&JobStats) -> u64| jobs.jobs.iter().map(|(_, stats)| count(stats)).sum::<u64>();
    let late =
        sum(|stats| stats.stages.iter().map(|stage| stage.late.load(Ordering::Relaxed)).sum());
    let dead = sum(|stats| {
        stats.stages.iter().map(|stage| stage.dead_letters.load(Ordering::Relaxed)).sum()
    });
    format!(
        "{sent} events ({rate:.0}/s), {} features keys, {} nowcasts, {} recommendations, {late} late, {dead} dead letters",
        keys,
        written(jobs, "nowcasts"),
        written(jobs, "next_titles"),
    )
}

fn summary(jobs: &Jobs, home: &Home, took: Duration, feeds: &[(Feed, Arc<crate::feed::Progress>)]) {
    say!("\nsummary after {:.1} s", took.as_secs_f64());
    for (feed, progress) in feeds {
        say!(
            "  topic {:<14} {:>9} events sent",
            feed.topic(),
            progress.sent.load(Ordering::Relaxed)
        );
    }
    for (name, stats) in &jobs.jobs {
        let readings = stats.read();
        let late: u64 = readings.iter().map(|stage| stage.late).sum();
        let dead: u64 = readings.iter().map(|stage| stage.dead_letters).sum();
        say!(
            "  job {name:<22} {:>9} rows read, {late} late, {dead} dead letters, checkpoint {}",
            stats.rows_read(),
            stats.epoch.load(Ordering::Relaxed)
        );
        for stage in readings.iter().filter(|stage| stage.kind == "sink") {
            say!("    {:<28} {:>9} rows written", stage.name, stage.rows_out);
        }
    }
    say!("  feature store: {} keys", home.store.len());
}

/// A folder that goes with the process, unless it is killed.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn make() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("nowcast-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self(folder))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of its temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
