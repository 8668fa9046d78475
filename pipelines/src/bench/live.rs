//! The figures of a run while it runs, for Prometheus.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use nowcast_bench::run::Sample;
use tokio::net::TcpListener;

/// The newest sample as metrics; served if an address was given.
pub struct Live {
    recorder: PrometheusRecorder,
    text: Arc<Mutex<String>>,
}

impl Live {
    /// Serves `/metrics` on `address`, if there is one, for as long as the process lives.
    pub async fn start(address: Option<&str>) -> Result<Self> {
        let recorder = PrometheusBuilder::new().build_recorder();
        let text = Arc::new(Mutex::new(String::new()));
        if let Some(address) = address {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("metrics on {address}"))?;
            let served = Arc::clone(&text);
            let answer = move || {
                let text = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
                std::future::ready(text)
            };
            let router = Router::new().route("/metrics", get(answer));
            tracing::info!("metrics on http://{}/metrics", listener.local_addr()?);
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        Ok(Self { recorder, text })
    }

    pub fn show(&self, sample: &Sample) {
        metrics::with_local_recorder(&self.recorder, || {
            counter!("nowcast_bench_events_due_total").increment(sample.due);
            counter!("nowcast_bench_events_sent_total").increment(sample.sent);
            counter!("nowcast_bench_events_acknowledged_total").increment(sample.acknowledged);
            counter!("nowcast_bench_results_total").increment(sample.results);
            gauge!("nowcast_bench_lag_seconds").set(sample.lag_s);
            let latency = &sample.latency;
            for (quantile, us) in [
                ("0.5", latency.p50_us),
                ("0.9", latency.p90_us),
                ("0.99", latency.p99_us),
                ("0.999", latency.p99_9_us),
                ("1", latency.max_us),
            ] {
                gauge!("nowcast_bench_latency_seconds", "quantile" => quantile)
                    .set(us as f64 / 1e6);
            }
            if let Some(cores) = sample.cpu_cores {
                gauge!("nowcast_bench_system_cpu_cores").set(cores);
            }
            if let Some(bytes) = sample.rss_bytes {
                gauge!("nowcast_bench_system_resident_bytes").set(bytes as f64);
            }
        });
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = self.recorder.handle().render();
    }
}
