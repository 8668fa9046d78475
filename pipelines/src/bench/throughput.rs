//! CPU-seconds per million events: the clickstream job and a plain drain, one after the other, on
//! the same topic, each in a process of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use nowcast_bench::generate::clicks::{ClicksConfig, clicks};
use nowcast_bench::histogram::write_json_line;
use nowcast_bench::replay::Speed;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::drain::Drained;
use crate::feed::{Progress, feed};
use crate::producer::{Events, ensure_topic};
use crate::run::Usage;

#[derive(Args)]
pub struct Throughput {
    /// Events to read.
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Kafka bootstrap servers; `embedded` starts a broker in a process of its own.
    #[arg(long, default_value = "embedded")]
    bootstrap: String,
    /// Runs of each, interleaved; the best of each counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// The job; its source topic is `${CLICKS_TOPIC}` and it must end in `${BOUNDED_MODE}`.
    #[arg(long)]
    sql: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

pub async fn throughput(command: Throughput) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("nowcast-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = measure(&command, &folder).await;
    // What cannot be removed is left to the system's own cleaning of its temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
    result
}

async fn measure(command: &Throughput, folder: &std::path::Path) -> Result<()> {
    let (_broker, bootstrap) = match command.bootstrap == crate::home::EMBEDDED {
        true => {
            let (child, address) = start_broker(folder).await?;
            (Some(child), address)
        }
        false => (None, command.bootstrap.clone()),
    };
    let topic = format!("nowcast-bench-{}", std::process::id());
    ensure_topic(&bootstrap, &topic, 4).await?;
    let (events, to, target) = (command.events, bootstrap.clone(), topic.clone());
    tokio::task::spawn_blocking(move || {
        let config = ClicksConfig::seeded(1).events_per_s(1_000.0);
        let producer = Events::connect(&to)?;
        feed(
            &producer,
            &target,
            clicks(&config).take(events),
            Speed::Max,
            &Arc::new(Progress::default()),
        )
    })
    .await??;
    let sql = match &command.sql {
        Some(path) => path.clone(),
        None => {
            let path = folder.join("clickstream_features.sql");
            std::fs::write(&path, crate::shipped::PIPELINES[0].1)?;
            path
        }
    };
    let mut best: Option<(Usage, Drained)> = None;
    for run in 0..command.runs.max(1) {
        let drained: Drained =
            json_of(&["bench", "drain", "--bootstrap", &bootstrap, "--topic", &topic], &[]).await?;
        let data = folder.join(format!("run-{run}"));
        let (data, workers) = (data.display().to_string(), command.workers.to_string());
        let sql = sql.display().to_string();
        let arguments = [
            "run",
            &sql,
            "--usage",
            "--no-http",
            "--fresh",
            "--data-dir",
            &data,
            "--workers",
            &workers,
        ];
        let variables = [
            ("CLICKS_TOPIC", topic.as_str()),
            ("KAFKA_BOOTSTRAP_SERVERS", &bootstrap),
            ("BOUNDED_MODE", "latest-offset"),
        ];
        let job: Usage = json_of(&arguments, &variables).await?;
        say!(
            "run {}: job {:.3} CPU-s/M ({:.0} events/s), drain {:.3} CPU-s/M",
            run + 1,
            per_million(job.cpu_s, job.rows_read),
            job.rows_read as f64 / job.wall_s,
            per_million(drained.cpu_s, drained.events),
        );
        best = Some(match best {
            Some((best_job, best_drain)) => (
                if job.cpu_s < best_job.cpu_s { job } else { best_job },
                if drained.cpu_s < best_drain.cpu_s { drained } else { best_drain },
            ),
            None => (job, drained),
        });
    }
    let (job, drained) = best.context("no run")?;
    let (job_cpu, drain_cpu) =
        (per_million(job.cpu_s, job.rows_read), per_million(drained.cpu_s, drained.events));
    let result = json!({
        "bench": "throughput", "events": command.events, "workers": command.workers,
        "bootstrap": command.bootstrap, "job_cpu_s_per_million": job_cpu,
        "drain_cpu_s_per_million": drain_cpu, "ratio": job_cpu / drain_cpu,
        "job_events_per_s": job.rows_read as f64 / job.wall_s, "job_rss_peak_bytes": job.rss_peak_bytes,
    });
    write_json_line(&mut std::io::stdout(), &result)?;
    Ok(())
}

fn per_million(cpu_s: f64, events: u64) -> f64 {
    cpu_s * 1e6 / events.max(1) as f64
}

async fn start_broker(folder: &std::path::Path) -> Result<(Child, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["broker", "--listen", "127.0.0.1:0", "--dir"])
        .arg(folder.join("broker"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().context("the broker has no output")?;
    let line = BufReader::new(output).lines().next_line().await?.context("the broker ended")?;
    let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
    let address = address.with_context(|| format!("the broker said \"{line}\""))?;
    Ok((child, address.trim_end_matches(',').to_owned()))
}

/// Runs this binary and reads the last line it prints.
async fn json_of<T: serde::de::DeserializeOwned>(
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<T> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).envs(variables.iter().copied()).stderr(Stdio::inherit());
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("nowcast {}: {}", arguments.join(" "), output.status);
    }
    let line = text.lines().last().context("no output")?;
    serde_json::from_str(line).with_context(|| line.to_owned())
}
