//! `nowcast why`: asks a running job what holds its output back.

mod diagnosis;

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use diagnosis::Status;

/// The job answers from memory: what takes longer is no answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub struct Why {
    /// The job's name, where the process runs several.
    job: Option<String>,
    /// Where the job serves HTTP.
    #[arg(long, default_value = "127.0.0.1:8080", env = "NOWCAST_HTTP")]
    http: String,
}

pub fn why(command: &Why) -> Result<()> {
    let address = command.http.trim_start_matches("http://").trim_end_matches('/');
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let unreachable = |error: ureq::Error| {
        anyhow!("http {address}: no job answers: {error}; does it run, and serve HTTP there?")
    };
    let mut answer = agent.get(format!("http://{address}/status")).call().map_err(unreachable)?;
    let status: Status = answer.body_mut().read_json().map_err(unreachable)?;
    let wanted = |name: &str| command.job.as_deref().is_none_or(|job| job == name);
    let mut found = false;
    for job in status.jobs.iter().filter(|job| wanted(&job.job)) {
        found = true;
        say!("job {}", job.job);
        for line in diagnosis::diagnose(job, status.now) {
            say!("  {line}");
        }
    }
    if !found {
        let names: Vec<&str> = status.jobs.iter().map(|job| job.job.as_str()).collect();
        let job = command.job.as_deref().unwrap_or_default();
        bail!("no job {job} at {address}: there are {}", names.join(", "));
    }
    Ok(())
}
