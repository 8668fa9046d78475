//! `nowcast why`: asks a running job what holds its output back.

mod diagnosis;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
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
    /// A token with the scope `read`, where the job wants one.
    #[arg(long, env = "NOWCAST_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Who has signed the job's certificate, in PEM, where it is none of the authorities that are
    /// known to everybody.
    #[arg(long, env = "NOWCAST_CA")]
    ca: Option<PathBuf>,
}

pub fn why(command: &Why) -> Result<()> {
    let given = command.http.trim_end_matches('/');
    let url = if given.contains("://") { given.to_owned() } else { format!("http://{given}") };
    let address = given.trim_start_matches("http://");
    let mut tls = ureq::tls::TlsConfig::builder();
    if let Some(path) = &command.ca {
        let pem = std::fs::read(path).with_context(|| path.display().to_string())?;
        let roots = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        tls = tls.root_certs(ureq::tls::RootCerts::new_with_certs(&roots.collect::<Vec<_>>()));
    }
    let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE));
    let agent: ureq::Agent = agent.tls_config(tls.build()).build().into();
    let unreachable = |error: ureq::Error| {
        anyhow!("http {address}: no job answers: {error}; does it run, and serve HTTP there?")
    };
    let mut request = agent.get(format!("{url}/status"));
    if let Some(token) = &command.token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut answer = request.call().map_err(unreachable)?;
    let status: Status = answer.body_mut().read_json().map_err(unreachable)?;
    if let Some(waiting) = &status.waiting {
        say!("{waiting}: the run has no jobs yet");
        return Ok(());
    }
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
