//! What `/status` and `/metrics` tell of the running jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nowcast_engine::stats::JobStats;
use nowcast_engine::world::{Clock, SystemClock};
use nowcast_planner::NodeNote;
use nowcast_serve::JobStatus;
use serde_json::{Value, json};

use crate::pipeline::Running;

/// The jobs of this process.
#[derive(Default)]
pub struct Jobs {
    pub jobs: Vec<(String, Arc<JobStats>)>,
    /// What is known of each of them besides its counters.
    pub plans: Vec<PlanFacts>,
    pub stopping: AtomicBool,
}

/// What `/status` tells of a job's plan.
#[derive(Clone, Default)]
pub struct PlanFacts {
    /// One note a stage.
    pub notes: Vec<NodeNote>,
    /// How long a split is quiet until it is idle; `None`: never.
    pub idle_timeout_ms: Option<u64>,
}

impl Jobs {
    pub fn of(running: &[Running]) -> Self {
        Self {
            jobs: running.iter().map(|it| (it.name.clone(), it.job.stats())).collect(),
            plans: running.iter().map(|it| it.facts.clone()).collect(),
            ..Self::default()
        }
    }

    fn stages(&self, job: usize, stats: &JobStats) -> Vec<Value> {
        let notes = self.plans.get(job).map_or(&[][..], |facts| facts.notes.as_slice());
        let stages = stats.read().into_iter().enumerate().map(|(at, stage)| {
            let mut stage = json!(stage);
            if let Some(note) = notes.get(at) {
                stage["does"] = json!(note.kind);
                stage["text"] = json!(note.text);
            }
            stage
        });
        stages.collect()
    }
}

impl JobStatus for Jobs {
    fn status(&self) -> Value {
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .enumerate()
            .map(|(at, (name, stats))| {
                let requests = stats.requests.iter().map(|open| open.load(Ordering::Relaxed));
                json!({
                    "job": name,
                    "rows_read": stats.rows_read(),
                    "checkpoint": {
                        "epoch": stats.epoch.load(Ordering::Relaxed),
                        "duration_ms": stats.checkpoint_ms.load(Ordering::Relaxed),
                        "bytes": stats.checkpoint_bytes.load(Ordering::Relaxed),
                        "pause_ms": stats.checkpoint_pause_us.load(Ordering::Relaxed) as f64 / 1e3,
                        "failed": stats.checkpoints_failed.load(Ordering::Relaxed),
                        "failing": stats.failing(),
                    },
                    "state": {
                        "bytes": stats.state_bytes(),
                        "bytes_max": stats.state_bytes_max.load(Ordering::Relaxed),
                    },
                    "back_pressure_turns": stats.back_pressure.load(Ordering::Relaxed),
                    "idle_timeout_ms": self.plans.get(at).and_then(|plan| plan.idle_timeout_ms),
                    "open_requests": requests.sum::<u64>(),
                    "stages": self.stages(at, stats),
                })
            })
            .collect();
        json!({ "version": env!("CARGO_PKG_VERSION"), "now": SystemClock.now(), "jobs": jobs })
    }

    fn ready(&self) -> Result<(), String> {
        match (self.stopping.load(Ordering::Relaxed), self.jobs.is_empty()) {
            (true, _) => return Err("stopping".into()),
            (_, true) => return Err("no job is running".into()),
            _ => {}
        }
        for (job, stats) in &self.jobs {
            let failing = stats.failing();
            if let Some(error) = failing.error {
                let failed = failing.in_a_row;
                return Err(format!("job {job}: {failed} checkpoints failed in a row: {error}"));
            }
            untroubled(job, stats)?;
        }
        Ok(())
    }
}

/// # Errors
/// Why the outside of one of the job's sinks does not answer.
fn untroubled(job: &str, stats: &JobStats) -> Result<(), String> {
    let troubled = stats.stages.iter().find_map(|stage| Some((&stage.name, stage.trouble()?)));
    match troubled {
        Some((sink, trouble)) => Err(format!("job {job}: sink `{sink}`: {trouble}")),
        None => Ok(()),
    }
}

impl Jobs {
    /// Copies the counters into the metrics recorder; called about once a second.
    pub fn publish(&self) {
        // Where there is no /proc, there are no such metrics.
        if let Ok(usage) = nowcast_bench::cpu::own() {
            metrics::gauge!("process_cpu_seconds_total").set(usage.cpu_s);
            metrics::gauge!("process_resident_memory_bytes").set(usage.rss_bytes as f64);
        }
        for (job, stats) in &self.jobs {
            for stage in stats.read() {
                let labels = [("job", job.clone()), ("stage", stage.name.clone())];
                metrics::counter!("nowcast_rows_in_total", &labels).absolute(stage.rows_in);
                metrics::counter!("nowcast_rows_out_total", &labels).absolute(stage.rows_out);
                metrics::counter!("nowcast_late_rows_total", &labels).absolute(stage.late);
                metrics::counter!("nowcast_dead_letters_total", &labels)
                    .absolute(stage.dead_letters);
                metrics::counter!("nowcast_skipped_rows_total", &labels).absolute(stage.skipped);
                if stage.kind == "operator" {
                    metrics::gauge!("nowcast_state_bytes", &labels).set(stage.state_bytes as f64);
                }
                if let Some(watermark) = stage.watermark {
                    metrics::gauge!("nowcast_watermark_ms", &labels).set(watermark as f64);
                }
            }
            let labels = [("job", job.clone())];
            metrics::gauge!("nowcast_checkpoint_epoch", &labels)
                .set(stats.epoch.load(Ordering::Relaxed) as f64);
            metrics::gauge!("nowcast_state_bytes_max", &labels)
                .set(stats.state_bytes_max.load(Ordering::Relaxed) as f64);
            metrics::gauge!("nowcast_checkpoint_duration_ms", &labels)
                .set(stats.checkpoint_ms.load(Ordering::Relaxed) as f64);
            metrics::gauge!("nowcast_checkpoint_pause_ms", &labels)
                .set(stats.checkpoint_pause_us.load(Ordering::Relaxed) as f64 / 1e3);
            metrics::gauge!("nowcast_checkpoint_bytes", &labels)
                .set(stats.checkpoint_bytes.load(Ordering::Relaxed) as f64);
            metrics::counter!("nowcast_checkpoints_failed_total", &labels)
                .absolute(stats.checkpoints_failed.load(Ordering::Relaxed));
            metrics::gauge!("nowcast_checkpoints_failed_in_a_row", &labels)
                .set(stats.failing().in_a_row as f64);
            metrics::counter!("nowcast_back_pressure_turns_total", &labels)
                .absolute(stats.back_pressure.load(Ordering::Relaxed));
        }
    }
}
