//! Options that several commands share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::pipeline::RunOptions;

#[derive(Args, Debug)]
pub struct Common {
    /// Folder of checkpoints, embedded broker and store, dead letters and late rows.
    #[arg(long, default_value = "nowcast-data", env = "NOWCAST_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Worker threads a job [default: the cores].
    #[arg(long, env = "NOWCAST_WORKERS")]
    pub workers: Option<usize>,
    /// Fills in `${KEY:-default}` in the SQL; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Rows a source hands over at once at most.
    #[arg(long, default_value_t = 4_096)]
    pub rows_max: usize,
    /// Time between checkpoints, over what the SQL says.
    #[arg(long)]
    pub checkpoint_interval: Option<String>,
    /// Where checkpoints are kept, over what the SQL says: a folder, or s3://bucket/path
    /// [default: `checkpoints` beneath the data folder].
    #[arg(long, env = "NOWCAST_CHECKPOINTS")]
    pub checkpoints: Option<String>,
    /// How long a stop may take, with its checkpoint; then the process leaves with exit code 3.
    #[arg(long, default_value = "30s", env = "NOWCAST_STOP_TIMEOUT", value_parser = duration)]
    pub stop_timeout: Duration,
}

/// A duration as Flink writes it.
pub fn duration(text: &str) -> Result<Duration, String> {
    nowcast_connectors::parse_duration(text).map_err(|error| error.to_string())
}

impl Common {
    pub fn run_options(&self, resume: bool) -> Result<RunOptions> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = self.workers.unwrap_or_else(cores);
        if workers == 0 || workers > nowcast_engine::keys::KEY_GROUPS {
            bail!("--workers {workers}: from 1 to {}", nowcast_engine::keys::KEY_GROUPS);
        }
        if self.rows_max == 0 {
            bail!("--rows-max 0: at least 1");
        }
        let interval = self.checkpoint_interval.as_deref();
        let checkpoint_interval = interval.map(nowcast_connectors::parse_duration).transpose()?;
        let (sets, rows_max, checkpoints) = (self.sets()?, self.rows_max, self.checkpoints.clone());
        let stop_timeout = self.stop_timeout;
        Ok(RunOptions {
            workers,
            sets,
            resume,
            allow_state_loss: false,
            rows_max,
            checkpoint_interval,
            checkpoints,
            stop_timeout,
        })
    }

    pub fn sets(&self) -> Result<BTreeMap<String, String>> {
        self.sets.iter().map(|text| pair(text)).collect()
    }
}

/// A `KEY=VALUE` of `--set`.
pub fn pair(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => bail!("--set {text}: expected KEY=VALUE"),
    }
}

#[derive(Args, Debug)]
pub struct Serve {
    /// Where HTTP is served.
    #[arg(long, default_value = "127.0.0.1:8080", env = "NOWCAST_HTTP")]
    pub http: String,
    /// Serves no HTTP.
    #[arg(long)]
    pub no_http: bool,
}

impl Serve {
    pub fn address(&self) -> Option<&str> {
        (!self.no_http).then_some(self.http.as_str())
    }
}
