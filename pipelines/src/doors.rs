//! The HTTP side of a process that runs jobs.

mod reload;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use nowcast_connectors::Store;
use nowcast_serve::{AppState, Feeds, Protection, bind, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::behind::{Behind, Waiting};
use crate::options::Serve;
use crate::status::Jobs;

/// How often counters are copied into the metrics recorder.
const METRICS_EVERY: Duration = Duration::from_secs(1);

/// An open port and what will be served on it.
pub struct Doors {
    listener: TcpListener,
    protection: Protection,
    metrics: Option<PrometheusHandle>,
}

/// A running server.
pub struct Serving {
    behind: Arc<Behind>,
    stop: watch::Sender<bool>,
    server: JoinHandle<nowcast_engine::Result<()>>,
    /// `https://address`, or without TLS `http://address`.
    pub url: String,
}

impl Doors {
    /// Takes the port first, so that a port in use ends the command before any job starts; none if
    /// there is to be no HTTP.
    ///
    /// # Errors
    /// Also where other machines could ask without anybody having said who may.
    pub async fn open(options: &Serve) -> Result<Option<Self>> {
        let Some(address) = options.address() else { return Ok(None) };
        let protection = options.protection()?;
        let listener = bind(address).await?;
        let (tls, tokens) = (protection.tls.as_ref(), protection.tokens.as_ref());
        if !listener.local_addr()?.ip().to_canonical().is_loopback() {
            let guarded = tokens.is_some() || tls.is_some_and(|tls| tls.knows_clients());
            if !guarded && !options.http_open {
                bail!(
                    "http {address}: whoever reaches this machine could ask everything; say who may \
                     with --tokens FILE or --tls-client-ca FILE, or with --http-open that something \
                     in front of it keeps others out"
                );
            }
            if tokens.is_some() && tls.is_none() {
                tracing::warn!("http {address}: tokens travel unencrypted without --tls-cert");
            }
        }
        // A second recorder in one process, as in tests, is refused; the first one goes on.
        let metrics = PrometheusBuilder::new().install_recorder().ok();
        Ok(Some(Self { listener, protection, metrics }))
    }

    /// Answers probes from here on, and all else once the jobs run ([`Serving::open`]).
    pub fn serve(self, feeds: Arc<Feeds>, waiting: Waiting) -> Result<Serving> {
        let address = self.listener.local_addr()?;
        let scheme = if self.protection.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}");
        let (stop, mut stopped) = watch::channel(false);
        let behind = Arc::new(Behind::new(waiting));
        let state = AppState {
            reader: Arc::clone(&behind) as _,
            feeds,
            job: Arc::clone(&behind) as _,
            metrics: self.metrics.clone(),
            tables: None,
        };
        let mut ticking = stop.subscribe();
        let (metrics, told) = (self.metrics, Arc::clone(&behind));
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(METRICS_EVERY);
            loop {
                tokio::select! {
                    _ = tick.tick() => {
                        told.publish();
                        if let Some(metrics) = &metrics {
                            metrics.run_upkeep();
                        }
                    }
                    _ = ticking.changed() => return,
                }
            }
        });
        reload::watch(&self.protection, stop.subscribe());
        let shutdown = async move {
            // An error means that the sender is gone, which ends us too.
            let _ = stopped.changed().await;
        };
        let server = tokio::spawn(serve(self.listener, state, self.protection, shutdown));
        Ok(Serving { behind, stop, server, url })
    }
}

impl Serving {
    /// The jobs run.
    pub fn open(&self, store: Arc<dyn Store>, jobs: Arc<Jobs>) {
        self.behind.open(store, jobs);
    }

    pub async fn stop(self) -> Result<()> {
        // The server may have ended by an error, which is what counts then.
        let _ = self.stop.send(true);
        Ok(self.server.await??)
    }
}
