//! The HTTP side of a process that runs jobs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use nowcast_connectors::Store;
use nowcast_serve::{AppState, Feeds, Fields, Reader, bind, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::status::Jobs;

/// How often counters are copied into the metrics recorder.
const METRICS_EVERY: Duration = Duration::from_secs(1);

/// An open port and what will be served on it.
pub struct Doors {
    listener: TcpListener,
    metrics: Option<PrometheusHandle>,
}

/// A running server.
pub struct Serving {
    stop: watch::Sender<bool>,
    server: JoinHandle<nowcast_engine::Result<()>>,
    pub address: std::net::SocketAddr,
}

impl Doors {
    /// Takes the port first, so that a port in use ends the command before any job starts.
    pub async fn open(address: &str) -> Result<Self> {
        let listener = bind(address).await?;
        // A second recorder in one process, as in tests, is refused; the first one goes on.
        let metrics = PrometheusBuilder::new().install_recorder().ok();
        Ok(Self { listener, metrics })
    }

    pub fn serve(
        self,
        store: Arc<dyn Store>,
        feeds: Arc<Feeds>,
        jobs: Arc<Jobs>,
    ) -> Result<Serving> {
        let address = self.listener.local_addr()?;
        let (stop, mut stopped) = watch::channel(false);
        let state = AppState {
            reader: Arc::new(StoreReader(store)),
            feeds,
            job: Arc::clone(&jobs) as _,
            metrics: self.metrics.clone(),
            tables: None,
        };
        let mut ticking = stop.subscribe();
        let metrics = self.metrics;
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(METRICS_EVERY);
            loop {
                tokio::select! {
                    _ = tick.tick() => {
                        jobs.publish();
                        if let Some(metrics) = &metrics {
                            metrics.run_upkeep();
                        }
                    }
                    _ = ticking.changed() => return,
                }
            }
        });
        let shutdown = async move {
            // An error means that the sender is gone, which ends us too.
            let _ = stopped.changed().await;
        };
        let server = tokio::spawn(serve(self.listener, state, shutdown));
        Ok(Serving { stop, server, address })
    }
}

impl Serving {
    pub async fn stop(self) -> Result<()> {
        // The server may have ended by an error, which is what counts then.
        let _ = self.stop.send(true);
        Ok(self.server.await??)
    }
}

/// The feature store as the server reads it.
struct StoreReader(Arc<dyn Store>);

#[async_trait]
impl Reader for StoreReader {
    async fn multi_get(&self, keys: &[String]) -> nowcast_engine::Result<Vec<Option<Fields>>> {
        self.0.multi_get(keys).await
    }
}
