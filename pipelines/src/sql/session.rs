//! What a shell knows: its tables and settings, and the jobs that it has started.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use nowcast_engine::{JobOptions, secret};
use nowcast_planner::{Planner, QUERY, SqlError};
use nowcast_serve::Feeds;
use tokio::task::JoinHandle;

use super::pieces::first_words;
use super::query::{Rows, show};
use crate::home::Home;
use crate::pipeline::{Pipeline, RunOptions, idle_timeout, start};

/// Whether INSERT INTO waits for its job.
const SYNC: &str = "table.dml-sync";

pub struct Session {
    home: Home,
    planner: Planner,
    options: RunOptions,
    jobs: Vec<Background>,
    started: usize,
}

/// A job beside the shell.
struct Background {
    name: String,
    stop: Box<dyn Fn() + Send + Sync>,
    ended: JoinHandle<nowcast_engine::Result<()>>,
}

/// What a statement leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Next,
    Leave,
}

impl After {
    pub fn is_left(self) -> bool {
        self == Self::Leave
    }
}

/// Why a statement failed.
pub enum Failure {
    Sql(SqlError),
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// The error with the line of `text` that it is about and a caret below its column.
    pub fn pointed(self, text: &str) -> anyhow::Error {
        let error = match self {
            Self::Sql(error) => error,
            Self::Other(error) => return error,
        };
        let line = error.line.checked_sub(1).and_then(|line| text.lines().nth(line));
        match line {
            Some(line) => {
                let indent: String = line
                    .chars()
                    .take(error.column.saturating_sub(1))
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                // As many letters as before the place, where a secret in front of it is hidden.
                let shown = secret::of_sql(line);
                match shown == line {
                    true => anyhow!("{error}\n  {line}\n  {indent}^"),
                    false => anyhow!("{error}\n  {shown}"),
                }
            }
            None => anyhow!("{error}"),
        }
    }
}

impl Session {
    pub fn new(home: Home, options: RunOptions) -> Self {
        let planner = home.planner();
        Self { home, planner, options, jobs: vec![], started: 0 }
    }

    pub fn planner(&self) -> &Planner {
        &self.planner
    }

    pub fn data(&self) -> &Path {
        &self.home.data
    }

    /// What a statement that runs nothing says.
    pub fn ask(&mut self, sql: &str) -> Result<String> {
        let plan = self.planner.plan(sql).map_err(|error| anyhow!("{error}"))?;
        Ok(plan.explain.join("\n"))
    }

    /// Runs one statement.
    pub async fn statement(&mut self, text: &str) -> Result<After, Failure> {
        let words = first_words(text, 3);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] => return Ok(After::Next),
            ["QUIT" | "EXIT"] => return Ok(After::Leave),
            ["SHOW", "JOBS"] => {
                self.show_jobs();
                return Ok(After::Next);
            }
            ["STOP", "JOB", ..] => {
                self.stop_job(text).await?;
                return Ok(After::Next);
            }
            _ => {}
        }
        let (sink, rows) = Rows::new();
        self.planner.set_query_sink(sink);
        let plan = self.planner.plan(text).map_err(Failure::Sql)?;
        for warning in &plan.warnings {
            tracing::warn!("{warning}");
        }
        for said in &plan.explain {
            say!("{}", said.trim_end());
        }
        let Some(last) = plan.graph.nodes.last() else { return Ok(After::Next) };
        self.started += 1;
        if last.name == QUERY {
            let options = JobOptions {
                name: format!("query-{}", self.started),
                workers: self.options.workers,
                rows_max: self.options.rows_max,
                idle_timeout: idle_timeout(&plan.settings)?,
                errors: plan.errors,
                ..JobOptions::default()
            };
            // The planner's sender would keep the channel open.
            show(plan.graph, options, rows).await?;
            return Ok(After::Next);
        }
        let name = match plan.settings.get("pipeline.name") {
            Some(name) if self.jobs.iter().all(|job| job.name != *name) => name.clone(),
            _ => format!("job-{}", self.started),
        };
        let sync = plan.settings.get(SYNC).is_some_and(|sync| sync.eq_ignore_ascii_case("true"));
        let pipeline = Pipeline { name: name.clone(), plan };
        let running =
            start(&self.home, pipeline, &self.options, &Arc::new(Feeds::default())).await?;
        let stop = Box::new(running.job.stopper());
        let ended = tokio::spawn(running.job.wait());
        if sync {
            ended.await.map_err(anyhow::Error::from)?.map_err(anyhow::Error::from)?;
            say!("job {name} has ended");
        } else {
            say!("job {name} runs");
            self.jobs.push(Background { name, stop, ended });
        }
        Ok(After::Next)
    }

    fn show_jobs(&self) {
        let head = ["job", "state"].map(str::to_owned);
        let state = |job: &Background| if job.ended.is_finished() { "ended" } else { "running" };
        let rows: Vec<Vec<Option<String>>> = self
            .jobs
            .iter()
            .map(|job| vec![Some(job.name.clone()), Some(state(job).to_owned())])
            .collect();
        say!("{}", nowcast_planner::text_table(&head, &rows).trim_end());
    }

    async fn stop_job(&mut self, text: &str) -> Result<()> {
        let Some(name) = text.split('\'').nth(1) else {
            bail!("STOP JOB takes a name in quotes: STOP JOB 'job-1'");
        };
        let Some(at) = self.jobs.iter().position(|job| job.name == name) else {
            bail!("there is no job '{name}': SHOW JOBS lists them");
        };
        let job = self.jobs.remove(at);
        (job.stop)();
        job.ended.await??;
        say!("job {name} has stopped");
        Ok(())
    }

    /// Until all jobs have ended by themselves, or Ctrl-C.
    pub async fn wait_for_jobs(&mut self) -> Result<()> {
        for job in std::mem::take(&mut self.jobs) {
            let Background { name, stop, mut ended } = job;
            let ended = tokio::select! {
                ended = &mut ended => ended,
                () = crate::signal::asked_to_stop(self.options.stop_timeout) => {
                    stop();
                    ended.await
                }
            };
            ended?.map_err(|error| error.context(format_args!("job {name}")))?;
        }
        Ok(())
    }

    /// Stops all jobs, with a checkpoint each, and the embedded broker.
    pub async fn close(self) {
        for job in self.jobs {
            (job.stop)();
            // Its error was its own; the shell leaves.
            let _ = job.ended.await;
        }
        if let Some(broker) = self.home.broker {
            broker.shutdown().await;
        }
    }
}
