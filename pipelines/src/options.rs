//! Options that several commands share.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use nowcast_serve::{FEED_CLIENTS_MAX, Limits, Protection, Tls, TlsFiles, Tokens};

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
    /// How long a run may give no sign of life until one that stands by takes its jobs over. Signs are
    /// given where checkpoints are kept in a place of their own.
    #[arg(long, default_value = "10s", env = "NOWCAST_LEASE_TIMEOUT", value_parser = duration)]
    pub lease_timeout: Duration,
    /// How long a stop may take, with its checkpoint; then the process leaves with exit code 3.
    #[arg(long, default_value = "30s", env = "NOWCAST_STOP_TIMEOUT", value_parser = duration)]
    pub stop_timeout: Duration,
}

/// A duration as Flink writes it.
pub fn duration(text: &str) -> Result<Duration, String> {
    nowcast_engine::parse_duration(text).map_err(|error| error.to_string())
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
        let checkpoint_interval = interval.map(nowcast_engine::parse_duration).transpose()?;
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
            standby: false,
            lease_timeout: self.lease_timeout,
            stop_timeout,
        })
    }

    pub fn sets(&self) -> Result<BTreeMap<String, String>> {
        sets(&self.sets)
    }
}

/// `KEY=VALUE`, each.
pub fn sets(texts: &[String]) -> Result<BTreeMap<String, String>> {
    texts.iter().map(|text| pair(text)).collect()
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
    /// Serves other machines without tokens or certificates of clients: something in front of it
    /// keeps others out.
    #[arg(long)]
    pub http_open: bool,
    /// Certificate in PEM, with those that it is signed with: HTTP is encrypted then. Read again when
    /// it changes, and on SIGHUP.
    #[arg(long, requires = "tls_key", env = "NOWCAST_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate, in PEM.
    #[arg(long, requires = "tls_cert", env = "NOWCAST_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Serves only clients with a certificate that one of these in PEM has signed.
    #[arg(long, requires = "tls_cert", env = "NOWCAST_TLS_CLIENT_CA")]
    pub tls_client_ca: Option<PathBuf>,
    /// Tokens of those who may ask, one a line, as `nowcast token new` prints them. Read again when it
    /// changes, and on SIGHUP.
    #[arg(long, env = "NOWCAST_TOKENS_FILE")]
    pub tokens: Option<PathBuf>,
    /// Answers /metrics without a token.
    #[arg(long)]
    pub metrics_open: bool,
    /// Connections at a time.
    #[arg(long, default_value_t = Limits::CONNECTIONS_MAX)]
    pub http_connections_max: usize,
    /// Requests a second of one address.
    #[arg(long, default_value_t = Limits::REQUESTS_PER_SECOND_MAX)]
    pub http_requests_per_second_max: NonZeroU32,
    /// Bytes of a request's body.
    #[arg(long, default_value_t = Limits::BODY_BYTES_MAX)]
    pub http_body_bytes_max: usize,
    /// Bytes of a request's headers.
    #[arg(long, default_value_t = Limits::HEADER_BYTES_MAX)]
    pub http_header_bytes_max: usize,
    /// How long a request's headers, and its answer, may take.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub http_timeout: Duration,
    /// Clients of live feeds at a time.
    #[arg(long, default_value_t = FEED_CLIENTS_MAX)]
    pub feed_clients_max: usize,
}

impl Serve {
    pub fn address(&self) -> Option<&str> {
        (!self.no_http).then_some(self.http.as_str())
    }

    /// Opens the files that say who is let in.
    pub fn protection(&self) -> Result<Protection> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => {
                let client_ca = self.tls_client_ca.clone();
                Some(Tls::open(TlsFiles { cert: cert.clone(), key: key.clone(), client_ca })?)
            }
            _ => None,
        };
        let tokens = self.tokens.as_deref().map(Tokens::open).transpose()?;
        Ok(Protection {
            tls: tls.map(Arc::new),
            tokens: tokens.map(Arc::new),
            metrics_open: self.metrics_open,
            limits: Limits {
                connections_max: self.http_connections_max,
                requests_per_second_max: self.http_requests_per_second_max,
                body_bytes_max: self.http_body_bytes_max,
                header_bytes_max: self.http_header_bytes_max,
                timeout: self.http_timeout,
            },
        })
    }
}
